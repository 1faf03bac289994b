"""A graph of ONNX as activations, each with the one weighted sum in front of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from spikeloom.contract.errors import NetworkError

from ..linear import Combination, Shape
from .layers import Argument, apply
from .onnx_file import Graph, Node, evaluate
from .signal import Signal

ACTIVATIONS = ("Relu", "Clip", "Min", "Max")
AT_THE_END = ("Softmax", "LogSoftmax")
"""Operators that change no decision: the largest output stays the largest."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Activation:
    """``min(max(sum, 0), bound)``; ``bound`` is infinite for a ReLU."""

    name: str
    shape: Shape
    arriving: Combination
    bound: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Folded:
    """What a graph computes.

    Attributes:
        inputs: shapes as the graph has them.
        orders: axis ``n`` of an input population is axis ``orders[name][n]`` of the image: channels first.
        activations: in the order of computing.
        outputs: by name, the sum that each shows.
        ignored: nodes at the outputs that were left out.
    """

    inputs: Mapping[str, Shape]
    orders: Mapping[str, Shape]
    activations: list[Activation]
    outputs: Mapping[str, Signal]
    ignored: list[str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Gain:
    """What the signal of a source stands for: ``factor * signal + offset``, ``(size,)`` or one for all."""

    factor: np.ndarray | float = 1.0
    offset: float = 0.0

    def of(self, name: str, shape: Shape) -> Combination:
        signal = Combination.signal(name, shape)
        if np.any(np.asarray(self.factor) != 1):
            signal = signal.scaled(np.broadcast_to(np.asarray(self.factor, dtype=np.float64), (signal.size,)))
        return signal.plus(np.full(signal.size, self.offset)) if self.offset else signal


def fold(graph: Graph, gains: Mapping[str, Gain] | None = None) -> Folded:
    """Fold all that is linear. ``gains``: by input and activation; 1 where there is none."""
    return _Fold(graph, gains or {}).result()


class _Fold:
    def __init__(self, graph: Graph, gains: Mapping[str, Gain]):
        self.graph, self.gains = graph, gains
        self.values: dict[str, Argument] = dict(graph.constants)
        self.activations: dict[str, Activation] = {}
        self.uses = Counter(name for node in graph.nodes for name in node.inputs) + Counter(graph.outputs)
        self.ignored: list[str] = []
        self.orders = {name: _order(graph, name) for name in graph.inputs}
        for name, shape in graph.inputs.items():
            order = self.orders[name]
            stored = tuple(shape[a] for a in order)
            self.values[name] = Signal(value=self._gain(name).of(name, stored), shape=stored).turned(
                tuple(order.index(n) for n in range(len(order)))
            )
        for node in graph.nodes:
            self._visit(node)

    def _gain(self, name: str) -> Gain:
        return self.gains.get(name, Gain())

    def _visit(self, node: Node) -> None:
        missing = [name for name in node.inputs if name and name not in self.values]
        if missing:
            raise NetworkError(f"{node}: nothing gives its input {missing[0]}")
        args: list[Argument] = [self.values[name] if name else None for name in node.inputs]
        first = next((a for a in args if isinstance(a, Signal)), None)
        if node.op == "Shape" and first is not None:
            args, first = [np.zeros((1, *first.whole), dtype=np.float32)], None
        if first is None:
            constants = [a for a in args if isinstance(a, np.ndarray)]
            self.values |= dict(zip(node.outputs, evaluate(node, constants), strict=True))
        elif node.op in AT_THE_END and node.outputs[0] in self.graph.outputs:
            self.ignored.append(str(node))
            self.values[node.outputs[0]] = first
        elif node.op in ACTIVATIONS:
            self.values[node.outputs[0]] = self._activate(node, first, args)
        else:
            self.values[node.outputs[0]] = apply(node, args)

    def _activate(self, node: Node, x: Signal, args: list[Argument]) -> Signal:
        low, high = _limits(node, args)
        if x.activation is not None and low <= 0 and self.uses[node.inputs[0]] == 1:
            known = self.activations[x.activation]  # a bound in two nodes, such as Relu and then Min
            self.activations[x.activation] = replace(known, bound=min(known.bound, high))
            return x
        if low != 0 or not high > 0:
            raise NetworkError(
                f"{node}: it bounds to {low:g} .. {high:g}: a spike rate goes from 0 to a positive bound"
            )
        x = x.plain() if x.pads else x
        name = _plain(node.name)
        if name in self.activations or name in self.graph.inputs:
            name = _plain(node.outputs[0])
        self.activations[name] = Activation(name=name, shape=x.stored, arriving=x.value, bound=high)
        return replace(x, value=self._gain(name).of(name, x.stored), activation=name)

    def result(self) -> Folded:
        outputs = {}
        for name in self.graph.outputs:
            value = self.values.get(name)
            if not isinstance(value, Signal):
                raise NetworkError(f"output {name}: it does not depend on the input")
            outputs[_plain(name)] = value.plain()
        return Folded(
            inputs=self.graph.inputs, orders=self.orders, activations=list(self.activations.values()), outputs=outputs,
            ignored=self.ignored,
        )  # fmt: skip


def _order(graph: Graph, name: str) -> Shape:
    """How to turn an input so that it is as its one transpose wants it; as it is where there is none."""
    same = tuple(range(len(graph.inputs[name])))
    while True:
        users = [node for node in graph.nodes if name in node.inputs and node.op != "Shape"]
        turns = {tuple(int(n) for n in node.attributes.get("perm", ())) for node in users if node.op == "Transpose"}
        if users and len(turns) == 1 and all(node.op == "Transpose" for node in users):
            (perm,) = turns
            return tuple(n - 1 for n in perm[1:]) if perm[:1] == (0,) else same
        if len(users) != 1 or users[0].op not in ("Identity", "Cast"):
            return same
        name = users[0].outputs[0]


def _limits(node: Node, args: list[Argument]) -> tuple[float, float]:
    """Least and largest value behind an activation node."""
    if node.op == "Relu":
        return 0.0, np.inf
    if node.op in ("Min", "Max"):
        others = [a for a in args if not isinstance(a, Signal)]
        if len(args) != 2 or len(others) != 1:
            raise NetworkError(f"{node}: it must compare one signal with a constant")
        limit = _scalar(node, others[0])
        return (-np.inf, limit) if node.op == "Min" else (limit, np.inf)
    limits = [*args[1:], None, None][:2]
    low = _scalar(node, limits[0]) if limits[0] is not None else float(node.attributes.get("min", -np.inf))
    high = _scalar(node, limits[1]) if limits[1] is not None else float(node.attributes.get("max", np.inf))
    return low, high


def _scalar(node: Node, value: Argument) -> float:
    if not isinstance(value, np.ndarray) or value.size < 1 or (value != value.reshape(-1)[0]).any():
        raise NetworkError(f"{node}: its bounds must be one constant for all")
    return float(value.reshape(-1)[0])


def _plain(name: str) -> str:
    return name.strip("/").replace("/", ".") or "node"
