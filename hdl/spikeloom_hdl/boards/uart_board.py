"""Boards with nothing but a UART, on their USB port: the array behind it, and LEDs."""

from amaranth import *
from amaranth.lib import io, wiring

from spikeloom.contract.boards import Board

from .pll import Pll
from .uart_top import UartTop

HEARTBEAT_BITS = 24
"""The heart beats once in so many cycles, as a power of two."""


class UartBoard(wiring.Component):
    """LED 0: heartbeat. LED 1: the stream from the host is broken. LED 2, if there is one: it has been since power-up.

    Parameters
    ----------
    board : :class:`Board`
        Configuration of the array, clock and baud rate.
    leds : int
        LEDs that there are, 2 or 3.
    pll : :class:`Pll`, optional
        What makes the array's clock; otherwise it is the board's own.
    """

    def __init__(self, board: Board, leds: int = 3, pll: Pll | None = None):
        self.board, self.leds, self.pll = board, leds, pll
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        if self.pll is not None:
            m.submodules.pll = self.pll
            m.domains.sync = self.pll.domain
        top = UartTop(self.board.config, divisor=round(self.board.clock_hz / self.board.baud))
        m.submodules.top = top
        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        leds = []
        for n in range(self.leds):
            led = io.Buffer("o", platform.request("led", n, dir="-"))
            m.submodules[f"led{n}"] = led
            leds.append(led)

        heartbeat = Signal(HEARTBEAT_BITS)
        lost = Signal()
        m.d.sync += [heartbeat.eq(heartbeat + 1), lost.eq(lost | top.deaf)]
        m.d.comb += [top.rx.eq(rx.i), tx.o.eq(top.tx)]
        m.d.comb += [led.o.eq(shown) for led, shown in zip(leds, (heartbeat[-1], top.deaf, lost), strict=False)]
        return m
