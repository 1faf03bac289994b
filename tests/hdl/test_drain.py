"""The drain against a list of the rows of each phase, before a neuron unit and an emitter of any speed."""

from collections import deque
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.neuron import NEVER
from spikeloom_hdl.drain import Drain
from spikeloom_sim.bench import cycles, parameter, simulate, start

CASES = {
    "1 phase": CoreConfig(lanes=4, group=4, rows=9, slots=4, spike_fifo=2),
    "5 phases": CoreConfig(lanes=6, group=2, rows=16, slots=8, spike_fifo=4, phases=5),
}


@pytest.mark.parametrize("case", CASES)
def test_drain(case: str, tmp_path: Path) -> None:
    simulate(Drain(ArrayConfig(core=CASES[case])), __name__, tmp_path, parameters={"case": case})


class Behind:
    """Neuron unit and emitter: each drained row is finished after ``latency`` cycles, those that fire wait to leave."""

    def __init__(self, dut, core: CoreConfig, rng: np.random.Generator, fires: float, leaves: float):
        self.dut, self.core, self.rng = dut, core, rng
        self.fires, self.leaves = fires, leaves
        self.rows: list[tuple[int, int]] = []  # drained: (slot, row)
        self.at: list[int] = []
        self.stalls = self.waiting = self.cycle = 0
        self.reserved = False
        self._working: deque[int] = deque()
        cocotb.start_soon(self._run())

    @property
    def idle(self) -> bool:
        return not (self._working or self.waiting or int(self.dut.busy.value))

    async def _run(self) -> None:
        dut, edge, rng = self.dut, RisingEdge(self.dut.clk), self.rng
        latency = int(rng.integers(1, 20))
        stalled = False
        while True:
            finished = bool(self._working) and self._working[0] <= self.cycle
            fired = finished and rng.random() < self.fires
            popped = self.waiting > 0 and rng.random() < self.leaves
            dut.finished.value, dut.popped.value = int(finished), int(popped)
            dut.fired.value = int(fired) if finished else int(rng.integers(2))
            await edge
            if finished:
                self._working.popleft()
            self.waiting += fired - popped
            self.stalls += int(dut.stalled.value)
            assert not (stalled and int(dut.reserve.value)), "a row is reserved that has no room"
            stalled = bool(int(dut.stalled.value))
            if int(dut.drain.value):
                assert self.reserved or len(self.at) < (2 if self.core.groups == 1 else 1), (
                    "a row behind the first one comes without a free place"
                )
                self.rows.append((int(dut.slot.value), int(dut.row.value)))
                self.at.append(self.cycle)
                self._working.append(self.cycle + latency)
            assert self.waiting + len(self._working) <= self.core.spike_fifo, "more rows than the emitter has room for"
            self.reserved = bool(int(dut.reserve.value))
            self.cycle += 1


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(fires=[0.0, 0.5, 1.0], leaves=[1.0, 0.1])
async def drains_the_rows_of_each_phase(dut, fires: float, leaves: float) -> None:
    core = CASES[parameter("case")]
    rng = np.random.default_rng([cocotb.RANDOM_SEED, int(fires * 2), int(leaves * 10)])
    await start(dut)
    behind = Behind(dut, core, rng, fires, leaves)
    rows = [getattr(dut, f"rows__{n}") for n in range(core.phases)]
    slot, tick = core.slots - 1, -1
    for _ in range(NEVER + 20):
        if rng.random() < 0.02:
            dut.reset_state.value = 1
            await cycles(dut, 1)
            dut.reset_state.value = 0
            tick = -1
        counts = rng.multinomial(rng.integers(0, core.rows + 1), np.full(core.phases, 1 / core.phases)).tolist()
        for port, count in zip(rows, counts, strict=True):
            port.value = count
        slot, tick, flush = (slot + 1) % core.slots, min(tick + 1, NEVER - 1), int(rng.integers(0, NEVER))
        row = 0
        for phase in range(int(rng.integers(1, core.phases + 1))):
            behind.rows.clear()
            behind.at.clear()
            dut.start.value, dut.phase.value, dut.flush.value = 1, phase, flush
            await cycles(dut, 1)
            dut.start.value, dut.flush.value = 0, int(rng.integers(0, NEVER))
            await cycles(dut, 1)
            assert int(dut.busy.value) == (counts[phase] > 1)
            while not behind.idle:
                await cycles(dut, 1)
            assert behind.rows == [(slot, row + n) for n in range(counts[phase])], phase
            assert (int(dut.slot.value), int(dut.tick.value), int(dut.flushing.value)) == (slot, tick, flush)
            gaps = np.diff(behind.at)
            assert (gaps >= core.groups).all()
            row += counts[phase]
    if leaves < 1 and fires == 1:
        assert behind.stalls > 20, "the emitter always has room"
    await cycles(dut, 40)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def counts_to_the_last_latency(dut) -> None:
    """The tick stays below NEVER, and later phases do not count."""
    core = CASES[parameter("case")]
    await start(dut)
    for n in range(2 * NEVER):
        for phase in range(core.phases):
            dut.start.value, dut.phase.value = 1, phase
            await cycles(dut, 1)
            dut.start.value = 0
            await cycles(dut, 1)
            assert int(dut.tick.value) == min(n, NEVER - 1)
            assert int(dut.slot.value) == n % core.slots
