"""One function a simulator: a NIR graph and samples in, the output's spikes out; nothing is changed on the way."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings

import nir
import numpy as np
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # they use what torch deprecates
    import norse.torch
    import sinabs.nir
    from snntorch.import_nir import import_from_nir


def run_norse(graph: nir.NIRGraph, x: np.ndarray, dt: float) -> np.ndarray:
    """Spikes ``(ticks, *shape)`` of :func:`norse.torch.from_nir`."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        module = norse.torch.from_nir(graph, dt=dt)
        state, shown = None, []
        for tick in torch.from_numpy(x):
            out, state = module(tick[None], state)
            shown.append(out.reshape(-1).numpy())
    return np.array(shown)


def run_snntorch(graph: nir.NIRGraph, x: np.ndarray) -> np.ndarray:
    """The same of :func:`snntorch.import_nir.import_from_nir`, whose tick is 1e-4."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        module, state, shown = import_from_nir(graph), None, []
        for tick in torch.from_numpy(x):
            out, state = module(tick[None]) if state is None else module(tick[None], state)
            shown.append(out.reshape(-1).numpy())
    return np.array(shown)


def run_sinabs(graph: nir.NIRGraph, x: np.ndarray) -> np.ndarray:
    """The same of :func:`sinabs.nir.from_nir`: numbers of spikes, several a tick where the potential allows."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        out = sinabs.nir.from_nir(_tensors(graph), batch_size=1)(torch.from_numpy(x))
        out = out[0] if isinstance(out, tuple) else out
    return out.reshape(len(x), -1).numpy()


def _tensors(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Neuron nodes with tensors, as sinabs itself exports them: it computes with the fields as they are."""
    nodes = {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.IF | nir.LIF):
            fields = {f: torch.from_numpy(np.asarray(v, np.float32)) for f, v in vars(node).items() if f in FIELDS}
            node = object.__new__(type(node))
            node.__dict__.update(graph.nodes[name].__dict__ | fields)
        nodes[name] = node
    return nir.NIRGraph(nodes, graph.edges, type_check=False)


FIELDS = ("r", "tau", "v_leak", "v_threshold", "v_reset")
