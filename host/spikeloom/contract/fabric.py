"""The mesh: ports of a router and dimension-ordered multicast trees."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import numpy as np

from .config import ArrayConfig
from .layout import Field, Layout


class Port(IntEnum):
    """Ports of a router; a route is the set of ports that a key leaves by, one bit each."""

    NORTH = 0
    """Toward ``y - 1``."""
    EAST = 1
    """Toward ``x + 1``."""
    SOUTH = 2
    """Toward ``y + 1``."""
    WEST = 3
    """Toward ``x - 1``."""
    CORE = 4
    LINK = 5
    """The host; only the router of core 0 has it."""


OPPOSITE = {Port.NORTH: Port.SOUTH, Port.SOUTH: Port.NORTH, Port.EAST: Port.WEST, Port.WEST: Port.EAST}

ROUTE_LAYOUT = Layout((Field("ports", len(Port)),))

HOST = -1
"""Stands for the host where a core's number is expected: the source or a destination of a key."""


def ports_of(config: ArrayConfig, core: int) -> list[Port]:
    """Ports that the router of a core has: none that would leave the mesh."""
    x, y = config.position(core)
    present = {
        Port.NORTH: y > 0,
        Port.EAST: x < config.width - 1,
        Port.SOUTH: y < config.height - 1,
        Port.WEST: x > 0,
        Port.CORE: True,
        Port.LINK: core == 0,
    }
    return [port for port in Port if present[port]]


def neighbour(config: ArrayConfig, core: int, port: Port) -> int:
    """The core behind a port of another one."""
    step = {Port.NORTH: -config.width, Port.EAST: 1, Port.SOUTH: config.width, Port.WEST: -1}
    return core + step[port]


def multicast_tree(config: ArrayConfig, source: int, destinations: Iterable[int]) -> np.ndarray:
    """Ports by which a key leaves each router: along x first, then along y, so that channels form no cycle.

    ``source`` and ``destinations`` are cores, or :data:`HOST`. Returns ``uint32``, one mask a core; 0 where the tree
    does not pass.
    """
    masks = np.zeros(config.cores, dtype=np.uint32)
    start_x, start_y = config.position(max(source, 0))
    for destination in destinations:
        end_x, end_y = config.position(max(destination, 0))
        at = start_y * config.width + start_x
        for port, steps in (
            (Port.EAST, end_x - start_x), (Port.WEST, start_x - end_x),
            (Port.SOUTH, end_y - start_y), (Port.NORTH, start_y - end_y),
        ):  # fmt: skip
            for _ in range(steps):
                masks[at] |= 1 << port
                at = neighbour(config, at, port)
        masks[at] |= 1 << (Port.LINK if destination == HOST else Port.CORE)
    return masks
