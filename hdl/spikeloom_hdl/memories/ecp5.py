"""Memories of Lattice's ECP5: true dual-port block RAM, or LUT RAM where it is shallow and has to be fast."""

from typing import Any

from amaranth import *

from . import generic
from .access import Access, Shape, join, pieces
from .dp16kd import DEPTHS, Dp16kd
from .wide16kd import DEPTH, Wide16kd

LUT_RAM_DEPTH = 64
"""Up to here a fast memory is LUT RAM. A block RAM takes 5.6 ns from the clock to its output."""

TABLE_DEPTH, WRITABLE_DEPTH = 16, 16
"""Up to here one is that need not be fast, and one that the core writes: that is as deep as one LUT RAM, without
multiplexers."""


def build(m: Module, shape: Shape, access: Access, platform: Any) -> None:
    """Port A of each RAM is the core's read port, port B the other writer's: the bus, or the core where it writes.

    So the bus costs no multiplexer: where the core only reads, the bus has a port for itself; where it writes, the
    bus shares the read port's address and has its data input. A RAM is as wide as its depth allows: a deep memory is
    narrow RAMs side by side, never banks.

    Where the RAM's output registers are used, their reset is not. What the core writes, too, has twice the rows then:
    those of the upper half are never written, and read as the zeros that the chip's configuration leaves there.

    A shallow memory that the core only reads has one RAM a column, whose one read port it shares with the bus.
    """
    own = shape.registered  # the core's port has the register in the RAM itself
    rows = shape.depth * (2 if own and shape.writable else 1)
    widest = next((width for width, depth in DEPTHS.items() if depth >= rows), None)
    if _lut_ram(shape):
        generic.build(m, shape, access, platform, style="distributed")
        return
    if _wide(shape):
        _shallow(m, shape, access)
        return
    if widest is None:
        generic.build(m, shape, access, platform, style="block")
        return
    answers = []
    hidden, advance = _late(m, access), _advance(m, access)
    for piece in pieces(shape, widest):
        ram = Dp16kd(widest, register=own)
        m.submodules[f"ram{piece.low}"] = ram
        a, b = ram.a, ram.b
        low, high = piece.low, piece.high
        bus = access.bus_words[piece.column][piece.shift : piece.shift + piece.width]
        m.d.comb += access.data[low:high].eq(a.data)
        if shape.writable:
            zero = access.zero | access.hides[piece.column]
            address = Signal(len(a.address) - own)
            m.d.comb += [
                address.eq(access.shared_address(piece.column)),
                a.address.eq(Cat(address, zero) if own else address),
                a.zero.eq(Const(0) if own else zero),
                a.enable.eq(access.enable | access.select),
                a.advance.eq(advance),
                a.write.eq(access.writes[piece.column]),
                a.write_data.eq(bus),
                b.address.eq(access.write_address),
                b.enable.eq(1),
                b.write.eq(access.write_enable[piece.part]),
                b.write_data.eq(access.write_data[low:high]),
            ]
            answers.append((piece, a.data[: piece.width]))
        else:
            m.d.comb += [
                a.address.eq(access.addresses[piece.column]),
                a.enable.eq(access.enable),
                a.advance.eq(access.enable),
                a.zero.eq(access.zero),
                b.address.eq(access.records[piece.column]),
                b.enable.eq(access.uses[piece.column]),
                b.zero.eq(Const(0) if own else access.hides[piece.column]),
                b.write.eq(access.writes[piece.column]),
                b.write_data.eq(bus),
            ]
            word = b.data[: piece.width]
            answers.append((piece, Mux(hidden[piece.column], 0, word) if own else word))
    join(m, access, shape, answers, late=own)


def _lut_ram(shape: Shape) -> bool:
    shallow = WRITABLE_DEPTH if shape.writable else LUT_RAM_DEPTH if shape.fast else TABLE_DEPTH
    return shape.immediate or shape.depth <= shallow


def _wide(shape: Shape) -> bool:
    return shape.depth <= DEPTH and shape.width > max(DEPTHS) and not shape.writable


def dual(shape: Shape) -> bool:
    """Whether core and bus read by ports of their own."""
    return not (shape.writable or _lut_ram(shape) or _wide(shape)) and shape.depth <= max(DEPTHS.values())


def _shallow(m: Module, shape: Shape, access: Access) -> None:
    """A wide RAM a column."""
    answers = []
    own, hidden, advance = shape.registered, _late(m, access), _advance(m, access)
    for piece in pieces(shape):
        ram = Wide16kd(register=own)
        m.submodules[f"ram{piece.low}"] = ram
        m.d.comb += [
            ram.address.eq(access.shared_address(piece.column)),
            ram.enable.eq(access.enable | access.select),
            ram.advance.eq(advance),
            ram.zero.eq(access.zero if own else access.zero | access.hides[piece.column]),
            ram.write.eq(access.writes[piece.column]),
            ram.write_address.eq(access.records[piece.column]),
            ram.write_data.eq(access.bus_words[piece.column][piece.shift : piece.shift + piece.width]),
            access.data[piece.low : piece.high].eq(ram.data),
        ]
        word = ram.data[: piece.width]
        answers.append((piece, Mux(hidden[piece.column], 0, word) if own else word))
    join(m, access, shape, answers, late=own)


def _advance(m: Module, access: Access) -> Value:
    """When the output register of a port moves that core and bus share: with the core, and behind an access."""
    accessed = Signal(name="accessed")
    m.d.sync += accessed.eq(access.select)
    return access.enable | accessed


def _late(m: Module, access: Access) -> Value:
    """Which columns are hidden, when their words come out of the RAMs' output registers."""
    value = access.hides
    for n in (1, 2):
        later = Signal.like(value, name=f"hides{n}")
        m.d.sync += later.eq(value)
        value = later
    return value
