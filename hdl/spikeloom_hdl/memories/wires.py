"""Outputs of a chip's cells."""

from amaranth import *


def single(name: str, count: int) -> Value:
    """A word of which each bit is a wire of its own, for the outputs of an :class:`Instance`.

    Yosys' abc9 stumbles over one wire on a cell's outputs whose upper bits lead nowhere (``rtlil.cc:3091``).
    """
    return Cat(Signal(name=f"{name}{n}") for n in range(count))
