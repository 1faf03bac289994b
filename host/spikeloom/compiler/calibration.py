"""Where the largest integer of a layer's weights is put: at the largest weight, or lower, so that all others are finer.

What a weight is worth is how often spikes meet it: with samples, each weight counts by the mean square of what its
source sends a tick, so that an input that is always dark decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spikeloom.contract.errors import NetworkError
from spikeloom.contract.geometry import Convolution, matrix

from .graph import FloatProjection, Network
from .simulate import Statistics
from .weights import Sharing, full_scale, integers

METHODS = ("max", "percentile", "mse")
FLOOR = 1e-3
"""A source that was silent on the samples counts as this part of the mean."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How a scale is found.

    Attributes:
        method: ``max``: the largest weight becomes the largest integer, and nothing is clipped. ``percentile``: the
            weight below which this percent of all (by worth) lie does. ``mse``: the scale of the least mean square of
            what rounding and clipping add to the sums.
        percentile: above 50, at most 100.
        steps: how many scales ``mse`` tries, from the largest weight to a quarter of it.
    """

    method: str = "max"
    percentile: float = 99.9
    steps: int = 40

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise NetworkError(f"calibration must be one of {', '.join(METHODS)}, not {self.method!r}")
        if not 50 < self.percentile <= 100:
            raise NetworkError(f"calibration: percentile must be above 50 and at most 100, not {self.percentile}")
        if not 2 <= self.steps <= 1000:
            raise NetworkError(f"calibration: steps must be 2 to 1000, not {self.steps}")

    @classmethod
    def of(cls, told: str | Calibration) -> Calibration:
        """From ``max``, ``percentile``, ``percentile:99.5``, ``mse`` or ``mse:100``."""
        if isinstance(told, Calibration):
            return told
        method, _, number = told.partition(":")
        try:
            fields: dict[str, tuple[str, type]] = {"percentile": ("percentile", float), "mse": ("steps", int)}
            given = {fields[method][0]: fields[method][1](number)} if number else {}
        except (KeyError, ValueError):
            raise NetworkError(
                f"calibration must be max, percentile, percentile:NUMBER, mse or mse:STEPS, not {told!r}"
            ) from None
        return cls(method=method, **given)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return self.method + {"percentile": f":{self.percentile:g}", "mse": f":{self.steps}"}.get(self.method, "")

    def scale(self, shared: Sharing, bits: int) -> np.ndarray:
        """Integer weight per unit of real weight, a group; 0 where all weights are zero.

        Weights of 1 and 2 bits have the scale of least mean square in every method (by worth in ``mse``).
        """
        if self.method == "max" or (bits <= 2 and self.method == "percentile"):
            return full_scale(shared, bits)
        if bits <= 2:
            return full_scale(shared, bits, by_worth=True)
        if self.method == "percentile":
            unit = _percentiles(shared, self.percentile)
            return np.divide((1 << bits - 1) - 1, unit, out=np.zeros(shared.count), where=unit > 0)
        return self._least_square(shared, bits)

    def _least_square(self, shared: Sharing, bits: int) -> np.ndarray:
        largest = full_scale(shared, bits)
        best, least = largest, np.full(shared.count, np.inf)
        for factor in np.geomspace(1, 4, self.steps):
            scale = largest * factor
            own = scale[shared.groups]
            error = integers(shared.values, own, bits) / np.where(own > 0, own, 1) - shared.values
            power = np.bincount(shared.groups, weights=shared.worth * error**2, minlength=shared.count)
            better = power < least * (1 - 1e-12)
            best, least = np.where(better, scale, best), np.where(better, power, least)
        return best


def _percentiles(shared: Sharing, percentile: float) -> np.ndarray:
    """Of each group, the least magnitude below or at which this percent of the worth lies."""
    magnitude = np.abs(shared.values)
    order = np.lexsort((magnitude, shared.groups))
    groups, worth = shared.groups[order], shared.worth[order]
    total = np.bincount(groups, weights=worth, minlength=shared.count)
    before = np.concatenate([[0.0], np.cumsum(total)[:-1]])
    reached = np.cumsum(worth) - before[groups] >= percentile / 100 * total[groups] * (1 - 1e-9)
    unit = np.full(shared.count, np.inf)
    np.minimum.at(unit, groups[reached], magnitude[order][reached])
    largest = np.zeros(shared.count)
    np.maximum.at(largest, shared.groups, magnitude)
    return np.where(np.isfinite(unit) & (unit > 0), unit, largest)  # a group of zeros but for a few: nothing is clipped


def worth(
    network: Network, edges: Sequence[FloatProjection], powers: Mapping[str, np.ndarray] | None
) -> list[np.ndarray]:
    """What each stored weight of each edge counts, ``(n,)`` an edge; ones without samples.

    Args:
        powers: mean square of what each source sends a tick, ``(size,)`` by name.
    """
    if powers is None:
        return [np.ones(len(e.values)) for e in edges]
    found = [_worth(network, e, powers[e.source]) for e in edges]
    mean = float(np.mean(np.concatenate([np.zeros(0), *found]))) if any(f.size for f in found) else 0.0
    return [np.maximum(f, FLOOR * mean) if mean > 0 else np.ones(len(f)) for f in found]


def _worth(network: Network, edge: FloatProjection, power: np.ndarray) -> np.ndarray:
    if not isinstance(edge.weights, np.ndarray):
        return power[edge.weights.indices]
    behind = power
    if edge.pool:
        given = network.shape(edge.source)
        pooled = edge.pool.shape(given)
        behind = matrix(np.ones((pooled[0], 1, 1, 1)), given, pooled, Convolution(groups=pooled[0]), edge.pool) @ power
    if edge.convolution is None:
        return np.tile(behind, edge.weights.shape[0])
    channels, per_group = edge.weights.shape[:2]
    means = behind.reshape(per_group * edge.convolution.groups, -1).mean(axis=1)
    group = np.arange(channels) // (channels // edge.convolution.groups)
    heard = means[group[:, None] * per_group + np.arange(per_group)]
    return np.broadcast_to(heard[:, :, None, None], edge.weights.shape).reshape(-1)


def source_powers(
    seen: Mapping[str, Statistics] | None, given: Mapping[str, np.ndarray] | None
) -> dict[str, np.ndarray] | None:
    """Mean square a tick of every source: inputs on the samples ``(n, ticks, size)``, and populations."""
    if seen is None or given is None:
        return None
    inputs = {name: np.mean(np.square(array, dtype=np.float64), axis=(0, 1)) for name, array in given.items()}
    return inputs | {name: s.power for name, s in seen.items()}
