"""Weights to integers: which neurons share a scale, full scale, and what each width does with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy import sparse

from spikeloom.contract.geometry import in_space

from .graph import FloatPopulation, FloatProjection, Matrix

TERNARY_CUT = 0.7
"""Ternary weights: magnitudes up to this part of the mean become 0 (Li et al., Ternary Weight Networks, 2016)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sharing:
    """Which neurons of a population have one scale in common, and the weights that go with it.

    Attributes:
        group: of each neuron, ``(size,)``.
        count: number of groups.
        values, groups: all real weights that are stored, and the group of each, ``(n,)``.
        worth: what an error of each counts, ``(n,)``.
    """

    group: np.ndarray
    count: int
    values: np.ndarray
    groups: np.ndarray
    worth: np.ndarray

    @classmethod
    def of(
        cls, p: FloatPopulation, edges: Sequence[FloatProjection], per: str, worth: Sequence[np.ndarray] | None = None
    ) -> Sharing:
        """``per`` neuron: each neuron has its own, or each channel, if a kernel reaches all of it; layer: one.

        ``worth``: of each edge's stored weights; 1 unless given.
        """
        if per == "layer":
            group = np.zeros(p.size, dtype=np.int64)
        elif any(e.convolution for e in edges):
            group = np.repeat(np.arange(in_space(p.shape)[0]), prod(in_space(p.shape)[1:]))
        else:
            group = np.arange(p.size)
        return cls(
            group=group,
            count=int(group.max(initial=-1)) + 1,
            values=np.concatenate([np.zeros(0), *(e.values for e in edges)]),
            groups=np.concatenate([group[:0], *(by_value(e.weights, by_row(e, group)) for e in edges)]),
            worth=np.concatenate([np.zeros(0), *(worth or [np.ones(len(e.values)) for e in edges])]),
        )


def by_row(edge: FloatProjection, neurons: np.ndarray) -> np.ndarray:
    """One value a row of the edge's weights, from those of the neurons ``(size,)``, alike within a channel."""
    return neurons[:: len(neurons) // len(edge.weights)] if edge.convolution else neurons


def by_value(weights: Matrix, rows: np.ndarray) -> np.ndarray:
    """One value a stored weight, from those of the rows."""
    if isinstance(weights, np.ndarray):
        return np.repeat(rows, prod(weights.shape[1:]))
    return np.repeat(rows, np.diff(weights.indptr))


def full_scale(shared: Sharing, weight_bits: int, by_worth: bool = False) -> np.ndarray:
    """Integer weight per unit of real weight, a group; 0 where all weights are zero.

    3 bits and more: the largest magnitude becomes the largest integer. 1 and 2 bits: the mean of the magnitudes that
    are kept becomes 1.
    """
    magnitude = np.abs(shared.values)
    if weight_bits > 2:
        unit, steps = np.zeros(shared.count), (1 << weight_bits - 1) - 1
        np.maximum.at(unit, shared.groups, magnitude)
    else:
        kept = magnitude > (_cuts(shared)[shared.groups] if weight_bits == 2 else 0)
        counted = kept * shared.worth if by_worth else kept
        unit, steps = _means(shared, magnitude * counted, counted), 1
    return np.divide(steps, unit, out=np.zeros(shared.count), where=unit > 0)


def rounded(edge: FloatProjection, shared: Sharing, scale: np.ndarray, weight_bits: int) -> Matrix:
    """Integers for an edge's weights, with ``scale`` a neuron; of the same type and shape.

    1-bit weights stay 0 where they are exactly 0.
    """
    exact = edge.values
    if weight_bits > 2:
        values = integers(exact, by_value(edge.weights, by_row(edge, scale)), weight_bits)
    elif weight_bits == 1:
        values = np.sign(exact)
    else:
        cut = _cuts(shared)[by_value(edge.weights, by_row(edge, shared.group))]
        values = np.sign(exact) * (np.abs(exact) > cut)
    return with_values(edge.weights, values.astype(np.int64))


def integers(exact: np.ndarray, scale: np.ndarray, weight_bits: int) -> np.ndarray:
    """Weights of 3 bits and more, rounded to the nearest and clipped to what the bits hold."""
    half = 1 << weight_bits - 1
    return np.clip(np.rint(exact * scale), -half, half - 1)


def clipped(edge: FloatProjection, scale: np.ndarray, weight_bits: int) -> np.ndarray:
    """Which stored weights the bits do not hold, ``bool (n,)``; those of 1 and 2 bits are signs and never clipped."""
    if weight_bits <= 2:
        return np.zeros(len(edge.values), dtype=bool)
    nearest = np.rint(edge.values * by_value(edge.weights, by_row(edge, scale)))
    half = 1 << weight_bits - 1
    return (nearest < -half) | (nearest > half - 1)


def with_values(weights: Matrix, values: np.ndarray) -> Matrix:
    """Weights of the same type and shape with other stored values."""
    if isinstance(weights, np.ndarray):
        return values.reshape(weights.shape)
    return sparse.csr_array((values, weights.indices, weights.indptr), shape=weights.shape)


def _cuts(shared: Sharing) -> np.ndarray:
    """Magnitudes up to these become 0 in ternary weights, a group."""
    return TERNARY_CUT * _means(shared, np.abs(shared.values), np.ones(len(shared.values)))


def _means(shared: Sharing, values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    sums, numbers = (np.bincount(shared.groups, weights=x, minlength=shared.count) for x in (values, counted))
    return np.divide(sums, numbers, out=np.zeros(shared.count), where=numbers > 0)
