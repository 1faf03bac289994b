"""Which core of the mesh holds what: cores change places until measured traffic takes fewer hops.

What a core holds stays together, so that loads, words and rows stay as even as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..contract.config import ArrayConfig
from ..contract.fabric import HOST
from ..image import NO_KEY
from .pieces import USUAL_RATE
from .place import Placement

Activity = Mapping[str, np.ndarray]
"""Events a tick of each neuron of an input or a population, ``float (size,)``: see :mod:`spikeloom.busy`."""

ROUNDS = 8
"""Passes over all pairs of cores at most; most networks need two or three."""


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Flits a tick of each key, ``float (keys,)``; its home, ``int (keys,)``; and whom it reaches, ``bool (keys, cores
    + 1)``. Homes and reached ones are cores, :data:`HOST` is the last one."""

    flits: np.ndarray
    homes: np.ndarray
    reached: np.ndarray


def arrange(config: ArrayConfig, placement: Placement, activity: Activity) -> Placement:
    """The placement with its cores where the busiest router sends the fewest flits, and all of them few.

    Greedy: two cores change places wherever that helps, until no pair does. The same network and activity give the
    same placement.
    """
    moving = traffic(config, placement, activity)
    at = np.arange(config.cores)  # the place in the mesh of each core of the placement
    best = load(config, moving, at)
    for _ in range(ROUNDS):
        before = best
        for a in range(config.cores):
            for b in range(a):
                at[[a, b]] = at[[b, a]]
                cost = load(config, moving, at)
                if cost < best * (1 - 1e-9):
                    best = cost
                else:
                    at[[a, b]] = at[[b, a]]
        if best == before:
            break
    return moved(placement, at)


def traffic(config: ArrayConfig, placement: Placement, activity: Activity) -> Traffic:
    """What each key sends."""
    names = dict(placement.input_keys)
    flits = np.zeros(placement.keys)
    homes = np.full(placement.keys, config.cores)
    reached = np.zeros((placement.keys, config.cores + 1), dtype=bool)
    for name, key in names.items():
        if key != NO_KEY:
            rate = activity.get(name)
            flits[key] = placement.input_grids[name].size * USUAL_RATE if rate is None else float(np.sum(rate))
    for s in placement.slices:
        if s.key != NO_KEY:
            rate = activity.get(s.population)
            flits[s.key] = s.size * USUAL_RATE if rate is None else float(np.sum(rate[s.grid.neurons()]))
            homes[s.key] = s.core
    for link in placement.links:
        reached[link.key, link.target.core] = True
    for key in placement.to_host:
        reached[key, HOST] = True
    return Traffic(flits, homes, reached)


def copies(config: ArrayConfig, moving: Traffic, at: np.ndarray) -> np.ndarray:
    """Copies of a flit of each key that each router sends, ``int (keys, height, width)``, with each core at its place.

    The trees are those of :func:`~spikeloom.contract.fabric.multicast_tree`: along the source's row, then along
    columns.
    """
    places = np.append(at, 0)  # the host is at core 0
    start_y, start_x = (s[:, None, None] for s in np.divmod(places[moving.homes], config.width))
    ends = np.zeros((len(moving.flits), config.cores), dtype=np.int64)
    ends[:, at] = moving.reached[:, :-1]
    ends[:, 0] += moving.reached[:, HOST]
    grid = ends.reshape(-1, config.height, config.width)
    y, x = np.arange(config.height)[:, None], np.arange(config.width)
    wanted = np.asarray(grid > 0)
    south = _behind(wanted, 1) & (y >= start_y)
    north = _behind(wanted[:, ::-1], 1)[:, ::-1] & (y <= start_y)
    columns: np.ndarray = np.asarray(wanted.any(axis=1, keepdims=True))
    row = y == start_y
    east = _behind(columns, 2) & (x >= start_x) & row
    west = _behind(columns[:, :, ::-1], 2)[:, :, ::-1] & (x <= start_x) & row
    return grid + south + north + east + west


def _behind(wanted: np.ndarray, axis: int) -> np.ndarray:
    """Whether anything is wanted further along an axis."""
    counted = np.cumsum(wanted, axis=axis)
    return counted < counted.take([-1], axis=axis)


def report(config: ArrayConfig, before: Placement, after: Placement, activity: Activity) -> dict[str, float]:
    """Flits a tick that the busiest router sends, and all of them, before and after."""
    found: dict[str, float] = {}
    for name, placement in (("before", before), ("after", after)):
        moving = traffic(config, placement, activity)
        sent = np.tensordot(moving.flits, copies(config, moving, np.arange(config.cores)), 1)
        found |= {f"busiest router {name}": float(sent.max()), f"all routers {name}": float(sent.sum())}
    return {key: round(value, 2) for key, value in found.items()}


def load(config: ArrayConfig, moving: Traffic, at: np.ndarray) -> float:
    """Copies a tick of the busiest router, which sends one a cycle; among equals, fewer of all routers."""
    sent = np.tensordot(moving.flits, copies(config, moving, at), 1)
    return float(sent.max() + sent.mean())


def moved(placement: Placement, at: np.ndarray) -> Placement:
    """The same placement with core ``n`` at place ``at[n]``."""
    slices = {id(s): replace(s, core=int(at[s.core])) for s in placement.slices}
    return replace(
        placement,
        slices=tuple(slices.values()),
        links=tuple(
            replace(
                link,
                core=link.core if link.core == HOST else int(at[link.core]),
                target=slices[id(link.target)],
            )
            for link in placement.links
        ),
    )
