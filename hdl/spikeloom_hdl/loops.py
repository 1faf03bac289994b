"""Nested loops over weight words: what a projection's coordinates make of an event."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig


def visit_layout(config: ArrayConfig) -> data.StructLayout:
    """A weight word to visit: its address, the row that it adds to (``sparse``: it knows itself), when it counts."""
    return data.StructLayout({"word": config.core.word_bits, "row": config.core.row_bits, **passenger_fields(config)})


def passenger_fields(config: ArrayConfig) -> dict[str, int]:
    """What every visit of a walk has in common."""
    fields = {"delay": config.core.slot_bits, "sparse": 1}
    return fields | ({"payload": config.payload_bits} if config.payload_bits else {})


def turn_layout(config: ArrayConfig) -> data.StructLayout:
    """One coordinate's loop: where it starts and how it goes on.

    ``first``: the walk begins at ``base`` and ``base_row``, and what follows adds to that; ``last``: this is the
    innermost loop, the walk is complete, and it counts only if none of its coordinates was ``unknown``.
    """
    core = config.core
    return data.StructLayout(
        {
            "first": 1, "last": 1, "unknown": 1,
            "base": core.word_bits, "base_row": core.row_bits,
            "word": core.word_bits, "row": core.row_bits, "count": core.count_bits, "fanout": core.fanout_bits,
            **({"word_step": core.word_bits, "row_step": core.row_bits} if core.loops > 1 else {}),
            **passenger_fields(config),
        }
    )  # fmt: skip


class Loops(wiring.Component):
    """Gathers the loops of a walk, outermost first, and walks: a word a cycle, the next walk right behind this one.

    The innermost loop goes from word to word and row to row; the others by the steps of their coordinates. While a walk
    is under way the next one is gathered; when that is complete, too, no further loop is taken. A walk of which a loop
    runs zero times has no visit. 2 cycles from the last loop to the first visit.

    Members
    -------
    turns : ``In(stream(turn))``
        ``ready`` is high unless a complete walk waits for its turn.
    visits : ``Out(stream(visit))``
    synapses : ``Out(fanout_bits)``
        Fan-out of the innermost loop that this cycle's visit ends, otherwise 0.
    refused : ``Out(1)``
        In the cycle before, a walk with an unknown coordinate was dropped.
    busy : ``Out(1)``
        A walk is gathered or under way.
    """

    def __init__(self, config: ArrayConfig):
        self.config = config
        # A table of two coordinates has no walk of three.
        self.levels = min(config.core.loops, config.core.coordinates)
        super().__init__(
            {
                "turns": In(stream.Signature(turn_layout(config))),
                "visits": Out(stream.Signature(visit_layout(config))),
                "synapses": Out(config.core.fanout_bits),
                "refused": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        core, levels = self.config.core, self.levels
        turn, visit = self.turns.p, self.visits.p
        place = data.StructLayout({"word": core.word_bits, "row": core.row_bits})

        def places(name: str) -> list[data.View]:
            return [Signal(place, name=f"{name}{level}") for level in range(levels)]

        # Gathering: a new loop is the innermost one so far and moves the others one level out.
        start = Signal(place)
        steps = places("step")
        counts = [Signal(core.count_bits, name=f"count{level}", init=1) for level in range(levels)]
        singles = [Signal(name=f"single{level}", init=1) for level in range(levels)]  # a count of one
        fields = passenger_fields(self.config)
        passengers = {name: Signal(bits, name=f"waiting_{name}") for name, bits in fields.items()}
        fanout = Signal(core.fanout_bits)
        empty, unknown = Signal(), Signal()
        gathering, complete = Signal(), Signal()
        take, begin = Signal(), Signal()
        void = Signal()  # what was gathered has no visit; decided out of registers, as the turn comes late in its cycle
        is_empty, is_unknown = Signal(), Signal()
        m.d.comb += [
            void.eq(empty | unknown),
            self.turns.ready.eq(~complete | begin | void),
            take.eq(self.turns.valid & self.turns.ready),
            is_empty.eq((turn.count == 0) | (empty & ~turn.first)),
            is_unknown.eq(turn.unknown | (unknown & ~turn.first)),
            self.refused.eq(complete & unknown),
            self.busy.eq(gathering | (complete & (unknown | ~empty)) | self.visits.valid),
        ]
        with m.If(begin | void):
            m.d.sync += complete.eq(0)
        with m.If(take):
            m.d.sync += [
                start.word.eq(Mux(turn.first, turn.base, start.word) + turn.word),
                start.row.eq(Mux(turn.first, turn.base_row, start.row) + turn.row),
                counts[0].eq(turn.count),
                singles[0].eq(turn.count == 1),
                fanout.eq(turn.fanout),
                empty.eq(is_empty),
                unknown.eq(is_unknown),
                gathering.eq(~turn.last),
                complete.eq(turn.last),
            ]
            m.d.sync += [passengers[name].eq(turn[name]) for name in passengers]
            if core.loops > 1:
                m.d.sync += [steps[0].word.eq(turn.word_step), steps[0].row.eq(turn.row_step)]
            for level in range(1, levels):
                m.d.sync += [
                    counts[level].eq(Mux(turn.first, 1, counts[level - 1])),
                    singles[level].eq(turn.first | singles[level - 1]),
                    steps[level].eq(steps[level - 1]),
                ]

        # Walking: at[level] is where the current turn of that loop began; the innermost one's is the visit itself.
        at = [visit, *places("at")[1:]]
        step = [None, *places("walk_step")[1:]]
        turns = [Signal(core.count_bits, name=f"turns{level}") for level in range(levels)]
        left = [Signal(core.count_bits, name=f"left{level}") for level in range(levels)]
        # This is the last turn of a loop: in registers, since the whole walker hangs on the end of a walk.
        ends = [Signal(name=f"end{level}") for level in range(levels)]
        once = [Signal(name=f"once{level}") for level in range(levels)]
        walk_fanout = Signal(core.fanout_bits)
        visited = Signal()
        m.d.comb += [
            visited.eq(self.visits.valid & self.visits.ready),
            begin.eq(complete & ~void & (~self.visits.valid | (visited & Cat(ends).all()))),
            self.synapses.eq(Mux(visited & ends[0], walk_fanout, 0)),
        ]
        with m.If(visited):
            with m.If(~ends[0]):
                m.d.sync += [visit.word.eq(visit.word + 1), visit.row.eq(visit.row + 1)]
                m.d.sync += [left[0].eq(left[0] - 1), ends[0].eq(left[0] == 2)]
            for level in range(1, levels):
                with m.Elif(~ends[level]):
                    m.d.sync += [left[level].eq(left[level] - 1), ends[level].eq(left[level] == 2)]
                    for inner in range(level + 1):
                        m.d.sync += [
                            at[inner].word.eq(at[level].word + step[level].word),
                            at[inner].row.eq(at[level].row + step[level].row),
                        ]
                    m.d.sync += [left[inner].eq(turns[inner]) for inner in range(level)]
                    m.d.sync += [ends[inner].eq(once[inner]) for inner in range(level)]
            with m.Else():
                m.d.sync += self.visits.valid.eq(0)
        with m.If(begin):
            m.d.sync += [self.visits.valid.eq(1), walk_fanout.eq(fanout)]
            m.d.sync += [visit[name].eq(waiting) for name, waiting in passengers.items()]
            for level in range(levels):
                m.d.sync += [at[level].word.eq(start.word), at[level].row.eq(start.row)]
                m.d.sync += [left[level].eq(counts[level]), turns[level].eq(counts[level])]
                m.d.sync += [ends[level].eq(singles[level]), once[level].eq(singles[level])]
                if level:
                    m.d.sync += step[level].eq(steps[level])
        return m
