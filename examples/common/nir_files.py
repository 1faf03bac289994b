"""Chains of spiking layers as NIR files, and back.

NIR is in continuous time. Read with forward Euler at ``DT``, a layer written here is exactly the discrete
one: ``beta = 1 - DT / tau_mem``, ``alpha = 1 - DT / tau_syn``, and ``r`` and ``w_in`` cancel the factors
``DT / tau``, so that every gain is 1. What NIR cannot say (the tick, the reset, the comparison) is in the
graph's metadata.

Layer ``k`` is the nodes ``fck`` (Affine), ``lifk`` (LIF or CubaLIF) and, where it has recurrent weights,
``reck`` (Linear) in the loop ``lifk -> reck -> lifk``, whose spikes arrive one tick later.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nir
import numpy as np
from examples.common.network import Array, Layer

DT = 1e-3  # seconds a tick
METADATA = {
    "spikeloom.dt": DT,
    "spikeloom.decay": "euler",
    "spikeloom.reset": "subtract",
    "spikeloom.fire": ">",
}


def write(path: Path, layers: Sequence[Layer]) -> None:
    """Write the chain ``input -> fc1 -> lif1 -> ... -> output``, arrays in float32."""
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input({"input": np.array([layers[0].weight.shape[1]])})}
    edges = []
    last = "input"
    for k, layer in enumerate(layers, start=1):
        fc, lif, rec = f"fc{k}", f"lif{k}", f"rec{k}"
        nodes[fc] = nir.Affine(_float32(layer.weight), _float32(layer.bias))
        nodes[lif] = _neurons(layer)
        edges += [(last, fc), (fc, lif)]
        if layer.recurrent is not None:
            nodes[rec] = nir.Linear(_float32(layer.recurrent))
            edges += [(lif, rec), (rec, lif)]
        last = lif
    nodes["output"] = nir.Output({"output": np.array([len(layers[-1].bias)])})
    edges.append((last, "output"))
    nir.write(str(path), nir.NIRGraph(nodes, edges, metadata=dict(METADATA)))


def read(path: Path) -> list[Layer]:
    """The layers of a file that :func:`write` made; other NIR files are not understood here."""
    nodes = nir.read(str(path)).nodes
    layers = []
    while (lif := nodes.get(f"lif{len(layers) + 1}")) is not None:
        k = len(layers) + 1
        cuba = isinstance(lif, nir.CubaLIF)
        layers.append(
            Layer(
                weight=nodes[f"fc{k}"].weight,
                bias=nodes[f"fc{k}"].bias,
                recurrent=nodes[f"rec{k}"].weight if f"rec{k}" in nodes else None,
                alpha=_decay(lif.tau_syn) if cuba else 0.0,
                beta=_decay(lif.tau_mem if cuba else lif.tau),
                theta=lif.v_threshold,
            )
        )
    return layers


def _neurons(layer: Layer) -> nir.LIF | nir.CubaLIF:
    one = np.ones(len(layer.bias), np.float32)
    membrane = {"v_leak": 0 * one, "v_reset": 0 * one, "v_threshold": _float32(layer.theta)}
    tau_mem = _tau(layer.beta)
    r = _float32(one * (tau_mem / DT))
    if not layer.alpha:
        return nir.LIF(tau=_float32(one * tau_mem), r=r, **membrane)
    tau_syn = _tau(layer.alpha)
    w_in = _float32(one * (tau_syn / DT))
    return nir.CubaLIF(tau_syn=_float32(one * tau_syn), tau_mem=_float32(one * tau_mem), r=r, w_in=w_in, **membrane)


def _tau(decay: float) -> float:
    return DT / (1 - decay)


def _decay(tau: Array) -> float:
    return 1 - DT / float(tau[0])  # all neurons of a layer share it


def _float32(x: Array) -> Array:
    return np.asarray(x, np.float32)
