"""Weights to integers: full scale, and what each width does with it."""

from __future__ import annotations

import numpy as np

TERNARY_CUT = 0.7
"""Ternary weights: magnitudes up to this part of the mean become 0 (Li et al., Ternary Weight Networks, 2016)."""


def full_scale(rows: np.ndarray, weight_bits: int) -> np.ndarray:
    """Integer weight per unit of real weight, a row of ``rows (neurons, weights)``; 0 where all weights are zero.

    4 bits and more: the largest magnitude becomes the largest integer. 1 and 2 bits: the mean of the magnitudes that
    are kept becomes 1.
    """
    magnitude = np.abs(rows)
    largest = magnitude.max(axis=1, initial=0.0)
    if weight_bits > 2:
        unit, steps = largest, (1 << weight_bits - 1) - 1
    else:
        kept = _kept(magnitude, weight_bits)
        unit, steps = (magnitude * kept).sum(axis=1) / np.maximum(kept.sum(axis=1), 1), 1
    return np.divide(steps, unit, out=np.zeros(len(rows)), where=unit > 0)


def rounded(weights: np.ndarray, rows: np.ndarray, scale: np.ndarray, weight_bits: int) -> np.ndarray:
    """Integers for ``weights (neurons, sources)``, a part of the columns of ``rows``, with ``scale`` a neuron.

    1-bit weights stay 0 where they are exactly 0: such a projection is a sparse one.
    """
    if weight_bits > 2:
        return np.rint(weights * scale[:, None]).astype(np.int64)
    if weight_bits == 1:
        return np.sign(weights).astype(np.int64)
    cut = TERNARY_CUT * np.abs(rows).mean(axis=1, keepdims=True)
    return (np.sign(weights) * (np.abs(weights) > cut)).astype(np.int64)


def _kept(magnitude: np.ndarray, weight_bits: int) -> np.ndarray:
    if weight_bits == 1:
        return magnitude > 0
    return magnitude > TERNARY_CUT * magnitude.mean(axis=1, keepdims=True)
