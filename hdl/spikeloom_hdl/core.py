"""One core: neurons time-multiplexed on lanes, their synapses, and all that an event does to them."""

from amaranth import *
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig, bits_for
from spikeloom.contract.neuron import LATENCY_BITS
from spikeloom.contract.ring import Counter

from .accumulator import Accumulator
from .accumulator_short import ShortAccumulator
from .bus import BusSignature, share
from .drain import Drain
from .emitter import Emitter
from .layout import struct
from .registers import Counters, Registers
from .stage import Skid
from .update import NeuronUnit
from .walker import Walker


class Core(wiring.Component):
    """Accumulates events into the slots of coming ticks; on ``start``, updates its neurons with those of this tick.

    ::

        events -> FIFO -> Walker -> Accumulator -> NeuronUnit -> Emitter -> spikes
                                         ^
                                       Drain, a row every groups cycles

    Events are taken at any time, also while neurons are updated: taking them never depends on sending.

    Members
    -------
    events : ``In(stream(flit))``, spikes : ``Out(stream(flit))``
    start : ``In(1)``, phase : ``In(...)``, flush : ``In(6)``
        Begin a phase of a tick, while the core is idle; its number, and that of the flush tick or 0.
    reset_state : ``In(1)``
        Clear states, sums and the tick, while the core is idle: ``rows * max(groups, slots) + 1`` cycles.
    unrouted : ``In(3)``
        Flits that the router could not route in this cycle, for the counter.
    lost : ``Out(1)``
        In this cycle the core refused an event or its router a flit.
    idle : ``Out(1)``
        Nothing is under way.
    bus : ``In(BusSignature())``
    """

    def __init__(self, config: ArrayConfig):
        self.config = config
        flit = stream.Signature(struct(config.flit_layout))
        super().__init__(
            {
                "events": In(flit),
                "spikes": Out(flit),
                "start": In(1),
                "phase": In(bits_for(config.core.phases)),
                "flush": In(LATENCY_BITS),
                "reset_state": In(1),
                "unrouted": In(3),
                "lost": Out(1),
                "idle": Out(1),
                "bus": In(BusSignature()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        core = self.config.core
        m.submodules.walker = walker = Walker(self.config)
        m.submodules.accumulator = accumulator = (ShortAccumulator if core.short else Accumulator)(self.config)
        m.submodules.drain = drain = Drain(self.config)
        m.submodules.neurons = neurons = NeuronUnit(self.config)
        m.submodules.emitter = emitter = Emitter(self.config)
        m.submodules.counters = counters = Counters(self._steps(walker.synapses))
        m.submodules.registers = registers = Registers([core.count_bits] * core.phases)
        share(m, self.bus, [part.bus for part in (walker, accumulator, neurons, emitter, counters, registers)])

        flit = struct(self.config.flit_layout)
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=flit.size, depth=max(3, core.event_fifo))
        m.submodules.skid = skid = Skid(flit)
        m.d.comb += [
            queue.w_data.eq(self.events.payload.as_value()),
            queue.w_en.eq(self.events.valid),
            self.events.ready.eq(queue.w_rdy),
            skid.i.payload.eq(queue.r_data),
            skid.i.valid.eq(queue.r_rdy),
            queue.r_en.eq(skid.i.ready),
        ]
        wiring.connect(m, skid.o, walker.events)
        wiring.connect(m, walker.visits, accumulator.visits)
        wiring.connect(m, emitter.flits, wiring.flipped(self.spikes))

        self._connect_drain(m, drain, accumulator, neurons, emitter, registers)
        clearing = self._clear(m, accumulator, neurons)

        under_way = (queue.level != 0) | skid.o.valid | ~walker.idle
        # What the core did a cycle ago.
        visited, walked, worked, cleared, emitted = (Signal(name=f"was_{name}") for name in (
            "visited", "walking", "working", "clearing", "emitting",
        ))  # fmt: skip
        m.d.sync += [
            visited.eq(walker.visits.valid & walker.visits.ready),
            walked.eq(under_way),
            worked.eq(drain.busy | ~accumulator.idle | ~neurons.idle),
            cleared.eq(clearing),
            emitted.eq(~emitter.idle),
        ]
        steps = {
            Counter.EVENTS: queue.r_rdy & queue.r_en,
            Counter.WORDS: visited,
            Counter.SYNAPSES: walker.synapses,
            Counter.WAITS: walked & ~visited,
            Counter.SPIKES: neurons.spikes,
            Counter.SATURATIONS: neurons.saturations,
            Counter.STALLS: drain.stalled,
            Counter.REFUSED: walker.refused,
            Counter.UNROUTED: self.unrouted,
            Counter.DRAINS: walker.visits.valid & accumulator.reserve,
            Counter.UPDATES: ~walked & worked & ~cleared,
            Counter.EMISSIONS: ~walked & ~worked & emitted,
        }
        # Counted a cycle later, with a register in front of the counter's adder.
        m.d.sync += [counters.step[counter].eq(step) for counter, step in steps.items()]
        m.d.comb += [
            self.lost.eq((walker.refused != 0) | (self.unrouted != 0)),
            self.idle.eq(
                ~under_way & accumulator.idle & neurons.idle & emitter.idle
                & ~drain.busy & ~clearing & ~self.start & ~self.reset_state
            ),
        ]  # fmt: skip
        return m

    def _steps(self, synapses: Value) -> list[int]:
        """What each counter grows by in a cycle, at most."""
        core = self.config.core
        most = dict.fromkeys(Counter, 1)
        most |= {Counter.SYNAPSES: (1 << len(synapses)) - 1, Counter.REFUSED: 2}
        most |= {Counter.SPIKES: core.spikes_max, Counter.SATURATIONS: core.saturations_max}
        return [*(most | {Counter.UNROUTED: (1 << len(self.unrouted)) - 1}).values()]

    def _connect_drain(self, m, drain, accumulator, neurons, emitter, registers) -> None:
        """Start, rows and credits; drained rows go through the neuron unit to the emitter."""
        fired = Signal()
        m.d.comb += [
            drain.start.eq(self.start),
            drain.phase.eq(self.phase),
            drain.flush.eq(self.flush),
            drain.reset_state.eq(self.reset_state),
            drain.finished.eq(neurons.fired_valid),
            drain.fired.eq(fired),
            drain.popped.eq(emitter.popped),
            accumulator.reserve.eq(drain.reserve),
            accumulator.drain.eq(drain.drain),
            accumulator.drain_row.eq(drain.row),
            accumulator.slot.eq(drain.slot),
            neurons.tick.eq(drain.tick),
            neurons.flush.eq(drain.flushing),
            neurons.due.eq(accumulator.due),
            neurons.due_row.eq(accumulator.due_row),
            neurons.sums_valid.eq(accumulator.sums_valid),
            neurons.sums.eq(accumulator.sums),
            fired.eq(neurons.fired.any()),
            emitter.push.eq(neurons.fired_valid & fired),
            emitter.row.eq(neurons.fired_row),
            emitter.fired.eq(neurons.fired),
        ]
        m.d.comb += [rows.eq(value) for rows, value in zip(drain.rows, registers.values, strict=True)]

    def _clear(self, m, accumulator, neurons) -> Value:
        """Write zeros over all states and sums, side by side; of the sums over the rows that each slot really has."""
        core = self.config.core
        states, sums = Signal(), Signal()  # there are some left
        address = Signal(range(core.rows * core.groups))
        row, slot = Signal(core.row_bits), Signal(core.slot_bits)
        m.d.comb += [
            neurons.clear.eq(states), neurons.clear_address.eq(address),
            accumulator.clear.eq(sums), accumulator.clear_address.eq(Cat(row, slot)),
        ]  # fmt: skip
        with m.If(states):
            m.d.sync += [address.eq(address + 1), states.eq(address != core.rows * core.groups - 1)]
        with m.If(sums):
            m.d.sync += row.eq(row + 1)
            with m.If(row == core.rows - 1):
                m.d.sync += [row.eq(0), slot.eq(slot + 1), sums.eq(slot != core.slots - 1)]
        with m.If(self.reset_state):
            m.d.sync += [states.eq(1), address.eq(0), sums.eq(1), row.eq(0), slot.eq(0)]
        return states | sums
