"""Graphs within graphs, flattened: a node ``b`` of a subgraph ``a`` becomes ``a.b``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import nir

from spikeloom.contract.errors import NetworkError


@dataclass
class FlatGraph:
    """Nodes by dotted name, edges, and metadata as each node sees it: its own over its graphs'.

    ``passes`` are inputs and outputs of subgraphs, flattened ones too: they hand on what they get.
    """

    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    passes: set[str] = field(default_factory=set)

    def before(self, name: str) -> list[str]:
        return [a for a, b in self.edges if b == name]

    def after(self, name: str) -> list[str]:
        return [b for a, b in self.edges if a == name]

    def describe(self, name: str) -> str:
        """How errors name a node."""
        return f"node {name} ({type(self.nodes[name]).__name__})"


def flatten(graph: nir.NIRGraph) -> FlatGraph:
    """All nodes and edges of a graph and its subgraphs."""
    flat = FlatGraph()
    _flatten(graph, "", {}, flat)
    for (source, target), times in Counter(flat.edges).items():
        if times > 1:
            raise NetworkError(f"edge {source} -> {target} is listed {times} times: fold its weight into one edge")
    flat.passes |= {b for _, b in flat.edges if isinstance(flat.nodes[b], nir.Input)}
    flat.passes |= {a for a, _ in flat.edges if isinstance(flat.nodes[a], nir.Output)}
    return flat


def _flatten(graph: nir.NIRGraph, prefix: str, inherited: dict[str, Any], flat: FlatGraph) -> None:
    metadata = inherited | _metadata(graph)
    for name, node in graph.nodes.items():
        full = prefix + name
        if isinstance(node, nir.NIRGraph):
            _flatten(node, f"{full}.", metadata, flat)
            continue
        if full in flat.nodes:
            raise NetworkError(f"node {full}: two nodes have this name once subgraphs are flattened; rename one")
        flat.nodes[full] = node
        flat.metadata[full] = metadata | _metadata(node)
        if prefix and isinstance(node, nir.Input | nir.Output):
            flat.passes.add(full)
    for source, target in graph.edges:
        start = _end(graph, prefix, source, nir.Output, f"edge {prefix}{source} -> {prefix}{target}")
        end = _end(graph, prefix, target, nir.Input, f"edge {prefix}{source} -> {prefix}{target}")
        flat.edges.append((start, end))


def _end(graph: nir.NIRGraph, prefix: str, name: str, port: type, edge: str) -> str:
    """The node that the end ``name`` of an edge really meets.

    It may be a node, a subgraph with one such ``port``, a node of a subgraph as ``subgraph.node``, or a subgraph that
    an exporter has flattened, of which only ``name.input`` and ``name.output`` are left.
    """
    node = graph.nodes.get(name)
    if isinstance(node, nir.NIRGraph):
        ports = [inner for inner, n in node.nodes.items() if isinstance(n, port)]
        if len(ports) != 1:
            listed = ", ".join(f"{name}.{inner}" for inner in ports) or "none"
            raise NetworkError(
                f"{edge}: node {prefix}{name} (NIRGraph) has {len(ports)} {port.__name__} nodes ({listed}): "
                "let the edge name the one that it means"
            )
        return _end(node, f"{prefix}{name}.", ports[0], port, edge)
    if node is not None:
        return prefix + name
    for inner, subgraph in graph.nodes.items():
        if isinstance(subgraph, nir.NIRGraph) and name.startswith(f"{inner}."):
            return _end(subgraph, f"{prefix}{inner}.", name.removeprefix(f"{inner}."), port, edge)
    if isinstance(graph.nodes.get(flattened := f"{name}.{port.__name__.lower()}"), port):
        return prefix + flattened
    raise NetworkError(f"{edge}: there is no node {prefix}{name}; nodes are {', '.join(sorted(graph.nodes))}")


def _metadata(node: nir.NIRNode) -> dict[str, Any]:
    found = getattr(node, "metadata", None)
    return dict(found) if isinstance(found, dict) else {}
