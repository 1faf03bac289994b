"""ONNX files as plain data: nodes in order, constants as arrays, one shape without the batch for each input.

The package ``onnx`` parses, infers and folds constants; nothing here knows what an operator means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeloom.contract.errors import NetworkError

DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One operator: its type, the names of the tensors that it takes ("" where one is left out) and gives."""

    name: str
    op: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: Mapping[str, Any]
    proto: Any

    def __str__(self) -> str:
        return f"node {self.name} ({self.op})"


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A model's main graph. Shapes of ``inputs`` are without the batch, the first axis."""

    nodes: Sequence[Node]
    constants: Mapping[str, np.ndarray]
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Sequence[str]


def package() -> Any:
    """The package ``onnx``. Raises :class:`NetworkError` where it is not installed."""
    try:
        import onnx
        import onnx.reference
    except ImportError as error:
        raise NetworkError(
            "ONNX files are read by the package onnx, which is not installed: pip install 'spikeloom[onnx]'"
        ) from error
    return onnx


def read(source: str | Path | Any) -> Graph:
    """A graph from a file or an ``onnx.ModelProto``. Raises :class:`NetworkError`."""
    onnx = package()
    if isinstance(source, onnx.ModelProto):
        return graph(source)
    try:
        model = onnx.load(source)
        onnx.checker.check_model(model)
    except (OSError, ValueError, TypeError, onnx.checker.ValidationError) as error:
        raise NetworkError(f"{source}: not a readable ONNX file: {error}") from error
    except Exception as error:  # protobuf's DecodeError, which is no part of onnx's interface
        raise NetworkError(f"{source}: not an ONNX file: {error}") from error
    try:
        return graph(model)
    except NetworkError as error:
        raise NetworkError(f"{source}: {error}") from error


def graph(model: Any) -> Graph:
    """The main graph of an ``onnx.ModelProto``."""
    onnx = package()
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    inputs = {i.name: _shape(i) for i in model.graph.input if i.name not in constants}
    nodes = [_node(node, n) for n, node in enumerate(model.graph.node)]
    return Graph(nodes=nodes, constants=constants, inputs=inputs, outputs=[o.name for o in model.graph.output])


def evaluate(node: Node, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """A node whose inputs are all constants, by the reference implementation of ``onnx``."""
    try:
        evaluator = package().reference.ReferenceEvaluator(node.proto)
        values = iter(inputs)
        result = evaluator.run(None, {name: next(values) for name in node.inputs if name})
    except Exception as error:  # whatever the operator of the reference raises
        raise NetworkError(f"{node}: its constant cannot be computed: {error}") from error
    return [np.asarray(array) for array in result]


def _node(proto: Any, number: int) -> Node:
    onnx = package()
    name = proto.name or (proto.output[0] if proto.output else f"number {number}")
    if proto.domain not in DOMAINS:
        raise NetworkError(f"node {name} ({proto.domain}.{proto.op_type}): operators of {proto.domain} are not known")
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}
    return Node(
        name=name, op=proto.op_type, inputs=list(proto.input), outputs=list(proto.output), attributes=attributes,
        proto=proto,
    )  # fmt: skip


def _shape(value: Any) -> tuple[int, ...]:
    sizes = [d.dim_value if d.HasField("dim_value") else 0 for d in value.type.tensor_type.shape.dim]
    if len(sizes) < 2:
        raise NetworkError(f"input {value.name}: it has {len(sizes)} axes, must have a batch and one more at least")
    if 0 in sizes[1:]:
        raise NetworkError(
            f"input {value.name}: its shape {tuple(n or '?' for n in sizes)} is not known behind the batch: "
            "export the network with sizes of its own"
        )
    return tuple(sizes[1:])
