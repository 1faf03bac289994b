"""Random NIR graphs of what a simulator can read, with numbers that single precision holds exactly."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np


def draw(
    seed: int,
    neurons: tuple[str, ...],
    dt: float,
    *,
    loops: bool = False,
    uniform: bool = False,
    biases: bool = True,
    flat: bool = False,
    thresholds: tuple[float, ...] = (0.5, 1.0, 1.5),
) -> nir.NIRGraph:
    """One to four layers of these neurons, flat or in space, with an Input and an Output.

    Args:
        neurons: ``IF``, ``LIF``, ``CubaLIF``.
        loops: a layer may hear its own spikes of the last tick.
        uniform: one threshold for all neurons of a layer, and gains of 1.
        flat: no layer is in space.
        biases: of matrices and kernels; otherwise they are 0.
    """
    rng = np.random.default_rng(seed)
    in_space = rng.random() < 0.4 and not flat
    shape: tuple[int, ...] = (2, 5, 4) if in_space else (int(rng.integers(1, 7)),)
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input({"input": np.array(shape)})}
    back: list[tuple[str, str]] = []
    for n in range(rng.integers(1, 5)):
        if len(shape) == 3 and (n == 0 or rng.random() < 0.5):
            kernel = weights(rng, int(rng.integers(1, 4)), shape[0], 3, 3)
            padding = int(rng.integers(0, 2)) if min(shape[1:]) > 2 else 1
            conv = nir.Conv2d(shape[1:], kernel, (1, 1), (padding,) * 2, (1, 1), 1, weights(rng, len(kernel)) * biases)
            nodes[f"w{n}"] = conv
            shape = (len(kernel), *(length + 2 * padding - 2 for length in shape[1:]))
        else:
            if len(shape) == 3:
                nodes[f"f{n}"] = nir.Flatten({"input": np.array(shape)}, 0, -1)
            size = int(rng.integers(1, 7))
            matrix = weights(rng, size, int(np.prod(shape)))
            nodes[f"w{n}"] = nir.Affine(matrix, weights(rng, size) * biases)
            shape = (size,)
        nodes[f"n{n}"] = neuron(rng, str(rng.choice(neurons)), shape, dt, uniform, thresholds)
        if loops and len(shape) == 1 and rng.random() < 0.5:
            nodes[f"r{n}"] = nir.Affine(weights(rng, *shape, *shape), np.zeros(shape))
            back += [(f"n{n}", f"r{n}"), (f"r{n}", f"n{n}")]
    nodes["output"] = nir.Output({"output": np.array(shape)})
    forward = [name for name in nodes if not name.startswith("r")]
    # Loops come first: nirtorch's order of execution follows the edges, and takes its last node to be the output.
    return nir.NIRGraph(nodes, [*back, *pairwise(forward)], type_check=False)


def neuron(
    rng: np.random.Generator,
    kind: str,
    shape: tuple[int, ...],
    dt: float,
    uniform: bool,
    thresholds: tuple[float, ...],
) -> nir.NIRNode:
    """Time constants of 1, 2 and 4 ticks, reset to 0, no leak potential."""

    def of(choices: tuple[float, ...], alike: bool) -> np.ndarray:
        return np.full(shape, rng.choice(choices)) if alike else rng.choice(choices, shape)

    zeros, threshold = np.zeros(shape), of(thresholds, uniform)
    if kind == "IF":
        return nir.IF(np.ones(shape), threshold, zeros)
    ticks, syn = of((1.0, 2.0, 4.0), uniform), of((1.0, 2.0, 4.0), uniform)
    if kind == "LIF":
        return nir.LIF(ticks * dt, ticks if uniform else np.ones(shape), zeros, threshold, zeros)
    r, w_in = (ticks, syn) if uniform else (of((1.0, 2.0), False), of((1.0, 2.0), False))
    return nir.CubaLIF(syn * dt, ticks * dt, r, zeros, threshold, zeros, w_in)


def weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (rng.integers(-8, 13, shape) / 8).astype(np.float32)


def samples(graph: nir.NIRGraph, seed: int, ticks: int = 16) -> np.ndarray:
    """Spikes ``(ticks, *shape)``."""
    shape = tuple(graph.nodes["input"].input_type["input"])
    return (np.random.default_rng(seed + 1).random((ticks, *shape)) < 0.4).astype(np.float32)
