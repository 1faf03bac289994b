"""Boards: what surrounds the array, and how it becomes a bitstream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.build import Platform
from amaranth.lib import wiring
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from spikeloom.contract.boards import Board, board

from .ulx3s import Ulx3s


@dataclass(frozen=True, slots=True)
class Target:
    """How a board is built: its platform, and the top of a board with its configuration, clock and baud rate."""

    platform: Callable[[], Platform]
    top: Callable[[Board], wiring.Component]


TARGETS: dict[str, Target] = {
    "ulx3s_85f": Target(ULX3S_85F_Platform, Ulx3s),
}
"""By the names of :data:`spikeloom.contract.boards.BOARDS`."""


def target(name: str) -> Target:
    """How a board is built. Raises :class:`~spikeloom.contract.errors.ConfigError` for an unknown one."""
    board(name)
    return TARGETS[name]
