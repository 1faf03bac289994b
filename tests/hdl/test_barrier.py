# amaranth: UnusedElaboratable=no
"""The barrier shows the root one instant of all leaves."""

from pathlib import Path

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from spikeloom_hdl.barrier import Barrier
from spikeloom_sim.bench import parameter, random_source, simulate, start

SIZES = [(1, 4), (4, 4), (5, 4), (17, 4), (9, 2)]


@pytest.mark.parametrize(("leaves", "fan_in"), SIZES)
def test_barrier(leaves: int, fan_in: int, tmp_path: Path) -> None:
    simulate(Barrier(leaves, fan_in), __name__, tmp_path, parameters={"leaves": leaves, "fan_in": fan_in})


@pytest.mark.parametrize(
    ("leaves", "fan_in", "latency"), [(1, 4, 1), (4, 4, 1), (5, 4, 2), (16, 4, 2), (17, 4, 3), (65, 4, 4), (9, 2, 4)]
)
def test_latency(leaves: int, fan_in: int, latency: int) -> None:
    assert Barrier(leaves, fan_in).latency == latency


@pytest.mark.parametrize(("leaves", "fan_in"), [(0, 4), (4, 1)])
def test_refuses(leaves: int, fan_in: int) -> None:
    with pytest.raises(ValueError, match="barrier"):
        Barrier(leaves, fan_in)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def shows_one_instant(dut) -> None:
    leaves = parameter("leaves")
    latency = Barrier(leaves, parameter("fan_in")).latency
    every = (1 << leaves) - 1
    # All but one, for each one, within all; then mostly ones at random.
    rng = random_source()
    inputs = [value for n in range(leaves) for value in (every, every & ~(1 << n), every)]
    inputs += [every & ~(rng.random() < 0.5) << rng.randrange(leaves) for _ in range(500)]
    await start(dut)
    assert int(dut.o.value) == 0, "rest must not be believed right after a reset"
    seen = set()
    edge = RisingEdge(dut.clk)
    for n, value in enumerate(inputs):
        dut.i.value = value
        await edge
        if n >= latency:
            want = int(inputs[n - latency] == every)
            assert int(dut.o.value) == want
            seen.add(want)
    assert seen == {0, 1}
