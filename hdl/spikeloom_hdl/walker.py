"""From events to visits of weight words."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.ring import Space, spaces

from .bus import BusSignature, share
from .layout import struct
from .memory import RingMemory
from .stage import ElasticStage


def visit_layout(config: ArrayConfig) -> data.StructLayout:
    """A weight word to visit: its address, the row that it adds to (``sparse``: it knows itself), when it counts."""
    core = config.core
    return data.StructLayout({"word": core.word_bits, "row": core.row_bits, "delay": core.slot_bits, "sparse": 1})


class Walker(wiring.Component):
    """Looks up the projections of each event and visits their weight words, one a cycle.

    ::

        events -> [key] -> [projection] -> [address] -> [pointer] -> [walk] -> visits
                   KEY      PROJECTION      base + i*n   POINTER      counts words

    Each box is a register that waits when the next one does. Looking up overlaps the walk in front, so walks of six
    words and more follow each other without a gap; an event without synapses costs no visit. Latency from an
    event to its first visit: 6 cycles.

    Members
    -------
    events : ``In(stream(flit))``
    visits : ``Out(stream(visit))``
        ``ready`` may come and go: a drain takes precedence over a visit.
    synapses : ``Out(fanout_bits)``
        Synaptic operations of the walk that begins in this cycle, 0 in others.
    refused : ``Out(1)``
        This cycle's event has no projection here, or an index beyond its sources; it goes no further.
    idle : ``Out(1)``
        No event is under way in here.
    bus : ``In(BusSignature())``
        Spaces KEY, PROJECTION, POINTER.
    """

    def __init__(self, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "events": In(stream.Signature(struct(config.flit_layout))),
                "visits": Out(stream.Signature(visit_layout(config))),
                "synapses": Out(config.core.fanout_bits),
                "refused": Out(1),
                "idle": Out(1),
                "bus": In(BusSignature()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        core = self.config.core
        geometry = spaces(self.config)
        m.submodules.keys = keys = RingMemory(Space.KEY, geometry[Space.KEY])
        m.submodules.projections = projections = RingMemory(Space.PROJECTION, geometry[Space.PROJECTION])
        memories = [keys, projections]
        if core.sparse:
            m.submodules.pointers = pointers = RingMemory(Space.POINTER, geometry[Space.POINTER])
            memories.append(pointers)

        key, projection, address, pointer, entry, walk = (
            ElasticStage(m, name) for name in ("key", "projection", "address", "pointer", "entry", "walk")
        )

        # key: the event waits here for the record of its key, then names its projections one after the other.
        key_index = Signal(self.config.index_bits)
        nth = Signal(core.projections.bit_length())
        record = keys.data
        known = Signal()
        last = Signal()
        m.d.comb += [
            self.events.ready.eq(key.ready),
            key.load.eq(self.events.valid & key.ready),
            keys.address.eq(self.events.p.key),
            keys.enable.eq(key.load),
            known.eq((record.count != 0) & (key_index < record.sources)),
            last.eq(nth + 1 == record.count),
            self.refused.eq(key.valid & ~known),
            projection.load.eq(key.valid & known & projection.ready),
            key.leave.eq(key.valid & Mux(known, projection.ready & last, 1)),
            projections.address.eq(record.first + nth),
            projections.enable.eq(projection.load),
        ]
        with m.If(projection.load):
            m.d.sync += nth.eq(Mux(last, 0, nth + 1))
        with m.If(key.load):
            m.d.sync += key_index.eq(self.events.p.index)

        # projection: its record is there; multiply.
        projection_index = Signal(self.config.index_bits)
        with m.If(projection.load):
            m.d.sync += projection_index.eq(key_index)
        m.d.comb += [
            address.load.eq(projection.valid & address.ready),
            projection.leave.eq(address.load),
        ]

        # address: the first word of a dense walk, or the pointer of a sparse one.
        base_bits = len(projections.data.base)
        descriptor = Signal(struct(core.projection_layout))
        offset = Signal(base_bits)
        with m.If(address.load):
            m.d.sync += [
                descriptor.eq(projections.data),
                offset.eq(projection_index * Mux(projections.data.sparse, 1, projections.data.count)),
            ]
        target = Signal(base_bits)
        m.d.comb += [
            target.eq(descriptor.base + offset),
            pointer.load.eq(address.valid & pointer.ready),
            address.leave.eq(pointer.load),
        ]

        # pointer: a sparse walk waits here for its pointer; a dense one just passes.
        passing = Signal(struct(core.projection_layout))
        start = Signal(core.word_bits)
        with m.If(pointer.load):
            m.d.sync += [passing.eq(descriptor), start.eq(target)]
        if core.sparse:
            m.d.comb += [pointers.address.eq(target), pointers.enable.eq(pointer.load)]

        # entry: all that the walk needs.
        first = Signal(core.word_bits)
        count = Signal(core.count_bits)
        row = Signal(core.row_bits)
        fanout = Signal(core.fanout_bits)
        delay = Signal(core.slot_bits)
        sparse = Signal()
        m.d.comb += [entry.load.eq(pointer.valid & entry.ready), pointer.leave.eq(entry.load)]
        with m.If(entry.load):
            m.d.sync += [
                first.eq(start),
                count.eq(passing.count),
                row.eq(passing.row),
                fanout.eq(passing.fanout),
                delay.eq(passing.delay),
                sparse.eq(passing.sparse),
            ]
            if core.sparse:
                with m.If(passing.sparse):
                    m.d.sync += [
                        first.eq(pointers.data.start),
                        count.eq(pointers.data.count),
                        fanout.eq(pointers.data.fanout),
                    ]

        # walk: one word a cycle. The next walk starts in the cycle after the last word of this one.
        word = self.visits.p.word
        left = Signal(core.count_bits)
        visited = Signal()
        m.d.comb += [
            visited.eq(self.visits.valid & self.visits.ready),
            self.visits.valid.eq(walk.valid),
            walk.load.eq(entry.valid & walk.ready & (count != 0)),
            walk.leave.eq(visited & (left == 1)),
            entry.leave.eq(entry.valid & walk.ready),
            self.synapses.eq(Mux(entry.leave, fanout, 0)),
        ]
        with m.If(visited):
            m.d.sync += [word.eq(word + 1), self.visits.p.row.eq(self.visits.p.row + 1), left.eq(left - 1)]
        with m.If(walk.load):
            m.d.sync += [
                word.eq(first),
                left.eq(count),
                self.visits.p.row.eq(row),
                self.visits.p.delay.eq(delay),
                self.visits.p.sparse.eq(sparse),
            ]

        stages = (key, projection, address, pointer, entry, walk)
        m.d.comb += self.idle.eq(~Cat(stage.valid for stage in stages).any())

        share(m, self.bus, [memory.bus for memory in memories])
        return m
