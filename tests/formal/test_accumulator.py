"""The accumulator loses and doubles no update, for any sequence of visits, drains, clears and accesses.

One arbitrary sum is tracked: a slot, a row and a lane that are chosen once and never change, so what is proved of it
holds for all. The specification keeps a shadow of that sum, and of its lane's weights, and sees only the ports:

* a visit that is issued adds its word's weight (times its payload, where there is one), if its slot and row are the
  tracked ones; a drain hands the sum out and sets it to 0. Both happen to the shadow in the order of issue, when the
  sums of a drain leave, so the shadow is the sum of all that was issued before; a drain counts as issued in the cycle
  before it, which was reserved for it;
* exactly ``drain_latency`` cycles after a drain, and never otherwise, a row is ``due``, that of the drain; ``ahead``
  cycles later, and never otherwise, ``sums_valid`` is high, and if it was the tracked row of the tracked slot, the
  lane's sum is the shadow's;
* weights and rows of words begin with 0 and are written over the bus at any time of rest, so they are arbitrary;
  a write to ACCUMULATOR over the bus, and ``clear``, set the shadow; a read over the bus answers with it.

Assumed: no visit is taken in the cycle before a drain;
bus and clear are used at rest only (idle, no visit, no drain), not both in one cycle, and nothing begins in
the cycle after an access; addresses on the bus lie within the memories.

Widths: ``CONFIGS``; sums wrap, so narrow ones reach all their corners.
"""

from pathlib import Path

import prover
import pytest
import small
from amaranth import *
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from spikeloom.contract.numerics import Numerics
from spikeloom.contract.ring import Space
from spikeloom_hdl import accumulator, accumulator_short, memories
from spikeloom_hdl.accumulator import ahead
from spikeloom_hdl.bus import READ_LATENCY, BusSignature
from spikeloom_hdl.loops import visit_layout


class AccumulatorProof(prover.Top):
    """See the module."""

    def __init__(self, module, config):
        self.config = config
        self.dut = (module.ShortAccumulator if config.core.short else module.Accumulator)(config)
        self.free = {
            "visit": In(visit_layout(config)), "visit_valid": In(1), "reserve": In(1), "drain": In(1),
            "drain_row": In(config.core.row_bits), "slot": In(config.core.slot_bits), "clear": In(1),
            "clear_address": In(config.core.slot_bits + config.core.row_bits),
        }  # fmt: skip
        core = config.core
        self.probes = {
            "weight_memory": ("dut.weights.column0", core.words),
            "sums_memory": ("dut.sums_ram.column0", core.accumulator_depth),
        }
        members = {
            "weight_memory": In(data.ArrayLayout(core.weight_layout.width, core.words)),
            "sums_memory": In(data.ArrayLayout(core.accumulator_layout.width, core.accumulator_depth)),
        }
        if core.sparse:
            self.probes["row_memory"] = ("dut.word_rows.column0", core.words)
            members["row_memory"] = In(data.ArrayLayout(core.row_bits, core.words))
        super().__init__({**self.free, **members, "bus": In(BusSignature())})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        core, bus = self.config.core, self.bus
        prover.start(m)
        m.d.comb += [
            dut.visits.valid.eq(self.visit_valid), dut.visits.payload.eq(self.visit),
            dut.reserve.eq(self.reserve), dut.drain.eq(self.drain), dut.drain_row.eq(self.drain_row),
            dut.slot.eq(self.slot),
            dut.clear.eq(self.clear), dut.clear_address.eq(self.clear_address),
        ]  # fmt: skip
        wiring.connect(m, wiring.flipped(bus), dut.bus)
        # A clear is written a cycle later, and another one may follow it at once.
        cleared = prover.past(m, self.clear, 1, "cleared")
        begins, works = self.visit_valid | self.drain, ~dut.idle
        m.d.comb += Assume(~(bus.valid & (begins | works | self.clear)))
        m.d.comb += Assume(~(self.clear & (begins | (works & ~cleared))))
        accessed = prover.past(m, bus.valid, 1, "accessed")
        m.d.comb += Assume(~(accessed & (self.visit_valid | self.drain | self.clear)))
        m.d.comb += Assume(bus.address < Mux(bus.space == Space.ACCUMULATOR, core.accumulator_depth, core.words))
        m.d.comb += Assert(dut.visits.ready == ~self.reserve)
        visited = self.visit_valid & ~self.reserve
        m.d.comb += Assume(~(self.drain & prover.past(m, visited, 1, "visited")))

        # What is tracked.
        acc_bits, weight_bits = core.numerics.accumulator_bits, core.numerics.weight_bits
        address = prover.anyconst(m, core.row_bits + core.slot_bits, "tracked")
        lane = prover.anyconst(m, range(core.lanes), "lane")
        m.d.comb += Assume(lane < core.lanes)
        m.d.comb += Assume(address[: core.row_bits] < core.rows)

        # Weights of the lane and rows of the words, as written.
        writes = bus.valid & bus.write
        weights = Array(Signal(weight_bits, name=f"weight{n}") for n in range(core.words))
        rows = Array(Signal(core.row_bits, name=f"word_row{n}") for n in range(core.words))
        with m.If(writes & (bus.space == Space.WEIGHT)):
            m.d.sync += weights[bus.address[: core.word_bits]].eq(bus.data.word_select(lane, weight_bits))
        with m.If(writes & (bus.space == Space.WORD_ROW)):
            m.d.sync += rows[bus.address[: core.word_bits]].eq(bus.data)

        # What is issued to the tracked sum.
        row = Mux(self.visit.sparse, rows[self.visit.word], self.visit.row) if core.sparse else self.visit.row
        drains, adds = Signal(), Signal()
        visit_slot = Signal(core.slot_bits)
        m.d.comb += [
            visit_slot.eq(self.slot + self.visit.delay),
            drains.eq(self.drain & (Cat(self.drain_row, self.slot) == address)),
            adds.eq(visited & (Cat(row, visit_slot) == address)),
        ]
        stored = weights[self.visit.word]
        weight = Signal(signed(weight_bits + 1))
        m.d.comb += weight.eq(stored.as_signed() if weight_bits > 1 else Mux(stored, -1, 1))
        value = weight * self.visit.payload if self.config.payload_bits else weight

        # The shadow, as many cycles later.
        drain_lag = dut.drain_latency + ahead(core)
        lag = drain_lag + 1  # of a visit
        drains_then = prover.past(m, drains, drain_lag, "drains")
        adds_then = prover.past(m, adds, lag, "adds")
        value_then = prover.past(m, value, lag, "value")
        shadow = Signal(acc_bits)
        with m.If(drains_then):
            m.d.sync += shadow.eq(0)
        with m.Elif(adds_then):
            m.d.sync += shadow.eq(shadow + value_then.as_signed())
        at_rest, set_to = Signal(), Signal(acc_bits)
        with m.If(self.clear & (self.clear_address == address)):
            m.d.comb += at_rest.eq(1)
        with m.If(writes & (bus.space == Space.ACCUMULATOR) & (bus.address == address)):
            m.d.comb += [at_rest.eq(1), set_to.eq(bus.data.word_select(lane, acc_bits))]

        due = prover.past(m, self.drain, dut.drain_latency, "drained")
        due_row = prover.past(m, self.drain_row, dut.drain_latency, "drained_row")
        m.d.comb += [Assert(dut.due == due), Assert(dut.sums_valid == prover.past(m, due, ahead(core), "due"))]
        with m.If(due):
            m.d.comb += Assert(dut.due_row == due_row)
        sums = dut.sums.as_value().word_select(lane, acc_bits)
        with m.If(drains_then):
            m.d.comb += Assert(sums == shadow)

        # Invariants that induction needs: the copies are copies. A sum is in the memory a cycle after its update, and
        # what comes over the bus or is cleared may be a cycle late.
        def is_copy(memory: Value, copy: Value, name: str) -> None:
            late = (accessed | cleared) & (memory == prover.past(m, copy, 1, f"{name}_before"))
            m.d.comb += Assert((memory == copy) | late)

        in_memory = Signal(acc_bits)
        m.d.sync += in_memory.eq(Mux(at_rest, set_to, shadow))
        with m.If(at_rest):
            m.d.sync += shadow.eq(set_to)
        memory = Array(self.sums_memory)[address].as_value().word_select(lane, acc_bits)
        is_copy(memory, in_memory, "in_memory")
        for n in range(core.words):
            is_copy(self.weight_memory[n].word_select(lane, weight_bits), weights[n], f"weight{n}")
            if core.sparse:
                is_copy(self.row_memory[n], rows[n], f"word_row{n}")

        # A read over the bus.
        asks = bus.valid & ~bus.write & (bus.space == Space.ACCUMULATOR) & (bus.address == address)
        asked = prover.past(m, asks, READ_LATENCY, "asked")
        told = prover.past(m, shadow, READ_LATENCY, "told")
        with m.If(asked):
            m.d.comb += Assert(bus.read_data.word_select(lane, acc_bits) == told)

        # Idle means that nothing is under way.
        issued = [prover.past(m, visited, n, f"visited{n}") for n in range(1, lag + 1)]
        issued += [prover.past(m, self.drain, n, f"issued{n}") for n in range(1, lag)]
        with m.If(dut.idle):
            m.d.comb += Assert(~Cat(*issued).any())

        m.d.comb += [
            Cover(drains_then & (shadow == (1 << acc_bits) - 2)),
            Cover(drains_then & (shadow == 2) & prover.past(m, adds_then, 1, "before")),
            Cover(asked & (told == 1)),
            Cover(self.clear & (shadow == 1) & (self.clear_address == address)),
        ]
        if core.sparse:
            sparse_before = prover.past(m, adds & self.visit.sparse & (self.visit.row != row), lag, "sparse")
            m.d.comb += Cover(drains_then & shadow.any() & prover.past(m, sparse_before, 1, "sparse_before"))
        return m


FULL = pytest.mark.full
CONFIGS = {
    "2 rows": {},
    "sparse": {"core": {"sparse": True}},
    "1 bit": {"core": {"lanes": 3, "numerics": small.numerics(weight_bits=1, accumulator_bits=3)}},
    "payloads": {"payload_bits": 2},
    "LUT RAM": {"core": {"sparse": True, "sums_latency": 0}},
    "plain block RAM": {"core": {"sums_latency": 1}},
    "short": {"core": {"sparse": True, "sums_latency": 1, "short": True}},
    "short, payloads": {"payload_bits": 2, "core": {"sums_latency": 1, "short": True}},
    "4 rows, 4 slots": {"core": {"rows": 4, "slots": 4, "words": 4}},
    "contract": {"core": {"rows": 4, "slots": 4, "words": 8, "sparse": True, "numerics": Numerics()}},
}
"""The last one is within the contract: 8-bit weights, 16-bit sums."""
QUICK = ("sparse", "LUT RAM", "short")
DEPTH = 12
BUGS = [
    "forward-1",
    "forward-2",
    "forward-3",
    "forward-4",
    "forward-not-the-newest",
    "forward-other-slot",
    "sum-narrow",
    "drain-keeps",
    "delay-plus-1",
]


SHORT_BUGS = ["short-forward-1", "short-forward-2", "short-drain-keeps"]


def top(module, name: str) -> AccumulatorProof:
    return AccumulatorProof(module, small.array(**CONFIGS[name]))


def module_of(name: str):
    return accumulator_short if "short" in name else accumulator


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=FULL) for name in CONFIGS if name not in QUICK)])
def test_accumulator(tmp_path: Path, name: str) -> None:
    assert prover.prove(top(module_of(name), name), tmp_path, engine=prover.BOOLECTOR, depth=DEPTH).passed
    assert prover.cover(top(module_of(name), name), tmp_path).passed


@pytest.mark.parametrize("bug", [BUGS[0], *(pytest.param(bug, marks=FULL) for bug in BUGS[1:])])
def test_accumulator_catches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    module = prover.planted_in(accumulator, bug, monkeypatch)
    found = prover.prove(top(module, "2 rows"), tmp_path, engine=prover.BOOLECTOR, depth=16, bounded=True)
    assert not found.passed


@pytest.mark.parametrize("bug", [SHORT_BUGS[0], *(pytest.param(bug, marks=FULL) for bug in SHORT_BUGS[1:])])
def test_short_accumulator_catches(tmp_path: Path, bug: str) -> None:
    found = prover.prove(top(prover.planted(bug), "short"), tmp_path, engine=prover.BOOLECTOR, depth=16, bounded=True)
    assert not found.passed


@pytest.mark.full
@pytest.mark.parametrize("name", ["sparse", "short", "4 rows, 4 slots"])
def test_any_collision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The same with sums in a RAM where a read that collides with a write gives anything: block RAMs differ."""
    hostile = prover.mutated(
        "memories/generic.py",
        "m.d.sync += word.eq(read.data)",
        "m.submodules += Instance('$anyseq', p_WIDTH=piece.width, o_Y=(anything := Signal(piece.width)))\n"
        "            collides = C(shape.writable) & write.en & (write.addr == read.addr)\n"
        "            m.d.sync += word.eq(Mux(collides, anything, read.data))",
    )
    monkeypatch.setitem(memories.FAMILIES, "generic", hostile.build)
    assert prover.prove(top(module_of(name), name), tmp_path, engine=prover.BOOLECTOR, depth=DEPTH).passed
    bug = prover.planted("short-forward-2" if name == "short" else "forward-3")
    assert not prover.prove(top(bug, name), tmp_path, engine=prover.BOOLECTOR, depth=16, bounded=True).passed
