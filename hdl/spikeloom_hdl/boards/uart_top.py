"""The array behind the two pins of a UART: the top of every board that has nothing better."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.layout import COLUMN_BITS
from spikeloom.contract.stream import (
    ARGUMENT_BITS,
    ERROR_LAYOUT,
    LINK_WINDOW,
    Error,
    Reply,
)

from ..array import Array
from ..layout import struct
from ..queue import Queue
from ..uart import UartStream

SILENCE_BITS = 1 << 14
"""Bits of silence on both lines after which a broken stream has surely ended."""


class UartTop(wiring.Component):
    """The array behind a UART without flow control: see :mod:`spikeloom.contract.stream`.

    :data:`LINK_WINDOW` words wait for the array; a host that keeps count never loses one. Where words are lost all the
    same, or a byte arrives broken, or a word stays incomplete, what follows means nothing any more:

    - words that had come before are carried out and answered; all that follow are dropped, while ``deaf``;
    - after :data:`SILENCE_BITS` bits without anything on either line, the receiver and the array are reset (memories
      keep what they hold, the array's registers do not), ``ERROR LINK`` goes out, and the board listens again.

    Parameters
    ----------
    config : :class:`ArrayConfig`
        The array.
    divisor : int
        Clock cycles a bit, at least 4.
    silence : int
        Bits of silence, :data:`SILENCE_BITS` unless given.

    Members
    -------
    rx, tx : ``In(1)``, ``Out(1)``
        The pins, as a board names them; high at rest.
    deaf : ``Out(1)``
        The stream is broken and has not been found again.
    """

    def __init__(self, config: ArrayConfig, divisor: int, silence: int = SILENCE_BITS):
        self.config = config
        self.divisor = divisor
        self.silence = silence
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "deaf": Out(1)})

    def elaborate(self, platform):
        m = Module()
        restart = Signal()
        uart = UartStream(self.divisor)
        array = Array(self.config)
        m.submodules.uart = ResetInserter(restart)(uart)
        m.submodules.array = ResetInserter(restart)(array)
        m.submodules.queue = queue = Queue(COLUMN_BITS, LINK_WINDOW)
        m.d.comb += [uart.rx.i.eq(self.rx), self.tx.eq(uart.tx.o)]

        # From the line into the array.
        lost = Signal(ARGUMENT_BITS)
        m.d.comb += [
            uart.o.ready.eq(1),
            queue.i.payload.eq(uart.o.payload),
            queue.i.valid.eq(uart.o.valid & ~self.deaf),
        ]
        wiring.connect(m, queue.o, array.rx)
        with m.If(uart.o.valid & (self.deaf | ~queue.i.ready) & ~lost.all()):
            m.d.sync += lost.eq(lost + 1)

        # Silence: nothing comes, nothing goes.
        wait = self.silence * self.divisor
        silence = Signal(range(wait + 1), init=wait)
        with m.If(~self.rx | uart.o.valid | array.tx.valid | ~uart.i.ready):
            m.d.sync += silence.eq(wait)
        with m.Elif(silence.any()):
            m.d.sync += silence.eq(silence - 1)

        # From the array to the line. A message is never cut: within one, the array is not silent for so long.
        error = Signal(struct(ERROR_LAYOUT))
        m.d.comb += [error.kind.eq(Reply.ERROR), error.code.eq(Error.LINK), error.argument.eq(lost)]
        m.d.comb += [uart.i.payload.eq(array.tx.payload), uart.i.valid.eq(array.tx.valid)]
        m.d.comb += array.tx.ready.eq(uart.i.ready)

        with m.FSM():
            with m.State("LISTEN"):
                overrun = queue.i.valid & ~queue.i.ready
                with m.If(overrun | uart.broken | (uart.partial & ~silence.any())):
                    m.next = "DEAF"
            with m.State("DEAF"):
                m.d.comb += self.deaf.eq(1)
                with m.If(~silence.any() & ~queue.o.valid):
                    m.next = "RESTART"
            with m.State("RESTART"):  # a state of its own: this resets everything
                m.d.comb += [self.deaf.eq(1), restart.eq(1)]
                m.next = "REPORT"
            with m.State("REPORT"):
                m.d.comb += [uart.i.payload.eq(error), uart.i.valid.eq(1), array.tx.ready.eq(0)]
                with m.If(uart.i.ready):
                    m.d.sync += lost.eq(0)
                    m.next = "LISTEN"
        return m
