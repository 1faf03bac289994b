"""Boards with names: the array that each one's bitstream holds, and how to reach it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .config import ArrayConfig, CoreConfig
from .errors import ConfigError
from .numerics import Numerics


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """A board and its preset.

    Attributes:
        config: the array of the preset; its numerics are those of the preset's default build.
        clock_hz: clock of the array.
        baud: bits a second of the UART.
        description: the board, its chip and its package.
    """

    config: ArrayConfig
    clock_hz: int
    baud: int
    description: str

    def for_numerics(self, numerics: Numerics) -> ArrayConfig:
        """The preset built for other numerics; accumulators have at least the preset's 16 bits."""
        bits = max(16, numerics.accumulator_bits)
        return self.config.with_core(numerics=replace(numerics, accumulator_bits=bits))


BOARDS: dict[str, Board] = {
    "ulx3s_85f": Board(
        config=ArrayConfig(
            key_bits=6,
            index_bits=12,
            core=CoreConfig(lanes=16, rows=16, words=8192, slots=4, group=1, entries=512, sparse=True),
        ),
        clock_hz=25_000_000,
        baud=1_000_000,
        description="Radiona ULX3S, Lattice ECP5 LFE5U-85F (CABGA381)",
    ),
}


def board(name: str) -> Board:
    """A board by its name. Raises :class:`ConfigError` for an unknown one."""
    try:
        return BOARDS[name]
    except KeyError:
        raise ConfigError(f"board: there is no {name!r}; the boards are {', '.join(sorted(BOARDS))}") from None
