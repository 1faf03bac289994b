"""The neuron unit: takes drained rows of sums, updates the neurons of each, and tells who fired."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig, bits_for
from spikeloom.contract.neuron import LATENCY_BITS
from spikeloom.contract.ring import Space, spaces

from . import memories
from .accumulator import ahead
from .bus import BusSignature, share
from .memory import RingMemory
from .neuron import NeuronPipeline
from .stage import RigidPipeline


class NeuronUnit(wiring.Component):
    """Updates ``group`` neurons a cycle, ``groups`` cycles a row, in the order of rows and lanes; it never waits.

    ::

        due -> 3 cycles: STATE, PARAMETER, BIAS -> 11 cycles and spike_bits: NeuronPipeline -> STATE, fired
        short: 1                                    4
                                           sums -> [shift] -> its second cycle

    Members
    -------
    due, due_row : ``In(...)``
        A drained row, at least ``groups`` cycles after the one before; a tick begins with row 0.
    sums_valid, sums : ``In(...)``
        Its sums, 3 cycles later (short: 1).
    tick, flush : ``In(6)``
        Ticks since the reset (saturating below NEVER), and the number of the flush tick or 0; constant in a tick.
    fired_valid, fired_row, fired : ``Out(...)``
        A finished row and one bit a lane (or ``spike_bits``: how often it fired), for one cycle.
    spikes, saturations : ``Out(...)``
        Numbers of this cycle, for the counters.
    clear, clear_address : ``In(...)``
        Write zeros over the states at an address, only while idle.
    idle : ``Out(1)``
        Nothing is under way in here.
    bus : ``In(BusSignature())``
        Spaces STATE, PARAMETER, BIAS.
    """

    def __init__(self, config: ArrayConfig):
        self.config = config
        core = config.core
        super().__init__(
            {
                "due": In(1),
                "due_row": In(core.row_bits),
                "sums_valid": In(1),
                "sums": In(data.ArrayLayout(signed(core.numerics.accumulator_bits), core.lanes)),
                "tick": In(LATENCY_BITS),
                "flush": In(LATENCY_BITS),
                "fired_valid": Out(1),
                "fired_row": Out(core.row_bits),
                "fired": Out(core.lanes * core.count_width),
                "spikes": Out(core.spikes_max.bit_length()),
                "saturations": Out(core.saturations_max.bit_length()),
                "clear": In(1),
                "clear_address": In(bits_for(core.rows * core.groups)),
                "idle": Out(1),
                "bus": In(BusSignature()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        core = self.config.core
        numerics = core.numerics
        geometry = spaces(self.config)
        m.submodules.states = states = RingMemory(Space.STATE, geometry[Space.STATE], ahead=not core.short)
        m.submodules.parameters = parameters = RingMemory(
            Space.PARAMETER, geometry[Space.PARAMETER], ahead=not core.short
        )
        m.submodules.biases = biases = RingMemory(Space.BIAS, geometry[Space.BIAS], ahead=not core.short)
        share(m, self.bus, [states.bus, parameters.bus, biases.bus])

        # The row at work: its groups are taken one after the other.
        left = Signal(range(core.groups))  # behind this one
        row, held_row = Signal(core.row_bits), Signal(core.row_bits)
        address = Signal(bits_for(core.rows * core.groups))
        next_address = Signal.like(address)
        working, last, begins = Signal(), Signal(), Signal()
        m.d.comb += [
            working.eq(self.due | (left != 0)),
            last.eq(left == 1 if core.groups > 1 else 1),
            row.eq(Mux(self.due, self.due_row, held_row)),
            begins.eq(self.due & (self.due_row == 0)),
            address.eq(Mux(begins, 0, next_address)),
        ]
        m.d.sync += [held_row.eq(row), left.eq(Mux(self.due, core.groups - 1, left - (left != 0)))]
        with m.If(working):
            m.d.sync += next_address.eq(Mux(begins, 1, next_address + 1))  # no sum behind the comparison
        m.d.comb += [
            states.address.eq(address),
            biases.address.eq(address),
            parameters.address.eq(address if core.parameters_per_neuron else row),
            Cat(states.enable, biases.enable, parameters.enable).eq(~0),
        ]

        control = RigidPipeline(m, "update")
        control.set(valid=working, last=last, row=row, address=address)
        busy = [working]
        for _ in range(ahead(core)):
            control.step()
            busy.append(control["valid"])

        # The sums of the row move down a group a cycle.
        sums = Signal.like(self.sums.as_value())
        m.d.sync += sums.eq(Mux(self.sums_valid, self.sums.as_value(), sums[core.group * numerics.accumulator_bits :]))
        group_sums = data.View(
            data.ArrayLayout(signed(numerics.accumulator_bits), core.group),
            sums[: core.group * numerics.accumulator_bits],
        )
        delay = None if core.short else memories.delay_of(m, platform, NeuronPipeline.STAGES + core.spike_bits)
        neurons = []
        for n in range(core.group):
            neuron = NeuronPipeline(
                m, f"neuron{n}_", numerics,
                state=states.data[n],
                parameters=parameters.data[n] if core.parameters_per_neuron else parameters.data,
                biases=biases.data[n],
                acc=group_sums[n],
                tick=self.tick,
                flush=self.flush,
                clear=self.clear,
                delay=delay,
                short=core.short,
            )  # fmt: skip
            neurons.append(neuron.result)
        for _ in range(neuron.latency):
            control.step()
            busy.append(control["valid"])

        # Write back, where the neuron is active. While states are cleared, the pipeline gives zeros.
        valid = control["valid"]
        active = Cat(neuron["active"] for neuron in neurons)
        clear, clear_address = Signal(), Signal.like(self.clear_address)
        m.d.sync += [clear.eq(self.clear), clear_address.eq(self.clear_address)]
        m.d.comb += [
            states.write_enable.eq(Mux(valid, active, 0) | clear.replicate(core.group)),
            states.write_address.eq(Mux(clear, clear_address, control["address"])),
        ]
        for n, neuron in enumerate(neurons):
            record = states.write_data[n]
            m.d.comb += [record[field].eq(neuron[field]) for field in record.shape().members]

        # Who fired: the lanes of a row gather here.
        mask = Cat(neuron["s"] for neuron in neurons)
        gathered = Signal(core.lanes * core.count_width)
        m.d.comb += gathered.eq(Cat(self.fired[core.group * core.count_width :], mask))
        m.d.sync += self.fired_valid.eq(valid & control["last"])
        with m.If(valid):
            m.d.sync += [self.fired.eq(gathered), self.fired_row.eq(control["row"])]
        m.d.sync += [
            self.spikes.eq(Mux(valid, sum(neuron["s"] for neuron in neurons), 0)),
            self.saturations.eq(Mux(valid, sum(neuron["saturations"] for neuron in neurons), 0)),
        ]
        m.d.comb += self.idle.eq(~Cat(*busy, self.fired_valid, clear).any())
        return m
