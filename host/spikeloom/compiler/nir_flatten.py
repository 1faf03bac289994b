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

    ``passes`` are inputs and outputs of subgraphs: they hand on what they get.
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
        for end in (source, target):
            if end not in graph.nodes:
                raise NetworkError(
                    f"edge {prefix}{source} -> {prefix}{target}: there is no node {prefix}{end}; "
                    f"nodes are {', '.join(sorted(graph.nodes))}"
                )
        start = _port(graph.nodes[source], prefix + source, nir.Output)
        end = _port(graph.nodes[target], prefix + target, nir.Input)
        flat.edges.append((start, end))


def _port(node: nir.NIRNode, name: str, kind: type) -> str:
    """The node that an edge from or to ``name`` really meets."""
    if not isinstance(node, nir.NIRGraph):
        return name
    ports = [inner for inner, n in node.nodes.items() if isinstance(n, kind)]
    if len(ports) != 1:
        raise NetworkError(
            f"node {name} (NIRGraph): an edge cannot tell which of its {len(ports)} {kind.__name__} nodes it means; "
            "a subgraph needs exactly one of each"
        )
    return _port(node.nodes[ports[0]], f"{name}.{ports[0]}", kind)


def _metadata(node: nir.NIRNode) -> dict[str, Any]:
    found = getattr(node, "metadata", None)
    return dict(found) if isinstance(found, dict) else {}
