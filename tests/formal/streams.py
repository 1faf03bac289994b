"""The one contract of all streams, to assume at a unit's inputs and to assert at its outputs.

1. Once ``valid`` is high, it and the payload hold until ``ready`` takes them.
2. ``valid`` never waits for ``ready``: a unit offers something to a consumer that has never been ready.
"""

from __future__ import annotations

import prover
from amaranth import *
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import Out


def holds(m: Module, port: stream.Interface, name: str) -> Value:
    """Rule 1, as a condition that is to be true in every cycle."""
    waited = Signal(name=f"{name}_waited")
    payload = Value.cast(port.payload)
    offered = Signal(payload.shape(), name=f"{name}_offered")
    m.d.sync += [waited.eq(port.valid & ~port.ready), offered.eq(payload)]
    return ~waited | (port.valid & (payload == offered))


def unasked(m: Module, port: stream.Interface, name: str) -> Value:
    """Rule 2, as something that must be reachable: an offer to a consumer that has never been ready."""
    asked = Signal(name=f"{name}_asked")
    m.d.sync += asked.eq(asked | port.ready)
    return port.valid & ~port.ready & ~asked


class StreamProof(prover.Top):
    """Any component: its inputs keep the contract and are free otherwise, its outputs are to keep it.

    Its bus, if it has one, is used while it says that it is idle. ``covers`` tells which of its outputs can offer
    something within a bounded time (others need a long history: their rule 2 is covered elsewhere).
    """

    def __init__(self, dut: wiring.Component, *, covers: bool = True):
        self.dut, self.covers = dut, covers
        super().__init__(dut.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        prover.start(m)
        wiring.connect(m, wiring.flipped(self), dut)
        outputs = 0
        for name, member in dut.signature.members.items():
            if not (member.is_port is False and isinstance(member.signature, stream.Signature)):
                continue
            port = getattr(dut, name)
            rule = holds(m, port, name)
            if member.flow == Out:
                outputs += 1
                m.d.comb += Assert(rule, name)
                if self.covers:
                    m.d.comb += Cover(unasked(m, port, name))
            else:
                m.d.comb += [Assume(rule), Cover(port.valid & port.ready)]
        assert outputs, "no stream leaves this component"
        if "bus" in dut.signature.members and "idle" in dut.signature.members:
            m.d.comb += Assume(~dut.bus.valid | dut.idle)
        return m
