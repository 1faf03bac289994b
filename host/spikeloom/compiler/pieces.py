"""Pieces: what populations are cut into before they are spread over cores, and what each takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..contract import geometry
from ..contract.config import CoreConfig
from ..contract.grid import Grid
from ..contract.network import Population, Projection, QuantisedNetwork
from .relation import behind, channel_range, pooled, relation

USUAL_RATE = 1 / 16
"""Events a tick of a neuron, as long as nothing is known of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A part of a population that stays on one core: rows and weight words that it takes there.

    ``load``: about how many cycles a tick it costs its core, to walk the events and to update the neurons.
    """

    grid: Grid
    rows: int
    words: int
    load: float


def in_space(network: QuantisedNetwork) -> set[str]:
    """Inputs and populations whose indices have fields for space: a convolution or a pool moves over them."""
    names: set[str] = set()
    for edge in network.projections:
        if edge.convolution:
            names |= {edge.source, edge.target}
        elif edge.pool:
            names.add(edge.source)
    return names


def whole(network: QuantisedNetwork, name: str, spatial: set[str]) -> Grid:
    """All neurons of an input or a population."""
    shape = network.shape(name)
    return Grid.whole(geometry.in_space(shape) if name in spatial else (int(np.prod(shape)), 1, 1))


def cut(network: QuantisedNetwork, population: Population, core: CoreConfig, spread: int) -> list[Piece]:
    """Pieces of one block of channels each, and of as few positions along y as fit the core's rows.

    Where there are fewer blocks than cores to spread over, positions along y are cut further.
    """
    grid = whole(network, population.name, in_space(network))
    channels, height, width = grid.lengths
    blocks = grid.blocks(core.lanes)
    tiles = min(height, max(-(-height * width // core.rows), -(-spread // blocks)))
    edges = np.linspace(0, height, tiles + 1).round().astype(int).tolist()
    pieces = [
        replace(grid, channels=(first, min(first + core.lanes, channels)), y=(top, bottom))
        for top, bottom in pairwise(edges)
        for first in range(0, channels, core.lanes)
    ]
    words, walks = _words(network, population, core, pieces)
    return [
        Piece(grid=piece, rows=rows, words=words[n], load=walks[n] + rows * core.groups)
        for n, piece in enumerate(pieces)
        for rows in [piece.rows(core.lanes)]
    ]


def joined(grids: Iterable[Grid]) -> list[Grid]:
    """Neighbouring blocks of the same positions as one."""
    result: list[Grid] = []
    for grid in grids:
        if result and result[-1].y == grid.y and result[-1].channels[1] == grid.channels[0]:
            result[-1] = replace(result[-1], channels=(result[-1].channels[0], grid.channels[1]))
        else:
            result.append(grid)
    return result


def walks_sparsely(edge: Projection) -> bool:
    """Whether a projection is laid out word by word: its pattern, or the windows of its pool, follow no rule."""
    return edge.sparse or (edge.pool is not None and edge.pool.overlaps)


def _words(
    network: QuantisedNetwork, population: Population, core: CoreConfig, pieces: list[Grid]
) -> tuple[list[int], list[float]]:
    """Weight words that each piece takes, and about how many of them are visited in a tick."""
    words, walks = [0] * len(pieces), [0.0] * len(pieces)
    for edge in network.projections:
        if edge.target != population.name:
            continue
        matrix = network.matrix(edge) if walks_sparsely(edge) else None
        taps = int(np.prod(edge.weights.shape[2:]))
        for n, piece in enumerate(pieces):
            rows = piece.rows(core.lanes)
            if matrix is not None:
                own = visits = int(np.count_nonzero(present(matrix[piece.neurons()], piece, core.lanes)))
            elif edge.convolution:
                channels = range(edge.weights.shape[1] * edge.convolution.groups)
                own = taps * sum(bool(channel_range(edge, c, piece)) for c in channels)
                visits = rows * taps * edge.weights.shape[1]
            else:
                own = edge.weights.shape[1] * rows
                visits = own * int(np.prod(edge.pool.size)) if edge.pool else own
            words[n] += own
            walks[n] += USUAL_RATE * visits
    return words, walks


def present(matrix, grid: Grid, lanes: int) -> np.ndarray:
    """Which rows each source has synapses in, ``bool (sources, rows)``, of a sparse matrix ``(grid.size, sources)``."""
    found = np.zeros((matrix.shape[1], grid.rows(lanes)), dtype=bool)
    synapses = matrix.tocoo()
    found[synapses.col, grid.places(lanes)[synapses.row] // lanes] = True
    return found


def entries_needed(network: QuantisedNetwork, population: str) -> int:
    """Entries that a core takes at most for one slice of a population."""
    spatial = in_space(network)
    total = 0
    for edge in network.projections:
        if edge.target == population:
            grid = whole(network, edge.source, spatial)
            y_bits, x_bits = grid.field_bits
            channels = grid.lengths[0]
            if walks_sparsely(edge):
                total += grid.sources
            elif edge.source in spatial:
                total += (1 << y_bits) + (1 << x_bits)
                total += channels if edge.convolution and edge.convolution.groups > 1 else 0
    return total


def reaches(network: QuantisedNetwork, edge: Projection, source: Grid, target: Grid) -> bool:
    """Whether any neuron of one box has a synapse onto the other."""
    if walks_sparsely(edge):
        return bool(network.matrix(edge)[target.neurons()][:, source.neurons()].nnz)
    if edge.convolution is None and edge.pool is None:
        return True
    shape = behind(network, edge)
    if edge.convolution is None:
        return all((pooled(edge, axis, source, shape[1 + axis]) >= 0).any() for axis in (0, 1))
    return (
        any(channel_range(edge, c, target) for c in range(*source.channels))
        and bool(relation(edge, 0, source, target, shape).count.any())
        and bool(relation(edge, 1, source, target, shape).count.any())
    )
