"""ECP5's block RAM with one port that writes and one that reads: 512 words of 36 bits."""

from typing import Any

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from .wires import single

WIDTH = 36
DEPTH = 512
ADDRESS_BITS = 9


class Wide16kd(wiring.Component):
    """One block RAM, both ports in one clock domain.

    Parameters
    ----------
    register :
        Data passes the RAM's output register: it is there another cycle later. ``zero`` is not to be used then.

    A read in the cycle of a write to the same word gives anything; in the model what is neither the old nor the new
    word.

    Members
    -------
    address, enable : ``In(...)``
        ``data`` is the word one cycle later, and keeps its value otherwise.
    zero : ``In(1)``
        ``data`` becomes 0, whatever ``enable`` says.
    advance : ``In(1)``
        The output register moves, where there is one.
    data : ``Out(36)``
    write, write_address, write_data : ``In(...)``
    """

    def __init__(self, register: bool = False):
        self.register = register
        super().__init__(
            {
                "address": In(ADDRESS_BITS),
                "enable": In(1),
                "zero": In(1),
                "advance": In(1, init=1),
                "data": Out(WIDTH),
                "write": In(1),
                "write_address": In(ADDRESS_BITS),
                "write_data": In(WIDTH),
            }
        )

    def elaborate(self, platform):
        return self._model() if getattr(platform, "models", False) else self._instance()

    def _model(self) -> Module:
        m = Module()
        m.submodules.ram = ram = memory.Memory(shape=WIDTH, depth=DEPTH, init=[])
        write, read = ram.write_port(), ram.read_port(domain="comb")
        m.d.comb += [
            read.addr.eq(self.address),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write),
        ]
        collides = self.write & (self.write_address == self.address)
        data = self.data
        if self.register:
            data = Signal(WIDTH, name="late")
            with m.If(self.advance):
                m.d.sync += self.data.eq(data)
        with m.If(self.zero):
            m.d.sync += data.eq(0)
        with m.Elif(self.enable):
            m.d.sync += data.eq(Mux(collides, ~(read.data ^ self.write_data), read.data))
        return m

    def _instance(self) -> Module:
        """As Yosys makes it: port A writes its own data and port B's, port B reads on both."""
        m = Module()
        arguments: dict[str, Any] = {
            "p_RESETMODE": "SYNC", "p_ASYNC_RESET_RELEASE": "SYNC", "p_GSR": "AUTO",
            "i_CEA": self.write, "i_WEA": Const(1), "i_OCEA": Const(0), "i_RSTA": Const(0),
            "i_CEB": self.enable, "i_WEB": Const(0), "i_OCEB": self.advance, "i_RSTB": self.zero,
        }  # fmt: skip
        # Byte enables are where a narrow word has its lowest address bits.
        addresses = {"A": [*[Const(1)] * 4, Const(0), *self.write_address], "B": [*[Const(0)] * 5, *self.address]}
        half = WIDTH // 2
        for n, name in enumerate("AB"):
            arguments |= {
                f"p_DATA_WIDTH_{name}": WIDTH,
                f"p_REGMODE_{name}": "OUTREG" if self.register else "NOREG",
                f"p_CSDECODE_{name}": "0b000",
                f"p_CLK{name}MUX": f"CLK{name}",
                f"i_CLK{name}": ClockSignal(),
            }
            arguments |= {f"i_CS{name}{pin}": Const(0) for pin in range(3)}
            arguments |= {f"i_AD{name}{pin}": bit for pin, bit in enumerate(addresses[name])}
            arguments |= {f"i_DI{name}{pin}": bit for pin, bit in enumerate(self.write_data[n * half :][:half])}
            data = single(f"do{name.lower()}", half)
            m.d.comb += self.data[n * half :][:half].eq(data)
            arguments |= {f"o_DO{name}{pin}": bit for pin, bit in enumerate(data)}
        m.submodules.dp16kd = Instance("DP16KD", **arguments)
        return m
