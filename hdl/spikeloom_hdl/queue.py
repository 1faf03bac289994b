"""A queue of words in block RAM, with nothing beside the RAM but its counters."""

from typing import Any

from amaranth import *
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from . import memories
from .memories.ebr import DEPTHS, Ebr


class Queue(wiring.Component):
    """Passes a stream on in its order; up to ``depth`` words wait, one or two more on their way through.

    On an iCE40 it is one row of block RAMs: a word that is read is never one that is being written, so nothing has to
    stand in for it, which synthesis does not see of Amaranth's FIFO (160 logic cells more). Elsewhere it is that FIFO.

    Parameters
    ----------
    shape :
        Of the payload.
    depth : int
        A power of two, at most 2,048.

    Members
    -------
    i : ``In(stream(shape))``, o : ``Out(stream(shape))``
        A word is on ``o`` two cycles after it came, at the earliest.
    """

    def __init__(self, shape: Any, depth: int):
        if depth.bit_count() != 1 or not 2 <= depth <= max(DEPTHS.values()):
            raise ValueError(f"depth must be a power of two, 2 to {max(DEPTHS.values())}, not {depth}")
        self.depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        if memories.family_of(platform) == "ice40":
            self._block_ram(m)
            return m
        width = len(Value.cast(self.i.payload))
        m.submodules.fifo = queue = fifo.SyncFIFOBuffered(width=width, depth=self.depth)
        m.d.comb += [
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            self.o.payload.eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
        ]
        return m

    def _block_ram(self, m: Module) -> None:
        """The RAMs keep what they read: that is the register of ``o``."""
        written, read = Signal(range(self.depth)), Signal(range(self.depth))
        waiting = Signal(range(self.depth + 1))  # in the RAM and not read yet
        writes, reads = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(waiting != self.depth),
            writes.eq(self.i.valid & self.i.ready),
            reads.eq((waiting != 0) & (~self.o.valid | self.o.ready)),
        ]
        m.d.sync += [waiting.eq(waiting + writes - reads), written.eq(written + writes), read.eq(read + reads)]
        with m.If(reads | self.o.ready):
            m.d.sync += self.o.valid.eq(reads)
        data = Value.cast(self.i.payload)
        width = max(width for width, depth in DEPTHS.items() if depth >= self.depth)
        words = []
        for low in range(0, len(data), width):
            m.submodules[f"ram{low}"] = ram = Ebr(width)
            m.d.comb += [
                ram.write.eq(writes),
                ram.write_address.eq(written),
                ram.write_data.eq(data[low : low + width]),
                ram.enable.eq(reads),
                ram.address.eq(read),
            ]
            words.append(ram.data)
        m.d.comb += Value.cast(self.o.payload).eq(Cat(words)[: len(data)])
