"""Planted bugs: one place of the gateware changed at a time, and the tests that must fail for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "hdl" / "spikeloom_hdl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutation:
    """A bug.

    Attributes:
        name: short, for the command line.
        file: of the gateware.
        old: text that occurs exactly once in it; ``new`` takes its place.
        why: what goes wrong.
        tests: what pytest runs; one failure is enough.
    """

    name: str
    file: str
    old: str
    new: str
    why: str
    tests: tuple[str, ...]

    def apply(self, source: str) -> str:
        """The mutated source. Raises :class:`ValueError` unless the old text is there exactly once."""
        if (times := source.count(self.old)) != 1:
            raise ValueError(f"{self.name}: the text to change occurs {times} times in {self.file}, not once")
        return source.replace(self.old, self.new)


ACCUMULATOR = ("tests/hdl/test_accumulator.py::test_accumulator[8 lanes]",)
LUT_RAM = ("tests/hdl/test_accumulator.py::test_accumulator[20 lanes, LUT RAM]",)
SHORT = ("tests/hdl/test_accumulator.py::test_accumulator[short]",)
WALKER = ("tests/hdl/test_walker.py::test_walker[8 lanes]",)
NEURONS = ("tests/hdl/test_neuron_unit.py::test_neuron_unit[8 lanes]",)
LOIHI = ("tests/hdl/test_neuron_unit.py::test_neuron_unit[loihi]",)
ADAPTIVE = ("tests/hdl/test_neuron_unit.py::test_neuron_unit[adaptive]",)
SEVERAL = ("tests/hdl/test_neuron_unit.py::test_neuron_unit[several spikes]",)
NUMBERS = ("tests/hdl/test_emitter.py::test_emitter[5 lanes, several spikes]",)
WIDE_EMITTER = ("tests/hdl/test_emitter.py::test_emitter[33 lanes]",)
EMITTER = ("tests/hdl/test_emitter.py::test_emitter[8 lanes]",)
DRAIN = ("tests/hdl/test_drain.py::test_drain[5 phases]",)
CORE = ("tests/hdl/test_core.py::test_core[1-8 lanes]",)
ROUTER = ("tests/hdl/test_router.py",)
SEQUENCER = ("tests/hdl/test_sequencer.py::test_sequencer[1]",)
PHASES = ("tests/hdl/test_sequencer.py::test_sequencer[5]",)
ARRAY = ("tests/hdl/test_array.py::test_array",)
REST = ("tests/hdl/test_core_rest.py::test_core_rest",)

MUTATIONS = (
    Mutation(
        name="forward-1",
        file="accumulator.py",
        old="follows & adds, total, 0",
        new="Const(0), total, 0",
        why="two visits of one row in consecutive cycles: the first is lost",
        tests=ACCUMULATOR,
    ),
    Mutation(
        name="short-forward-1",
        file="accumulator_short.py",
        old="follows.eq(first)",
        new="follows.eq(0)",
        why="short pipeline: two visits of one row in consecutive cycles: the first is lost",
        tests=SHORT,
    ),
    Mutation(
        name="short-forward-2",
        file="accumulator_short.py",
        old="kept.eq(Mux(second, result, 0))",
        new="kept.eq(0)",
        why="short pipeline: a row that was hit two cycles ago lacks that",
        tests=SHORT,
    ),
    Mutation(
        name="short-drain-keeps",
        file="accumulator_short.py",
        old='result.eq(Mux(pipe["visit"], totals, 0))',
        new='result.eq(Mux(pipe["visit"], totals, present.as_value()))',
        why="short pipeline: a drained row keeps its sums",
        tests=SHORT,
    ),
    Mutation(
        name="forward-2",
        file="accumulator.py",
        old="second.eq(Mux(hit[1] & adds, total, 0))",
        new="second.eq(0)",
        why="two visits of one row with a cycle between them: the first is lost",
        tests=ACCUMULATOR,
    ),
    Mutation(
        name="forward-3",
        file="accumulator.py",
        old="third.eq(Mux(hit[2], result, 0))",
        new="third.eq(0)",
        why="two visits of one row with two cycles between them: the RAM's answer is not there, and nothing else",
        tests=ACCUMULATOR,
    ),
    Mutation(
        name="forward-4",
        file="accumulator.py",
        old='fourth.eq(Mux(pipe["hit"][3], result, 0))',
        new="fourth.eq(0)",
        why="two visits of one row with three cycles between them, while the RAM takes two cycles",
        tests=ACCUMULATOR,
    ),
    Mutation(
        name="forward-not-the-newest",
        file="accumulator.py",
        old="hit[n].eq(same[n] & ~Cat(same[:n]).any())",
        new="hit[n].eq(same[n])",
        why="three visits of one row: results of two of them are ored",
        tests=ACCUMULATOR,
    ),
    Mutation(
        name="held-written",
        file="update.py",
        old="Mux(valid, active, 0)",
        new="valid.replicate(core.group)",
        why="the states of a neuron that is not updated change",
        tests=NEURONS,
    ),
    Mutation(
        name="swept-twice",
        file="registers.py",
        old="[narrow[0].eq(Mux(chosen, step, up[0])), narrow[1:].eq(Mux(chosen, 0, up[1:]))]",
        new="narrow.eq(up)",
        why="what has been swept into the wide counter is swept again",
        tests=CORE,
    ),
    Mutation(
        name="clear-keeps",
        file="registers.py",
        old="source.eq(turn | cleared.replicate(len(turn)))",
        new="source.eq(turn)",
        why="a counter that is cleared keeps its total",
        tests=CORE,
    ),
    Mutation(
        name="many-swept-twice",
        file="registers.py",
        old="narrow.eq(Mux(chosen[n], 0, narrow) + step)",
        new="narrow.eq(narrow + step)",
        why="as swept-twice, of the counters that grow by more than one",
        tests=CORE,
    ),
    Mutation(
        name="counts-lost",
        file="registers.py",
        old="narrow[0].eq(Mux(chosen, step, up[0]))",
        new="narrow[0].eq(Mux(chosen, 0, up[0]))",
        why="what happens in the cycle of a sweep is not counted",
        tests=CORE,
    ),
    Mutation(
        name="forward-other-slot",
        file="accumulator.py",
        old="same[n].eq(ahead_active[n] & (in_front[n] == address))",
        new="same[n].eq(ahead_active[n] & (in_front[n][: core.row_bits] == address[: core.row_bits]))",
        why="sums of another tick are forwarded",
        tests=ACCUMULATOR,
    ),
    Mutation(
        name="sum-narrow",
        file="arithmetic.py",
        old="self.total.eq((self.a | self.b) + self.c)",
        new="self.total[:-1].eq((self.a | self.b) + self.c)",
        why="a sum is one bit too narrow",
        tests=ACCUMULATOR,
    ),
    Mutation(
        name="drain-keeps",
        file="accumulator.py",
        old="result.eq(Mux(adds, total, 0))",
        new="result.eq(total)",
        why="a drained row is not zeroed",
        tests=ACCUMULATOR,
    ),
    Mutation(
        name="delay-plus-1",
        file="accumulator.py",
        old="self.slot + visit.delay)",
        new="self.slot + visit.delay + 1)",
        why="every synapse acts a tick late",
        tests=ACCUMULATOR,
    ),
    Mutation(
        name="round-below-half",
        file="neuron.py",
        old="return down, rest[-1]",
        new="return down, rest > 1 << DECAY_BITS - 1",
        why="exactly one half is rounded down",
        tests=NEURONS,
    ),
    Mutation(
        name="round-floor",
        file="neuron.py",
        old="return down, (product < 0) & (rest != 0)",
        new="return down, C(0, 1)",
        why="loihi: negative products are rounded down in place of toward zero",
        tests=LOIHI,
    ),
    Mutation(
        name="reset-without-spike",
        file="neuron.py",
        old='Mux(fired & (pipe["reset"] == Reset.SUBTRACT_DELAYED), pipe["v_sub"], 0)',
        new='Mux(pipe["reset"] == Reset.SUBTRACT_DELAYED, pipe["v_sub"], 0)',
        why="the delayed reset acts in every tick",
        tests=NEURONS,
    ),
    Mutation(
        name="refractory-short",
        file="neuron.py",
        old='waits=pipe["r"] != 0',
        new='waits=pipe["r"] > 1',
        why="the refractory time is a tick too short",
        tests=NEURONS,
    ),
    Mutation(
        name="fires-at-theta",
        file="neuron.py",
        old='above=pipe["theta"] < pipe["v"]',
        new='above=pipe["theta"] <= pipe["v"]',
        why="a potential at the threshold fires",
        tests=NEURONS,
    ),
    Mutation(
        name="no-floor",
        file="neuron.py",
        old='under=total < pipe["v_min"]',
        new="under=beyond & total[-1]",
        why="the floor of the potential is ignored",
        tests=NEURONS,
    ),
    Mutation(
        name="saturates-low",
        file="neuron.py",
        old="end = Cat((~sign).replicate(bits - 1), sign)",
        new="end = Cat(C(0, bits - 1), C(1, 1))",
        why="a sum that is too high becomes the lowest one",
        tests=NEURONS,
    ),
    Mutation(
        name="saturations-once",
        file="neuron.py",
        old='pipe["limited_u"] + (pipe["limited_v"] & ~waits)',
        new='pipe["limited_u"] | (pipe["limited_v"] & ~waits)',
        why="current and potential clipped in one tick count once",
        tests=NEURONS,
    ),
    Mutation(
        name="latency-strict",
        file="neuron.py",
        old="(tick >= held)",
        new="(tick > held)",
        why="neurons start a tick late",
        tests=NEURONS,
    ),
    Mutation(
        name="flush-strict",
        file="neuron.py",
        old="(held >= flush)",
        new="(held > flush)",
        why="the last tick of a population is not flushed",
        tests=NEURONS,
    ),
    Mutation(
        name="held-fires",
        file="neuron.py",
        old='fired.eq(pipe["active"] & ~waits & pipe["above"])',
        new='fired.eq(~waits & pipe["above"])',
        why="a neuron that is not updated fires",
        tests=NEURONS,
    ),
    Mutation(
        name="adaptation-stays",
        file="neuron.py",
        old='a=Mux(spikes, pipe["grown"], pipe["faded"])',
        new='a=pipe["faded"]',
        why="a spike leaves no adaptation",
        tests=ADAPTIVE,
    ),
    Mutation(
        name="adaptation-fades-first",
        file="neuron.py",
        old='Mux(kind == Adaptation.THRESHOLD, pipe["a"], pipe["faded"])',
        new='pipe["faded"]',
        why="the threshold of Bellec's rule is raised by what this tick's decay leaves",
        tests=ADAPTIVE,
    ),
    Mutation(
        name="adaptation-beside-input",
        file="neuron.py",
        old="Mux(kind == Adaptation.INPUT, 0, raises)",
        new="raises",
        why="an adaptation of the input raises the threshold, too",
        tests=ADAPTIVE,
    ),
    Mutation(
        name="adaptation-wraps",
        file="neuron.py",
        old="grown=Mux(beyond, end, grown[:bits]).as_signed()",
        new="grown=grown[:bits].as_signed()",
        why="an adaptation beyond its range comes out at the other end",
        tests=ADAPTIVE,
    ),
    Mutation(
        name="more-spikes-not-counted",
        file="neuron.py",
        old='limited_s=pipe["limited_s"] | (goes & ~known)',
        new='limited_s=pipe["limited_s"]',
        why="more spikes than the neuron's own bits can tell are no saturation",
        tests=SEVERAL,
    ),
    Mutation(
        name="most-spikes-not-counted",
        file="neuron.py",
        old='limited_s=self._goes_into(pipe["v"], self.spike_bits)[0]',
        new="limited_s=C(0, 1)",
        why="more spikes than the core's bits can tell are no saturation",
        tests=SEVERAL,
    ),
    Mutation(
        name="spikes-beyond-their-bits",
        file="neuron.py",
        old='known = pipe["spike_bits"] > bit',
        new="known = C(1)",
        why="a neuron sends more spikes than its own bits can tell",
        tests=SEVERAL,
    ),
    Mutation(
        name="quotient-strict",
        file="neuron.py",
        old="return ~difference[-1], difference",
        new="return ~difference[-1] & difference.any(), difference",
        why="a potential of exactly so many thresholds sends one spike less",
        tests=SEVERAL,
    ),
    Mutation(
        name="spikes-take-one-threshold",
        file="neuron.py",
        old='lowered=Mux(goes & known, left, pipe["lowered"])',
        new='lowered=Mux(goes & known & (bit == 0), left, pipe["lowered"])',
        why="several spikes subtract less than they are",
        tests=SEVERAL,
    ),
    Mutation(
        name="number-of-the-next-lane",
        file="emitter.py",
        old="m.d.sync += picked_count.eq(count)",
        new="m.d.sync += self.flits.p.payload.eq(count)",
        why="a flit that waits carries the number of a lane behind it",
        tests=NUMBERS,
    ),
    Mutation(
        name="walk-short",
        file="loops.py",
        old="ends[0].eq(left[0] == 2)",
        new="ends[0].eq(left[0] <= 3)",
        why="the last word of a walk is not visited",
        tests=WALKER,
    ),
    Mutation(
        name="sources-plus-1",
        file="walker.py",
        old="(events[looked_for].index < record.sources)",
        new="(events[looked_for].index <= record.sources)",
        why="an index just beyond its sources walks through another one's words",
        tests=WALKER,
    ),
    Mutation(
        name="entry-fanout",
        file="walker.py",
        old='for name in ("word", "row", "count", "fanout")]',
        new='for name in ("word", "row", "count")]',
        why="synapses of walks that were looked up are counted wrongly",
        tests=WALKER,
    ),
    Mutation(
        name="empty-walk",
        file="loops.py",
        old="is_empty.eq((turn.count == 0) | (empty & ~turn.first))",
        new="is_empty.eq(turn.count == 0)",
        why="a walk of which an outer loop never runs visits something",
        tests=WALKER,
    ),
    Mutation(
        name="rest-of-index",
        file="walker.py",
        old="Mux(starts, index, rest >> part.bits)",
        new="Mux(starts, index, index >> part.bits)",
        why="a third coordinate takes the second one's bits",
        tests=WALKER,
    ),
    Mutation(
        name="unknown-coordinate",
        file="loops.py",
        old="is_unknown.eq(turn.unknown | (unknown & ~turn.first))",
        new="is_unknown.eq(turn.unknown)",
        why="an unknown coordinate in front of a known one is walked",
        tests=WALKER,
    ),
    Mutation(
        name="outer-step",
        file="loops.py",
        old="for inner in range(level + 1):",
        new="for inner in range(level):",
        why="an outer loop's turns all begin at the same place",
        tests=WALKER,
    ),
    Mutation(
        name="emission-shift",
        file="emitter.py",
        old="record.index + (lane << record.shift)",
        new="record.index + lane",
        why="the lane's share of an index is not shifted",
        tests=EMITTER,
    ),
    Mutation(
        name="emitter-idle",
        file="emitter.py",
        old="(queue.level == 0) & none & ~picked & ~self.flits.valid",
        new="(queue.level == 0) & none & ~picked",
        why="idle with a flit on the output: a tick ends before its last spike",
        tests=EMITTER,
    ),
    Mutation(
        name="wide-emitter-empty-row",
        file="emitter.py",
        old="none.eq(~(queue.r_rdy & fired.any()))",
        new="none.eq(~queue.r_rdy)",
        why="a wide core sends a spike of a row in which nobody fired",
        tests=WIDE_EMITTER,
    ),
    Mutation(
        name="wide-emitter-last-but-one",
        file="emitter.py",
        old="lows | highs | (low & high)",
        new="lows | highs",
        why="a wide core leaves a row when somebody in each half of its lanes still waits",
        tests=WIDE_EMITTER,
    ),
    Mutation(
        name="emitter-chains",
        file="emitter.py",
        old="Mux(lower, 0, first) if low else first",
        new="first",
        why="of the lowest lanes of several chains all go at once",
        tests=("tests/hdl/test_emitter.py::test_emitter[101 lanes]",),
    ),
    Mutation(
        name="wide-second",
        file="accumulator.py",
        old="by_lane(same[1] & ~same[0],",
        new="by_lane(same[1],",
        why="sums in LUT RAM: an older result on top of the newest one",
        tests=LUT_RAM,
    ),
    Mutation(
        name="wide-chained",
        file="accumulator.py",
        old='by_lane(same[0] & pipe["visit"],',
        new='by_lane(pipe["visit"],',
        why="sums in LUT RAM: a visit adds to what another row's has left",
        tests=LUT_RAM,
    ),
    Mutation(
        name="spike-fifo-of-2",
        file="emitter.py",
        old="depth=max(3, core.spike_fifo)",
        new="depth=core.spike_fifo",
        why="a queue of two rows loses the second of two in consecutive cycles (a bug that these tests found)",
        tests=("tests/hdl/test_emitter.py::test_emitter[1 lane]",),
    ),
    Mutation(
        name="column-ignored",
        file="memory.py",
        old="hit & bus.write & here",
        new="hit & bus.write",
        why="a write over the ring goes to all words of a record",
        tests=("tests/hdl/test_memory.py::test_memory[two columns, slow-generic]",),
    ),
    Mutation(
        name="idle-without-accumulator",
        file="core.py",
        old="~under_way & accumulator.idle & neurons.idle",
        new="~under_way & neurons.idle",
        why="idle while the last row is drained: a tick ends before its neurons are updated",
        tests=REST,
    ),
    Mutation(
        name="idle-without-emitter",
        file="core.py",
        old="accumulator.idle & neurons.idle & emitter.idle",
        new="accumulator.idle & neurons.idle",
        why="idle with spikes to be sent",
        tests=REST,
    ),
    Mutation(
        name="tick-survives-reset",
        file="drain.py",
        old="[started.eq(0), self.tick.eq(0)]",
        new="[self.tick.eq(0)]",
        why="after a reset the deeper populations start a tick early",
        tests=CORE,
    ),
    Mutation(
        name="events-waiting",
        file="core.py",
        old="Counter.EVENTS: queue.r_rdy & queue.r_en,",
        new="Counter.EVENTS: queue.r_rdy,",
        why="events are counted again in each cycle in which they wait",
        tests=ARRAY,
    ),
    Mutation(
        name="credit-leak",
        file="drain.py",
        old="(self.finished & ~self.fired) + self.popped",
        new="(self.finished & ~self.fired) | self.popped",
        why="two places given back in one cycle count as one: the core works ever slower",
        tests=REST,
    ),
    Mutation(
        name="copies-lost",
        file="router.py",
        old="left.eq(missing[n] & ~granted[n])",
        new="left.eq(Mux(granted[n].any(), 0, missing[n]))",
        why="a multicast flit loses the copies that do not leave with the first one",
        tests=ROUTER,
    ),
    Mutation(
        name="not-in-turn",
        file="router.py",
        old="wins.eq(Mux(any_first, _lowest(first), _lowest(asks)))",
        new="wins.eq(_lowest(asks))",
        why="a busy port starves the others",
        tests=ROUTER,
    ),
    Mutation(
        name="ring-core",
        file="ring.py",
        old="(i.packet.core == self.core)",
        new="(i.packet.core >= self.core)",
        why="a node answers for the cores behind it",
        tests=("tests/hdl/test_ring.py",),
    ),
    Mutation(
        name="barrier-any",
        file="barrier.py",
        old="group.all() for group",
        new="group.any() for group",
        why="one idle leaf looks like rest",
        tests=("tests/hdl/test_barrier.py",),
    ),
    Mutation(
        name="settle-short",
        file="array.py",
        old="SETTLE_MARGIN = 3",
        new="SETTLE_MARGIN = -3",
        why="an idle that has not yet seen the start is believed: DONE comes before the spikes",
        tests=ARRAY,
    ),
    Mutation(
        name="done-early",
        file="sequencer.py",
        old="with m.Elif(running & rest):",
        new="with m.Elif(running & ~unsettled.any()):",
        why="DONE comes before the spikes of its tick",
        tests=SEQUENCER,
    ),
    Mutation(
        name="reset-not-waited-for",
        file="sequencer.py",
        old='m.next = "CLEARING"',
        new='m.next = "COMMAND"',
        why="spikes sent behind a reset are cleared with the sums (a bug that was there)",
        tests=(*SEQUENCER, *ARRAY),
    ),
    Mutation(
        name="phase-without-barrier",
        file="sequencer.py",
        old="with m.If(running & rest & ~in_last_phase):",
        new="with m.If(running & ~unsettled.any() & ~in_last_phase):",
        why="a phase begins before what the one in front has sent is walked",
        tests=PHASES,
    ),
    Mutation(
        name="phases-survive-tick",
        file="sequencer.py",
        old="self.phase.eq(0),",
        new="",
        why="from the second tick on only the last phase runs",
        tests=PHASES,
    ),
    Mutation(
        name="slot-every-phase",
        file="drain.py",
        old="with m.If(first):",
        new="with m.If(1):",
        why="slot, tick and rows begin anew in every phase",
        tests=DRAIN,
    ),
    Mutation(
        name="rows-of-phase-0",
        file="drain.py",
        old="Array(self.rows)[self.phase] if",
        new="self.rows[0] if",
        why="every phase drains as many rows as the first one",
        tests=DRAIN,
    ),
)
"""All of them must be caught."""
