# amaranth: UnusedElaboratable=no
"""The walker against a model that lists the visits of each event, under stalls at both ends."""

from dataclasses import dataclass
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.layout import Layout
from spikeloom.contract.ring import Space, spaces
from spikeloom_hdl.layout import struct
from spikeloom_hdl.loops import visit_layout
from spikeloom_hdl.walker import Walker
from spikeloom_sim.bench import Watch, cycles, now, parameter, random_source, receive, send, simulate, start
from spikeloom_sim.bus import BusDriver

CASES = {
    "8 lanes": CoreConfig(lanes=8, rows=13, words=150, projections=11, coordinates=20, entries=70, sparse=True),
    "1 lane, no tables": CoreConfig(lanes=1, rows=16, words=128, projections=8, coordinates=9),
    "short": CoreConfig(
        lanes=4, rows=14, words=150, projections=11, coordinates=20, entries=70, sparse=True, short=True, sums_latency=1
    ),
    "1 loop": CoreConfig(
        lanes=4,
        rows=14,
        words=150,
        projections=11,
        coordinates=20,
        loops=1,
        entries=70,
        sparse=True,
        short=True,
        sums_latency=1,
    ),
    "32 lanes, 1 projection": CoreConfig(lanes=32, rows=8, words=64, projections=1, coordinates=3, slots=2, entries=60),
}
SOURCES = 7


def array_of(case: str) -> ArrayConfig:
    return ArrayConfig(key_bits=4, index_bits=11, core=CASES[case])


@pytest.mark.parametrize("case", CASES)
def test_walker(case: str, tmp_path: Path) -> None:
    simulate(Walker(array_of(case)), __name__, tmp_path, parameters={"case": case})


Visit = tuple[int, int | None, int, int]


@dataclass
class Walk:
    """What one projection makes of one event."""

    visits: list[Visit]
    synapses: list[int]
    refused: bool


@dataclass
class Tables:
    """Contents of the walker's memories, random all through, and what they mean."""

    config: ArrayConfig
    keys: dict[str, np.ndarray]
    projections: dict[str, np.ndarray]
    coordinates: dict[str, np.ndarray]
    entries: dict[str, np.ndarray]

    @classmethod
    def random(cls, config: ArrayConfig, rng: np.random.Generator) -> "Tables":
        core = config.core

        def fill(layout: Layout, depth: int) -> dict[str, np.ndarray]:
            return {f.name: rng.integers(f.low, f.high, depth, endpoint=True) for f in layout.fields}

        projections = fill(core.projection_layout, core.projections)
        most = min(core.loops, core.coordinates)
        projections["count"] = rng.integers(1, most, core.projections, endpoint=True)
        projections["count"][:1] = most
        projections["first"] = rng.integers(0, core.coordinates - projections["count"], endpoint=True)
        projections["sparse"] = rng.integers(0, 2, core.projections) * core.sparse
        projections["sparse"][:1], projections["sparse"][2:3] = 0, core.sparse
        projections["count"][2:3] = most
        coordinates = fill(core.coordinate_layout, core.coordinates)
        coordinates["bits"] = rng.integers(0, 3, core.coordinates, endpoint=True)
        coordinates["count"] = rng.integers(0, 3, core.coordinates, endpoint=True)
        coordinates["table"] = rng.integers(0, 2, core.coordinates) * (core.entries > 0)
        # Key 1 reaches a walk of all loops, one of which looks up where that exists, and one that is empty.
        projections["first"][:3] = np.array([int(most == 1), 3, 0])[: core.projections]
        coordinates["count"][3:4] = 0
        coordinates["bits"][:3], coordinates["count"][:3] = (0, 3, 1), (2, 3, 2)
        coordinates["table"][:4] = np.array([0, core.entries > 0, 0, 0])[: core.coordinates]
        tables = coordinates["table"] == 1
        coordinates["scale"][tables] = rng.integers(0, max(1, core.entries - 8), tables.sum())
        entries = fill(core.entry_layout, core.entries)
        entries["count"] = rng.integers(0, 3, core.entries, endpoint=True)
        entries["valid"] = (rng.random(core.entries) < 0.9).astype(int)
        if core.entries:
            at = coordinates["scale"][1]
            entries["count"][at : at + SOURCES], entries["valid"][at : at + SOURCES] = 2, 1
            entries["valid"][at + 3] = 0
        number = rng.integers(0, min(4, core.projections), config.keys, endpoint=True)
        number[:2] = 0, core.projections
        sources = rng.integers(1, SOURCES, config.keys, endpoint=True)
        sources[1] = SOURCES
        keys = {
            "count": number,
            "first": rng.integers(0, core.projections - number, endpoint=True) % core.projections,
            "sources": sources,
        }
        return cls(config, keys, projections, coordinates, entries)

    async def load(self, dut) -> None:
        bus = BusDriver(dut, spaces(self.config))
        await bus.write_records(Space.KEY, self.keys)
        await bus.write_records(Space.PROJECTION, self.projections)
        await bus.write_records(Space.COORDINATE, self.coordinates)
        if self.config.core.entries:
            await bus.write_records(Space.ENTRY, self.entries)
        await cycles(dut, 1)

    def refuses(self, key: int, index: int) -> bool:
        return not self.keys["count"][key] or index >= self.keys["sources"][key]

    def refusals(self, key: int, index: int) -> int:
        return self.refuses(key, index) + sum(walk.refused for walk in self.walks(key, index))

    def walks(self, key: int, index: int) -> list[Walk]:
        if self.refuses(key, index):
            return []
        first = int(self.keys["first"][key])
        return [self._walk(n, index) for n in range(first, first + int(self.keys["count"][key]))]

    def _walk(self, projection: int, index: int) -> Walk:
        core = self.config.core
        p = {name: int(values[projection]) for name, values in self.projections.items()}
        places, fanout, refused = [(p["base"], p["row"])], 0, False
        for n in range(p["first"], p["first"] + p["count"]):
            c = {name: int(values[n]) for name, values in self.coordinates.items()}
            value, index = index & (1 << c["bits"]) - 1, index >> c["bits"]
            found = {"word": value * c["scale"], "row": 0, "count": c["count"], "fanout": c["fanout"], "valid": 1}
            if c["table"]:
                found = {name: int(values[c["scale"] + value]) for name, values in self.entries.items()}
            step = (c["word_step"], c["row_step"]) if n < p["first"] + p["count"] - 1 else (1, 1)
            refused, fanout, turns = refused or not found["valid"], found["fanout"], found["count"]
            places = [
                (word + found["word"] + k * step[0], row + found["row"] + k * step[1])
                for word, row in places
                for k in range(turns)
            ]
        if refused:
            return Walk([], [], True)
        at = [(word % (1 << core.word_bits), row % (1 << core.row_bits)) for word, row in places]
        # The row of a sparse visit is none of the walker's business.
        visits = [(word, None if p["sparse"] else row, p["delay"], p["sparse"]) for word, row in at]
        return Walk(visits, [fanout] * (len(visits) // turns) if visits and fanout else [], False)

    def visits(self, events) -> list[Visit]:
        return [v for event in events for walk in self.walks(*event) for v in walk.visits]


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
                due_refusals += tables.refusals(*event)
                seen += 1


def visit_of(v) -> Visit:
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
    refused = sum(tables.refusals(*event) for event in events)
    assert refused > 5, "the stimulus is never refused"
    assert any(index == tables.keys["sources"][key] - 1 for key, index in events if not tables.refuses(key, index))
    assert any(index == tables.keys["sources"][key] for key, index in events if tables.keys["count"][key])
    if tables.config.core.projections > 1:
        assert any(not walk.visits and not walk.refused for walk in walks), "no walk is empty"
        assert max(len(walk.visits) for walk in walks) > (5 if tables.config.core.loops > 1 else 1), "no long walk"
    if tables.config.core.entries:
        assert any(walk.refused for walk in walks), "no walk has an unknown coordinate"
    if tables.config.core.sparse:
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
    assert monitor.synapses == [count for walk in walks for count in walk.synapses]
    assert monitor.idle_cycles > 2


def walks_of(tables: Tables, turns: tuple[int, ...], projections: int = 1) -> None:
    """Key 3 owns the first projections, with loops of so many turns."""
    tables.keys["first"][3], tables.keys["count"][3], tables.keys["sources"][3] = 0, projections, SOURCES
    for n in range(projections):
        tables.projections["first"][n], tables.projections["count"][n] = 0, len(turns)
    for n, count in enumerate(turns):
        tables.coordinates["table"][n], tables.coordinates["count"][n] = 0, count


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(turns=[(1,), (2,), (5,), (1, 2), (2, 1), (3, 1, 1), (1, 2, 1), (1, 1, 1)], projections=[1, 4])
async def walks_follow_each_other(dut, turns: tuple[int, ...], projections: int) -> None:
    """Without a gap where there are no fewer words than coordinates; otherwise at the pace of the coordinates."""
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    tables, events, visits, _ = await begin(dut, rng)
    turns = turns[: tables.config.core.loops]
    projections = min(projections, tables.config.core.projections)
    walks_of(tables, turns, projections)
    await tables.load(dut)
    many = [(3, n % SOURCES) for n in range(30)]
    dut.visits__ready.value = 1
    await send(dut, "events", struct(tables.config.flit_layout), flits(many))
    await cycles(dut, 300)
    assert [visit_of(v) for v in visits.values] == tables.visits(many)
    walks, words = len(many) * projections, int(np.prod(turns))
    assert visits.cycles[0] - events.cycles[0] == (7 if tables.config.core.short else 12) + len(turns), "latency"
    assert visits.cycles[-1] - visits.cycles[0] + 1 == (walks - 1) * max(words, len(turns)) + words


@cocotb.test(timeout_time=100, timeout_unit="us")
async def refuses_at_once(dut) -> None:
    """An event that nobody wants costs one cycle, and no visit."""
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    tables, events, visits, monitor = await begin(dut, rng)
    dut.visits__ready.value = 1
    began = now()
    await send(dut, "events", struct(tables.config.flit_layout), flits([(0, n) for n in range(50)]))
    assert now() - began <= 50 + 4
    await cycles(dut, 4)
    assert (monitor.refused, len(events), len(visits)) == (50, 50, 0)
    assert int(dut.idle.value)
