# amaranth: UnusedElaboratable=no
"""The emitter against a list of the flits of each row, with a full queue and a reader that stalls."""

from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.ring import Space, spaces
from spikeloom_hdl.emitter import Emitter
from spikeloom_hdl.layout import struct
from spikeloom_sim.bench import Watch, cycles, parameter, random_source, receive, simulate, start
from spikeloom_sim.bus import BusDriver

CASES = {
    "8 lanes": CoreConfig(lanes=8, rows=13, spike_fifo=4),
    "1 lane": CoreConfig(lanes=1, rows=8, spike_fifo=2),
    "33 lanes": CoreConfig(lanes=33, rows=5, spike_fifo=8),
    "101 lanes": CoreConfig(lanes=101, rows=5, spike_fifo=8),
    "5 lanes, several spikes": CoreConfig(lanes=5, rows=9, spike_fifo=4, spike_bits=3),
}


def array_of(case: str) -> ArrayConfig:
    spike_bits = CASES[case].spike_bits
    return ArrayConfig(key_bits=5, index_bits=12, payload_bits=spike_bits and spike_bits + 1, core=CASES[case])


@pytest.mark.parametrize("case", CASES)
def test_emitter(case: str, tmp_path: Path) -> None:
    simulate(Emitter(array_of(case)), __name__, tmp_path, parameters={"case": case})


async def begin(dut, rng: np.random.Generator) -> tuple[ArrayConfig, dict[str, np.ndarray]]:
    await start(dut)
    config = array_of(parameter("case"))
    rows = config.core.rows
    shift = rng.integers(0, 5, rows)
    records = {
        "index": rng.integers(0, (1 << config.index_bits) - ((config.core.lanes - 1) << shift)),
        "key": rng.integers(0, config.keys, rows),
        "shift": shift,
        "valid": rng.integers(0, 4, rows) > 0,
    }
    records["valid"][:2] = True, False
    await BusDriver(dut, spaces(config)).write_records(Space.EMISSION, records)
    await cycles(dut, 1)
    return config, records


def flits_of(records: dict[str, np.ndarray], row: int, fired: int, width: int) -> list[tuple[int, int, int]]:
    """Key, index and payload of each lane whose number of spikes, ``width`` bits, is not 0."""
    if not records["valid"][row]:
        return []
    key, index, shift = (int(records[name][row]) for name in ("key", "index", "shift"))
    counts = [fired >> n & (1 << width) - 1 for n in range(0, fired.bit_length(), width)]
    return [(key, index + (n << shift), count) for n, count in enumerate(counts) if count]


def random_row(rng: np.random.Generator, core: CoreConfig) -> int:
    """Nobody, everybody, and all kinds between; the core never pushes an empty row, here it may."""
    share = rng.choice([0.0, 0.1, 0.5, 1.0], p=[0.1, 0.4, 0.3, 0.2])
    counts = (rng.random(core.lanes) < share) * rng.integers(1, 1 << core.count_width, core.lanes)
    return sum(int(count) << n * core.count_width for n, count in enumerate(counts))


class Monitor:
    """Room in the queue, and that idle is only claimed when everything has gone."""

    def __init__(self, dut, depth: int):
        self.popped = self.pushed = self.sent = self.fullest = 0
        self.seen = self.seen_due = 0  # what was pushed before this cycle
        self.flits: list[int] = []
        self.depth = depth
        self._dut = dut
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, edge = self._dut, RisingEdge(self._dut.clk)
        while True:
            await edge
            if int(dut.idle.value):
                assert (self.popped, self.sent) == (self.seen, self.seen_due), "idle, and flits are still to come"
            if int(dut.push.value):
                self.seen_due += self.flits.pop(0)
                self.seen += 1
            self.popped += int(dut.popped.value)
            assert self.popped <= self.seen, "popped what nobody pushed"
            self.sent += int(dut.flits__valid.value) & int(dut.flits__ready.value)


async def push(dut, monitor: Monitor, row: int, fired: int, flits: int) -> None:
    """Push when there is room, like the core: a place is free again in the cycle after popped."""
    while monitor.pushed - monitor.popped >= monitor.depth:
        await cycles(dut, 1)
    dut.push.value, dut.row.value, dut.fired.value = 1, row, fired
    monitor.flits.append(flits)
    await cycles(dut, 1)
    dut.push.value = 0
    monitor.pushed += 1
    monitor.fullest = max(monitor.fullest, monitor.pushed - monitor.popped)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(pause=[0.0, 0.8, 0.97], stall=[0.0, 0.6], patient=[False, True])
async def sends_each_spike(dut, pause: float, stall: float, patient: bool) -> None:
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    config, records = await begin(dut, rng)
    core = config.core
    rows = [(int(rng.integers(0, core.rows)), random_row(rng, core)) for _ in range(150)]
    want = [flit for row, fired in rows for flit in flits_of(records, row, fired, core.count_width)]
    assert any(fired and not records["valid"][row] for row, fired in rows)
    monitor = Monitor(dut, core.spike_fifo)
    watch = Watch(dut, "flits", struct(config.flit_layout))
    taking = cocotb.start_soon(
        receive(dut, "flits", struct(config.flit_layout), len(want), stall=stall, patient=patient, rng=random_source())
    )
    for row, fired in rows:
        while rng.random() < pause:
            await cycles(dut, 1)
        await push(dut, monitor, row, fired, len(flits_of(records, row, fired, core.count_width)))
    got = await taking
    assert [(int(f.key), int(f.index), int(f.payload) if config.payload_bits else 1) for f in got] == want
    dut.flits__ready.value = 1
    await cycles(dut, 20 + 3 * core.spike_fifo)
    assert int(dut.idle.value)
    assert len(watch) == len(want)
    assert monitor.popped == len(rows)
    if not pause and stall:
        assert monitor.fullest == core.spike_fifo, "the queue is never full"


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_flit_a_cycle(dut) -> None:
    """Within a row a flit a cycle, between rows one cycle is lost at most."""
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    config, records = await begin(dut, rng)
    core = config.core
    monitor = Monitor(dut, core.spike_fifo)
    watch = Watch(dut, "flits", struct(config.flit_layout))
    dut.flits__ready.value = 1
    rows = 12
    for _ in range(rows):
        await push(dut, monitor, 0, (1 << core.lanes * core.count_width) - 1, core.lanes)
    await cycles(dut, 3 * core.lanes * core.spike_fifo + 20)
    assert len(watch) == rows * core.lanes
    gaps = np.diff(watch.cycles)
    assert gaps.max() <= 2
    assert (gaps == 2).sum() <= rows - 1
    assert records["valid"][0]
