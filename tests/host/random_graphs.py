"""Random NIR graphs of every node: branches that add, several inputs and outputs, delays, loops.

All numbers are short binary fractions, so that every order of the same sums gives the same double.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import nir
import numpy as np

DT = 0.25


@dataclass
class RandomGraph:
    """Nodes and edges as they grow.

    Attributes:
        shapes: of inputs and neurons, what may be connected.
        first: for each pair of neurons, the first edges of the ways between them that have no Delay in them.
        mixed: pairs with a way on which only some values are delayed.
    """

    rng: np.random.Generator
    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    first: dict[tuple[str, str], list[tuple[str, str]]] = field(default_factory=dict)
    mixed: set[tuple[str, str]] = field(default_factory=set)

    def graph(self, **metadata: object) -> nir.NIRGraph:
        return nir.NIRGraph(
            self.nodes, self.edges, {f"spikeloom.{k}": v for k, v in metadata.items()}, type_check=False
        )

    def late_edges(self, loops: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """The edges that are a tick late where these pairs of neurons close a loop."""
        return {edge for pair in loops for edge in self.first[pair]}

    def connect(self, source: str, target: str, chain: list[nir.NIRNode], ticks: np.ndarray | None = None) -> None:
        """``source -> chain -> target`` on nodes of its own; ``ticks`` are those of a Delay in the chain."""
        names = [f"{source}_{target}_{len(self.nodes) + n}" for n in range(len(chain))]
        self.nodes |= dict(zip(names, chain, strict=True))
        way = [source, *names, target]
        self.edges += pairwise(way)
        if ticks is None or not ticks.all():
            self.first.setdefault((source, target), []).append((way[0], way[1]))
        if ticks is not None and ticks.any() and not ticks.all():
            self.mixed.add((source, target))

    def numbers(self, shape: tuple[int, ...], choices: tuple[float, ...]) -> np.ndarray:
        """One value for all, or one each."""
        values = self.rng.choice(choices, shape)
        return np.full(shape, values.reshape(-1)[0]) if self.rng.random() < 0.5 else values

    def weights(self, *shape: int) -> np.ndarray:
        return self.rng.integers(-12, 13, shape) / 8


def neuron(made: RandomGraph, kind: str, shape: tuple[int, ...]) -> nir.NIRNode:
    """A neuron node with parameters of its own for each neuron, or for all alike."""
    tau, r = made.numbers(shape, (1, 2, 4)) * DT, made.numbers(shape, (0.5, 1, 2))
    leak, threshold = made.numbers(shape, (0, 0, 0.25, -0.5)), made.numbers(shape, (0.5, 1, 1.5))
    reset, w_in = made.numbers(shape, (0, 0, 0.25, -0.25)), made.numbers(shape, (1, 2, 0.5))
    syn = made.numbers(shape, (1, 2, 4)) * DT
    match kind:
        case "I":
            return nir.I(r)
        case "LI":
            return nir.LI(tau, r, leak)
        case "CubaLI":
            return nir.CubaLI(syn, tau, r, leak, w_in)
        case "IF":
            return nir.IF(r, threshold, reset)
        case "LIF":
            return nir.LIF(tau, r, leak, threshold, reset)
        case "CubaLIF":
            return nir.CubaLIF(syn, tau, r, leak, threshold, reset, w_in)
    return nir.Threshold(threshold)


def chain(made: RandomGraph, source: tuple[int, ...], target: tuple[int, ...], *, forward: bool) -> tuple[list, object]:
    """Linear nodes from one shape to another, and the ticks of the Delay among them, which no bias goes through."""
    rng, nodes, ticks = made.rng, [], None
    late = rng.random() < 0.4
    if source == target and rng.random() < 0.3:
        nodes = [] if rng.random() < 0.5 else [nir.Scale(made.numbers(target, (0.5, -1, 2)))]
    else:
        size = int(np.prod(source))
        if len(source) > 1:
            nodes.append(nir.Flatten({"input": np.array(source)}, 0, -1))
        if len(target) > 1:
            return _into_space(made, source, target), None
        weight, bias = made.weights(target[0], size), made.weights(target[0])
        nodes.append(nir.Linear(weight) if late or rng.random() < 0.5 else nir.Affine(weight, bias))
    if late:
        ticks = rng.integers(0 if forward else 1, 4, target)
        ticks = np.full(target, ticks.reshape(-1)[0]) if rng.random() < 0.5 else ticks
        nodes.append(nir.Delay(ticks * DT))
    return nodes, ticks


def _into_space(made: RandomGraph, source: tuple[int, ...], target: tuple[int, ...]) -> list[nir.NIRNode]:
    """A convolution that keeps the positions; ``source`` and ``target`` are ``(channels, y, x)``."""
    kernel = made.weights(target[0], source[0], 3, 3)
    return [nir.Conv2d(tuple(source[1:]), kernel, (1, 1), (1, 1), (1, 1), 1, made.weights(target[0]))]


def random_graph(rng: np.random.Generator) -> RandomGraph:
    """Up to two inputs, up to four spiking neuron nodes in space or flat, loops, and up to three outputs."""
    made = RandomGraph(rng)
    in_space = rng.random() < 0.3
    space = (2, 3, 4)
    for n in range(rng.integers(1, 3)):
        shape = space if in_space and n == 0 else (int(rng.integers(1, 5)),)
        made.nodes[f"in{n}"], made.shapes[f"in{n}"] = nir.Input({"input": np.array(shape)}), shape
    spiking: list[str] = []
    for n in range(rng.integers(1, 5)):
        name = f"n{n}"
        wide = in_space and n == 0
        shape = (int(rng.integers(1, 4)), *space[1:]) if wide else (int(rng.integers(1, 6)),)
        made.nodes[name] = neuron(made, str(rng.choice(["IF", "LIF", "CubaLIF", "Threshold"])), shape)
        made.shapes[name] = shape
        sources = ["in0"] if wide else [str(s) for s in rng.choice([*made.shapes][:-1], rng.integers(1, 3))]
        if n and not wide and rng.random() < 0.7:
            sources.append(f"n{n - 1}")
        for source in sources:
            nodes, ticks = chain(made, made.shapes[source], shape, forward=True)
            if nodes or (source, name) not in made.edges:
                made.connect(source, name, nodes, ticks)
        spiking.append(name)
        if not wide and rng.random() < 0.4:
            source = str(rng.choice(spiking))
            nodes, ticks = chain(made, made.shapes[source], shape, forward=False)
            if nodes or (source, name) not in made.edges:
                made.connect(source, name, nodes, ticks)
        if n and rng.random() < 0.4 and len(made.shapes["n0"]) == 1:  # over all layers
            nodes, ticks = chain(made, shape, made.shapes["n0"], forward=False)
            if nodes or (name, "n0") not in made.edges:
                made.connect(name, "n0", nodes, ticks)
    _outputs(made, spiking)
    return made


def _outputs(made: RandomGraph, spiking: list[str]) -> None:
    """The last neurons, an integrator behind some, and a sum that is shown as it is."""
    rng = made.rng
    shapes = {"spikes": made.shapes[spiking[-1]]}
    made.edges.append((spiking[-1], "spikes"))
    if rng.random() < 0.6:
        size = (int(rng.integers(1, 4)),)
        made.nodes["read"] = neuron(made, str(rng.choice(["I", "LI", "CubaLI"])), size)
        for source in {str(s) for s in rng.choice(spiking, 2)}:
            made.connect(source, "read", *chain(made, made.shapes[source], size, forward=True))
        made.edges.append(("read", "state"))
        shapes["state"] = size
    if rng.random() < 0.4:
        source, size = str(rng.choice(spiking)), (int(rng.integers(1, 4)),)
        nodes, ticks = chain(made, made.shapes[source], size, forward=True)
        if nodes:
            made.connect(source, "sum", nodes, ticks)
            shapes["sum"] = size
    for name, shape in shapes.items():
        made.nodes[name] = nir.Output({"output": np.array(shape)})


def random_samples(rng: np.random.Generator, made: RandomGraph, ticks: int = 12) -> dict[str, np.ndarray]:
    """Spikes ``(ticks, *shape)`` of each input."""
    return {
        name: (rng.random((ticks, *shape)) < 0.5).astype(np.uint8)
        for name, shape in made.shapes.items()
        if isinstance(made.nodes[name], nir.Input)
    }
