"""Memories of no chip in particular: what synthesis makes RAMs of, and simulators run."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth import *
from amaranth.lib.memory import Memory

from spikeloom.contract.layout import COLUMN_BITS

from .access import Access, Piece, Shape, join, pieces


def build(
    m: Module, shape: Shape, access: Access, platform: Any, style: str | None = None, at_once: bool = False
) -> None:
    """A RAM of one read and one write port a piece; core and bus share them.

    ``style`` is what Yosys knows as ``ram_style``: ``block`` or ``distributed``. ``at_once``: the answer to the bus has
    no register of its own.
    """
    attributes: dict[str, Any] = {"no_rw_check": 1} | ({"ram_style": style} if style else {})
    read_values = []
    for piece in pieces(shape):
        # Two rows at least: an address of no bits is none that Verilog can write down.
        # A plain read and a register of our own: with the attribute Yosys joins them to a synchronous port that
        # leaves collisions open, which Amaranth's synchronous port does not.
        ram = Memory(shape=piece.width, depth=max(2, shape.depth), init=[], attrs=attributes)
        name = f"column{piece.column}" if shape.parts == 1 else f"column{piece.column}_part{piece.part}"
        m.submodules[name] = ram
        write, read = ram.write_port(), ram.read_port(domain="comb")
        word = Signal(piece.width, name=f"{name}_q")
        m.d.comb += [
            write.addr.eq(access.records[piece.column]),
            write.data.eq(access.bus_words[piece.column][piece.shift :]),
            write.en.eq(access.writes[piece.column]),
            read.addr.eq(access.shared_address(piece.column)),
        ]
        if shape.early:
            bus_word = access.bus_words[piece.column][piece.shift :]
            core_word = access.write_data[piece.low : piece.high]
            m.d.comb += [
                write.addr.eq(access.write_addresses[piece.column]),
                write.data.eq(Mux(access.selects[piece.column], bus_word, core_word)),
            ]
        elif shape.writable:
            with m.If(~access.select):
                m.d.comb += [
                    write.addr.eq(access.write_address),
                    write.data.eq(access.write_data[piece.low : piece.high]),
                    write.en.eq(access.write_enable[piece.part]),
                ]
        if shape.immediate:
            m.d.comb += access.data[piece.low : piece.high].eq(Mux(access.zero, 0, read.data))
            read_values.append((piece, Mux(access.hides[piece.column], 0, read.data)))
            continue
        access.give(m, piece, word)
        with m.If(access.zero | access.hides[piece.column]):
            m.d.sync += word.eq(0)
        with m.Elif(access.enable | access.select):
            m.d.sync += word.eq(read.data)
        read_values.append((piece, word))
    if shape.immediate:
        _gather(m, access, read_values)
    else:
        join(m, access, shape, read_values, late=at_once)


def _gather(m: Module, access: Access, read: list[tuple[Piece, Value]]) -> None:
    """The answer to the bus of what is read at once, two cycles later: four columns to a register, then all."""
    words = []
    for first in range(0, len(access.hides), 4):
        parts = []
        for piece, value in read:
            if first <= piece.column < first + 4:
                part = Signal(COLUMN_BITS, name=f"part{piece.low}")
                m.d.comb += part[piece.shift : piece.shift + piece.width].eq(value)
                parts.append(part)
        words.append(Signal(COLUMN_BITS, name=f"word{first}"))
        m.d.sync += words[-1].eq(reduce(or_, parts))
    m.d.sync += access.answer.eq(reduce(or_, words))
