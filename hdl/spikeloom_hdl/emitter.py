"""From rows of spikes to flits, one a cycle."""

from functools import reduce
from operator import or_

from amaranth import *
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig, bits_for
from spikeloom.contract.ring import Space, spaces

from .bus import BusSignature
from .layout import struct
from .memory import RingMemory

WIDE = 32
"""With more lanes a register says that a row has nobody left."""
CHAIN = 48
"""Lanes of one carry chain that finds the lowest."""


class Emitter(wiring.Component):
    """Queues the rows in which somebody fired and sends a flit for each spike, lowest lane first.

    Where a lane may fire several times (``spike_bits``), it is one flit with their number as its payload.

    A row whose emission record is not valid sends nothing. 1 flit a cycle, 2 cycles between rows, 3 from the queue's
    end to the first flit.

    Members
    -------
    push : ``In(1)``, row : ``In(row_bits)``, fired : ``In(lanes)``
        Queue a row, with one bit (or ``spike_bits``) a lane; the caller reserves the room (``spike_fifo`` rows).
    popped : ``Out(1)``
        A row has left the queue.
    flits : ``Out(stream(flit))``
    idle : ``Out(1)``
        Queue and registers are empty.
    bus : ``In(BusSignature())``
        Space EMISSION.
    """

    def __init__(self, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "push": In(1),
                "row": In(config.core.row_bits),
                "fired": In(config.core.lanes * config.core.count_width),
                "popped": Out(1),
                "flits": Out(stream.Signature(struct(config.flit_layout))),
                "idle": Out(1),
                "bus": In(BusSignature()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        core = self.config.core
        m.submodules.emissions = emissions = RingMemory(Space.EMISSION, spaces(self.config)[Space.EMISSION])
        wiring.connect(m, wiring.flipped(self.bus), emissions.bus)

        entry = data.StructLayout({"fired": core.lanes * core.count_width, "row": core.row_bits})
        # A FIFO of two refuses the second of two rows in consecutive cycles: the first one is still on its way through.
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=entry.size, depth=max(3, core.spike_fifo))
        head = data.View(entry, queue.r_data)
        m.d.comb += [
            queue.w_en.eq(self.push),
            queue.w_data.eq(Cat(self.fired, self.row)),
            emissions.address.eq(head.row),
            emissions.enable.eq(queue.r_en),
            self.popped.eq(queue.r_en & queue.r_rdy),
        ]

        # The row at work: the lowest lane of those still waiting goes next.
        waiting = Signal(core.lanes)
        lowest = Signal(bits_for(core.lanes))
        several = core.spike_bits > 0
        counts = Signal(core.lanes * core.count_width)
        count = Signal(core.count_width)
        fired = head.fired
        if several:
            fired = Cat(head.fired.word_select(n, core.count_width).any() for n in range(core.lanes))
        # A carry chain leaves its bit alone; then it is gates in a tree, not a multiplexer a lane.
        alone = Signal(core.lanes)
        lower: Value = Const(0)  # somebody below this chain waits
        for low in range(0, core.lanes, CHAIN):
            part = waiting[low : low + CHAIN]
            first = part & ~(part - 1)
            m.d.comb += alone[low : low + CHAIN].eq(Mux(lower, 0, first) if low else first)
            lower = lower | part.any()
        for bit in range(len(lowest)):
            m.d.comb += lowest[bit].eq(Cat(alone[n] for n in range(core.lanes) if n >> bit & 1).any())
        if several:
            words = (counts.word_select(n, core.count_width) for n in range(core.lanes))
            m.d.comb += count.eq(reduce(or_, (Mux(alone[n], word, 0) for n, word in enumerate(words))))
        # The lane that was picked, and what its row says of it. Then its flit.
        picked = Signal()
        lane = Signal.like(lowest)
        record = Signal.like(emissions.data)
        free, moves = Signal(), Signal()
        none, some = waiting == 0, waiting != 0
        if core.lanes > WIDE:
            # Known a cycle before, as all registers of a row hang on it: nobody is left behind the last one.
            none = Signal(init=1)
            some = ~none
            with m.If(none):
                m.d.sync += none.eq(~(queue.r_rdy & fired.any()))
            with m.Elif(~emissions.data.valid):
                m.d.sync += none.eq(1)
            with m.Elif(moves):
                m.d.sync += none.eq(~_two_of(waiting)[1])
        m.d.comb += [
            free.eq(~self.flits.valid | self.flits.ready),
            moves.eq(~picked | free),
            queue.r_en.eq(none),
        ]
        with m.If(none), m.If(queue.r_rdy):
            m.d.sync += waiting.eq(fired)
            if several:
                m.d.sync += counts.eq(head.fired)
        with m.Elif(~emissions.data.valid):
            m.d.sync += waiting.eq(0)
        with m.Elif(moves):
            m.d.sync += waiting.eq(waiting & ~alone)
        with m.If(moves):
            m.d.sync += [picked.eq(some & emissions.data.valid), lane.eq(lowest), record.eq(emissions.data)]
        with m.If(free):
            m.d.sync += [
                self.flits.valid.eq(picked),
                self.flits.p.key.eq(record.key),
                self.flits.p.index.eq(record.index + (lane << record.shift)),
            ]
        if several:
            picked_count = Signal.like(count)
            with m.If(moves):
                m.d.sync += picked_count.eq(count)
            with m.If(free):
                m.d.sync += self.flits.p.payload.eq(picked_count)
        elif self.config.payload_bits:
            m.d.comb += self.flits.p.payload.eq(1)
        m.d.comb += self.idle.eq((queue.level == 0) & none & ~picked & ~self.flits.valid)
        return m


def _two_of(bits: Value) -> tuple[Value, Value]:
    """Whether at least one bit is set, and whether two are: a tree of gates."""
    if len(bits) == 1:
        return bits, Const(0)
    half = len(bits) // 2
    (low, lows), (high, highs) = _two_of(bits[:half]), _two_of(bits[half:])
    return low | high, lows | highs | (low & high)
