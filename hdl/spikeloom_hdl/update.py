"""The neuron unit: takes drained rows of sums, updates the neurons of each, and tells who fired."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig, bits_for
from spikeloom.contract.neuron import LATENCY_BITS
from spikeloom.contract.ring import Space, spaces

from .bus import BusSignature, share
from .memory import RingMemory
from .neuron import NeuronPipeline
from .stage import RigidPipeline


class NeuronUnit(wiring.Component):
    """Updates ``group`` neurons a cycle, ``groups`` cycles a row, in the order of rows and lanes; it never waits.

    ::

        sums -> [shift register] -> 2 cycles: STATE, PARAMETER, BIAS -> 9 cycles: NeuronPipeline -> STATE, fired

    Members
    -------
    sums_valid, sums_row, sums : ``In(...)``
        A drained row, at least ``groups`` cycles after the one before; a tick begins with row 0.
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
                "saturations": Out((2 * core.group).bit_length()),
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
        m.submodules.states = states = RingMemory(Space.STATE, geometry[Space.STATE], latency=2, writable=True)
        m.submodules.parameters = parameters = RingMemory(Space.PARAMETER, geometry[Space.PARAMETER], latency=2)
        m.submodules.biases = biases = RingMemory(Space.BIAS, geometry[Space.BIAS], latency=2)
        share(m, self.bus, [states.bus, parameters.bus, biases.bus])

        # The row at work: its groups pass the lowest lanes one after the other.
        group_bits = core.group * numerics.accumulator_bits
        held = Signal(core.lanes * numerics.accumulator_bits)
        row = Signal(core.row_bits)
        left = Signal(range(core.groups + 1))
        address = Signal(bits_for(core.rows * core.groups))
        working = Signal()
        m.d.comb += working.eq(left != 0)
        with m.If(working):
            m.d.sync += [left.eq(left - 1), held.eq(held >> group_bits), address.eq(address + 1)]
        with m.If(self.sums_valid):
            m.d.sync += [left.eq(core.groups), held.eq(self.sums.as_value()), row.eq(self.sums_row)]
            with m.If(self.sums_row == 0):
                m.d.sync += address.eq(0)

        m.d.comb += [
            states.address.eq(address),
            biases.address.eq(address),
            parameters.address.eq(address if core.parameters_per_neuron else row),
            Cat(states.enable, biases.enable, parameters.enable).eq(~0),
        ]
        control = RigidPipeline(m, "update")
        control.set(valid=working, last=left == 1, row=row, address=address)
        sums = RigidPipeline(m, "sums")
        sums.set(acc=held[:group_bits])
        busy = [self.sums_valid, working]
        for _ in range(states.latency):
            control.step()
            sums.step()
            busy.append(control["valid"])

        group_sums = data.View(data.ArrayLayout(signed(numerics.accumulator_bits), core.group), sums["acc"])
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
            )  # fmt: skip
            neurons.append(neuron.result)
        for _ in range(NeuronPipeline.LATENCY):
            control.step()
            busy.append(control["valid"])

        # Write back.
        valid = control["valid"]
        m.d.comb += [
            states.write_enable.eq(valid | self.clear),
            states.write_address.eq(Mux(self.clear, self.clear_address, control["address"])),
        ]
        with m.If(~self.clear):
            for n, neuron in enumerate(neurons):
                m.d.comb += [states.write_data[n][field].eq(neuron[field]) for field in ("u", "v", "r", "s")]

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
        m.d.comb += self.idle.eq(~Cat(*busy, self.fired_valid).any())
        return m
