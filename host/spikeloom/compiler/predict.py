"""What quantising is predicted to do: the network in real numbers with its rounded weights, all else as it was trained.

The difference to the trained network is what the weights cost; that of the golden model to this one is what thresholds,
biases, decays and states cost, rounded and bounded as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .graph import FloatProjection, Network
from .quantise import Layer
from .samples import Samples, by_input
from .simulate import BATCH, simulate
from .weights import by_row, by_value, with_values


@dataclass(frozen=True, kw_only=True, eq=False)
class Behaviour:
    """What a network does with samples.

    Attributes:
        rates: spikes a neuron and tick, by population.
        scores: by output ``(n, size)``: spikes of all ticks, or the last potential.
    """

    rates: dict[str, float]
    scores: dict[str, np.ndarray]


def with_rounded_weights(network: Network, layers: Sequence[Layer], only: Collection[str] | None = None) -> Network:
    """The network with the quantised weights of its layers (or of those named), divided by their scales again."""
    rounded = {
        id(edge): _in_source_units(edge, layer, values)
        for layer in layers
        if only is None or layer.source.name in only
        for edge, values in layer.edges
    }
    assert set(rounded) <= {id(e) for e in network.projections}, "layers of another network"
    projections = [rounded.get(id(e), e) for e in network.projections]
    return replace(network, projections=projections)


def _in_source_units(edge: FloatProjection, layer: Layer, values: np.ndarray) -> FloatProjection:
    stored = values.reshape(-1) if isinstance(values, np.ndarray) else values.data
    scale = by_value(edge.weights, by_row(edge, layer.scales.weight))
    return replace(edge, weights=with_values(edge.weights, stored / scale))


def behaviour(network: Network, samples: Samples) -> Behaviour:
    """Run a network in real numbers; keeps no tick."""
    given = by_input(network.inputs, samples)
    n, ticks = next(iter(given.values())).shape[:2]
    rates = {p.name: 0.0 for p in network.populations}
    shown = set(network.outputs.values())
    counts = {name: np.zeros((n, network.population(name).size)) for name in shown}
    last = {name: np.zeros((n, network.population(name).size)) for name in shown}
    for first in range(0, n, BATCH):
        window = slice(first, first + BATCH)
        for _, name, state in simulate(network, {key: array[window] for key, array in given.items()}):
            rates[name] += float(state.spikes.sum())
            if name in shown:
                counts[name][window] += state.spikes
                last[name][window] = state.v
    sizes = {p.name: max(1, n * ticks * p.size) for p in network.populations}
    return Behaviour(
        rates={name: total / sizes[name] for name, total in rates.items()},
        scores={
            output: last[name] if output in network.states else counts[name] for output, name in network.outputs.items()
        },
    )
