# amaranth: UnusedElaboratable=no
"""The accumulator against sums in Python: visits and drains in any order, hits on one row in consecutive cycles."""

from collections import Counter, deque
from dataclasses import replace
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.numerics import Numerics
from spikeloom.contract.ring import Space, spaces
from spikeloom_hdl.accumulator import Accumulator, ahead
from spikeloom_hdl.accumulator_short import ShortAccumulator
from spikeloom_hdl.loops import visit_layout
from spikeloom_sim.bench import cycles, now, pack, parameter, simulate, start
from spikeloom_sim.bus import BusDriver

CASES = {
    "8 lanes": CoreConfig(
        lanes=8,
        rows=5,
        words=48,
        slots=4,
        entries=9,
        sparse=True,
        numerics=Numerics(weight_bits=8, accumulator_bits=12),
    ),
    "1 lane, no sparse walks": CoreConfig(
        lanes=1, rows=8, words=16, slots=2, sums_latency=1, numerics=Numerics(weight_bits=16, accumulator_bits=17)
    ),
    "32 lanes, 1-bit weights": CoreConfig(
        lanes=32,
        rows=3,
        words=20,
        slots=8,
        entries=9,
        sparse=True,
        numerics=Numerics(weight_bits=1, accumulator_bits=12),
    ),
    "2 lanes, 1-bit weights, long payloads": CoreConfig(
        lanes=2, rows=5, words=20, slots=4, sums_latency=0, numerics=Numerics(weight_bits=1, accumulator_bits=12)
    ),
    "20 lanes, LUT RAM": CoreConfig(
        lanes=20, rows=3, words=40, slots=4, sums_latency=0, numerics=Numerics(weight_bits=4, accumulator_bits=12)
    ),
    "5 lanes, 2-bit weights": CoreConfig(
        lanes=5,
        rows=2,
        words=20,
        slots=4,
        sums_latency=0,
        entries=9,
        sparse=True,
        numerics=Numerics(weight_bits=2, accumulator_bits=12),
    ),
}
CASES["short"] = replace(CASES["8 lanes"], short=True, sums_latency=1)
CASES["8 lanes, payloads"] = replace(CASES["8 lanes"], numerics=Numerics(weight_bits=8, accumulator_bits=14))

CASES["short, payloads"] = replace(CASES["8 lanes, payloads"], short=True, sums_latency=1)

PAYLOAD_BITS = {"short, payloads": 4, "8 lanes, payloads": 4, "2 lanes, 1-bit weights, long payloads": 8}


def array_of(case: str) -> ArrayConfig:
    return ArrayConfig(core=CASES[case], payload_bits=PAYLOAD_BITS.get(case, 0))


@pytest.mark.parametrize("case", CASES)
def test_accumulator(case: str, tmp_path: Path) -> None:
    config = array_of(case)
    dut = (ShortAccumulator if config.core.short else Accumulator)(config)
    simulate(dut, __name__, tmp_path, parameters={"case": case})


class Model:
    """What the memories hold after each operation; operations take effect in the order in which they are issued."""

    def __init__(self, config: ArrayConfig, rng: np.random.Generator):
        core = config.core
        self.config, self.core = config, core
        bits = core.numerics.weight_bits
        low, high = (0, 1) if bits == 1 else (-(1 << bits - 1), (1 << bits - 1) - 1)
        self.stored = rng.integers(low, high, (core.words, core.lanes), endpoint=True)
        self.stored[0] = high  # words that drive the sums over their range, quickly
        self.stored[1] = low
        self.weights = 1 - 2 * self.stored if bits == 1 else self.stored
        self.word_rows = rng.integers(0, core.rows, core.words)
        half = 1 << core.numerics.accumulator_bits - 1
        self.low, self.high = -half, half - 1
        # Near the end of the range, so that narrow weights too make the sums wrap.
        self.sums = rng.choice([self.low, self.low + 3, 0, self.high - 3, self.high], (core.slots, core.rows, 1))
        self.sums = np.repeat(self.sums, core.lanes, axis=2)
        self.wrapped = 0

    async def load(self, dut) -> BusDriver:
        bus = BusDriver(dut, spaces(self.config))
        await bus.write_records(Space.WEIGHT, {"weight": self.stored})
        if self.core.sparse:
            await bus.write_records(Space.WORD_ROW, {"row": self.word_rows})
        for slot, sums in enumerate(self.sums):
            await bus.write_records(Space.ACCUMULATOR, {"acc": sums}, first=slot << self.core.row_bits)
        await cycles(dut, 1)
        return bus

    def row_of(self, visit: dict[str, int]) -> int:
        return int(self.word_rows[visit["word"]]) if visit["sparse"] else visit["row"]

    def visit(self, slot: int, visit: dict[str, int]) -> tuple[int, int]:
        at = (slot + visit["delay"]) % self.core.slots, self.row_of(visit)
        total = self.sums[at] + self.weights[visit["word"]] * visit.get("payload", 1)
        self.sums[at] = (total - self.low) % (2 * -self.low) + self.low
        self.wrapped += int((self.sums[at] != total).sum())
        return at

    def drain(self, slot: int, row: int) -> tuple[tuple[int, int], list[int]]:
        drained = self.sums[slot, row].tolist()
        self.sums[slot, row] = 0
        return (slot, row), drained


class Bench:
    """Drives operations, a cycle each, and compares what leaves, in the very cycle in which it should."""

    def __init__(self, dut, model: Model, bus: BusDriver):
        self.dut, self.model, self.bus = dut, model, bus
        self.edge = RisingEdge(dut.clk)
        self.latency = Accumulator(model.config).drain_latency
        self.payloads = np.random.default_rng(1)
        self.slot = 0
        self.reserved: int | None = None  # the row whose place was reserved in the cycle before
        self.due: deque[tuple[int, int, list[int]]] = deque()
        self.history: deque[tuple[str, tuple[int, int]] | None] = deque([None] * 5, maxlen=5)
        self.met = Counter()  # kinds of neighbours, and their distance
        self.layout = visit_layout(model.config)
        cocotb.start_soon(self._check())

    async def step(self, visit: dict[str, int] | None = None, drain: int | None = None) -> bool:
        """One cycle, reserved for a drain if there is one; returns whether the visit was taken."""
        dut = self.dut
        if visit is not None and (bits := self.model.config.payload_bits):
            visit = {"payload": int(self.payloads.integers(0, 1 << bits)), **visit}
        dut.slot.value = self.slot
        dut.visits__valid.value = int(visit is not None)
        if visit is not None:
            dut.visits__payload.value = pack(self.layout, visit)
        self._drive(drain)
        await self.edge
        ready = int(dut.visits__ready.value)
        assert ready == (drain is None), "a visit is taken in every cycle without a drain"
        operation = None
        if drain is not None:
            at, sums = self.model.drain(self.slot, drain)
            self.due.append((now() + 1 + self.latency, drain, sums))
            operation = "drain", at
        elif visit is not None:
            operation = "visit", self.model.visit(self.slot, visit)
        for distance, before in enumerate(self.history, 1):
            if operation and before and before[1] == operation[1]:
                self.met[before[0], operation[0], distance] += 1
                break  # the nearest one counts
            if operation and before and distance == 1 and before[1][1] == operation[1][1]:
                self.met[before[0], operation[0], "same row, other slot"] += 1
        self.history.appendleft(operation)
        return visit is not None and bool(ready)

    def _drive(self, drain: int | None) -> None:
        """Reserve for this drain, and drain what was reserved for."""
        self.dut.reserve.value = int(drain is not None)
        self.dut.drain.value = int(self.reserved is not None)
        self.dut.drain_row.value = self.reserved or 0
        self.reserved = drain

    async def rest(self) -> None:
        self.dut.visits__valid.value = 0
        while self.reserved is not None:
            self._drive(None)
            await self.edge
        self._drive(None)
        self.history.extend([None] * 5)
        while True:
            await self.edge
            if int(self.dut.idle.value):
                break
        await cycles(self.dut, 1)
        assert not self.due, "idle with a drained row under way"

    async def compare(self) -> None:
        """Everything in the memory; at once after idle, so that idle must not be early."""
        got = (await self.bus.read_records(Space.ACCUMULATOR))["acc"]
        core = self.model.core
        got = got.reshape(core.slots, 1 << core.row_bits, core.lanes)[:, : core.rows]
        assert (got == self.model.sums).all()

    async def _check(self) -> None:
        dut, core = self.dut, self.model.core
        bits = core.numerics.accumulator_bits
        while True:
            await self.edge
            told = [row for at, row, _ in self.due if at == now()]
            assert int(dut.due.value) == len(told), "a row is due when it was drained, and never otherwise"
            assert [int(dut.due_row.value)] == told or not told
            if self.due and self.due[0][0] + ahead(core) == now():
                _, _, sums = self.due.popleft()
                assert int(dut.sums_valid.value), "no sums when they were due"
                value = int(dut.sums.value)
                got = [(value >> n * bits) & (1 << bits) - 1 for n in range(core.lanes)]
                assert got == [s & (1 << bits) - 1 for s in sums]
            else:
                assert not int(dut.sums_valid.value), "sums that nobody drained"


async def begin(dut, seed: int) -> tuple[Bench, np.random.Generator]:
    rng = np.random.default_rng([cocotb.RANDOM_SEED, seed])
    await start(dut)
    model = Model(array_of(parameter("case")), rng)
    return Bench(dut, model, await model.load(dut)), rng


def random_visit(core: CoreConfig, rng: np.random.Generator, rows: int) -> dict[str, int]:
    return {
        "word": int(rng.integers(0, core.words) if rng.random() < 0.7 else rng.integers(0, 2)),
        "row": int(rng.integers(0, rows)),
        "delay": int(rng.integers(0, core.slots) if rng.random() < 0.5 else 0),
        "sparse": int(core.sparse and rng.random() < 0.3),
    }


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(
    (("seed", "visits", "drains"), [(1, 1.0, 0.0), (2, 1.0, 0.3), (3, 0.6, 0.1), (4, 0.3, 0.3), (5, 0.9, 0.9)])
)
async def adds_and_drains(dut, seed: int, visits: float, drains: float) -> None:
    bench, rng = await begin(dut, seed)
    core = bench.model.core
    for burst in range(6):
        bench.slot = int(rng.integers(0, core.slots))
        rows = 1 if burst == 0 else core.rows  # the first burst hits one row all the time
        pending = None
        for _ in range(150):
            if pending is None and rng.random() < visits:
                pending = random_visit(core, rng, rows)
            drain = int(rng.integers(0, rows)) if rng.random() < drains else None
            if await bench.step(pending, drain):
                pending = None
            if rng.random() < 0.02 and bench.reserved is None:
                bench.slot = (bench.slot + 1) % core.slots
        await bench.rest()
        await bench.compare()
    MET.update(bench.met)
    MET["wrapped"] += bench.model.wrapped


MET: Counter = Counter()
"""Neighbours on one row that all seeds together have met, and sums that wrapped."""


@cocotb.test
async def meets_the_corners(dut) -> None:
    cocotb.log.info("met: %s", dict(MET))
    for first in ("visit", "drain"):
        for second in ("visit", "drain"):
            for distance in (1, 2, 3, 4):
                assert MET[first, second, distance] > 3, (first, second, distance)
    assert MET["visit", "drain", "same row, other slot"] > 3
    assert MET["wrapped"] > 10, "no sum wraps"


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def every_short_sequence(dut) -> None:
    """All sequences of four operations out of five kinds on two rows: each pattern of forwarding there is."""
    bench, _ = await begin(dut, 1)
    core = bench.model.core
    visits = [{"word": word, "row": row, "delay": 0, "sparse": 0} for word, row in ((0, 0), (2, 0), (3, 1))]
    kinds = [(visits[0], None), (visits[1], None), (visits[2], None), (None, 0), (None, None)]
    bench.slot = core.slots - 1
    for code in range(len(kinds) ** 4):
        for place in range(4):
            await bench.step(*kinds[code // len(kinds) ** place % len(kinds)])
        if code % 25 == 24:
            await bench.rest()
    await bench.rest()
    await bench.compare()


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def clears(dut) -> None:
    bench, rng = await begin(dut, 2)
    core = bench.model.core
    for address in range(core.slots << core.row_bits):
        dut.clear.value = 1
        dut.clear_address.value = address
        await bench.edge
    dut.clear.value = 0
    bench.model.sums[:] = 0
    await bench.compare()
    for _ in range(50):
        await bench.step(random_visit(core, rng, core.rows), None)
    await bench.rest()
    await bench.compare()
    # One address only.
    dut.clear.value, dut.clear_address.value = 1, (1 << core.row_bits) + 1
    await bench.edge
    dut.clear.value = 0
    bench.model.sums[1, 1] = 0
    await bench.compare()
