# amaranth: UnusedElaboratable=no
"""When a core says that it is idle, and that it never stops for want of room: neurons that fire as they are told."""

from pathlib import Path

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.neuron import Reset
from spikeloom.contract.numerics import Numerics
from spikeloom.contract.ring import Register, Space, spaces
from spikeloom_hdl.core import Core
from spikeloom_hdl.layout import struct
from spikeloom_sim.bench import Watch, cycles, now, simulate, start
from spikeloom_sim.bus import BusDriver

CONFIG = ArrayConfig(
    key_bits=2, index_bits=4,
    core=CoreConfig(
        lanes=2, rows=6, words=4, slots=2, group=2, projections=1, event_fifo=2, spike_fifo=4,
        numerics=Numerics(fraction_bits=0, state_bits=12),
    ),
)  # fmt: skip
LANES, ROWS = CONFIG.core.lanes, CONFIG.core.rows
PATIENCE = 2000
"""Cycles that no tick of such a core may take."""


def test_core_rest(tmp_path: Path) -> None:
    simulate(Core(CONFIG), __name__, tmp_path)


async def load(dut) -> BusDriver:
    """Neurons that fire whenever their bias is positive, and send their own number under key 1."""
    bus = BusDriver(dut, spaces(CONFIG))
    one = dict.fromkeys(("alpha", "beta", "theta", "v_reset", "v_sub", "refractory", "latency"), 0)
    one |= {"v_min": -9, "reset": Reset.VALUE}
    await bus.write_records(Space.PARAMETER, {name: np.full((ROWS, LANES), value) for name, value in one.items()})
    rows = np.arange(ROWS)
    await bus.write_records(Space.EMISSION, {"index": rows * LANES, "key": 1, "shift": 0, "valid": 1})
    return bus


class Monitor:
    """In no cycle the core may say that it is idle with a flit still to come."""

    def __init__(self, dut):
        self.due = self.taken = 0
        self.fires = 0  # flits of the next tick
        self.idle_cycles = 0
        self._dut = dut
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, edge = self._dut, RisingEdge(self._dut.clk)
        while True:
            await edge
            if int(dut.start.value):
                self.due += self.fires
            if int(dut.idle.value):
                assert self.taken == self.due, f"idle with {self.due - self.taken} flits still to come"
                self.idle_cycles += 1
            self.taken += int(dut.spikes__valid.value) & int(dut.spikes__ready.value)


async def ready(dut, rng: np.random.Generator, stall: float) -> None:
    edge = RisingEdge(dut.clk)
    while True:
        dut.spikes__ready.value = int(rng.random() >= stall)
        await edge


async def tick(dut, monitor: Monitor, fires: int) -> None:
    """A tick, from its start until the core has been idle."""
    monitor.fires = fires
    dut.start.value = 1
    await cycles(dut, 1)
    dut.start.value = 0
    for _ in range(PATIENCE):
        await cycles(dut, 1)
        if int(dut.idle.value):
            return
    raise AssertionError("the core has stopped")


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(stall=[0.0, 0.3, 0.9], share=[0.0, 0.3, 0.7, 1.0])
async def rests_after_its_last_flit(dut, stall: float, share: float) -> None:
    rng = np.random.default_rng([cocotb.RANDOM_SEED, int(stall * 10), int(share * 10)])
    await start(dut)
    bus = await load(dut)
    watch = Watch(dut, "spikes", struct(CONFIG.flit_layout))
    cocotb.start_soon(ready(dut, rng, stall))
    await cycles(dut, 2)
    monitor = Monitor(dut)
    seen = 0
    for rows in [1, 2, ROWS, 1, ROWS, 3, ROWS, ROWS]:
        await bus.write(Space.REGISTER, np.array([rows]), Register.ROWS)
        fires = rng.random((ROWS, LANES)) < share
        await bus.write_records(Space.BIAS, {"bias": np.where(fires, 1, -1), "bias_u": np.zeros_like(fires, int)})
        await cycles(dut, 1)
        want = np.flatnonzero(fires[:rows]).tolist()
        for _ in range(10):
            await tick(dut, monitor, len(want))
            assert [(int(v.key), int(v.index)) for v in watch.values[seen:]] == [(1, n) for n in want]
            seen = len(watch)
    assert monitor.idle_cycles > 80


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ticks_stay_as_short(dut) -> None:
    """Room that is not given back makes a core slower and slower: flits leave while silent rows pass."""
    await start(dut)
    bus = await load(dut)
    dut.spikes__ready.value = 1
    await bus.write(Space.REGISTER, np.array([ROWS]), Register.ROWS)
    monitor = Monitor(dut)
    for pattern in range(1, 1 << ROWS, 3):
        fires = np.repeat([[pattern >> n & 1] for n in range(ROWS)], LANES, axis=1)
        await bus.write_records(Space.BIAS, {"bias": 2 * fires - 1, "bias_u": 0 * fires})
        await cycles(dut, 1)
        spent = []
        for _ in range(6):
            began = now()
            await tick(dut, monitor, int(fires.sum()))
            spent.append(now() - began)
        assert len(set(spent)) == 1, f"rows {fires[:, 0]}: ticks take {spent} cycles"


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_reset_takes_a_cycle_a_row(dut) -> None:
    """All states and the sums of all slots are zero then; rows that no slot has, behind its last one, cost nothing."""
    core = CONFIG.core
    assert core.slots * core.rows < core.accumulator_depth
    await start(dut)
    bus = BusDriver(dut, spaces(CONFIG))
    for space in (Space.STATE, Space.ACCUMULATOR):
        geometry = spaces(CONFIG)[space]
        await bus.write(space, np.ones(geometry.depth * geometry.stride, np.uint32))
        assert (await bus.read(space, 1)).all()
    await cycles(dut, 4)
    began = now()
    dut.reset_state.value = 1
    await cycles(dut, 1)
    dut.reset_state.value = 0
    await cycles(dut, 1)
    while not int(dut.idle.value):
        await cycles(dut, 1)
    # Two cycles less than from edge to edge: the pulse's own, and the one in which it is idle again.
    assert now() - began - 2 == core.rows * max(core.groups, core.slots) + 1
    assert not any(values.any() for values in (await bus.read_records(Space.STATE)).values())
    sums = (await bus.read_records(Space.ACCUMULATOR))["acc"].reshape(core.slots, 1 << core.row_bits, core.lanes)
    assert not sums[:, : core.rows].any()
