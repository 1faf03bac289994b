"""The overflow proof: how wide the sum of the weights of one tick can become."""

from __future__ import annotations

import numpy as np

from ..contract.network import QuantisedNetwork


def accumulator_bounds(network: QuantisedNetwork) -> dict[str, np.ndarray]:
    """Least and largest sum of one tick, whatever spikes come: ``int64 (2, size)`` a population."""
    bounds = {p.name: np.zeros((2, p.size), dtype=np.int64) for p in network.populations}
    counts = {end.name: end.max_count for end in network.ends}
    for edge in network.projections:
        count = counts[edge.source]
        weights = edge.weights.astype(np.int64) if edge.plain else network.matrix(edge)
        total, size = weights.sum(axis=1), abs(weights).sum(axis=1)
        bounds[edge.target][0] += (total - size) // 2 * count
        bounds[edge.target][1] += (total + size) // 2 * count
    return bounds


def accumulator_bits_needed(network: QuantisedNetwork) -> int:
    """Least accumulator width that no neuron's sum of one tick overflows, whatever spikes come."""
    bounds = accumulator_bounds(network).values()
    low = min((int(b[0].min(initial=0)) for b in bounds), default=0)
    high = max((int(b[1].max(initial=0)) for b in bounds), default=0)
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length()) + 1
