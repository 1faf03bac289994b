"""iCE40 UltraPlus' large RAM: 16,384 words of 16 bits with one port; the chip has four."""

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

WIDTH = 16
DEPTH = 16384
ADDRESS_BITS = 14

JUNK = 0xA53C
"""What a word of the model holds that was never written."""


class Spram(wiring.Component):
    """One large RAM. It has no initial contents.

    A write changes ``data``, too; in the model, to what is not written.

    Parameters
    ----------
    depth :
        Words that the model has.

    Members
    -------
    address, enable, write, write_data : ``In(...)``
        ``data`` is the word one cycle later, and keeps its value while ``enable`` is low.
    data : ``Out(16)``
    """

    def __init__(self, depth: int = DEPTH):
        self.depth = depth
        super().__init__(
            {
                "address": In(ADDRESS_BITS),
                "enable": In(1),
                "write": In(1),
                "write_data": In(WIDTH),
                "data": Out(WIDTH),
            }
        )

    def elaborate(self, platform):
        return self._model() if getattr(platform, "models", False) else self._instance()

    def _model(self) -> Module:
        m = Module()
        m.submodules.ram = ram = memory.Memory(shape=WIDTH, depth=self.depth, init=[])
        write, read = ram.write_port(), ram.read_port(domain="comb")
        m.d.comb += [
            read.addr.eq(self.address),
            write.addr.eq(self.address),
            write.data.eq(self.write_data ^ JUNK),
            write.en.eq(self.enable & self.write),
        ]
        with m.If(self.enable):
            m.d.sync += self.data.eq(Mux(self.write, ~self.write_data, read.data ^ JUNK))
        return m

    def _instance(self) -> Instance:
        return Instance(
            "SB_SPRAM256KA",
            i_CLOCK=ClockSignal(),
            i_ADDRESS=self.address,
            i_DATAIN=self.write_data,
            i_MASKWREN=Const(0xF, 4),
            i_WREN=self.write,
            i_CHIPSELECT=self.enable,
            i_STANDBY=Const(0),
            i_SLEEP=Const(0),
            i_POWEROFF=Const(1),  # low turns it off
            o_DATAOUT=self.data,
        )
