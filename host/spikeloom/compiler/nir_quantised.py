"""The inverse of :func:`.nir_export.export_nir`: the quantised network out of a graph, integer for integer.

Weights, thresholds, decays and biases are read from NIR's own fields. The result is exported again and compared with
the graph: so a graph that was edited after its export is refused in place of being read half.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nir
import numpy as np

from spikeloom.contract.errors import NetworkError
from spikeloom.contract.network import Population, QuantisedNetwork
from spikeloom.contract.numerics import DECAY_ONE

from .nir_export import IN_FIELDS, export_nir
from .nir_file import read

KEY = "spikeloom.network"


def is_quantised(source: str | Path | nir.NIRGraph) -> bool:
    """Whether a file or graph is an exported quantised network."""
    graph = source if isinstance(source, nir.NIRNode) else read(source)
    return KEY in (getattr(graph, "metadata", None) or {})


def import_quantised(source: str | Path | nir.NIRGraph) -> QuantisedNetwork:
    """The network that was exported to a file or graph.

    Raises:
        NetworkError: it is no exported network, or it was changed since.
    """
    graph = source if isinstance(source, nir.NIRNode) else read(source)
    if not is_quantised(graph):
        raise NetworkError("the graph has no metadata spikeloom.network: it is a network in real numbers, see load")
    try:
        network, dt = _network(graph)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise NetworkError(f"the graph was changed since its export: {type(error).__name__}: {error}") from error
    if difference := _difference(export_nir(network, dt=dt), graph):
        raise NetworkError(
            f"the graph was changed since its export: {difference}; remove its metadata {KEY}, and load and quantise it"
        )
    return network


def _network(graph: nir.NIRGraph) -> tuple[QuantisedNetwork, float]:
    manifest = json.loads(_text(graph.metadata[KEY]))
    names = json.loads(_text(graph.metadata["spikeloom.nodes"]))
    dt = float(graph.metadata["spikeloom.dt"])
    arrays: dict[str, Any] = {"network": np.frombuffer(json.dumps(manifest).encode(), dtype=np.uint8)}
    exponents = {}
    for p in manifest["populations"]:
        size = int(np.prod(p["shape"]))
        found = _population(graph.nodes[p["name"]], size, dt, p["spike_bits"] > 0)
        arrays |= {f"population/{p['name']}/{k}": v for k, v in found.items()}
        exponents[p["name"]] = manifest["numerics"]["fraction_bits"] + p["weight_exponent"]
    for n, (e, name) in enumerate(zip(manifest["projections"], names["weights"], strict=True)):
        arrays[f"projection/{n}"] = _whole(graph.nodes[name].weight * 2.0 ** -exponents[e["target"]])
    for n, name in enumerate(names["drives"]):
        (scale,) = (b for a, b in graph.edges if a == name)
        arrays |= {f"drive/{n}/weights": graph.nodes[name].weight, f"drive/{n}/scale": graph.nodes[scale].scale}
    for output in manifest["state_scale"]:
        arrays[f"state_scale/{output}"] = graph.nodes[names["outputs"][output]].metadata["spikeloom.state_scale"]
    return QuantisedNetwork.from_arrays(arrays), dt


def _population(node: nir.NIRNode, size: int, dt: float, graded: bool) -> dict[str, np.ndarray]:
    """The integers of a neuron node, ``(size,)`` each; those of a graded one fire at the threshold, not above it."""
    told = {name: node.metadata.get(f"spikeloom.{name}") for name in Population.ARRAYS}
    tau = getattr(node, "tau_mem", getattr(node, "tau", None))
    beta = _decay(tau, dt) if tau is not None else np.full(size, 0 if isinstance(node, nir.Threshold) else DECAY_ONE)
    alpha = _decay(node.tau_syn, dt) if hasattr(node, "tau_syn") else np.zeros(size)
    bias_u = _numbers(told["bias_u"], size)
    bias = np.zeros(size) if tau is None else node.v_leak.reshape(-1) * (dt / tau.reshape(-1))
    if tau is None or not alpha.any():
        bias = bias - bias_u
    threshold = getattr(node, "v_threshold", getattr(node, "threshold", told["theta"]))
    return {
        "alpha": _whole(alpha), "beta": _whole(beta), "theta": _whole(_numbers(threshold, size)) - graded,
        "v_reset": _whole(_numbers(getattr(node, "v_reset", told["v_reset"] or 0), size)),
        "bias": _whole(bias), "bias_u": _whole(bias_u),
        **{name: _whole(_numbers(told[name], size)) for name in told if name not in (*IN_FIELDS, "bias_u")},
    }  # fmt: skip


def _decay(tau: np.ndarray, dt: float) -> np.ndarray:
    return np.rint((1 - dt / tau.reshape(-1)) * DECAY_ONE)


def _numbers(value: Any, size: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(value, dtype=np.float64).reshape(-1), (size,))


def _whole(values: np.ndarray) -> np.ndarray:
    return np.rint(values).astype(np.int64)


def _difference(again: nir.NIRGraph, graph: nir.NIRGraph) -> str:
    """Where two graphs differ, or nothing."""
    if set(again.nodes) != set(graph.nodes):
        return f"node {sorted(set(again.nodes) ^ set(graph.nodes))[0]} was added or removed"
    if set(again.edges) != set(graph.edges):
        return f"edge {sorted(set(again.edges) ^ set(graph.edges))[0]} was added or removed"
    for name, node in again.nodes.items():
        other = graph.nodes[name]
        if type(node) is not type(other):
            return f"node {name} is now of type {type(other).__name__}"
        fields, others = _fields(node), _fields(other)
        for field, value in fields.items():
            if not _alike(value, others.get(field)):
                return f"node {name} ({type(node).__name__}): {field}"
    return ""


def _fields(node: nir.NIRNode) -> dict[str, Any]:
    fields = node.to_dict()
    metadata = fields.pop("metadata", {})
    return fields | {f"metadata {key}": value for key, value in metadata.items()}


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, str | bytes) or isinstance(b, str | bytes | None):
        return _text(a) == _text(b) if b is not None else a is None
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-12, atol=1e-9))


def _text(value: Any) -> str:
    value = value.item() if isinstance(value, np.ndarray) else value
    return value.decode() if isinstance(value, bytes) else str(value)
