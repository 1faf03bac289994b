"""A memory of the core that the program ring can write and read back."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import bits_for
from spikeloom.contract.layout import COLUMN_BITS
from spikeloom.contract.ring import Geometry, Space

from .bus import READ_LATENCY, BusSignature
from .layout import struct


class RingMemory(wiring.Component):
    """One space of the ring as a row of RAMs, each as wide as a word of the ring (the last one may be narrower).

    The bus and the core share the ports; the bus is used at rest only, when the core reads and writes nothing. A read
    in the cycle of a write to the same record gives the old record.

    Parameters
    ----------
    space, geometry :
        Which space this is, and its shape.
    latency :
        1, or 2 with a register behind the RAM: block RAM is slow from clock to output.
    writable :
        The core writes, too. Otherwise the RAM is never read and written in one cycle, which spares the logic that
        keeps a colliding read right.

    Members
    -------
    address, enable : ``In(...)``
        Read port. Where ``enable`` is low, ``data`` keeps its value (of ``latency`` 1).
    data : ``Out(record)``
        The record, ``latency`` cycles later.
    write_enable, write_address, write_data : ``In(...)``
        Write port of the core, only where ``writable``.
    bus : ``In(BusSignature())``
    """

    def __init__(self, space: Space, geometry: Geometry, *, latency: int = 1, writable: bool = False):
        assert latency in (1, 2)
        self.space, self.geometry = space, geometry
        self.latency, self.writable = latency, writable
        address = bits_for(geometry.depth)
        members = {
            "address": In(address),
            "enable": In(1),
            "data": Out(struct(geometry.layout)),
            "bus": In(BusSignature()),
        }
        if writable:
            members |= {
                "write_enable": In(1),
                "write_address": In(address),
                "write_data": In(struct(geometry.layout)),
            }
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        layout = self.geometry.layout
        column = self.bus.address[: self.geometry.column_bits]
        record = self.bus.address[self.geometry.column_bits :]
        hit = Signal()
        m.d.comb += hit.eq(self.bus.valid & (self.bus.space == self.space))

        words = []
        for n in range(layout.columns):
            low, high = n * COLUMN_BITS, min((n + 1) * COLUMN_BITS, layout.width)
            # Two rows at least: an address of no bits is none that Verilog can write down.
            ram = Memory(shape=high - low, depth=max(2, self.geometry.depth), init=[])
            m.submodules[f"column{n}"] = ram
            write, read = ram.write_port(), ram.read_port()
            m.d.comb += [
                write.addr.eq(record),
                write.data.eq(self.bus.data),
                write.en.eq(hit & self.bus.write & (column == n)),
                read.addr.eq(Mux(self.bus.valid, record, self.address)),
                read.en.eq(self.enable | self.bus.valid),
            ]
            if self.writable:
                with m.If(self.write_enable):
                    m.d.comb += [
                        write.addr.eq(self.write_address),
                        write.data.eq(self.write_data.as_value()[low:high]),
                        write.en.eq(1),
                    ]
            else:
                with m.If(write.en):
                    m.d.comb += read.en.eq(0)
            word = read.data
            for stage in range(1, self.latency):
                delayed = Signal(high - low, name=f"column{n}_q{stage}")
                m.d.sync += delayed.eq(word)
                word = delayed
            words.append(word)
        m.d.comb += self.data.eq(Cat(words))

        # The answer to the bus: choose the column when the RAM's word is there, then wait for the common latency.
        chosen, asked = column, hit & ~self.bus.write
        for stage in range(self.latency):
            chosen_q = Signal(max(1, self.geometry.column_bits), name=f"chosen{stage}")
            asked_q = Signal(name=f"asked{stage}")
            m.d.sync += [chosen_q.eq(chosen), asked_q.eq(asked)]
            chosen, asked = chosen_q, asked_q
        answer = Mux(asked, Array(words)[chosen] if len(words) > 1 else words[0], 0)
        for stage in range(READ_LATENCY - self.latency):
            answer_q = Signal(COLUMN_BITS, name=f"answer{stage}")
            m.d.sync += answer_q.eq(answer)
            answer = answer_q
        m.d.comb += self.bus.read_data.eq(answer)
        return m
