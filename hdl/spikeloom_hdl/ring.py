"""The program ring: one node a core, from the sequencer through all of them and back."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.ring import CORE_BITS, PACKET_LAYOUT

from .bus import BusSignature, read_latency
from .layout import struct


class RingSignature(wiring.Signature):
    """A packet a cycle, never refused.

    Members
    -------
    valid : ``Out(1)``
        There is a packet in this cycle.
    packet : ``Out(...)``
        :data:`spikeloom.contract.ring.PACKET_LAYOUT`; it stays until the next one.
    """

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "packet": Out(struct(PACKET_LAYOUT))})


class RingNode(wiring.Component):
    """One register of the ring, and the way from it to the bus of its core.

    A packet leaves one cycle after it came. A write for this core is on the bus in that same cycle, and goes on, so
    that the sequencer sees it come back. A read for this core is on the bus in that cycle and stays; the same packet
    leaves a cycle more than the bus's latency later, with the answer as its data. Nothing else may arrive in the
    meantime: the sequencer has one read on the ring at a time, and no write together with it.

    Parameters
    ----------
    core : int
        The core's number.

    Members
    -------
    i : ``In(RingSignature())``
        From the node before, or from the sequencer.
    o : ``Out(RingSignature())``
        To the next one.
    bus : ``Out(BusSignature())``
        The core's memories and registers.
    """

    i: In(RingSignature())
    o: Out(RingSignature())
    bus: Out(BusSignature())

    def __init__(self, core: int):
        if not 0 <= core < 1 << CORE_BITS:
            raise ValueError(f"a core's number must be 0 to {(1 << CORE_BITS) - 1}, not {core}")
        self.core = core
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        i, o, bus = self.i, self.o, self.bus

        here = Signal()
        stays = Signal()
        m.d.comb += here.eq(i.valid & (i.packet.core == self.core))
        m.d.comb += stays.eq(here & ~i.packet.write)

        # Bit n: n cycles ago a read was on the bus.
        reading = Signal(read_latency(platform) + 1)
        answered = reading[-1]
        m.d.sync += reading.eq(Cat(stays, reading[:-1]))

        m.d.sync += [bus.valid.eq(here), o.valid.eq((i.valid & ~stays) | answered)]
        with m.If(i.valid):
            m.d.sync += o.packet.eq(i.packet)
        with m.Elif(answered):
            m.d.sync += o.packet.data.eq(bus.read_data)
        m.d.comb += [
            bus.write.eq(o.packet.write),
            bus.space.eq(o.packet.space),
            bus.address.eq(o.packet.address),
            bus.data.eq(o.packet.data),
        ]
        return m
