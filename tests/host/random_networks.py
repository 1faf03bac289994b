"""Small random networks and samples for them: every kind of edge, parameter and input that an array maps."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from spikeloom.contract.network import (
    Drive,
    InputKind,
    InputPopulation,
    Population,
    Projection,
    QuantisedNetwork,
)
from spikeloom.contract.neuron import Reset
from spikeloom.contract.numerics import Numerics, Profile


def numerics(rng: np.random.Generator, profile: Profile, weight_bits: int) -> Numerics:
    loihi = profile is Profile.LOIHI
    return Numerics(
        profile=profile,
        weight_bits=weight_bits,
        fraction_bits=6 if loihi else int(rng.integers(0, 9)),
        accumulator_bits=20,
        state_bits=int(rng.choice([16, 24]) if loihi else rng.integers(12, 33)),
    )


def population(rng: np.random.Generator, name: str, q: Numerics, *, plain: bool) -> Population:
    shape = tuple(rng.integers(1, 7, size=rng.integers(1, 3)).tolist())
    size = 1 if plain else int(np.prod(shape))
    reach = min(q.state_max, 60 << q.fraction_bits)
    kind = Reset(int(rng.integers(0, 4)))
    decays = np.array([0, 2000, 3900, 4096])
    return Population(
        name=name, shape=shape, reset=kind,
        alpha=rng.choice(decays, size), beta=rng.choice(decays, size),
        theta=rng.integers(0, reach, size), v_min=-rng.integers(0, reach, size),
        v_reset=rng.integers(-5, 5, size), v_sub=rng.integers(0, reach, size),
        refractory=rng.integers(0, 4, size) * rng.integers(0, 2),
        bias=rng.integers(-3, 4, size) * (not plain), bias_u=rng.integers(-3, 4, size) * (not plain),
        weight_exponent=int(rng.integers(-2, 3)) if q.profile is Profile.LOIHI else 0,
    )  # fmt: skip


def projection(
    rng: np.random.Generator, source: str, target: str, shape: tuple[int, int], delay: int, q: Numerics, sparse: bool
) -> Projection:
    weights = rng.integers(q.weight_min, q.weight_max, shape, endpoint=True)
    if q.weight_bits == 1:
        weights, sparse = rng.choice([-1, 1], shape), False
    if sparse:
        weights = weights * (rng.random(shape) < rng.choice([0.0, 0.1, 0.4]))
    return Projection(source=source, target=target, weights=weights, delay=delay, sparse=sparse)


def random_network(seed: int, profile: Profile, weight_bits: int = 8, *, plain: bool = False) -> QuantisedNetwork:
    """One to four layers with skips, loops and delays; ``plain``: all neurons of a population are alike, no biases."""
    rng = np.random.default_rng(seed)
    q = numerics(rng, profile, weight_bits)
    inputs = [InputPopulation(name="in", shape=(int(rng.integers(1, 9)),))]
    if rng.random() < 0.4:
        inputs.append(InputPopulation(name="counts", shape=(2, 3), kind=InputKind.COUNTS, max_count=3))
    if rng.random() < 0.4 and not plain:
        inputs.append(InputPopulation(name="currents", shape=(3,), kind=InputKind.CURRENTS))
    layers = [population(rng, f"p{n}", q, plain=plain) for n in range(rng.integers(1, 5))]
    sizes = {p.name: p.size for p in [*inputs, *layers]}
    senders = [i.name for i in inputs if i.kind is not InputKind.CURRENTS]
    projections, drives = [], []

    def connect(source: str, target: str, delay: int) -> None:
        shape = sizes[target], sizes[source]
        projections.append(projection(rng, source, target, shape, delay, q, bool(rng.random() < 0.4)))

    for n, layer in enumerate(layers):
        connect(layers[n - 1].name if n else "in", layer.name, int(rng.choice([0, 0, 1, 3])))
        for source in [*senders, *(p.name for p in layers[:n])]:
            if rng.random() < 0.3:
                connect(source, layer.name, int(rng.integers(0, 3)))
        if rng.random() < 0.3:
            connect(layer.name, layer.name, int(rng.integers(1, 3)))
        if n and rng.random() < 0.3:
            connect(layer.name, layers[0].name, len(layers) + 1)
        if inputs[-1].kind is InputKind.CURRENTS and rng.random() < 0.5:
            scale = rng.random(layer.size) * 100
            drives.append(
                Drive(source="currents", target=layer.name, weights=rng.normal(size=(layer.size, 3)), scale=scale)
            )
    outputs, states = {"out": layers[-1].name}, []
    if rng.random() < 0.4:
        outputs["shown"] = layers[0].name
        states = ["shown"]
    return QuantisedNetwork(
        numerics=q, inputs=inputs, populations=layers, projections=projections, drives=drives,
        outputs=outputs, states=states,
    )  # fmt: skip


def random_samples(network: QuantisedNetwork, seed: int, samples: int = 2, ticks: int = 9) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    result = {}
    for i in network.inputs:
        shape = (samples, ticks, *i.shape)
        if i.kind is InputKind.CURRENTS:
            held = rng.normal(size=(samples, -(-ticks // 3), *i.shape))
            result[i.name] = np.repeat(held, 3, axis=1)[:, :ticks]
        else:
            result[i.name] = rng.integers(0, i.max_count, shape, endpoint=True) * (rng.random(shape) < 0.5)
    return result


seeds = st.integers(0, 1 << 32)
profiles = st.sampled_from(Profile)
