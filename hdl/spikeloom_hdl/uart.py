"""A UART that carries words."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from spikeloom.contract.layout import COLUMN_BITS

BYTES = COLUMN_BITS // 8


class UartStream(wiring.Component):
    """Words of 32 bits as four bytes each, least significant first; 8 data bits, no parity, 1 stop bit.

    There is no framing of words: a byte lost on the line shifts all that follow. The receiver cannot hold up the other
    end either: a word waits on ``o`` until the next byte is complete, and if nobody took it, it is lost and flagged.

    Parameters
    ----------
    divisor : int
        Clock cycles a bit, at least 4.

    Members
    -------
    rx, tx : ``i: In(1)``, ``o: Out(1)``
        The pins, as boards name them; high at rest.
    i : ``In(stream(32))``
        Words to the other end.
    o : ``Out(stream(32))``
        Words from there.
    overflow : ``Out(1)``
        A pulse: a word was lost.
    broken : ``Out(1)``
        A pulse: a byte came without its stop bit and was dropped.
    partial : ``Out(1)``
        Some bytes of a word have come, and not yet all.
    """

    def __init__(self, divisor: int):
        if divisor < 4:
            raise ValueError(f"divisor must be at least 4, not {divisor}")
        self.divisor = divisor
        super().__init__(
            {
                "rx": Out(wiring.Signature({"i": In(1, init=1)})),
                "tx": Out(wiring.Signature({"o": Out(1, init=1)})),
                "i": In(stream.Signature(COLUMN_BITS)),
                "o": Out(stream.Signature(COLUMN_BITS)),
                "overflow": Out(1),
                "broken": Out(1),
                "partial": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self._receive(m)
        self._transmit(m)
        return m

    def _receive(self, m: Module) -> None:
        line = Signal(init=1)
        m.submodules.synchronise = FFSynchronizer(self.rx.i, line, init=1)

        timer = Signal(range(self.divisor))
        bits = Signal(4)  # bits of this byte that are still to come, the stop bit too
        byte = Signal(8)
        place = Signal(range(BYTES))
        m.d.comb += self.partial.eq(place.any())
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        m.d.sync += timer.eq(Mux(timer.any(), timer - 1, self.divisor - 1))

        with m.FSM():
            with m.State("REST"), m.If(~line):
                m.d.sync += timer.eq(self.divisor // 2 - 1)
                m.next = "START"
            with m.State("START"), m.If(~timer.any()):  # the middle of the start bit
                m.d.sync += bits.eq(9)
                m.next = "BITS"
                with m.If(line):
                    m.next = "REST"  # no more than a glitch
            with m.State("BITS"), m.If(~timer.any()):
                m.d.sync += bits.eq(bits - 1)
                with m.If(bits != 1):
                    m.d.sync += byte.eq(Cat(byte[1:], line))
                with m.Elif(line):
                    m.d.sync += [
                        self.o.payload.eq(Cat(self.o.payload[8:], byte)),
                        self.o.valid.eq(place == BYTES - 1),
                        place.eq(place + 1),
                    ]
                    m.d.comb += self.overflow.eq(self.o.valid & ~self.o.ready)
                    m.next = "REST"
                with m.Else():
                    m.d.comb += self.broken.eq(1)
                    m.next = "BREAK"
            with m.State("BREAK"), m.If(line):
                m.next = "REST"

    def _transmit(self, m: Module) -> None:
        # Ten bits a byte, four bytes a word, all in one shift register; the line is its lowest bit.
        timer = Signal(range(self.divisor))
        line_bits = Signal(10 * BYTES, init=(1 << 10 * BYTES) - 1)
        left = Signal(range(10 * BYTES + 1))
        m.d.comb += [self.tx.o.eq(line_bits[0]), self.i.ready.eq(~left.any())]
        with m.If(self.i.ready):
            m.d.sync += timer.eq(self.divisor - 1)
            with m.If(self.i.valid):
                m.d.sync += [
                    line_bits.eq(Cat(Cat(C(0, 1), self.i.payload.word_select(n, 8), C(1, 1)) for n in range(BYTES))),
                    left.eq(10 * BYTES),
                ]
        with m.Else():
            m.d.sync += timer.eq(timer - 1)
            with m.If(~timer.any()):
                m.d.sync += [timer.eq(self.divisor - 1), line_bits.eq(Cat(line_bits[1:], C(1, 1))), left.eq(left - 1)]
