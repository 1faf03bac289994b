"""Random networks and samples that reach the corners of the numerics: for benches and campaigns."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from spikeloom.contract.network import InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.neuron import Adaptation, Reset
from spikeloom.contract.numerics import DECAY_ONE, Numerics, Profile


def random_population(
    rng: np.random.Generator, numerics: Numerics, name: str, size: int, *,
    per_neuron: bool = True, adaptive: bool = False,
) -> Population:  # fmt: skip
    """Neurons of all models side by side; with ``per_neuron`` false they share their parameters, not their biases."""
    full = size if per_neuron else 1
    top = numerics.state_max
    typical = min(top, 40 << numerics.fraction_bits)
    decays = np.array([0, 1, 1000, 2048, 3000, 3686, 4000, 4095, DECAY_ONE])
    reset = Reset(int(rng.integers(len(Reset))))
    biases = rng.integers(-typical // 8, typical // 4 + 2, (2, size))
    v_min = rng.choice([-top - 1, -typical, 0], full)
    loihi = numerics.profile is Profile.LOIHI
    adaptation: dict[str, Any] = {}
    if adaptive:
        kinds = list(Adaptation)[: 2 if reset is Reset.SUBTRACT_DELAYED else 3]
        adaptation = {"gamma": rng.choice(decays, full), "step": rng.integers(0, typical, full)}
        adaptation |= {"adaptation": kinds[int(rng.integers(len(kinds)))]}
    return Population(
        **adaptation,
        name=name,
        shape=(size,),
        alpha=rng.choice(decays[:-1], full) * rng.integers(0, 2, full),
        beta=rng.choice(decays, full),
        # Unused lanes of a row share its threshold, and must not fire.
        theta=rng.choice([*([-1] if per_neuron else []), 0, typical // 2, typical, 2 * typical, top], full),
        v_min=v_min,
        v_reset=rng.integers(-typical, typical, full),
        v_sub=rng.integers(0, typical, full),
        reset=reset,
        refractory=rng.choice([0, 0, 1, 2, 5], full),
        bias=biases[0] * rng.integers(0, 2, size),
        bias_u=biases[1] * rng.integers(0, 2, size),
        weight_exponent=int(rng.integers(-3, 4)) if loihi else 0,
    )


def random_weights(rng: np.random.Generator, numerics: Numerics, shape: tuple[int, int], *, sparse: bool) -> np.ndarray:
    """Weights over the whole range; of sparse ones, most are zero and some sources have none."""
    if numerics.weight_bits == 1 and not sparse:
        return rng.choice([-1, 1], shape)
    weights = rng.integers(numerics.weight_min, numerics.weight_max, shape, endpoint=True)
    if sparse:
        weights = weights * (rng.random(shape) < 0.3) * (rng.random(shape[1]) < 0.8)
    return weights


def random_network(
    rng: np.random.Generator,
    numerics: Numerics,
    *,
    inputs: int = 12,
    sizes: tuple[int, ...] = (20, 9),
    sparse: bool = False,
    per_neuron: bool = True,
    adaptive: bool = False,
    delay_max: int = 1,
) -> QuantisedNetwork:
    """A chain of populations with recurrence inside each, a skip, and feedback from the last to the first.

    ``sparse`` makes half of the projections so, ``adaptive`` all neurons; further delays than the least are drawn up
    to ``delay_max``.
    """
    names = [f"p{n}" for n in range(len(sizes))]
    size = {"in": inputs, **dict(zip(names, sizes, strict=True))}
    edges = [("in", names[0], 0)]
    edges += [(a, b, 0) for a, b in pairwise(names)]
    edges += [(name, name, 1) for name in names]
    if len(names) > 1:
        edges += [("in", names[-1], 0), (names[-1], names[0], len(names))]
    sparse = sparse and numerics.weight_bits > 1
    projections = []
    for n, (source, target, delay) in enumerate(edges):
        is_sparse = sparse and n % 2 == 1
        weights = random_weights(rng, numerics, (size[target], size[source]), sparse=is_sparse)
        extra = int(rng.integers(0, delay_max))
        projections.append(
            Projection(source=source, target=target, weights=weights, delay=delay + extra, sparse=is_sparse)
        )
    return QuantisedNetwork(
        numerics=numerics,
        inputs=[InputPopulation(name="in", shape=(inputs,))],
        populations=[
            random_population(rng, numerics, name, size[name], per_neuron=per_neuron, adaptive=adaptive)
            for name in names
        ],
        projections=projections,
        outputs={"out": names[-1]},
    )


def random_samples(rng: np.random.Generator, network: QuantisedNetwork, samples: int, ticks: int) -> np.ndarray:
    """Spikes ``uint8 (samples, ticks, *input shape)``: silent, sparse and full ticks alternate."""
    shape = network.inputs[0].shape
    rate = rng.choice([0.0, 0.1, 0.5, 1.0], (samples, ticks) + (1,) * len(shape), p=[0.2, 0.4, 0.3, 0.1])
    return (rng.random((samples, ticks, *shape)) < rate).astype(np.uint8)
