"""The neuron unit: takes drained rows of sums, updates the neurons of each, and tells who fired."""

from functools import reduce
from operator import or_

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig, bits_for
from spikeloom.contract.neuron import LATENCY_BITS
from spikeloom.contract.ring import Space, spaces

from . import memories
from .bus import BusSignature, share
from .memory import RingMemory
from .neuron import NeuronPipeline
from .stage import RigidPipeline


class NeuronUnit(wiring.Component):
    """Updates ``group`` neurons a cycle, ``groups`` cycles a row, in the order of rows and lanes; it never waits.

    ::

        sums_valid, 3 cycles: STATE, PARAMETER, BIAS -> 11 cycles: NeuronPipeline -> STATE, fired
                    sums, 3 cycles: [multiplexer] ---------^

    Members
    -------
    sums_valid, sums_row, sums : ``In(...)``
        A drained row, at least ``groups`` cycles after the one before; a tick begins with row 0. ``sums`` comes a
        cycle behind the others; it and the row stay until the next one.
    tick, flush : ``In(6)``
        Ticks since the reset (saturating below NEVER), and the number of the flush tick or 0; constant in a tick.
    fired_valid, fired_row, fired : ``Out(...)``
        A finished row and one bit a lane, for one cycle.
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
                "sums_valid": In(1),
                "sums_row": In(core.row_bits),
                "sums": In(data.ArrayLayout(signed(core.numerics.accumulator_bits), core.lanes)),
                "tick": In(LATENCY_BITS),
                "flush": In(LATENCY_BITS),
                "fired_valid": Out(1),
                "fired_row": Out(core.row_bits),
                "fired": Out(core.lanes),
                "spikes": Out(core.group.bit_length()),
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
        m.submodules.states = states = RingMemory(
            Space.STATE, geometry[Space.STATE], latency=2, writable=True, parts=core.group
        )
        m.submodules.parameters = parameters = RingMemory(Space.PARAMETER, geometry[Space.PARAMETER], latency=2)
        m.submodules.biases = biases = RingMemory(Space.BIAS, geometry[Space.BIAS], latency=2)
        share(m, self.bus, [states.bus, parameters.bus, biases.bus])

        # The row at work: its groups are taken one after the other. The one whose turn it is has a zero here.
        first = (1 << core.groups) - 2
        others = Signal(core.groups, init=first)
        address = Signal(bits_for(core.rows * core.groups))
        next_address = Signal.like(address)
        working, last = Signal(), Signal()
        m.d.comb += [working.eq(self.sums_valid | others[0]), last.eq(~others[-1]), address.eq(next_address)]
        with m.If(self.sums_valid & (self.sums_row == 0)):
            m.d.comb += address.eq(0)
        with m.If(working):
            m.d.sync += [others.eq(others.rotate_left(1)), next_address.eq(address + 1)]

        control = RigidPipeline(m, "update")
        control.set(valid=working, last=last, row=self.sums_row, address=address)
        busy = [working]
        unpicked = Signal.like(others)  # the sums are a cycle behind
        m.d.sync += unpicked.eq(others)
        acc = self._pick(m, unpicked)
        control.step()
        busy.append(control["valid"])
        m.d.comb += [
            states.address.eq(control["address"]),
            biases.address.eq(control["address"]),
            parameters.address.eq(control["address"] if core.parameters_per_neuron else control["row"]),
            Cat(states.enable, biases.enable, parameters.enable).eq(~0),
        ]
        for _ in range(states.latency):
            control.step()
            busy.append(control["valid"])

        group_sums = data.View(data.ArrayLayout(signed(numerics.accumulator_bits), core.group), acc)
        delay = memories.delay_of(m, platform)
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
            )  # fmt: skip
            neurons.append(neuron.result)
        for _ in range(NeuronPipeline.LATENCY):
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
        gathered = Signal(core.lanes)
        m.d.comb += gathered.eq(Cat(self.fired[core.group :], mask))
        m.d.sync += self.fired_valid.eq(valid & control["last"])
        with m.If(valid):
            m.d.sync += [self.fired.eq(gathered), self.fired_row.eq(control["row"])]
        m.d.sync += [
            self.spikes.eq(Mux(valid, sum(neuron["s"] for neuron in neurons), 0)),
            self.saturations.eq(Mux(valid, sum(neuron["saturations"] for neuron in neurons), 0)),
        ]
        m.d.comb += self.idle.eq(~Cat(*busy, self.fired_valid, clear).any())
        return m

    def _pick(self, m: Module, others: Value) -> Value:
        """The sums of a group of the row, three cycles later: those of ``others`` are made zero, and all are ored.

        A register that is cleared costs no logic, a multiplexer of as many inputs does.
        """
        core = self.config.core
        bits = core.group * core.numerics.accumulator_bits
        values = []
        for n in range(core.groups):
            kept = Signal(bits, name=f"kept{n}")
            m.d.sync += kept.eq(Mux(others[n], 0, self.sums.as_value()[n * bits : (n + 1) * bits]))
            values.append(kept)
        for step in range(2):
            several = 16 if step == 0 and core.groups > 16 else 4 if step == 0 else core.groups
            merged = []
            for n in range(0, len(values), several):
                ored = Signal(bits, name=f"ored{step}_{n}")
                m.d.sync += ored.eq(reduce(or_, values[n : n + several]))
                merged.append(ored)
            values = merged
        (acc,) = values
        return acc
