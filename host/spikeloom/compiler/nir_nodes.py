"""The NIR nodes that are imported, their parameters as checked numbers, and why the others are refused."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from spikeloom.contract.errors import NetworkError

NEURONS = {
    "I": ("r",),
    "IF": ("r", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "w_in", "v_threshold", "v_reset"),
    "Threshold": ("threshold",),
}
"""Nodes with a state or a threshold, and their fields, one value a neuron."""

INTEGRATORS = ("I", "LI", "CubaLI")
"""Neurons without a threshold: they send nothing, their potential is a result."""

LINEAR = ("Affine", "Linear", "Scale", "Flatten", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d", "Delay")
"""Nodes that fold into the weights and delays of the neurons behind them."""

PORTS = ("Input", "Output")


def kind(node: nir.NIRNode) -> str:
    return type(node).__name__


def check_supported(name: str, node: nir.NIRNode) -> None:
    """Refuse a node that is not imported."""
    if kind(node) in (*NEURONS, *LINEAR, *PORTS):
        return
    supported = ", ".join((*PORTS, *LINEAR, *NEURONS))
    raise NetworkError(f"node {name} ({kind(node)}): this type is not known; supported are {supported}")


def number(name: str, node: nir.NIRNode, field: str) -> np.ndarray:
    """A field of a node as finite ``float64``, its shape kept."""
    where = f"node {name} ({kind(node)}): {field}"
    value: Any = getattr(node, field, None)
    if value is None and field == "v_reset":  # older nodes lack it
        value = np.zeros_like(node.v_threshold)
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise NetworkError(f"{where} must be numbers, not {value!r}") from None
    for at in np.argwhere(~np.isfinite(array))[:1]:
        index = tuple(int(i) for i in at)
        raise NetworkError(f"{where} is {array[index]} at {index}; every value must be finite")
    return array


def weight(name: str, node: nir.NIRNode) -> np.ndarray:
    """The matrix of an Affine or Linear node, ``(out, in)``."""
    matrix = number(name, node, "weight")
    if matrix.ndim != 2:
        raise NetworkError(
            f"node {name} ({kind(node)}): weight has shape {matrix.shape}, must be (out, in): "
            "batched matrices are not imported; flatten first"
        )
    return matrix


def neuron_shape(name: str, node: nir.NIRNode) -> tuple[int, ...]:
    """The common shape of a neuron node's fields; ``()`` where all are single numbers."""
    fields = {field: number(name, node, field).shape for field in NEURONS[kind(node)]}
    try:
        return tuple(np.broadcast_shapes(*fields.values()))
    except ValueError:
        listed = ", ".join(f"{field} {shape}" for field, shape in fields.items())
        raise NetworkError(f"node {name} ({kind(node)}): its fields have different shapes: {listed}") from None
