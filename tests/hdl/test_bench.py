"""The bench itself: what it catches, shown on a stream stage with planted bugs."""

from pathlib import Path

import cocotb
import pytest
from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom_sim.bench import Watch, cycles, parameter, random_source, receive, send, simulate, start

LAYOUT = data.StructLayout({"n": signed(8), "m": 4})


class Stage(wiring.Component):
    """One register of a stream, right or with one of three faults."""

    i: In(stream.Signature(LAYOUT))
    o: Out(stream.Signature(LAYOUT))

    def __init__(self, fault: str):
        self.fault = fault
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        valid = Signal()
        m.d.comb += [self.o.valid.eq(valid), self.i.ready.eq(~valid | (self.o.ready & self.o.valid))]
        with m.If(self.i.ready):
            m.d.sync += [valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        if self.fault == "waits":
            m.d.comb += self.o.valid.eq(valid & self.o.ready)
        elif self.fault == "drops":
            m.d.sync += valid.eq(self.i.valid & self.i.ready)
        elif self.fault == "changes":
            with m.If(self.i.valid):
                m.d.sync += self.o.payload.eq(self.i.payload)
        return m


@pytest.mark.parametrize("fault", ["", "waits", "drops", "changes"])
def test_bench(fault: str, tmp_path: Path) -> None:
    simulate(Stage(fault), __name__, tmp_path, parameters={"fault": fault}, seed=7)


@cocotb.test(timeout_time=1, timeout_unit="ms", skip=bool(parameter("fault")))
@cocotb.parametrize(stall=[0.0, 0.6], patient=[False, True])
async def carries_all(dut, stall: float, patient: bool) -> None:
    await _carry(dut, stall, patient)


@cocotb.test(timeout_time=1, timeout_unit="ms", skip=not parameter("fault"), expect_error=Exception)
async def is_caught(dut) -> None:
    await _carry(dut, 0.6, True)


async def _carry(dut, stall: float, patient: bool) -> None:
    rng = random_source()
    sent = [{"n": rng.randrange(-128, 128), "m": rng.randrange(16)} for _ in range(300)]
    await start(dut)
    i, o = (Watch(dut, name, LAYOUT) for name in "io")
    cocotb.start_soon(send(dut, "i", LAYOUT, sent, stall=stall, rng=random_source(1)))
    taken = await receive(dut, "o", LAYOUT, len(sent), stall=stall, patient=patient, rng=random_source(2))
    await cycles(dut, 1)  # the watches see the last edge after receive does
    assert [{"n": v.n, "m": v.m} for v in taken] == sent
    assert len(i) == len(sent)
    assert [v.as_bits() for v in o.values] == [v.as_bits() for v in taken]
    if not stall and not patient:
        assert o.cycles == [n + 1 for n in i.cycles]
        assert o.cycles[-1] - o.cycles[0] == len(sent) - 1
