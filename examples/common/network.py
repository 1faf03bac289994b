"""Chains of spiking layers in NumPy, twice: in float as trained, and in integers as the core computes.

One tick of a layer, ``x`` being the weighted sum of the spikes of this tick plus the bias (recurrent spikes
are those of the tick before)::

    u = alpha * u + x         alpha = 0: plain LIF, u is the input itself
    v = beta * v + u
    fires where v > theta, and then v -= theta

This is a second opinion for training, deliberately independent of the packages in ``host/`` and ``sim/``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DECAY_BITS = 12  # an integer decay is over 2**12
FRACTION_BITS = 4  # a state's unit is 2**-4 of a weight's
STATE_BITS = 24  # two's complement, saturating

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Weights and one neuron model; float as trained, or all integers after :func:`quantise`.

    Attributes:
        weight: ``(neurons, inputs)``.
        bias: ``(neurons,)``, added to ``u`` every tick.
        recurrent: ``(neurons, neurons)`` from the layer's own spikes of the tick before, or None.
        alpha: decay of the synaptic current a tick; 0 for LIF.
        beta: decay of the potential a tick.
        theta: ``(neurons,)`` thresholds, and what is subtracted from a potential that fired.
    """

    weight: Array
    bias: Array
    theta: Array
    beta: float
    alpha: float = 0.0
    recurrent: Array | None = None


@dataclass
class Trace:
    """What a layer did: spikes ``(n, ticks, neurons)``, largest absolute weighted sum, saturated states."""

    spikes: NDArray[np.uint8]
    peak_sum: float = 0.0
    saturations: int = 0

    @property
    def counts(self) -> NDArray[np.int64]:
        """Spikes of each neuron, ``(n, neurons)``."""
        return self.spikes.sum(axis=1, dtype=np.int64)


def run_float(layers: Sequence[Layer], spikes: NDArray[np.uint8]) -> list[Trace]:
    """Traces of all layers for input spikes ``(n, ticks, inputs)``, in float64."""
    traces = []
    for layer in layers:
        trace = Trace(np.zeros((*spikes.shape[:2], len(layer.weight)), np.uint8))
        u = v = fired = np.zeros((len(spikes), len(layer.weight)))
        for tick in range(spikes.shape[1]):
            x = _weighted(layer, spikes[:, tick], fired)
            trace.peak_sum = max(trace.peak_sum, float(np.abs(x).max()))
            u = layer.alpha * u + x + layer.bias
            v = layer.beta * v + u
            fired = v > layer.theta
            v = v - fired * layer.theta
            trace.spikes[:, tick] = fired
        traces.append(trace)
        spikes = trace.spikes
    return traces


def quantise(layer: Layer, weight_bits: int = 8) -> Layer:
    """The layer in integers: each neuron's largest weight becomes ``2**(weight_bits - 1) - 1``."""
    rows = layer.weight if layer.recurrent is None else np.hstack([layer.weight, layer.recurrent])
    scale = ((1 << weight_bits - 1) - 1) / np.abs(rows).max(axis=1).astype(float)
    state = scale * (1 << FRACTION_BITS)
    return Layer(
        weight=_integers(layer.weight * scale[:, None]),
        bias=_integers(layer.bias * state),
        recurrent=None if layer.recurrent is None else _integers(layer.recurrent * scale[:, None]),
        alpha=int(_integers(layer.alpha * (1 << DECAY_BITS))),
        beta=int(_integers(layer.beta * (1 << DECAY_BITS))),
        theta=_integers(layer.theta * state),
    )


def run_integer(layers: Sequence[Layer], spikes: NDArray[np.uint8]) -> list[Trace]:
    """As :func:`run_float`, for quantised layers and to the bit what the core's default build computes."""
    traces = []
    for layer in layers:
        trace = Trace(np.zeros((*spikes.shape[:2], len(layer.weight)), np.uint8))
        u = v = fired = np.zeros((len(spikes), len(layer.weight)), np.int64)
        for tick in range(spikes.shape[1]):
            x = _integers(_weighted(layer, spikes[:, tick], fired))  # float64 sums of integers are exact
            trace.peak_sum = max(trace.peak_sum, float(np.abs(x).max()))
            u = _saturate(_decayed(layer.alpha, u) + (x << FRACTION_BITS) + layer.bias, trace)
            v = _saturate(_decayed(layer.beta, v) + u, trace)
            fired = v > layer.theta
            v = v - fired * layer.theta
            trace.spikes[:, tick] = fired
        traces.append(trace)
        spikes = trace.spikes
    return traces


def _weighted(layer: Layer, spikes: Array, fired: Array) -> NDArray[np.float64]:
    x = spikes.astype(float) @ layer.weight.T.astype(float)
    return x if layer.recurrent is None else x + fired.astype(float) @ layer.recurrent.T.astype(float)


def _integers(x: Array | float) -> NDArray[np.int64]:
    return np.rint(x).astype(np.int64)


def _decayed(factor: float, state: NDArray[np.int64]) -> NDArray[np.int64]:
    return (state * int(factor) + (1 << DECAY_BITS - 1)) >> DECAY_BITS  # to the nearest, halves up


def _saturate(state: NDArray[np.int64], trace: Trace) -> NDArray[np.int64]:
    top = (1 << STATE_BITS - 1) - 1
    clipped = np.clip(state, -top - 1, top)
    trace.saturations += int((clipped != state).sum())
    return clipped
