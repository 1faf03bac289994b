# amaranth: UnusedElaboratable=no
"""The walker against a model that lists the visits of each event, under stalls at both ends."""

from dataclasses import dataclass
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.ring import Space, spaces
from spikeloom_hdl.layout import struct
from spikeloom_hdl.walker import Walker, visit_layout
from spikeloom_sim.bench import Watch, cycles, now, parameter, random_source, receive, send, simulate, start
from spikeloom_sim.bus import BusDriver

CASES = {
    "8 lanes": CoreConfig(lanes=8, rows=13, words=150, projections=11, pointers=40),
    "1 lane, no sparse walks": CoreConfig(lanes=1, rows=16, words=128, projections=8),
    "32 lanes, 1 projection": CoreConfig(lanes=32, rows=8, words=64, projections=1, slots=2, pointers=7),
}
SOURCES = 7  # what the memories of all cases have words and pointers for


def array_of(case: str) -> ArrayConfig:
    return ArrayConfig(key_bits=4, index_bits=11, core=CASES[case])


@pytest.mark.parametrize("case", CASES)
def test_walker(case: str, tmp_path: Path) -> None:
    simulate(Walker(array_of(case)), __name__, tmp_path, parameters={"case": case})


@dataclass
class Tables:
    """Contents of the walker's memories, and what they mean."""

    config: ArrayConfig
    keys: dict[str, np.ndarray]
    projections: dict[str, np.ndarray]
    pointers: dict[str, np.ndarray]

    @classmethod
    def random(cls, config: ArrayConfig, rng: np.random.Generator) -> "Tables":
        core = config.core
        count = rng.integers(0, core.rows, core.projections, endpoint=True)
        count[0], count[1:2] = 2, 0
        count = np.minimum(count, core.words // SOURCES)
        sparse = rng.integers(0, 2, core.projections) * core.sparse
        sparse[0], sparse[2:3] = 0, core.sparse
        projections = {
            "count": count,
            "base": np.where(
                sparse,
                rng.integers(0, max(0, core.pointers - SOURCES), core.projections, endpoint=True),
                rng.integers(0, core.words - SOURCES * count, endpoint=True) % core.words,
            ),
            "row": rng.integers(0, core.rows - count, endpoint=True) % core.rows,
            "fanout": rng.integers(1, core.neurons, core.projections, endpoint=True),
            "delay": rng.integers(0, core.slots, core.projections),
            "sparse": sparse,
        }
        number = rng.integers(0, min(4, core.projections), config.keys, endpoint=True)
        number[:2] = 0, core.projections
        sources = rng.integers(1, SOURCES, config.keys, endpoint=True)
        sources[1] = SOURCES
        keys = {
            "count": number,
            "first": rng.integers(0, core.projections - number, endpoint=True) % core.projections,
            "sources": sources,
        }
        words = rng.integers(0, min(core.rows, core.words), core.pointers, endpoint=True)
        words[::4] = 0
        pointers = {
            "start": rng.integers(0, core.words - words, endpoint=True) % core.words,
            "count": words,
            "fanout": rng.integers(0, core.neurons, core.pointers, endpoint=True) * (words > 0),
        }
        return cls(config, keys, projections, pointers)

    async def load(self, dut) -> None:
        bus = BusDriver(dut, spaces(self.config))
        await bus.write_records(Space.KEY, self.keys)
        await bus.write_records(Space.PROJECTION, self.projections)
        if self.config.core.sparse:
            await bus.write_records(Space.POINTER, self.pointers)
        await cycles(dut, 1)

    def refuses(self, key: int, index: int) -> bool:
        return not self.keys["count"][key] or index >= self.keys["sources"][key]

    def walks(self, key: int, index: int) -> list[tuple[list[tuple[int, int | None, int, int]], int]]:
        """Each walk of an event: its visits ``(word, row, delay, sparse)``, and the number of its synapses."""
        if self.refuses(key, index):
            return []
        first, result = int(self.keys["first"][key]), []
        for n in range(first, first + int(self.keys["count"][key])):
            p = {name: int(values[n]) for name, values in self.projections.items()}
            start, count, fanout = p["base"] + index * p["count"], p["count"], p["fanout"]
            if p["sparse"]:
                start, count, fanout = (
                    int(self.pointers[name][p["base"] + index]) for name in ("start", "count", "fanout")
                )
            # The row of a sparse visit is none of the walker's business.
            visits = [(start + k, None if p["sparse"] else p["row"] + k, p["delay"], p["sparse"]) for k in range(count)]
            result.append((visits, fanout))
        return result

    def visits(self, events) -> list[tuple[int, int | None, int, int]]:
        return [v for event in events for visits, _ in self.walks(*event) for v in visits]


class Monitor:
    """Looks at every cycle: what was refused and counted, and that idle is never claimed too early."""

    def __init__(self, dut, tables: Tables, events: Watch, visits: Watch):
        self.refused, self.synapses, self.idle_cycles = 0, [], 0
        self._dut, self._tables, self._events, self._visits = dut, tables, events, visits
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, tables, edge = self._dut, self._tables, RisingEdge(self._dut.clk)
        due_visits = due_refusals = seen = visits = 0
        while True:
            await edge
            # The watches have or have not yet run in this cycle: look at what they knew in the last one.
            if int(dut.idle.value):
                assert visits == due_visits, "idle, and visits are still to come"
                assert self.refused == due_refusals, "idle, and an event is not yet refused"
                self.idle_cycles += 1
            self.refused += int(dut.refused.value)
            if count := int(dut.synapses.value):
                self.synapses.append(count)
            visits += int(dut.visits__valid.value) & int(dut.visits__ready.value)
            if int(dut.events__valid.value) & int(dut.events__ready.value):
                payload = int(dut.events__payload.value)
                bits = tables.config.index_bits
                event = payload >> bits, payload & (1 << bits) - 1
                due_visits += len(tables.visits([event]))
                due_refusals += tables.refuses(*event)
                seen += 1


def visit_of(v) -> tuple[int, int | None, int, int]:
    return int(v.word), None if int(v.sparse) else int(v.row), int(v.delay), int(v.sparse)


async def begin(dut, rng: np.random.Generator) -> tuple[Tables, Watch, Watch, Monitor]:
    await start(dut)
    config = array_of(parameter("case"))
    tables = Tables.random(config, rng)
    await tables.load(dut)
    events, visits = Watch(dut, "events", struct(config.flit_layout)), Watch(dut, "visits", visit_layout(config))
    return tables, events, visits, Monitor(dut, tables, events, visits)


def flits(events) -> list[dict[str, int]]:
    return [{"key": key, "index": index} for key, index in events]


def random_events(tables: Tables, rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
    """All keys; indices around the number of sources and far beyond, but mostly good ones.

    First those of key 0, which has no projections, and of key 1, which has all of them.
    """
    events = [(key, index) for key in (0, 1) for index in range(SOURCES + 1)]
    for key in rng.integers(0, tables.config.keys, count).tolist():
        sources = int(tables.keys["sources"][key])
        index = rng.choice([rng.integers(0, sources), sources - 1, sources, (1 << tables.config.index_bits) - 1],
                           p=[0.5, 0.3, 0.1, 0.1])  # fmt: skip
        events.append((key, int(index)))
    return events


@cocotb.test(timeout_time=300, timeout_unit="us")
@cocotb.parametrize(seed=[1, 2, 3], stalls=[(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.7, 0.7), (0.9, 0.0)])
async def visits_each_word(dut, seed: int, stalls: tuple[float, float]) -> None:
    rng = np.random.default_rng([cocotb.RANDOM_SEED, seed])
    tables, _, _, monitor = await begin(dut, rng)
    events = random_events(tables, rng, 120)
    want = tables.visits(events)
    walks = [walk for event in events for walk in tables.walks(*event)]
    refused = sum(tables.refuses(*event) for event in events)
    assert refused > 5, "the stimulus is never refused"
    assert any(index == tables.keys["sources"][key] - 1 for key, index in events if not tables.refuses(key, index))
    assert any(index == tables.keys["sources"][key] for key, index in events if tables.keys["count"][key])
    if tables.config.core.projections > 1:
        assert any(not visits for visits, _ in walks), "no walk is empty"
    if tables.config.core.projections > 2 and tables.config.core.sparse:
        assert len({sparse for *_, sparse in want}) == 2, "walks are of one kind only"
    cocotb.start_soon(
        send(dut, "events", struct(tables.config.flit_layout), flits(events), stall=stalls[0], rng=random_source(seed))
    )
    got = await receive(
        dut, "visits", visit_layout(tables.config), len(want), stall=stalls[1], patient=seed == 3, rng=random_source()
    )
    assert [visit_of(v) for v in got] == want
    dut.visits__ready.value = 1
    await cycles(dut, 500 if stalls[0] else 200)  # events without a visit may follow
    assert int(dut.idle.value)
    assert not int(dut.visits__valid.value)
    assert monitor.refused == refused
    assert monitor.synapses == [fanout for _, fanout in walks if fanout]
    assert monitor.idle_cycles > 2


def dense(tables: Tables, count: int, projections: int = 1) -> None:
    """Key 3 owns the first projections, dense ones of so many words."""
    tables.keys["first"][3], tables.keys["count"][3], tables.keys["sources"][3] = 0, projections, SOURCES
    for n in range(projections):
        for name, value in {"base": n, "count": count, "row": 0, "sparse": 0}.items():
            tables.projections[name][n] = value


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(words=[1, 2, 4, 6, 8], projections=[1, 4])
async def walks_follow_each_other(dut, words: int, projections: int) -> None:
    """Walks of six words and more without a gap; shorter ones at the pace of the lookup."""
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    tables, events, visits, _ = await begin(dut, rng)
    projections = min(projections, tables.config.core.projections)
    dense(tables, words, projections)
    await tables.load(dut)
    many = [(3, n % SOURCES) for n in range(30)]
    dut.visits__ready.value = 1
    await send(dut, "events", struct(tables.config.flit_layout), flits(many))
    await cycles(dut, 300)
    assert [visit_of(v) for v in visits.values] == tables.visits(many)
    spent = visits.cycles[-1] - visits.cycles[0] + 1
    share = len(visits) / spent
    cocotb.log.info("%d x %d words: %.3f words a cycle", projections, words, share)
    assert visits.cycles[0] - events.cycles[0] == 6, "latency"
    if words >= 6:
        assert share == 1.0
    assert share >= min(0.95, words / 2), "a lookup takes two cycles at most"


@cocotb.test(timeout_time=100, timeout_unit="us")
async def refuses_at_once(dut) -> None:
    """An event that nobody wants costs two cycles at most, and no visit."""
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    tables, events, visits, monitor = await begin(dut, rng)
    dut.visits__ready.value = 1
    began = now()
    await send(dut, "events", struct(tables.config.flit_layout), flits([(0, n) for n in range(50)]))
    assert now() - began <= 100 + 4
    await cycles(dut, 4)
    assert (monitor.refused, len(events), len(visits)) == (50, 50, 0)
    assert int(dut.idle.value)
