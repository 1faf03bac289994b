"""The built ensembles and connections as integers: one population an ensemble, one projection a connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np
from nengo.builder import Model
from nengo.ensemble import Neurons
from scipy import sparse

from ..contract.network import InputKind, InputPopulation, Population, Projection, QuantisedNetwork
from ..contract.neuron import Reset
from ..contract.numerics import DECAY_ONE, Numerics
from .neurons import COUNT_MAX, ArrayNeuron
from .split import Split

SCALE_MAX = 1 << 20
"""State units of a threshold at most: finer than that changes no spike."""

HEADROOM = 4.0
"""Currents reach this multiple of those at the ensemble's radius before they are clipped."""

LEARNED = 5.0
"""Weights that learn may reach this multiple of those that drive the target with all sources at 100 spikes a second."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scaled:
    """An ensemble as a population.

    Attributes:
        name: of the population.
        scale: state units of one threshold, a neuron.
        current: state units that a current of one adds to the potential in a tick, a neuron.
        output: what a spike is worth.
    """

    name: str
    scale: np.ndarray
    current: np.ndarray
    output: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Rounded:
    """How a connection's weights were rounded: bits in use, and the error relative to the root mean square."""

    bits: float
    error: float
    clipped: int


def quantise(
    model: Model, split: Split, numerics: Numerics
) -> tuple[QuantisedNetwork, dict[nengo.Ensemble, Scaled], dict[nengo.Connection, Rounded]]:
    """Integers for everything that is on the array; projections begin with the connections, in their order here."""
    currents = {c: current_weights(model, c, split.worth(c)) for c in split.connections if split.on_array(c)}
    names = population_names(split)
    scaled: dict[nengo.Ensemble, Scaled] = {}
    populations, projections = [], []
    rounded: dict[nengo.Connection, Rounded] = {}
    adapting = []
    for ensemble, neuron in split.neurons.items():
        built = model.params[ensemble]
        incoming = list(split.incoming(ensemble))
        alpha = split.filters[incoming[0]].alpha if incoming else 0
        gain = neuron.drive * (1 - alpha / DECAY_ONE)
        weights = [currents[c] * gain for c in incoming]
        if neuron.adapt:
            alpha, step = neuron.adapt
            weights = [sparse.csr_array(sparse.diags_array(np.full(ensemble.n_neurons, -neuron.drive * step)))]
        gains, biases = np.asarray(built.gain, dtype=float), np.asarray(built.bias, dtype=float)
        needed = HEADROOM * (np.abs(gains) + np.abs(biases))
        reserves = [_reserve(c, needed, split.worth(c)) * gain for c in incoming if c.learning_rule_type]
        counts = [COUNT_MAX if _source(c) in split.sources else 1 for c in incoming] or [1]
        scale = _scale(neuron, needed, [*weights, *reserves], [*counts, *[1] * len(reserves)], numerics)
        populations.append(_population(names[ensemble], neuron, alpha, scale, biases, numerics))
        scaled[ensemble] = Scaled(name=names[ensemble], scale=scale, current=scale * neuron.drive, output=neuron.output)
        if neuron.adapt:
            (own,), _ = _integers(weights, scale, numerics)
            adapting.append(
                Projection(source=names[ensemble], target=names[ensemble], weights=own, delay=1, sparse=True)
            )
            continue
        integers, errors = _integers(weights, scale, numerics)
        for connection, whole, error in zip(incoming, integers, errors, strict=True):
            projections.append(
                Projection(
                    source=names[_source(connection)],
                    target=names[ensemble],
                    weights=whole,
                    delay=split.filters[connection].delay,
                    sparse=sparse.issparse(currents[connection]),
                )
            )
            rounded[connection] = error
    network = QuantisedNetwork(
        numerics=numerics,
        inputs=[
            InputPopulation(name=names[e], shape=(e.n_neurons,), kind=InputKind.COUNTS, max_count=COUNT_MAX)
            for e in split.sources
        ],
        populations=populations,
        projections=projections + adapting,
        outputs={p.name: p.name for p in populations},
    )
    return network, scaled, rounded


def population_names(split: Split) -> dict[nengo.Ensemble, str]:
    """Names of populations, and of inputs for the spikes of the host."""
    return {e: f"{n}:{e.label or 'ensemble'}" for n, e in enumerate([*split.neurons, *split.sources])}


def integer_weights(
    model: Model,
    split: Split,
    connection: nengo.Connection,
    scaled: dict[nengo.Ensemble, Scaled],
    numerics: Numerics,
    weights: np.ndarray,
) -> np.ndarray:
    """Integers of a connection on the array whose weights have become others, cut to the weights' range."""
    post = connection.post_obj
    target = post.ensemble if isinstance(post, Neurons) else post
    gain = split.neurons[target].drive * (1 - split.filters[connection].alpha / DECAY_ONE)
    currents = current_weights(model, connection, split.worth(connection), weights) * gain
    (whole,), _ = _integers([currents], scaled[target].scale, numerics)
    return whole


def current_weights(model: Model, connection: nengo.Connection, worth: float, weights: Any = None) -> Any:
    """Current into each target neuron of one spike of each source neuron, ``(target, source)``, before the synapse.

    ``worth`` is the output of one spike; ``weights`` stand for those that the connection was built with.
    """
    pre, post = connection.pre_obj, connection.post_obj
    ensemble = post.ensemble if isinstance(post, Neurons) else post
    weights = model.params[connection].weights if weights is None else weights
    if weights is None:  # a neuron-to-neuron connection without a transform
        weights = sparse.csr_array(sparse.eye_array(connection.size_in))
    elif isinstance(weights, np.ndarray) and weights.ndim == 0:
        weights = sparse.csr_array(sparse.eye_array(connection.size_in) * float(weights))
    elif isinstance(weights, np.ndarray) and weights.ndim == 1:
        weights = sparse.csr_array(sparse.diags_array(weights))
    elif not isinstance(weights, np.ndarray):
        weights = sparse.csr_array(weights.tocsr() if hasattr(weights, "tocsr") else weights.toarray())
    if isinstance(pre, Neurons):
        weights = _spread(weights, np.arange(pre.size_out)[connection.pre_slice], pre.size_out, axis=1)
    if isinstance(post, Neurons):
        rows = np.arange(post.size_in)[connection.post_slice]
        weights = _rows(model.params[ensemble].gain[rows], weights)
        weights = _spread(weights, rows, post.size_in, axis=0)
    elif not connection.solver.weights:
        weights = model.params[ensemble].scaled_encoders[:, connection.post_slice] @ weights
    return weights * worth


def _reserve(connection: nengo.Connection, needed: np.ndarray, worth: float) -> np.ndarray:
    """Weights that a connection may learn, ``(target, source)``: several times those for 100 spikes a second."""
    neurons = _source(connection).n_neurons
    largest = LEARNED * needed * worth / (100.0 * neurons)
    return np.repeat(largest[:, None], neurons, axis=1)


def _rows(factors: np.ndarray, weights: Any) -> Any:
    """Rows of a matrix times a factor each."""
    return sparse.diags_array(factors) @ weights if sparse.issparse(weights) else factors[:, None] * weights


def _spread(weights: Any, at: np.ndarray, size: int, axis: int) -> Any:
    """A matrix whose rows (or columns) stand for some of ``size`` neurons as one of all; repeated ones add up."""
    at = np.atleast_1d(at)
    if len(at) == size and (at == np.arange(size)).all():
        return weights
    choice = sparse.csr_array((np.ones(len(at)), (at, np.arange(len(at)))), shape=(size, len(at)))
    spread = choice @ weights if axis == 0 else weights @ choice.T
    return spread if sparse.issparse(spread) else np.asarray(spread)


def _source(connection: nengo.Connection) -> nengo.Ensemble:
    pre = connection.pre_obj
    return pre.ensemble if isinstance(pre, Neurons) else pre


def _scale(
    neuron: ArrayNeuron, needed: np.ndarray, weights: list[Any], counts: list[int], numerics: Numerics
) -> np.ndarray:
    """State units of a threshold, a neuron: as many as the state's range, the weights and their sums allow.

    ``counts`` are the spikes that a source neuron of each of the weights can send in a tick.
    """
    room = numerics.state_max / 2
    scale = np.minimum(SCALE_MAX, room / (1 + neuron.drive * needed))
    if np.isfinite(neuron.floor) and neuron.floor < 0:
        scale = np.minimum(scale, room / -neuron.floor)
    unit = float(1 << numerics.fraction_bits)
    if weights:
        size = [abs(w) for w in weights]
        largest = np.max([np.asarray(_dense(w.max(axis=1))) for w in size], axis=0)
        total = np.sum([n * np.asarray(w.sum(axis=1)).reshape(-1) for n, w in zip(counts, size, strict=True)], axis=0)
        with np.errstate(divide="ignore"):
            scale = np.minimum(scale, unit * (numerics.weight_limit - 0.5) / largest)
            scale = np.minimum(scale, unit * 0.9 * (1 << numerics.accumulator_bits - 1) / total)
    return np.maximum(1.0, np.floor(scale))


def _dense(values: Any) -> np.ndarray:
    return np.asarray(values.todense() if sparse.issparse(values) else values).reshape(-1)


def _integers(weights: list[Any], scale: np.ndarray, numerics: Numerics) -> tuple[list[np.ndarray], list[Rounded]]:
    integers, errors = [], []
    for w in weights:
        dense = np.asarray(w.todense() if sparse.issparse(w) else w)
        exact = dense * (scale / (1 << numerics.fraction_bits))[:, None]
        whole = np.clip(np.rint(exact), numerics.weight_min, numerics.weight_max).astype(np.int64)
        size = float(np.sqrt(np.mean(exact**2))) if exact.size else 0.0
        error = float(np.sqrt(np.mean((whole - exact) ** 2))) / size if size else 0.0
        used = float(np.log2(1 + abs(whole).max(initial=0))) + 1
        clipped = int((abs(exact) > numerics.weight_max + 0.5).sum())
        integers.append(whole)
        errors.append(Rounded(bits=used, error=error, clipped=clipped))
    return integers, errors


def _population(
    name: str, neuron: ArrayNeuron, alpha: int, scale: np.ndarray, bias: np.ndarray, numerics: Numerics
) -> Population:
    whole = scale.astype(np.int64)
    low, high = numerics.state_min, numerics.state_max
    floor = np.rint(neuron.floor * scale) if np.isfinite(neuron.floor) else np.full(len(scale), low)
    return Population(
        name=name,
        shape=(len(scale),),
        alpha=alpha,
        beta=neuron.beta,
        theta=whole - (not neuron.strict),
        v_min=np.clip(floor, low, high).astype(np.int64),
        v_sub=whole if neuron.reset is Reset.SUBTRACT else 0,
        reset=neuron.reset,
        refractory=neuron.refractory,
        bias=np.clip(np.rint(bias * scale * neuron.drive), low, high).astype(np.int64),
    )
