"""The walker makes exactly the visits that its tables describe, in order, for arbitrary contents of all tables.

Bounded: up to two events from reset on, ``DEPTH`` cycles, tables of two records, narrow fields, loops of at most
three turns; ``ready`` of the visits and the moments of the events are free. The specification lists all walks that the
accepted events ask for (an event's projections one after the other), each as the three nested loops of
:class:`CoreConfig`'s records, and goes through their turns with three counters:

* each visit is the next turn of the first walk that has one left: its word, row, delay and flag;
* ``synapses`` is the fan-out of the innermost loop in its last turn, and 0 otherwise;
* ``idle`` is reported only when all walks have been made, and as many were refused as had to be.

Assumed, as the contract promises: a key's projections and a projection's coordinates lie within their tables, and a
projection has 1 to 3 of them. The bus is not used.
"""

from pathlib import Path
from types import SimpleNamespace

import prover
import pytest
import small
import streams
from amaranth import *
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from spikeloom.contract.ring import Space, spaces
from spikeloom_hdl import walker
from spikeloom_hdl.layout import struct

TURNS = 3
TABLES = {"keys": Space.KEY, "projections": Space.PROJECTION, "coordinates": Space.COORDINATE, "entries": Space.ENTRY}


class WalkerProof(prover.Top):
    """See the module."""

    free_memories = True

    def __init__(self, module, config, events: int):
        self.config, self.events_at_most = config, events
        self.dut = module.Walker(config)
        geometry = spaces(config)
        self.tables = [name for name, space in TABLES.items() if space in geometry]
        self.probes, members = {}, {}
        for name in self.tables:
            shape = geometry[TABLES[name]]
            assert shape.layout.width <= 32, "a record of one column has one memory"
            self.probes[name] = (f"dut.{name}.column0", max(2, shape.depth))
            members[name] = In(data.ArrayLayout(struct(shape.layout), max(2, shape.depth)))
        super().__init__({**self.dut.signature.members, **members})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        prover.start(m)
        for name in ("events", "visits"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(dut, name))
        m.d.comb += Assume(streams.holds(m, dut.events, "events"))

        # The events that were accepted.
        count = Signal(range(self.events_at_most + 1))
        events = [Signal(dut.events.p.shape(), name=f"event{n}") for n in range(self.events_at_most)]
        m.d.comb += Assume(~dut.events.valid | (count < self.events_at_most))
        for n, event in enumerate(events):
            with m.If(dut.events.valid & dut.events.ready & (count == n)):
                m.d.sync += [event.eq(dut.events.payload), count.eq(n + 1)]

        walks, refusals = [], []
        for n, event in enumerate(events):
            record = self._record(m, "keys", event.key, f"key{n}")
            m.d.comb += Assume(record.first + record.count <= self.config.core.projections)
            known = (record.count != 0) & (event.index < record.sources)
            refusals.append((count > n) & ~known)
            for p in range(self.config.core.projections):
                asked = (count > n) & known & (record.count > p)
                walk = self._walk(m, event, record.first + p, f"walk{n}_{p}")
                refusals.append(asked & walk.unknown)
                walk.real = Signal(name=f"real{n}_{p}")
                m.d.comb += walk.real.eq(asked & ~walk.unknown & ~walk.empty)
                walks.append(walk)
        self._follow(m, walks)

        refused = Signal(8)
        m.d.sync += refused.eq(refused + dut.refused)
        with m.If(dut.idle):
            m.d.comb += Assert(refused == sum(refusals))
        m.d.comb += Cover(dut.idle & (count == self.events_at_most) & (sum(refusals) == self.events_at_most))
        return m

    def _record(self, m, table: str, address: Value, name: str) -> data.View:
        contents = getattr(self, table)
        record = Signal(contents.shape().elem_shape, name=f"{name}_record")
        at = Signal(range(len(contents)), name=f"{name}_at")
        m.d.comb += [at.eq(address), record.eq(contents[at])]
        return record

    def _walk(self, m, event, projection: Value, name: str) -> SimpleNamespace:
        """The three nested loops of one projection, outermost first; a loop that is not there has one turn."""
        core = self.config.core
        record = self._record(m, "projections", projection, name)
        m.d.comb += Assume((record.count >= 1) & (record.first + record.count <= core.coordinates))
        word, row, rest = record.base, record.row, event.index
        unknown, empty = C(0), C(0)
        loops, fanout = [], C(0)
        for n in range(3):
            part = self._record(m, "coordinates", record.first + n, f"{name}_{n}")
            there = record.count > n
            value = Signal(self.config.index_bits, name=f"{name}_{n}_value")
            rest_then = Signal(self.config.index_bits, name=f"{name}_{n}_rest")
            m.d.comb += [value.eq(rest & ((1 << part.bits) - 1)), rest_then.eq(rest >> part.bits)]
            rest = rest_then
            found = {"word": value * part.scale, "row": C(0), "count": part.count, "fanout": part.fanout}
            if core.entries:
                entry = self._record(m, "entries", part.scale + value, f"{name}_{n}_entry")
                found = {field: Mux(part.table, entry[field], found[field]) for field in found}
                unknown |= there & part.table & ~entry.valid
            turns = Signal(core.count_bits, name=f"{name}_{n}_turns")
            m.d.comb += [turns.eq(Mux(there, found["count"], 1)), Assume(turns <= TURNS)]
            word, row = word + Mux(there, found["word"], 0), row + Mux(there, found["row"], 0)
            empty |= turns == 0
            last = record.count == n + 1
            fanout = Mux(last, found["fanout"], fanout)
            loops.append((turns, Mux(last, 1, part.word_step), Mux(last, 1, part.row_step)))
        fixed = {"word": word, "row": row, "fanout": fanout, "delay": record.delay, "sparse": record.sparse}
        return SimpleNamespace(loops=loops, unknown=unknown, empty=empty, depth=record.count, **fixed)

    def _follow(self, m, walks) -> None:
        """Compare each visit with the next turn of the first walk that is not done."""
        dut, core = self.dut, self.config.core
        at = Signal(range(len(walks) + 1))
        turn = [Signal(range(TURNS), name=f"turn{n}") for n in range(3)]
        taken = Signal()
        m.d.comb += taken.eq(dut.visits.valid & dut.visits.ready)
        expected = Signal(dut.visits.p.shape())
        fanout = Signal(core.fanout_bits)
        ends = [Signal(name=f"ends{n}") for n in range(3)]
        inner_ends = Signal()
        now = Signal(range(len(walks) + 1))
        m.d.comb += now.eq(len(walks))
        for n, walk in reversed(list(enumerate(walks))):
            with m.If((at <= n) & walk.real):
                m.d.comb += [
                    now.eq(n),
                    expected.word.eq(walk.word + sum(t * loop[1] for t, loop in zip(turn, walk.loops, strict=True))),
                    expected.row.eq(walk.row + sum(t * loop[2] for t, loop in zip(turn, walk.loops, strict=True))),
                    expected.delay.eq(walk.delay), expected.sparse.eq(walk.sparse), fanout.eq(walk.fanout),
                    *(end.eq(t + 1 == loop[0]) for end, t, loop in zip(ends, turn, walk.loops, strict=True)),
                    inner_ends.eq(Array(ends)[walk.depth - 1]),
                ]  # fmt: skip
        with m.If(taken):
            m.d.comb += Assert(now != len(walks))
            m.d.comb += Assert(dut.synapses == Mux(inner_ends, fanout, 0))
            m.d.sync += at.eq(now)
            with m.If(~ends[2]):
                m.d.sync += turn[2].eq(turn[2] + 1)
            with m.Elif(~ends[1]):
                m.d.sync += [turn[2].eq(0), turn[1].eq(turn[1] + 1)]
            with m.Elif(~ends[0]):
                m.d.sync += [turn[2].eq(0), turn[1].eq(0), turn[0].eq(turn[0] + 1)]
            with m.Else():
                m.d.sync += [*(t.eq(0) for t in turn), at.eq(now + 1)]
        with m.Else():
            m.d.comb += Assert(dut.synapses == 0)
        with m.If(dut.visits.valid):
            for field in expected.shape().members:
                m.d.comb += Assert(dut.visits.p[field] == expected[field])
        with m.If(dut.idle):
            m.d.comb += Assert(now == len(walks))
        m.d.comb += [
            Cover(taken & (now == len(walks) - 1)),  # the last projection of the last event
            Cover(taken & (dut.synapses == 2) & (now == 0) & ~Cat(turn).any()),
        ]
        if core.coordinates == 3:
            m.d.comb += Cover(taken & turn[0].any() & turn[1].any() & turn[2].any() & expected.sparse)


FULL = pytest.mark.full
ONE = {"words": 4, "coordinates": 3, "projections": 1}
CONFIGS = {
    "quick": (1, {"core": {"coordinates": 1, "projections": 1}, "index_bits": 1}),
    "short": (1, {"core": ONE | {"short": True}}),
    "products": (1, {"core": ONE}),
    "tables": (1, {"core": ONE | {"entries": 4}}),
    "2 projections": (1, {"core": {"coordinates": 2}, "index_bits": 1}),
    "2 events": (2, {"core": {"coordinates": 1, "projections": 1}, "index_bits": 1}),
}
DEPTH = {"quick": 16, "products": 24, "tables": 24}
"""22 unless it is here; three nested loops of two turns take the others."""
BUGS = {
    "walk-short": "quick",
    "sources-plus-1": "products",
    "rest-of-index": "products",
    "empty-walk": "products",
    "outer-step": "products",
    "entry-fanout": "tables",
    "unknown-coordinate": "tables",
}


@pytest.mark.parametrize("name", ["quick", *(pytest.param(name, marks=FULL) for name in CONFIGS if name != "quick")])
def test_walker(tmp_path: Path, name: str) -> None:
    events, changes = CONFIGS[name]
    config, depth = small.array(**changes), DEPTH.get(name, 22)
    top = WalkerProof(walker, config, events)
    assert prover.prove(top, tmp_path, engine=prover.BOOLECTOR, depth=depth, bounded=True).passed
    assert prover.cover(WalkerProof(walker, config, events), tmp_path, depth=depth).passed


@pytest.mark.parametrize("bug", ["walk-short", *(pytest.param(b, marks=FULL) for b in BUGS if b != "walk-short")])
def test_walker_catches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    module = prover.planted_in(walker, bug, monkeypatch)
    top = WalkerProof(module, small.array(**CONFIGS[BUGS[bug]][1]), 1)
    depth = DEPTH.get(BUGS[bug], 22)
    assert not prover.prove(top, tmp_path, engine=prover.BOOLECTOR, depth=depth, bounded=True).passed
