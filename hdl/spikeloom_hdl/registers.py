"""Counters and registers of a core, on the bus."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.layout import COLUMN_BITS
from spikeloom.contract.ring import Counter, Space, spaces

from .bus import READ_LATENCY, BusSignature

STEP_BITS = 18
"""Widest step of a counter: the synapses of one walk, 1024 rows of 128 lanes."""


def answer(m: Module, bus: wiring.PureInterface, space: Space, values: list[Value]) -> Value:
    """Answer reads of a space made of registers; returns whether this cycle writes to it."""
    hit = bus.valid & (bus.space == space)
    word = Mux(
        hit & ~bus.write & (bus.address < len(values)), Array(values)[bus.address[: len(values).bit_length()]], 0
    )
    for stage in range(READ_LATENCY):
        register = Signal(COLUMN_BITS, name=f"answer{stage}")
        m.d.sync += register.eq(word)
        word = register
    m.d.comb += bus.read_data.eq(word)
    return hit & bus.write


class Counters(wiring.Component):
    """Exact counters, modulo ``2**32``; a write of any value clears one.

    Members
    -------
    step : array of ``In(18)``, by :class:`Counter`
        What each counter grows by in this cycle.
    bus : ``In(BusSignature())``
        Space COUNTER.
    """

    def __init__(self):
        super().__init__({"step": In(STEP_BITS).array(len(Counter)), "bus": In(BusSignature())})

    def elaborate(self, platform):
        m = Module()
        values = [Signal(COLUMN_BITS, name=counter.name.lower()) for counter in Counter]
        written = answer(m, self.bus, Space.COUNTER, values)
        for counter, value in zip(Counter, values, strict=True):
            m.d.sync += value.eq(value + self.step[counter])
            with m.If(written & (self.bus.address == counter)):
                m.d.sync += value.eq(0)
        return m


class Registers(wiring.Component):
    """Registers that the host sets.

    Members
    -------
    values : array of ``Out(32)``, by :class:`Register`, one a phase
    bus : ``In(BusSignature())``
        Space REGISTER.
    """

    def __init__(self, config: ArrayConfig):
        count = spaces(config)[Space.REGISTER].depth
        super().__init__({"values": Out(COLUMN_BITS).array(count), "bus": In(BusSignature())})

    def elaborate(self, platform):
        m = Module()
        values = list(self.values)
        written = answer(m, self.bus, Space.REGISTER, values)
        for register, value in enumerate(values):
            with m.If(written & (self.bus.address == register)):
                m.d.sync += value.eq(self.bus.data)
        return m
