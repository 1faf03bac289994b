"""Boards with names: the array that each one's bitstream holds, and how to reach it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .config import ArrayConfig, CoreConfig
from .errors import ConfigError
from .numerics import Numerics


@dataclass(frozen=True, kw_only=True, slots=True)
class Chip:
    """What a chip has, as far as an array needs it.

    Attributes:
        name: the chip and its package.
        family: ``ecp5``, ``ice40`` or ``gowin``.
        resources: how many there are, by the names that place and route counts them under.
        fill: share of the logic up to which arrays are placed and routed; beyond it, routers find no way.
    """

    name: str
    family: str
    resources: Mapping[str, int]
    fill: float


LFE5U_85F = Chip(
    name="Lattice LFE5U-85F", family="ecp5", resources={"COMB": 83640, "FF": 83640, "RAM": 208, "DSP": 156}, fill=0.8
)
LFE5U_25F = Chip(
    name="Lattice LFE5U-25F", family="ecp5", resources={"COMB": 24288, "FF": 24288, "RAM": 56, "DSP": 28}, fill=0.8
)
GW2AR_18 = Chip(
    name="Gowin GW2AR-18", family="gowin", resources={"COMB": 20736, "FF": 15552, "RAM": 46, "DSP": 48}, fill=0.8
)
UP5K = Chip(
    name="Lattice iCE40UP5K-SG48", family="ice40", resources={"LC": 5280, "EBR": 30, "SPRAM": 4, "DSP": 8}, fill=0.97
)


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


ICE40: dict[str, Any] = {"event_fifo": 4, "spike_fifo": 4, "short": True, "sums_latency": 1}
"""Of a core on an iCE40: without LUT RAM queues are flip-flops, and there are few of these."""

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
    # Dense networks of about 100 hidden neurons, with weights in all of the SPRAM: 784-128-10 for example.
    "icebreaker": Board(
        config=ArrayConfig(
            key_bits=2,
            index_bits=10,
            core=CoreConfig(
                lanes=8,
                rows=18,
                words=16384,
                slots=2,
                projections=2,
                coordinates=2,
                loops=1,
                parameters_per_neuron=False,
                numerics=Numerics(fraction_bits=0, state_bits=14),
                **ICE40,
            ),
        ),
        clock_hz=27_000_000,
        baud=1_000_000,
        description="1BitSquared iCEBreaker, Lattice iCE40UP5K-SG48",
    ),
}


def board(name: str) -> Board:
    """A board by its name. Raises :class:`ConfigError` for an unknown one."""
    try:
        return BOARDS[name]
    except KeyError:
        raise ConfigError(f"board: there is no {name!r}; the boards are {', '.join(sorted(BOARDS))}") from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """A board that an array can be chosen for, whether or not there is a build of it.

    Attributes:
        chip: what there is.
        clock_hz, baud: of the preset's array, and of the link.
    """

    chip: Chip
    clock_hz: int
    baud: int


def _room(chip: Chip, preset: Board) -> Room:
    return Room(chip=chip, clock_hz=preset.clock_hz, baud=preset.baud)


ROOMS: dict[str, Room] = {
    "ulx3s_85f": _room(LFE5U_85F, BOARDS["ulx3s_85f"]),
    "ulx3s_25f": _room(LFE5U_25F, BOARDS["ulx3s_85f"]),
    "icebreaker": _room(UP5K, BOARDS["icebreaker"]),
}


def room(name: str) -> Room:
    """A board to fit an array to. Raises :class:`ConfigError` for an unknown one."""
    try:
        return ROOMS[name]
    except KeyError:
        raise ConfigError(f"board: there is no {name!r} to fit to; there are {', '.join(sorted(ROOMS))}") from None
