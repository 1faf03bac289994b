"""From events to visits of weight words."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.ring import Space, spaces

from .bus import BusSignature, share
from .layout import struct
from .loops import Loops, turn_layout, visit_layout
from .memory import RingMemory
from .multiplier import Multiplier
from .stage import Skid

REGISTERS = ("asked", "key", "known", "sought", "read", "opened", "looked", "coordinate", "value", "entry", "found")
WAITING = ("key", "sought", "looked", "value", "entry")
"""Those in which something waits for the second cycle of a memory or a multiplier, or which end a stage that is short
enough for the next one to go on in the same cycle; ``short`` leaves them out."""


class Walker(wiring.Component):
    """Looks up the projections of each event and visits their weight words, one a cycle.

    ::

        events -> asked -> key -> known -> sought -> read -> opened -> looked -> coordinate -> value -> entry -> found
        KEY                       PROJECTION                 COORDINATE                        ENTRY            -> Loops
                                  each projection            each coordinate

    Each name is a register; where a memory stands below it, that is asked in the cycle that it leaves, and the answer
    is there together with the register after the next one. With ``short`` it is the next one: those of :data:`WAITING`
    are left out, and ENTRY is asked while ``coordinate`` is here. They move together, and stand while :class:`Loops`
    takes no more, a cycle behind it: ``found`` can be kept; with ``short`` in the same cycle. ``known`` stays for each
    projection of its key, ``opened`` for each coordinate of its projection, with all behind them: so a projection takes
    as many cycles as it has coordinates, and walks that are as long as that follow each other without a gap. An event
    without synapses costs no visit. Latency from an event to its first visit: 12 cycles (with ``short`` 7) and one for
    each coordinate.

    Members
    -------
    events : ``In(stream(flit))``
    visits : ``Out(stream(visit))``
        ``ready`` may come and go: a drain takes precedence over a visit.
    synapses : ``Out(fanout_bits)``
        Synaptic operations that this cycle's visit completes.
    refused : ``Out(2)``
        How many events (or projections of one) went no further in the cycle before: the key has no projection here, or
        the index is none that the source has.
    idle : ``Out(1)``
        No event is under way in here.
    bus : ``In(BusSignature())``
        Spaces KEY, PROJECTION, COORDINATE, ENTRY.
    """

    def __init__(self, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "events": In(stream.Signature(struct(config.flit_layout))),
                "visits": Out(stream.Signature(visit_layout(config))),
                "synapses": Out(config.core.fanout_bits),
                "refused": Out(2),
                "idle": Out(1),
                "bus": In(BusSignature()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, core = self.config, self.config.core
        geometry = spaces(config)
        m.submodules.keys = keys = RingMemory(Space.KEY, geometry[Space.KEY])
        m.submodules.projections = projections = RingMemory(Space.PROJECTION, geometry[Space.PROJECTION])
        m.submodules.coordinates = coordinates = RingMemory(Space.COORDINATE, geometry[Space.COORDINATE])
        memories = [keys, projections, coordinates]
        if core.entries:
            m.submodules.entries = entries = RingMemory(Space.ENTRY, geometry[Space.ENTRY])
            memories.append(entries)
        share(m, self.bus, [memory.bus for memory in memories])
        m.submodules.loops = loops = Loops(config)
        wiring.connect(m, loops.visits, wiring.flipped(self.visits))
        # What moves on: all registers, unless the loops take no more. With a skid in front of them that is a register.
        turn = Signal(turn_layout(config))
        turn_valid, turn_ready = Signal(), Signal()
        kept = Const(0)  # a turn that waits in the skid
        if core.short:
            m.d.comb += [
                loops.turns.p.eq(turn), loops.turns.valid.eq(turn_valid),
                turn_ready.eq(~turn_valid | loops.turns.ready),
            ]  # fmt: skip
        else:
            m.submodules.skid = skid = Skid(turn_layout(config))
            wiring.connect(m, skid.o, loops.turns)
            m.d.comb += [skid.i.p.eq(turn), skid.i.valid.eq(turn_valid), turn_ready.eq(skid.i.ready)]
            kept = skid.o.valid

        names = [name for name in REGISTERS if not (core.short and name in WAITING)]
        front = {name: names[names.index(name) - 1] for name in names[1:]}
        valid = {name: Signal(name=f"{name}_valid") for name in names}
        event = struct(config.flit_layout)
        events = {name: Signal(event, name=name) for name in names[: names.index("opened") + 1]}

        # Which registers move in this cycle: all, or those in front of the one that has more to give.
        move, open_next, take_next = Signal(), Signal(), Signal()
        projections_left = Signal(core.projections.bit_length())
        coordinates_left = Signal(2)
        last_projection, last = Signal(), Signal()  # registers: all registers wait for what is made of them
        m.d.comb += [
            move.eq(turn_ready),
            open_next.eq(move & (~valid["opened"] | last)),
            take_next.eq(open_next & (~valid["known"] | last_projection)),
        ]

        # asked: the event came in, and its key's record was asked for. In front of known the record is here.
        # known: it is good; one projection after the other is asked for.
        m.d.comb += [
            self.events.ready.eq(take_next),
            keys.address.eq(self.events.p.key),
            keys.enable.eq(take_next),
        ]
        record = keys.data
        good = Signal()
        projection = Signal(core.projection_bits)
        looked_for = front["known"]
        m.d.comb += good.eq((record.count != 0) & (events[looked_for].index < record.sources))
        with m.If(take_next):
            m.d.sync += [valid["asked"].eq(self.events.valid), events["asked"].eq(self.events.payload)]
            for name in names[1 : names.index("known") + 1]:
                m.d.sync += [valid[name].eq(valid[front[name]]), events[name].eq(events[front[name]])]
            m.d.sync += [
                valid["known"].eq(valid[looked_for] & good),
                projection.eq(record.first), projections_left.eq(record.count), last_projection.eq(record.count == 1),
            ]  # fmt: skip
        with m.Elif(open_next & valid["known"]):
            m.d.sync += [projection.eq(projection + 1), projections_left.eq(projections_left - 1)]
            m.d.sync += last_projection.eq(projections_left == 2)
        m.d.comb += [projections.address.eq(projection), projections.enable.eq(open_next)]

        # read: the projection's record is here. opened: one coordinate after the other is asked for.
        opened = events["opened"]
        descriptor = Signal(struct(core.projection_layout))
        coordinate = Signal(core.coordinate_bits)
        first = Signal()
        with m.If(open_next):
            for name in names[names.index("known") + 1 : names.index("opened") + 1]:
                m.d.sync += [valid[name].eq(valid[front[name]]), events[name].eq(events[front[name]])]
            m.d.sync += [
                descriptor.eq(projections.data),
                coordinate.eq(projections.data.first), coordinates_left.eq(projections.data.count), first.eq(1),
                last.eq(~projections.data.count[1] if core.loops > 1 else 1),
            ]  # fmt: skip
        with m.Elif(move & valid["opened"]):
            m.d.sync += [coordinate.eq(coordinate + 1), coordinates_left.eq(coordinates_left - 1), first.eq(0)]
            m.d.sync += last.eq(coordinates_left == 2)
        m.d.comb += [coordinates.address.eq(coordinate), coordinates.enable.eq(move)]

        # What goes along with a coordinate to the loops.
        passenger = {"base": descriptor.base, "base_row": descriptor.row}
        if core.loops > 1:
            passenger |= {"first": first, "last": last}
        passenger |= {"delay": descriptor.delay, "sparse": descriptor.sparse}
        if config.payload_bits:
            passenger["payload"] = opened.payload
        starts, index = first, opened.index
        for stage in names[names.index("opened") + 1 :]:
            carried = {
                name: Signal(Value.cast(value).shape(), name=f"{stage}_{name}") for name, value in passenger.items()
            }
            with m.If(move):
                m.d.sync += valid[stage].eq(valid[front[stage]])
                m.d.sync += [carried[name].eq(passenger[name]) for name in carried]
            if stage == "looked":
                starts, index = carried.get("first", first), Signal.like(opened.index, name="looked_index")
                with m.If(move):
                    m.d.sync += index.eq(opened.index)
            passenger = carried

        # coordinate: its record is here, and what the coordinates before it have left of the index.
        rest = Signal(config.index_bits)
        part = coordinates.data
        with m.If(move):
            m.d.sync += rest.eq(Mux(starts, index, rest >> part.bits) if core.loops > 1 else index)

        # value: its bits alone. entry: the product is here, and the entry on its way.
        next_value = Signal(config.index_bits)
        mask = Signal(config.index_bits)  # a table: comparisons would become carry chains
        with m.Switch(part.bits):
            for bits in range(1, config.index_bits):
                with m.Case(bits):
                    m.d.comb += mask.eq((1 << bits) - 1)
            with m.Case(0):
                m.d.comb += mask.eq(0)
            with m.Default():
                m.d.comb += mask.eq(-1)
        m.d.comb += next_value.eq(rest & mask)

        # found: what the coordinate gives, by one way or the other.
        found = Signal(part.shape())
        found_product = Signal(core.word_bits)
        m.submodules.multiplier = multiplier = Multiplier(
            next_value.shape(), part.scale.shape(), registers=1 if core.short else 2
        )
        m.d.comb += [multiplier.a.eq(next_value), multiplier.b.eq(part.scale), multiplier.enable.eq(move)]
        value, of_value = next_value, part
        if core.short:
            m.d.comb += found_product.eq(multiplier.product)
            with m.If(move):
                m.d.sync += found.eq(part)
        else:
            value, of_value = Signal(config.index_bits), Signal(part.shape())
            of_entry = Signal(part.shape())
            with m.If(move):
                m.d.sync += [value.eq(next_value), of_value.eq(part), of_entry.eq(of_value)]
                m.d.sync += [found.eq(of_entry), found_product.eq(multiplier.product)]
        m.d.comb += [
            turn_valid.eq(valid["found"]),
            turn.word.eq(found_product), turn.row.eq(0), turn.count.eq(found.count), turn.fanout.eq(found.fanout),
            turn.unknown.eq(0), turn.first.eq(1), turn.last.eq(1),
            *(turn[name].eq(carried) for name, carried in passenger.items()),
        ]  # fmt: skip
        if core.loops > 1:
            m.d.comb += [turn.word_step.eq(found.word_step), turn.row_step.eq(found.row_step)]
        if core.entries:
            looked_up = entries.data
            m.d.comb += [
                entries.address.eq(of_value.scale + value),
                entries.enable.eq(move),
            ]
            with m.If(found.table):
                m.d.comb += turn.unknown.eq(~looked_up.valid)
                m.d.comb += [turn[name].eq(looked_up[name]) for name in ("word", "row", "count", "fanout")]

        no_key = Signal()
        m.d.comb += [
            self.synapses.eq(loops.synapses),
            self.refused.eq(no_key + loops.refused),
            self.idle.eq(~Cat(*valid.values(), kept, loops.busy, no_key).any()),
        ]
        m.d.sync += no_key.eq(take_next & valid[looked_for] & ~good)
        return m
