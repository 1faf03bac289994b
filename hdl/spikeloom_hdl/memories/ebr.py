"""iCE40's block RAM: 4,096 bits with one read and one write port."""

from typing import Any

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

DEPTHS = {16: 256, 8: 512, 4: 1024, 2: 2048}
"""Words of a RAM by their width."""

MODES = {16: 0, 8: 1, 4: 2, 2: 3}
PINS = {16: range(16), 8: range(0, 16, 2), 4: range(1, 16, 4), 2: range(3, 16, 8)}
"""Which of the 16 data pins a narrow word uses."""

ADDRESS_BITS = 11


class Ebr(wiring.Component):
    """One block RAM, both ports of one width and in one clock domain.

    A read in the cycle of a write to the same word gives anything; in the model it gives what is neither the old nor
    the new word, so that nobody comes to rely on it.

    Members
    -------
    address, enable : ``In(...)``
        ``data`` is the word one cycle later, and keeps its value otherwise.
    data : ``Out(width)``
    write, write_address, write_data : ``In(...)``
    """

    def __init__(self, width: int):
        self.width = width
        address = (DEPTHS[width] - 1).bit_length()
        super().__init__(
            {
                "address": In(address),
                "enable": In(1),
                "data": Out(width),
                "write": In(1),
                "write_address": In(address),
                "write_data": In(width),
            }
        )

    def elaborate(self, platform):
        return self._model() if getattr(platform, "models", False) else self._instance()

    def _model(self) -> Module:
        m = Module()
        m.submodules.ram = ram = memory.Memory(shape=self.width, depth=DEPTHS[self.width], init=[])
        write, read = ram.write_port(), ram.read_port(domain="comb")
        m.d.comb += [
            read.addr.eq(self.address),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write),
        ]
        collides = self.write & (self.write_address == self.address)
        with m.If(self.enable):
            m.d.sync += self.data.eq(Mux(collides, ~(read.data ^ self.write_data), read.data))
        return m

    def _instance(self) -> Module:
        m = Module()
        read, write = Signal(16), Signal(16)
        for bit, pin in enumerate(PINS[self.width]):
            m.d.comb += [write[pin].eq(self.write_data[bit]), self.data[bit].eq(read[pin])]
        arguments: dict[str, Any] = {"p_READ_MODE": MODES[self.width], "p_WRITE_MODE": MODES[self.width]}
        arguments |= {"i_RCLK": ClockSignal(), "i_RE": Const(1), "i_RCLKE": self.enable}
        arguments |= {"i_WCLK": ClockSignal(), "i_WE": Const(1), "i_WCLKE": self.write}
        m.submodules.ram = Instance(
            "SB_RAM40_4K",
            **arguments,
            i_RADDR=Cat(self.address, Const(0, ADDRESS_BITS))[:ADDRESS_BITS],
            i_WADDR=Cat(self.write_address, Const(0, ADDRESS_BITS))[:ADDRESS_BITS],
            i_WDATA=write,
            i_MASK=Const(0, 16),
            o_RDATA=read,
        )
        return m
