"""Samples: the one check that everything that runs a network makes before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import SampleError
from .network import InputKind, InputPopulation, QuantisedNetwork


def check_samples(network: QuantisedNetwork, samples: Any) -> dict[str, np.ndarray]:
    """Samples of each input, ``(samples, ticks, size)``: ``int64``, or ``float64`` for currents.

    ``samples`` is an array ``(samples, ticks, *input shape)``, or, for several inputs, a mapping of such arrays by the
    inputs' names. Raises :class:`SampleError` naming the first sample, tick and neuron that cannot be run.
    """
    if not isinstance(samples, Mapping):
        if len(network.inputs) != 1:
            names = [i.name for i in network.inputs]
            raise SampleError(f"samples: the network has {len(names)} inputs, give a dict with arrays for {names}")
        samples = {network.inputs[0].name: samples}
    if unknown := set(samples) ^ {i.name for i in network.inputs}:
        raise SampleError(f"samples: inputs {sorted(unknown)} are missing or unknown")
    checked = {i.name: _check(i, samples[i.name]) for i in network.inputs}
    if len(shapes := {name: array.shape[:2] for name, array in checked.items()}) and len(set(shapes.values())) > 1:
        raise SampleError(f"samples: inputs differ in (samples, ticks): {shapes}")
    return checked


def _check(population: InputPopulation, values: Any) -> np.ndarray:
    where = f"samples of input {population.name}"
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise SampleError(f"{where}: must be numbers, not {array.dtype}")
    if array.ndim != 2 + len(population.shape) or array.shape[2:] != tuple(population.shape):
        raise SampleError(
            f"{where}: have shape {array.shape}, must be (samples, ticks, {', '.join(map(str, population.shape))})"
        )
    if 0 in array.shape[:2]:
        raise SampleError(f"{where}: shape {array.shape} holds no sample or no tick")
    array = array.reshape(*array.shape[:2], population.size)
    if population.kind is InputKind.CURRENTS:
        _refuse(where, array, ~np.isfinite(array), "must be a finite number")
        return array.astype(np.float64)
    high = 1 if population.kind is InputKind.SPIKES else population.max_count
    fits = (array >= 0) & (array <= high)
    if array.dtype.kind == "f":
        fits &= array == np.floor(array)
    _refuse(where, array, ~fits, f"must be an integer, 0 to {high}")
    return array.astype(np.int64)


def _refuse(where: str, array: np.ndarray, bad: np.ndarray, rule: str) -> None:
    if bad.any():
        sample, tick, neuron = np.unravel_index(int(np.argmax(bad)), bad.shape)
        raise SampleError(
            f"{where}: sample {sample}, tick {tick}, neuron {neuron} is {array[sample, tick, neuron]}, {rule}"
        )
