"""Samples, checked: what does not fit the inputs of a network is refused, never clipped or cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from .errors import SampleError
from .network import InputKind, InputPopulation, Population, QuantisedNetwork

Samples: TypeAlias = np.ndarray | Mapping[str, np.ndarray]

CHUNK = 1 << 22
"""Values that are checked at once."""


def check_samples(network: QuantisedNetwork, samples: Samples) -> dict[str, np.ndarray]:
    """Samples by input name, ``(samples, ticks, size)`` each. Raises :class:`SampleError`."""
    names = [i.name for i in network.inputs]
    if not names:
        raise SampleError("the network has no inputs, so that samples cannot say how many ticks to run")
    if not isinstance(samples, Mapping):
        if len(names) > 1:
            raise SampleError(f"the network has the inputs {', '.join(names)}: give a dict of arrays by these names")
        samples = {names[0]: samples}
    if wrong := set(names) ^ set(samples):
        raise SampleError(f"samples: {sorted(wrong)} are missing or unknown; the network's inputs are {names}")
    arrays = {i.name: _check_shape(i, np.asarray(samples[i.name])) for i in network.inputs}
    if len({a.shape[:2] for a in arrays.values()}) > 1:
        lengths = ", ".join(f"{name} {a.shape[:2]}" for name, a in arrays.items())
        raise SampleError(f"samples: all inputs need the same numbers of samples and ticks, not {lengths}")
    for source in network.inputs:
        _check_values(source, arrays[source.name])
    return {i.name: arrays[i.name].reshape(*arrays[i.name].shape[:2], i.size) for i in network.inputs}


def check_biases(population: Population, low: int, high: int, biases: np.ndarray, first: int) -> None:
    """Raise :class:`SampleError` for a bias the state cannot hold; ``biases`` are those of samples ``first`` and on."""
    if biases.size and (biases.min() < low or biases.max() > high):
        sample, tick, neuron = np.argwhere((biases < low) | (biases > high))[0].tolist()
        raise SampleError(
            f"population {population.name}: sample {first + sample}, tick {tick}, "
            f"neuron {_index(neuron, population.shape)}: the currents make a bias of {biases[sample, tick, neuron]}, "
            f"must be {low} to {high}; scale the samples down, or quantise with these samples"
        )


def _check_shape(source: InputPopulation, array: np.ndarray) -> np.ndarray:
    shape = tuple(source.shape)
    if array.dtype.kind not in "biuf":
        raise SampleError(f"input {source.name}: samples must be numbers, not {array.dtype}")
    if array.ndim != 2 + len(shape) or array.shape[2:] != shape:
        wanted = f"({', '.join(['samples', 'ticks', *map(str, shape)])})"
        hint = "; a single sample needs a first axis of length 1" if array.shape[1:] == shape else ""
        raise SampleError(f"input {source.name}: samples have shape {array.shape}, must be {wanted}{hint}")
    return array


def _check_values(source: InputPopulation, array: np.ndarray) -> None:
    """Look for a value that the input cannot be, some samples at a time."""
    chunk = max(1, CHUNK // max(1, array[:1].size))
    for first in range(0, len(array), chunk):
        part = array[first : first + chunk]
        if source.kind is InputKind.CURRENTS:
            if part.dtype.kind == "f" and not (fine := np.isfinite(part)).all():
                raise _refusal(source, array, first, ~fine, "is no finite number")
            continue
        if part.dtype.kind == "f" and not (fine := part == np.rint(part)).all():
            raise _refusal(source, array, first, ~fine, "is no integer; real samples need an input of kind currents")
        limit = 1 if source.kind is InputKind.SPIKES else source.max_count
        if part.size and (part.min() < 0 or part.max() > limit):
            advice = (
                "spikes are 0 or 1, more of them a tick need an input of kind counts or graded"
                if source.kind is InputKind.SPIKES
                else f"must be 0 to max_count = {limit}; quantise with a larger max_count"
            )
            raise _refusal(source, array, first, (part < 0) | (part > limit), f"is out of range: {advice}")


def _refusal(source: InputPopulation, array: np.ndarray, first: int, wrong: np.ndarray, what: str) -> SampleError:
    sample, tick, *neuron = np.argwhere(wrong)[0].tolist()
    sample += first
    where = f"sample {sample}, tick {tick}, neuron {neuron[0] if len(neuron) == 1 else tuple(neuron)}"
    return SampleError(f"input {source.name}: {where}: {array[(sample, tick, *neuron)]} {what}")


def _index(neuron: int, shape: tuple[int, ...]) -> int | tuple[int, ...]:
    return neuron if len(shape) == 1 else tuple(int(i) for i in np.unravel_index(neuron, shape))
