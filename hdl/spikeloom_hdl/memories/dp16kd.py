"""ECP5's block RAM with two equal ports: 16,384 bits (and parity bits where a word has 9 or more)."""

from typing import Any

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from .wires import single

DEPTHS = {18: 1024, 9: 2048, 4: 4096, 2: 8192, 1: 16384}
"""Words of a RAM by their width."""

ADDRESS_BITS = 14


class PortSignature(wiring.Signature):
    """One port; it reads or writes.

    Members
    -------
    address, enable : ``Out(...)``
        ``data`` is the word one cycle later, and keeps its value otherwise.
    zero : ``Out(1)``
        ``data`` becomes 0, whatever ``enable`` says; not together with ``write``.
    write, write_data : ``Out(...)``
        Together with ``enable``: write; ``data`` keeps its value.
    advance : ``Out(1)``
        The output register moves, where there is one.
    data : ``In(width)``
    """

    def __init__(self, width: int):
        address = (DEPTHS[width] - 1).bit_length()
        members = {
            "address": Out(address),
            "enable": Out(1),
            "zero": Out(1),
            "write": Out(1),
            "advance": Out(1, init=1),
        }
        super().__init__(members | {"write_data": Out(width), "data": In(width)})


class Dp16kd(wiring.Component):
    """One block RAM, both ports of one width and in one clock domain.

    Parameters
    ----------
    register :
        Data passes the RAM's output registers: it is there another cycle later, but soon after the clock (1.0 ns in
        place of 5.8 on a chip of speed 6, says nextpnr). ``zero`` is not to be used then.

    A read through one port in the cycle of a write to the same word through the other gives anything; in the model
    it gives what is neither the old nor the new word, so that nobody comes to rely on it.

    Members
    -------
    a, b : ``In(PortSignature(width))``
    """

    def __init__(self, width: int, register: bool = False):
        self.width, self.register = width, register
        super().__init__({"a": In(PortSignature(width)), "b": In(PortSignature(width))})

    def elaborate(self, platform):
        return self._model() if getattr(platform, "models", False) else self._instance()

    def _model(self) -> Module:
        m = Module()
        m.submodules.ram = ram = memory.Memory(shape=self.width, depth=DEPTHS[self.width], init=[])
        ports = (self.a, self.b)
        for port, other in (ports, ports[::-1]):
            write, read = ram.write_port(), ram.read_port(domain="comb")
            m.d.comb += [
                read.addr.eq(port.address),
                write.addr.eq(port.address),
                write.data.eq(port.write_data),
                write.en.eq(port.enable & port.write),
            ]
            collides = other.enable & other.write & (other.address == port.address)
            data = port.data
            if self.register:
                data = Signal(self.width, name="late")
                with m.If(port.advance):
                    m.d.sync += port.data.eq(data)
            with m.If(port.zero):
                m.d.sync += data.eq(0)
            with m.Elif(port.enable & ~port.write):
                m.d.sync += data.eq(Mux(collides, ~(read.data ^ other.write_data), read.data))
        return m

    def _instance(self) -> Module:
        m = Module()
        arguments: dict[str, Any] = {
            "p_RESETMODE": "SYNC",
            "p_ASYNC_RESET_RELEASE": "SYNC",
            "p_GSR": "AUTO",
        }
        for name, port in (("A", self.a), ("B", self.b)):
            arguments |= {
                f"p_DATA_WIDTH_{name}": self.width,
                f"p_REGMODE_{name}": "OUTREG" if self.register else "NOREG",
                f"p_CSDECODE_{name}": "0b000",
                f"p_CLK{name}MUX": f"CLK{name}",
                f"p_WRITEMODE_{name}": "NORMAL",
                f"i_CLK{name}": ClockSignal(),
                f"i_CE{name}": port.enable,
                f"i_OCE{name}": port.advance,
                f"i_WE{name}": port.write,
                f"i_RST{name}": port.zero,
            }
            arguments |= {f"i_CS{name}{n}": Const(0) for n in range(3)}
            # A word of 18 bits has byte enables where narrow ones have their lowest address bits.
            unused = ADDRESS_BITS - len(port.address)
            low = [Const(1 if self.width == 18 and n < 2 else 0) for n in range(unused)]
            bits = [*low, *port.address]
            arguments |= {f"i_AD{name}{n}": bit for n, bit in enumerate(bits)}
            arguments |= {f"i_DI{name}{n}": bit for n, bit in enumerate(port.write_data)}
            data = single(f"do{name.lower()}", self.width)
            m.d.comb += port.data.eq(data)
            arguments |= {f"o_DO{name}{n}": bit for n, bit in enumerate(data)}
        m.submodules.dp16kd = Instance("DP16KD", **arguments)
        return m
