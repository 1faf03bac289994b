"""Memories of no chip in particular: what synthesis makes RAMs of, and simulators run."""

from typing import Any

from amaranth import *
from amaranth.lib.memory import Memory

from .access import Access, Shape, join, pieces


def build(m: Module, shape: Shape, access: Access, platform: Any, style: str | None = None) -> None:
    """A RAM of one read and one write port a piece; core and bus share them.

    ``style`` is what Yosys knows as ``ram_style``: ``block`` or ``distributed``.
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
            write.addr.eq(access.record),
            write.data.eq(access.bus_data[piece.shift :]),
            write.en.eq(access.writes[piece.column]),
            read.addr.eq(Mux(access.select, access.record, access.address)),
        ]
        if shape.immediate:
            m.d.comb += access.data[piece.low : piece.high].eq(Mux(access.zero, 0, read.data))
        else:
            access.give(m, piece, word)
        if shape.writable:
            with m.If(~access.select):
                m.d.comb += [
                    write.addr.eq(access.write_address),
                    write.data.eq(access.write_data[piece.low : piece.high]),
                    write.en.eq(access.write_enable[piece.part]),
                ]
        with m.If(access.zero | access.hides[piece.column]):
            m.d.sync += word.eq(0)
        with m.Elif(access.enable | access.select):
            m.d.sync += word.eq(read.data)
        read_values.append((piece, word))
    join(m, access, shape, read_values)
