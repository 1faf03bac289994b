"""A memory of the core that the program ring can write and read back."""

from dataclasses import replace
from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import bits_for
from spikeloom.contract.ring import Geometry, Space

from . import memories
from .bus import BusSignature, read_latency
from .copies import copied
from .layout import struct

COLUMNS_A_COPY = 2
"""Columns of a memory of latency 0 that share address registers: 16 LUT RAMs where it is shallow."""
COLUMNS_A_WORD = 8
"""Those that share a register of the bus's word."""


class RingMemory(wiring.Component):
    """One space of the ring, in the RAMs of the platform's chip: see :mod:`.memories`.

    The bus is used at rest only, when the core reads and writes nothing. A read of the core in the cycle of its own
    write to the same record gives anything.

    Parameters
    ----------
    space, geometry :
        Which space this is, its shape and its latency.
    ahead :
        ``address`` is that of the next cycle: it meets the bus's in front of a register, in place of the RAM. Of a
        memory of latency 0 ``write_address`` and ``write_enable`` are, too.

    Members
    -------
    address, enable, zero : ``In(...)``
        Read port. Registers move where ``enable`` is high; ``zero`` makes it 0, of latency 2 only with ``enable``.
    data : ``Out(record)``
        The record, as many moves later as the space's latency.
    write_enable, write_address, write_data : ``In(...)``
        Write port of the core, only where the space is ``writable``; an enable a part.
    bus : ``In(BusSignature())``
    """

    def __init__(self, space: Space, geometry: Geometry, *, ahead: bool = False):
        assert geometry.latency in (0, 1, 2)
        self.space, self.geometry = space, geometry
        self.shape = memories.Shape(
            depth=geometry.depth,
            width=geometry.layout.width,
            writable=geometry.writable,
            immediate=geometry.latency == 0,
            registered=geometry.latency == 2,
            parts=geometry.parts,
            ahead=ahead,
            spread=space is Space.WEIGHT,
        )
        address = bits_for(geometry.depth)
        members = {
            "address": In(address),
            "enable": In(1),
            "zero": In(1),
            "data": Out(struct(geometry.layout)),
            "bus": In(BusSignature()),
        }
        if geometry.writable:
            members |= {
                "write_enable": In(geometry.parts),
                "write_address": In(address),
                "write_data": In(struct(geometry.layout)),
            }
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        bus, geometry = self.bus, self.geometry
        shape = replace(self.shape, spread=self.shape.spread and memories.dual(self.shape, platform))
        access = memories.Access(shape, bits_for(geometry.depth), geometry.layout.columns)
        m.d.comb += [access.enable.eq(self.enable), access.zero.eq(self.zero)]
        # RAMs may lie far apart, and far from the bus: a register in between, with everything decoded in front of it.
        # Registers that move at different times are not made one by synthesis, and lie where they are needed.
        hit = Signal()
        column = bus.address[: geometry.column_bits]
        m.d.comb += hit.eq(bus.valid & (bus.space == self.space))
        record = bus.address[geometry.column_bits :]
        m.d.sync += access.select.eq(hit)
        if shape.early:
            self._early(m, access, platform, record)
        elif shape.ahead:
            shared = self.address if memories.dual(shape, platform) else Mux(hit, record, self.address)
            m.d.sync += [address.eq(shared) for address in access.addresses]
        else:
            m.d.comb += [address.eq(self.address) for address in access.addresses]
        for n in range(geometry.layout.columns):
            here = Const(1) if geometry.layout.columns == 1 else column == n
            m.d.sync += access.uses[n].eq(hit & here)
            writes = hit & bus.write & here
            if shape.early:
                writes |= self.write_enable[0]
            m.d.sync += [access.writes[n].eq(writes), access.hides[n].eq(hit & ~bus.write & ~here)]
            if not shape.early:
                with m.If(hit & here if shape.spread else hit | memories.shares_registers(platform)):
                    m.d.sync += [access.records[n].eq(record), access.bus_words[n].eq(bus.data)]
        if geometry.writable:
            m.d.comb += [
                access.write_enable.eq(self.write_enable),
                access.write_address.eq(self.write_address),
                access.write_data.eq(self.write_data.as_value()),
            ]
        memories.build(m, shape, access, platform)
        m.d.comb += self.data.eq(access.data)

        # Answers of all spaces are ored, so this one is zero unless it was asked for.
        reads = Signal(read_latency(platform) - 1)
        asked = reads[-1]
        answer = Signal(len(bus.read_data))
        m.d.sync += [reads.eq(Cat(hit & ~bus.write, reads)), answer.eq(Mux(asked, access.answer, 0))]
        m.d.comb += bus.read_data.eq(answer)
        return m

    def _early(self, m: Module, access: memories.Access, platform: Any, record: Value) -> None:
        """Addresses of core and bus, in registers for a few columns each: LUT RAM lies all over a wide core.

        The core is at rest while the bus is used for any of its memories, so nothing need be decoded for them.
        """
        bus_is_used = self.bus.valid
        columns = len(access.writes)

        def spread(value: Value, name: str, share: int = COLUMNS_A_COPY) -> list[Value]:
            return copied(m, value, columns, share, platform, name)

        access.addresses = spread(Mux(bus_is_used, record, self.address), "address")
        access.write_addresses = spread(Mux(bus_is_used, record, self.write_address), "write_address")
        access.selects = spread(bus_is_used, "select")
        access.bus_words = spread(self.bus.data, "bus_word", COLUMNS_A_WORD)
