"""Boards: what surrounds the array, and how it becomes a bitstream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from amaranth.build import Platform
from amaranth.lib import wiring
from amaranth_boards.icebreaker import ICEBreakerPlatform
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from spikeloom.contract.boards import Board, board

from .pll import Pll
from .uart_board import UartBoard


@dataclass(frozen=True, slots=True)
class Target:
    """How a board is built.

    Attributes:
        platform: that of amaranth-boards.
        top: of a board with its configuration, clock and baud rate.
        nextpnr: its options besides those of every board.
        resources: of a report: nextpnr's names.
        suffix: of the bitstream's file.
        options: for the other tools, by the names of the platform.
    """

    platform: Callable[[], Platform]
    top: Callable[[Board], wiring.Component]
    nextpnr: str
    resources: Mapping[str, str]
    suffix: str
    options: Mapping[str, str] = field(default_factory=dict)


def _icebreaker(board: Board) -> wiring.Component:
    return UartBoard(board, leds=2, pll=Pll(board.clock_hz, 12e6))


TARGETS: dict[str, Target] = {
    "ulx3s_85f": Target(
        ULX3S_85F_Platform,
        UartBoard,
        nextpnr="--router router2",  # router1, the default, does not come to an end on arrays of many cores
        resources={"LUT": "TRELLIS_COMB", "FF": "TRELLIS_FF", "block RAM": "DP16KD", "multiplier": "MULT18X18D"},
        suffix="bit",
    ),
    "icebreaker": Target(
        ICEBreakerPlatform,
        _icebreaker,
        # The PLL's clock has lost its name by then, and with that a constraint of its own.
        nextpnr=f"--freq {board('icebreaker').clock_hz / 1e6:g}",
        resources={
            "logic cell": "ICESTORM_LC",
            "block RAM": "ICESTORM_RAM",
            "SPRAM": "ICESTORM_SPRAM",
            "multiplier": "ICESTORM_DSP",
        },
        suffix="bin",
        options={"synth_opts": "-dsp"},
    ),
}
"""By the names of :data:`spikeloom.contract.boards.BOARDS`."""


def target(name: str) -> Target:
    """How a board is built. Raises :class:`~spikeloom.contract.errors.ConfigError` for an unknown one."""
    board(name)
    return TARGETS[name]
