"""Shapes of all signals of a NIR graph, found by ourselves: nir's own inference errs (convolutions, scalars)."""

from __future__ import annotations

from math import prod

import nir
import numpy as np

from spikeloom.contract.errors import NetworkError

from .nir_flatten import FlatGraph
from .nir_nodes import LINEAR, NEURONS, kind, neuron_shape, number, weight
from .nir_space import convolution, convolution_input, is_convolution, is_pool, pool, pool_input
from .readings import Readings

Shape = tuple[int, ...]


def infer_shapes(flat: FlatGraph, readings: Readings) -> dict[str, Shape]:
    """The shape that each node puts out; edges that do not fit are refused, or repaired with a note."""
    shapes: dict[str, Shape] = {}
    changed = True
    while changed:  # a pass may need what a later node tells: loops, scalar neurons
        changed = False
        for name in flat.nodes:
            if name not in shapes:
                incoming = next((shapes[source] for source in flat.before(name) if source in shapes), None)
                shape = _own_shape(flat, name) or _passed_shape(name, flat.nodes[name], incoming)
                if shape is not None:
                    shapes[name] = shape
                    changed = True
    for name, node in flat.nodes.items():
        if name not in shapes:
            raise NetworkError(f"{flat.describe(name)}: nothing tells its shape; give its Input or its fields one")
        if kind(node) in NEURONS and not neuron_shape(name, node) and shapes[name] != (1,):
            readings.note("repair", f"one value of each field for all {prod(shapes[name])} neurons", "scalars", name)
        if kind(node) in NEURONS and len(neuron_shape(name, node)) > len(shapes[name]):
            readings.note("repair", "axes of length 1 in front left out", "NIR has no batch axis", name)
    for source, target in flat.edges:
        _check_edge(flat, shapes, source, target, readings)
    return shapes


def _own_shape(flat: FlatGraph, name: str) -> Shape | None:
    """What a node's fields say; None or ``()`` where they say nothing."""
    node = flat.nodes[name]
    if kind(node) in ("Affine", "Linear"):
        return (weight(name, node).shape[0],)
    if kind(node) in NEURONS:
        return _in_front(neuron_shape(name, node))
    if is_convolution(node):
        given = convolution_input(name, node, None)
        return None if given is None else convolution(name, node, given).target
    if isinstance(node, nir.Input) and name not in flat.passes:
        return _in_front(declared_shape(flat, name))
    return None


def _in_front(shape: Shape) -> Shape:
    """Without axes of length 1 in front of channels and two of space: a batch axis, which NIR has not."""
    while len(shape) > 3 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _passed_shape(name: str, node: nir.NIRNode, incoming: Shape | None) -> Shape | None:
    """What a node makes of the shape that arrives."""
    if incoming is None:
        return None
    if is_convolution(node):
        given = convolution_input(name, node, incoming)
        assert given is not None
        return convolution(name, node, given).target
    if is_pool(node):
        return pool(name, node, incoming)[1]
    if kind(node) in ("Scale", "Delay"):
        return _scale_shape(number(name, node, kind(node).lower()).shape, incoming)
    if kind(node) != "Flatten":
        return incoming
    start, end = (int(axis) % len(incoming) for axis in (node.start_dim if len(incoming) > 1 else 0, node.end_dim))
    if start > end:
        return incoming
    return (*incoming[:start], prod(incoming[start : end + 1]), *incoming[end + 1 :])


def _scale_shape(scale: Shape, incoming: Shape) -> Shape:
    """The own shape of a scale or delay, unless it has axes of length 1 for what it treats alike, or no axes."""
    alike = len(scale) == len(incoming) and all(n in (1, m) for n, m in zip(scale, incoming, strict=True))
    return incoming if alike or not scale else scale


def declared_shape(flat: FlatGraph, name: str) -> Shape:
    """The shape that an Input or Output states; no axes mean one value."""
    node = flat.nodes[name]
    field = node.input_type if isinstance(node, nir.Input) else node.output_type
    value = next(iter((field or {}).values()), None)
    if value is None:
        raise NetworkError(f"{flat.describe(name)}: it has no shape")
    shape = tuple(int(n) for n in np.asarray(value).reshape(-1))
    if any(n < 1 for n in shape):
        raise NetworkError(f"{flat.describe(name)}: shape {shape} must be positive numbers")
    return shape or (1,)


def _wanted_shape(flat: FlatGraph, shapes: dict[str, Shape], name: str) -> Shape:
    node = flat.nodes[name]
    if kind(node) in ("Affine", "Linear"):
        return (weight(name, node).shape[1],)
    if is_convolution(node):
        taken = convolution_input(name, node, next(shapes[source] for source in flat.before(name)))
        assert taken is not None
        return taken
    if kind(node) == "Flatten" or is_pool(node):
        given = next(shapes[source] for source in flat.before(name))
        return pool_input(name, node, given) if is_pool(node) else given
    if kind(node) == "Output" and name not in flat.passes:
        return _in_front(declared_shape(flat, name))
    return shapes[name]


def _check_edge(
    flat: FlatGraph, shapes: dict[str, Shape], source: str, target: str, readings: Readings
) -> None:  # fmt: skip
    given, wanted = shapes[source], _wanted_shape(flat, shapes, target)
    if given == wanted:
        return
    if [n for n in given if n != 1] == [n for n in wanted if n != 1]:
        readings.note("repair", f"{given} taken as {wanted}", "axes of size 1", f"{source} -> {target}")
    elif kind(flat.nodes[source]) == "Flatten" and prod(given) == prod(wanted):
        readings.note("repair", "all axes flattened", "its start_dim counts a batch axis, and NIR has none", source)
    elif kind(flat.nodes[source]) in ("Affine", "Linear", "Delay") and kind(flat.nodes[target]) in NEURONS and (
        prod(given) == prod(wanted)
    ):  # fmt: skip
        readings.note("repair", f"{given} taken as {wanted}", "values in C order", f"{source} -> {target}")
    else:
        hint = ""
        if kind(flat.nodes[target]) in LINEAR and prod(given) == prod(wanted):
            hint = "; put a Flatten between them"
        elif len(given) > len(wanted) and given[-len(wanted) :] == wanted:
            hint = f"; if {given[: -len(wanted)]} is a time or batch axis, leave it out of the Input: NIR has none"
        raise NetworkError(
            f"edge {source} -> {target}: {flat.describe(source)} gives {given}, "
            f"{flat.describe(target)} takes {wanted}{hint}"
        )
