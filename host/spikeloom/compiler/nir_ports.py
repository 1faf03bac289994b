"""Inputs and outputs of a graph; where a graph has none, those that its ends call for."""

from __future__ import annotations

import nir
import numpy as np

from spikeloom.contract.errors import NetworkError

from .nir_flatten import FlatGraph
from .nir_nodes import NEURONS, kind, neuron_shape, weight
from .nir_space import convolution_input, is_convolution
from .readings import Readings


def ports(flat: FlatGraph, type_: type[nir.NIRNode]) -> list[str]:
    """Names of the graph's own Input or Output nodes, not those of its subgraphs."""
    return [name for name, node in flat.nodes.items() if isinstance(node, type_) and name not in flat.passes]


def add_missing_ports(flat: FlatGraph, readings: Readings) -> None:
    """Add an Input before each first node, an Output behind each last neuron node, if there is none at all."""
    if not ports(flat, nir.Input):
        roots = {name: _shape(flat, name) for name in flat.nodes if not flat.before(name)}
        if not roots or not all(roots.values()):
            raise NetworkError("the graph has no Input node: add one, with the shape of one tick of a sample")
        for name, shape in roots.items():
            added = _add(flat, "input" if len(roots) == 1 else f"input_{name}", nir.Input({"input": np.array(shape)}))
            flat.edges.append((added, name))
            readings.note("repair", "Input added", "the graph has none", name)
    if not ports(flat, nir.Output):
        leaves = [name for name, node in flat.nodes.items() if not flat.after(name) and kind(node) in NEURONS]
        if not leaves:
            raise NetworkError("the graph has no Output node: add one behind the neurons that are the result")
        for name in leaves:
            output = nir.Output({"output": np.array(_shape(flat, name))})
            flat.edges.append((name, _add(flat, "output" if len(leaves) == 1 else f"output_{name}", output)))
            readings.note("repair", "Output added", "the graph has none", name)


def _shape(flat: FlatGraph, name: str) -> tuple[int, ...]:
    """What a node takes, if its fields tell; else ``()``."""
    node = flat.nodes[name]
    if kind(node) in ("Affine", "Linear"):
        return (weight(name, node).shape[1],)
    if kind(node) in NEURONS:
        return neuron_shape(name, node) or (1,)
    if is_convolution(node):
        return convolution_input(name, node, None) or ()
    return ()


def _add(flat: FlatGraph, name: str, node: nir.NIRNode) -> str:
    while name in flat.nodes:
        name += "_"
    flat.nodes[name], flat.metadata[name] = node, {}
    return name
