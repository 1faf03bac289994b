"""What arrives at each neuron node and output: everything linear in between folded into one projection a source."""

from __future__ import annotations

import nir
import numpy as np

from spikeloom.contract.errors import NetworkError

from .linear import Combination
from .nir_delays import delay_ticks
from .nir_flatten import FlatGraph
from .nir_nodes import NEURONS, kind, number, weight
from .nir_shapes import Shape
from .nir_space import convolution, convolution_input, is_convolution, is_pool, pool, pool_input
from .readings import Readings


def fold(flat: FlatGraph, shapes: dict[str, Shape], readings: Readings) -> dict[str, Combination]:
    """For each neuron node and output, the combination of inputs and spikes that its edges add up to."""
    signals = {
        name: Combination.signal(name, shapes[name])
        for name, node in flat.nodes.items()
        if kind(node) in NEURONS or (isinstance(node, nir.Input) and name not in flat.passes)
    }
    waiting = [name for name in flat.nodes if name not in signals]
    for name in waiting:
        if not flat.before(name):
            raise NetworkError(f"{flat.describe(name)}: no edge leads to it; connect it or leave it out")
    while waiting:
        ready = [name for name in waiting if all(source in signals for source in flat.before(name))]
        if not ready:
            raise NetworkError(
                f"nodes {', '.join(waiting)}: an edge closes a loop in which no node has a state; "
                "put a neuron node into it"
            )
        for name in ready:
            signals[name] = _linear(flat, shapes, name, _sum(flat, signals, name), readings)
        waiting = [name for name in waiting if name not in signals]
    return {
        name: _sum(flat, signals, name) or Combination(int(np.prod(shapes[name])))
        for name, node in flat.nodes.items()
        if kind(node) in NEURONS or kind(node) == "Output"
    }


def _sum(flat: FlatGraph, signals: dict[str, Combination], name: str) -> Combination | None:
    total: Combination | None = None
    for source in flat.before(name):
        total = signals[source] if total is None else total + signals[source]
    return total


def _linear(
    flat: FlatGraph, shapes: dict[str, Shape], name: str, arriving: Combination | None, readings: Readings
) -> Combination:
    assert arriving is not None
    node, incoming = flat.nodes[name], next((shapes[source] for source in flat.before(name)), None)
    if is_convolution(node):
        given = convolution_input(name, node, incoming)
        assert given is not None
        layer = convolution(name, node, given)
        result = arriving.convolved(layer.kernel, layer.convolution, given, layer.target)
        return result.plus(np.repeat(layer.bias, result.size // len(layer.bias)))
    if is_pool(node):
        assert incoming is not None
        windows, _, factor = pool(name, node, incoming)
        result = arriving.pooled(windows, pool_input(name, node, incoming))
        return result if factor == 1 else result.scaled(np.full(result.size, factor))
    if kind(node) in ("Affine", "Linear"):
        result = arriving.through(weight(name, node))
        return result.plus(_per_value(name, node, "bias", result.size)) if kind(node) == "Affine" else result
    if kind(node) == "Scale":
        scale = number(name, node, "scale")
        return arriving.scaled(np.broadcast_to(scale, shapes[name]).reshape(-1))
    if kind(node) == "Delay":
        if arriving.constant.any():
            readings.note("delay", "a bias in front of a Delay is there from the first tick on", "assumed", name)
        return arriving.delayed(np.broadcast_to(delay_ticks(name, node, readings), shapes[name]).reshape(-1))
    return arriving


def _per_value(name: str, node: nir.NIRNode, field: str, size: int) -> np.ndarray:
    values = number(name, node, field).reshape(-1)
    if values.size not in (1, size):
        raise NetworkError(f"node {name} ({kind(node)}): {field} has {values.size} values for {size}")
    return np.broadcast_to(values, (size,))
