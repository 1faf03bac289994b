"""A node of the program ring loses, doubles and changes no packet, and shows the bus exactly what is for its core.

For all packets at all times, by k-induction over ports only: one cycle after a packet has come, it leaves unchanged,
unless it is a read for this core; one for this core is on the bus in that cycle; a read leaves ``READ_LATENCY + 1``
cycles later with the bus's answer in place of its data. Nothing else ever leaves or is on the bus.

Assumed, as the sequencer promises: nothing comes between a read for this core and its answer.
"""

from pathlib import Path

import prover
import pytest
from amaranth import *
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import wiring

from spikeloom_hdl import ring
from spikeloom_hdl.bus import READ_LATENCY

CORE = 5
DEPTH = READ_LATENCY + 5


class RingProof(prover.Top):
    """See the module."""

    def __init__(self, module):
        self.dut = module.RingNode(CORE)
        super().__init__(self.dut.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        prover.start(m)
        wiring.connect(m, wiring.flipped(self), dut)
        packet, bus = dut.i.packet, dut.bus
        here = dut.i.valid & (packet.core == CORE)
        stays = here & ~packet.write
        before = {n: prover.past(m, stays, n, f"stays{n}") for n in range(1, READ_LATENCY + 3)}
        m.d.comb += Assume(~(dut.i.valid & Cat(before[n] for n in range(1, READ_LATENCY + 2)).any()))

        passed = prover.past(m, dut.i.valid & ~stays, 1, "passed")
        answered = before[READ_LATENCY + 2]
        last = Signal(packet.shape(), name="last")
        m.d.sync += last.eq(packet)
        m.d.comb += Assert(dut.o.valid == (passed | answered))
        with m.If(passed):
            m.d.comb += Assert(dut.o.packet.as_value() == last.as_value())
        m.d.comb += Assert(bus.valid == prover.past(m, here, 1, "here"))
        with m.If(bus.valid):
            m.d.comb += [Assert(getattr(bus, name) == last[name]) for name in ("write", "space", "address", "data")]

        asked = Signal(packet.shape(), name="asked")
        with m.If(stays):
            m.d.sync += asked.eq(packet)
        answer = prover.past(m, bus.read_data, 1, "answer")
        with m.If(answered):
            m.d.comb += Assert(dut.o.packet.data == answer)
            m.d.comb += [Assert(dut.o.packet[name] == asked[name]) for name in ("core", "space", "address", "write")]
        m.d.comb += [
            Cover(answered & (dut.o.packet.data == 0x1234)),
            Cover(passed & bus.valid),
            Cover(passed & ~bus.valid),
        ]
        return m


def test_ring(tmp_path: Path) -> None:
    assert prover.prove(RingProof(ring), tmp_path, engine=prover.BOOLECTOR, depth=DEPTH).passed
    assert prover.cover(RingProof(ring), tmp_path, depth=DEPTH).passed


OTHER_BUGS = {
    "packet kept": ("with m.If(i.valid):", "with m.If(i.valid & 0):"),
    "read goes on": ("(i.valid & ~stays) | answered", "i.valid | answered"),
}


def test_ring_catches(tmp_path: Path) -> None:
    top = RingProof(prover.planted("ring-core"))
    assert not prover.prove(top, tmp_path, engine=prover.BOOLECTOR, depth=DEPTH, bounded=True).passed


@pytest.mark.full
@pytest.mark.parametrize("bug", OTHER_BUGS)
def test_ring_catches_also(tmp_path: Path, bug: str) -> None:
    top = RingProof(prover.mutated("ring.py", *OTHER_BUGS[bug]))
    assert not prover.prove(top, tmp_path, engine=prover.BOOLECTOR, depth=DEPTH, bounded=True).passed
