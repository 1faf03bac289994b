"""The network as it was trained, without spikes: activations on samples, and from them thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from spikeloom.contract.errors import NetworkError, SampleError

from ..graph import Matrix
from ..linear import Shape
from .fold import Activation, Folded

BATCH = 256
PER = ("layer", "channel")


class Ann:
    """Runs a folded network in double precision."""

    def __init__(self, folded: Folded):
        self.folded = folded
        self._sums = {a.name: _matrices(a.arriving.terms) for a in folded.activations}
        self._outputs = {name: _matrices(s.value.terms) for name, s in folded.outputs.items()}

    def run(self, images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs ``(n, size)`` by name, for images ``(n, *shape)`` of each input."""
        parts = [self._output(signals) for signals in self._batches(images)]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.folded.outputs}

    def activations(self, images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Activations ``(n, size)`` by name."""
        parts = list(self._batches(images))
        return {a.name: np.concatenate([part[a.name] for part in parts]) for a in self.folded.activations}

    def _batches(self, images: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        given = check_images(self.folded.inputs, images, self.folded.orders)
        for first in range(0, len(next(iter(given.values()))), BATCH):
            signals = {name: array[first : first + BATCH] for name, array in given.items()}
            for a in self.folded.activations:
                signals[a.name] = np.clip(_sum(self._sums[a.name], a.arriving.constant, signals), 0, a.bound)
            yield signals

    def _output(self, signals: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        outputs = self.folded.outputs
        return {name: _sum(self._outputs[name], s.value.constant, signals) for name, s in outputs.items()}


def check_images(
    inputs: Mapping[str, Shape], images: Mapping[str, np.ndarray], orders: Mapping[str, Shape]
) -> dict[str, np.ndarray]:
    """Images ``float64 (n, size)`` by input, axes in the order of its population. Raises :class:`SampleError`."""
    result = {}
    for name, shape in inputs.items():
        if name not in images:
            raise SampleError(f"input {name}: there are no images for it, only for {', '.join(images)}")
        array = np.asarray(images[name])
        if array.dtype.kind not in "biuf" or array.shape[1:] != shape or not len(array):
            want = ", ".join(["n", *map(str, shape)])
            raise SampleError(f"input {name}: images are {array.dtype} {array.shape}, must be numbers ({want})")
        array = array.transpose(0, *(a + 1 for a in orders[name]))
        result[name] = array.reshape(len(array), -1).astype(np.float64)
        if not np.isfinite(result[name]).all():
            raise SampleError(f"input {name}: a value is not a finite number")
    return result


def thresholds(activation: Activation, values: np.ndarray, percentile: float, per: str) -> tuple[np.ndarray, str]:
    """What one spike of each neuron stands for, ``(size,)``, and how it was found.

    A bound of the network's own is taken as it is. Otherwise the percentile of the activations on the samples
    ``(n, size)`` that are not 0, of a layer or of each channel (Rueckauer et al., 2017).
    """
    size = values.shape[1]
    if np.isfinite(activation.bound):
        return np.full(size, activation.bound), "the network's own bound"
    whole = _percentile(values, percentile)
    if not whole > 0:
        raise NetworkError(
            f"activation {activation.name}: it is 0 on all samples, which tells no threshold: give other samples"
        )
    how = f"percentile {percentile:g} of activations on {len(values)} samples"
    if per == "layer":
        return np.full(size, whole), f"{how}; {np.mean(values > whole):.3%} are above"
    channels = values.reshape(len(values), activation.shape[0], -1)
    own = np.array([_percentile(channels[:, c], percentile) for c in range(activation.shape[0])])
    silent = own <= 0
    full = np.repeat(np.where(silent, whole, own), size // activation.shape[0])
    return full, f"{how}, by channel; {np.mean(values > full):.3%} are above; {int(silent.sum())} channels are silent"


def _percentile(values: np.ndarray, percentile: float) -> float:
    active = values[values > 0]
    return float(np.percentile(active, percentile)) if active.size else 0.0


def _matrices(terms: Mapping) -> dict[str, Matrix]:
    return {name: term.full().T for (name, _), term in terms.items()}


def _sum(matrices: dict[str, Matrix], constant: np.ndarray, signals: dict[str, np.ndarray]) -> np.ndarray:
    n = len(next(iter(signals.values())))
    total = np.broadcast_to(constant, (n, constant.size))
    for name, weights in matrices.items():
        total = total + signals[name] @ weights
    return total
