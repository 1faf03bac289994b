"""Radiona ULX3S: the array behind the UART of its USB port."""

from amaranth import *
from amaranth.lib import io, wiring

from spikeloom.contract.boards import Board

from .uart_top import UartTop

HEARTBEAT_BITS = 24
"""The heart beats once in so many cycles, as a power of two."""


class Ulx3s(wiring.Component):
    """LED 0: heartbeat. LED 1: the stream from the host is broken. LED 2: it has been since power-up.

    Parameters
    ----------
    board : :class:`Board`
        Configuration of the array, clock and baud rate.
    """

    def __init__(self, board: Board):
        self.board = board
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        top = UartTop(self.board.config, divisor=round(self.board.clock_hz / self.board.baud))
        m.submodules.top = top
        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        leds = []
        for n in range(3):
            led = io.Buffer("o", platform.request("led", n, dir="-"))
            m.submodules[f"led{n}"] = led
            leds.append(led)

        heartbeat = Signal(HEARTBEAT_BITS)
        lost = Signal()
        m.d.sync += [heartbeat.eq(heartbeat + 1), lost.eq(lost | top.deaf)]
        m.d.comb += [
            top.rx.eq(rx.i),
            tx.o.eq(top.tx),
            leds[0].o.eq(heartbeat[-1]),
            leds[1].o.eq(top.deaf),
            leds[2].o.eq(lost),
        ]
        return m
