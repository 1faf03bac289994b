"""The barrier shows one instant of all leaves: ``o`` is high if and only if all were idle, at once."""

from pathlib import Path

import prover
import pytest
from amaranth import *
from amaranth.hdl import Assert, Cover
from amaranth.lib.wiring import In

from spikeloom_hdl import barrier


class BarrierProof(prover.Top):
    """``o`` is the AND of all leaves ``latency`` cycles ago; low before that."""

    def __init__(self, module, leaves: int, fan_in: int):
        self.dut = module.Barrier(leaves, fan_in)
        super().__init__({"i": In(leaves)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        prover.start(m)
        all_idle = prover.past(m, self.i.all(), dut.latency, "all_idle")
        seen = prover.past(m, C(1), dut.latency, "seen")
        m.d.comb += [dut.i.eq(self.i), Assert(dut.o == (all_idle & seen))]
        m.d.comb += [Cover(dut.o), Cover(seen & ~dut.o & self.i.all())]
        return m


@pytest.mark.parametrize(("leaves", "fan_in"), [(8, 4), *(pytest.param(*p, marks=pytest.mark.full) for p in (
    (1, 4), (3, 2), (4, 4), (5, 2), (17, 4), (128, 4)
))])  # fmt: skip
def test_barrier(tmp_path: Path, leaves: int, fan_in: int) -> None:
    top = BarrierProof(barrier, leaves, fan_in)
    assert prover.prove(top, tmp_path).passed
    assert prover.cover(BarrierProof(barrier, leaves, fan_in), tmp_path).passed


def test_barrier_catches(tmp_path: Path) -> None:
    assert not prover.prove(BarrierProof(prover.planted("barrier-any"), 8, 4), tmp_path).passed
