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


class Walker(wiring.Component):
    """Looks up the projections of each event and visits their weight words, one a cycle.

    ::

        events -> asked -> key -> known -> sought -> read -> opened -> looked -> coordinate -> value -> entry -> found
        KEY                       PROJECTION                 COORDINATE                        ENTRY            -> Loops
                                  each projection            each coordinate

    Each name is a register; where a memory stands below it, that is asked in the cycle that it leaves, and the answer
    is there together with the register after the next one. They move together, and stand while
    :class:`Loops` takes no more, a cycle behind it: ``found`` can be kept. ``known`` stays for each projection of its
    key, ``opened`` for each coordinate of its projection, with all behind them: so a projection takes as many cycles
    as it has coordinates, and walks that are as long as that follow each other without a gap. An event without
    synapses costs no visit. Latency from an event to its first visit: 12 cycles and one for each coordinate.

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
        m.submodules.skid = skid = Skid(turn_layout(config))
        wiring.connect(m, skid.o, loops.turns)

        names = ("asked", "key", "known", "sought", "read", "opened", "looked", "coordinate", "value", "entry", "found")
        valid = {name: Signal(name=f"{name}_valid") for name in names}
        event = struct(config.flit_layout)

        # Which registers move in this cycle: all, or those in front of the one that has more to give.
        move, open_next, take_next = Signal(), Signal(), Signal()
        projections_left = Signal(core.projections.bit_length())
        coordinates_left = Signal(2)
        last_projection, last = Signal(), Signal()  # registers: all registers wait for what is made of them
        m.d.comb += [
            move.eq(skid.i.ready),
            open_next.eq(move & (~valid["opened"] | last)),
            take_next.eq(open_next & (~valid["known"] | last_projection)),
        ]

        # asked: the event came in, and its key's record was asked for.
        asked = Signal(event)
        m.d.comb += [
            self.events.ready.eq(take_next),
            keys.address.eq(self.events.p.key),
            keys.enable.eq(take_next),
        ]
        # key: the record is here. known: it is good; one projection after the other is asked for.
        key = Signal(event)
        record = keys.data
        good = Signal()
        known = Signal(event)
        projection = Signal(core.projection_bits)
        m.d.comb += good.eq((record.count != 0) & (key.index < record.sources))
        with m.If(take_next):
            m.d.sync += [
                valid["asked"].eq(self.events.valid), asked.eq(self.events.payload),
                valid["key"].eq(valid["asked"]), key.eq(asked),
                valid["known"].eq(valid["key"] & good), known.eq(key),
                projection.eq(record.first), projections_left.eq(record.count), last_projection.eq(record.count == 1),
            ]  # fmt: skip
        with m.Elif(open_next & valid["known"]):
            m.d.sync += [projection.eq(projection + 1), projections_left.eq(projections_left - 1)]
            m.d.sync += last_projection.eq(projections_left == 2)
        m.d.comb += [projections.address.eq(projection), projections.enable.eq(open_next)]

        # sought: the projection's record is on its way. read: it is here.
        # opened: one coordinate after the other is asked for.
        sought, read = Signal(event), Signal(event)
        opened = Signal(event)
        descriptor = Signal(struct(core.projection_layout))
        coordinate = Signal(core.coordinate_bits)
        first = Signal()
        with m.If(open_next):
            m.d.sync += [
                valid["sought"].eq(valid["known"]), sought.eq(known),
                valid["read"].eq(valid["sought"]), read.eq(sought),
                valid["opened"].eq(valid["read"]), opened.eq(read), descriptor.eq(projections.data),
                coordinate.eq(projections.data.first), coordinates_left.eq(projections.data.count), first.eq(1),
                last.eq(~projections.data.count[1]),
            ]  # fmt: skip
        with m.Elif(move & valid["opened"]):
            m.d.sync += [coordinate.eq(coordinate + 1), coordinates_left.eq(coordinates_left - 1), first.eq(0)]
            m.d.sync += last.eq(coordinates_left == 2)
        m.d.comb += [coordinates.address.eq(coordinate), coordinates.enable.eq(move)]

        # What goes along with a coordinate to the loops.
        passenger = {"first": first, "last": last, "base": descriptor.base, "base_row": descriptor.row}
        passenger |= {"delay": descriptor.delay, "sparse": descriptor.sparse}
        if config.payload_bits:
            passenger["payload"] = opened.payload
        for stage in names[names.index("looked") :]:
            carried = {
                name: Signal(Value.cast(value).shape(), name=f"{stage}_{name}") for name, value in passenger.items()
            }
            with m.If(move):
                m.d.sync += valid[stage].eq(valid[names[names.index(stage) - 1]])
                m.d.sync += [carried[name].eq(passenger[name]) for name in carried]
            if stage == "looked":
                starts = carried["first"]
            passenger = carried

        # coordinate: its record is here, and what the coordinates before it have left of the index.
        index = Signal(config.index_bits)
        rest = Signal(config.index_bits)
        part = coordinates.data
        with m.If(move):
            m.d.sync += [
                index.eq(opened.index),
                rest.eq(Mux(starts, index, rest >> part.bits)),
            ]

        # value: its bits alone. entry: the product is here, and the entry on its way.
        value = Signal(config.index_bits)
        of_value = Signal(part.shape())
        of_entry = Signal(part.shape())
        next_value = Signal.like(value)
        m.submodules.multiplier = multiplier = Multiplier(value.shape(), part.scale.shape())
        mask = Signal(config.index_bits)  # a table: comparisons would become carry chains
        with m.Switch(part.bits):
            for bits in range(1, config.index_bits):
                with m.Case(bits):
                    m.d.comb += mask.eq((1 << bits) - 1)
            with m.Case(0):
                m.d.comb += mask.eq(0)
            with m.Default():
                m.d.comb += mask.eq(-1)
        m.d.comb += [
            next_value.eq(rest & mask),
            multiplier.a.eq(next_value), multiplier.b.eq(part.scale), multiplier.enable.eq(move),
        ]  # fmt: skip
        with m.If(move):
            m.d.sync += [value.eq(next_value), of_value.eq(part), of_entry.eq(of_value)]

        # found: what the coordinate gives, by one way or the other.
        turn = skid.i.p
        found = Signal(part.shape())
        found_product = Signal(core.word_bits)
        with m.If(move):
            m.d.sync += [found.eq(of_entry), found_product.eq(multiplier.product)]
        m.d.comb += [
            skid.i.valid.eq(valid["found"]),
            turn.word.eq(found_product), turn.row.eq(0), turn.count.eq(found.count), turn.fanout.eq(found.fanout),
            turn.word_step.eq(found.word_step), turn.row_step.eq(found.row_step), turn.unknown.eq(0),
            *(turn[name].eq(carried) for name, carried in passenger.items()),
        ]  # fmt: skip
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
            self.idle.eq(~Cat(*valid.values(), skid.o.valid, loops.busy, no_key).any()),
        ]
        m.d.sync += no_key.eq(take_next & valid["key"] & ~good)
        return m
