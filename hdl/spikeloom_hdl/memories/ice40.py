"""Memories of Lattice's iCE40 UltraPlus: large single-port RAMs for weights, small block RAMs for the rest."""

from typing import Any

from amaranth import *

from spikeloom.contract.errors import ConfigError
from spikeloom.contract.layout import COLUMN_BITS

from . import generic, spram
from .access import Access, Piece, Shape, pieces
from .ebr import DEPTHS, Ebr

LARGE_DEPTH = 1024
"""A deeper memory that the core only reads is made of large RAMs."""

REGISTERS_DEPTH = 2
"""Up to here a memory that the core only reads is flip-flops: there are only 30 block RAMs, each 16 bits wide."""


def build(m: Module, shape: Shape, access: Access, platform: Any) -> None:
    """Large RAMs, block RAMs or flip-flops, by the memory's shape.

    Neither RAM has an output that a signal clears, so what is to read as zero passes a gate; there is none where
    nobody ever asks for zeros.
    """
    if shape.immediate:
        raise ConfigError("iCE40: there is no LUT RAM: sums_latency must be 1 or 2, not 0")
    if not shape.writable and shape.depth > LARGE_DEPTH:
        _large(m, shape, access)
    elif not shape.writable and shape.depth <= REGISTERS_DEPTH:
        generic.build(m, shape, access, platform, style="registers", at_once=True)
    elif shape.depth <= max(DEPTHS.values()):
        _block(m, shape, access)
    else:
        generic.build(m, shape, access, platform, style="block", at_once=True)


def _large(m: Module, shape: Shape, access: Access) -> None:
    """One port: core and bus share it."""
    if shape.depth > spram.DEPTH:
        raise ConfigError(f"iCE40: a memory has at most {spram.DEPTH} words, not {shape.depth}: take more lanes")
    words = []
    for piece in pieces(shape, spram.WIDTH):
        ram = spram.Spram(shape.depth)
        m.submodules[f"ram{piece.low}"] = ram
        m.d.comb += [
            ram.address.eq(access.shared_address(piece.column)),
            ram.enable.eq(access.enable | access.select),
            ram.write.eq(access.writes[piece.column]),
            ram.write_data.eq(access.bus_words[piece.column][piece.shift : piece.shift + piece.width]),
        ]
        words.append((piece, ram.data))
    _connect(m, shape, access, words)


def _block(m: Module, shape: Shape, access: Access) -> None:
    """One read and one write port: the bus shares both, but needs no multiplexer where the core does not write."""
    widest = next(width for width, depth in DEPTHS.items() if depth >= shape.depth)
    words = []
    for piece in pieces(shape, widest):
        ram = Ebr(widest)
        m.submodules[f"ram{piece.low}"] = ram
        m.d.comb += [
            ram.address.eq(access.shared_address(piece.column)),
            ram.enable.eq(access.enable | access.select),
            ram.write.eq(access.writes[piece.column]),
            ram.write_address.eq(access.records[piece.column]),
            ram.write_data.eq(access.bus_words[piece.column][piece.shift : piece.shift + piece.width]),
        ]
        if shape.writable:
            with m.If(~access.select):
                m.d.comb += [
                    ram.write.eq(access.write_enable[piece.part]),
                    ram.write_address.eq(access.write_address),
                    ram.write_data.eq(access.write_data[piece.low : piece.high]),
                ]
        words.append((piece, ram.data))
    _connect(m, shape, access, words)


def _connect(m: Module, shape: Shape, access: Access, words: list[tuple[Piece, Value]]) -> None:
    """To the core the words, or zeros; to the bus the column that it asked for."""
    zeroed = Signal()
    with m.If(access.zero):
        m.d.sync += zeroed.eq(1)
    with m.Elif(access.enable):
        m.d.sync += zeroed.eq(0)
    columns = len(access.hides)
    asked = Signal(range(columns))
    for bit in range(len(asked)):
        # A read hides all columns but one; all of them, where it is for what pads them to a power of two.
        here = Cat(~access.hides[n] for n in range(columns) if n >> bit & 1).any()
        m.d.sync += asked[bit].eq(here | access.hides.all() if columns.bit_count() > 1 else here)
    padding = [Const(0, COLUMN_BITS)] * ((1 << len(asked)) - columns)
    answers = [Signal(COLUMN_BITS, name=f"word{n}") for n in range(columns)]
    for piece, word in words:
        access.give(m, piece, Mux(zeroed, 0, word[: piece.width]))
        m.d.comb += answers[piece.column][piece.shift : piece.shift + piece.width].eq(word)
    m.d.comb += access.answer.eq(Array([*answers, *padding])[asked] if columns > 1 else answers[0])


class Delays:
    """Values that wait for some cycles, in block RAMs that are rings: one counter for all of them.

    What comes out in the first cycles is what the RAMs happen to hold.
    """

    def __init__(self, m: Module, longest: int):
        self.m = m
        self.limit = 1 << (longest - 1).bit_length()
        self.now = Signal(range(self.limit), name="delay_now")
        m.d.sync += self.now.eq(self.now + 1)

    def __call__(self, name: str, value: Value, cycles: int) -> Value:
        """``value`` as it was ``cycles`` (2 to the longest) ago, without a sign."""
        assert 2 <= cycles <= self.limit
        m = self.m
        oldest = Signal.like(self.now, name=f"{name}_oldest")
        m.d.sync += oldest.eq(self.now - (cycles - 2))
        words = []
        for low in range(0, len(value), 16):
            ram = Ebr(16)
            m.submodules[f"{name}_delay{low}"] = ram
            m.d.comb += [
                ram.write.eq(1),
                ram.write_address.eq(self.now),
                ram.write_data.eq(value[low : low + 16]),
                ram.enable.eq(1),
                ram.address.eq(oldest),
            ]
            words.append(ram.data)
        return Cat(words)[: len(value)]
