"""Small random networks and samples for them: every kind of edge, parameter and input that an array maps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from spikeloom.contract.geometry import Convolution, Pool, in_space
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
        accumulator_bits=24,
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


def several(rng: np.random.Generator, base: Population, q: Numerics, spike_bits: int) -> Population:
    """The same neurons, of which each may send several spikes a tick; some thresholds are very low."""
    v_sub = np.maximum(1, rng.integers(1, min(q.state_max, 60 << q.fraction_bits), base.size) >> rng.integers(0, 8))
    return replace(
        base, reset=Reset.SUBTRACT, v_sub=v_sub, theta=v_sub - 1, refractory=0,
        spike_bits=int(rng.integers(1, spike_bits, endpoint=True)),
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


def random_network(
    seed: int,
    profile: Profile,
    weight_bits: int = 8,
    given: Numerics | None = None,
    *,
    plain: bool = False,
    tight: bool = False,
) -> QuantisedNetwork:
    """One to four layers with skips, loops and delays; ``plain``: all neurons of a population are alike, no biases;
    ``tight``: loops over layers have one tick of delay, which only the layered schedule can run."""
    rng = np.random.default_rng(seed)
    q = given or numerics(rng, profile, weight_bits)
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
            connect(layer.name, layers[0].name, 1 if tight else len(layers) + 1)
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


MIX = Convolution()
"""With a kernel of one place: all channels of a position."""


def random_pool(rng: np.random.Generator, shape: tuple[int, ...]) -> Pool | None:
    """A pool that leaves something, its windows apart, side by side or overlapping."""
    if rng.random() < 0.5:
        return None
    flat = in_space(shape)[1] == 1  # of one axis: none along y
    size, stride = ((1 if flat else int(rng.integers(1, 4)), int(rng.integers(1, 4))) for _ in range(2))
    padding = (0 if flat else int(rng.integers(0, 2)), int(rng.integers(0, 2)))
    found = Pool(size=size, stride=stride, padding=padding)
    return found if min(found.shape(shape)) > 0 else None


def convolved(
    rng: np.random.Generator, source: tuple[int, ...], pool: Pool | None
) -> tuple[Convolution, tuple[int, int], tuple[int, int, int]] | None:
    """A convolution behind a pool: how it moves, its kernel's size and the shape that it makes; None where that is
    empty."""
    channels, *space = pool.shape(source) if pool else in_space(source)
    groups = int(rng.choice([g for g in (1, 2, 3, channels) if channels % g == 0]))
    kernel, stride, padding, dilation, lengths = [], [], [], [], []
    for length in space:
        one = length == 1 and rng.random() < 0.7
        k, s, d = (1 if one else int(rng.integers(1, 5)) for _ in range(3))
        p = 0 if one else int(rng.integers(0, 3))
        out = (length + 2 * p - d * (k - 1) - 1) // s + 1
        if out < 1:
            return None
        for values, value in zip((kernel, stride, padding, dilation, lengths), (k, s, p, d, out), strict=True):
            values.append(value)
    moves = Convolution(
        stride=(stride[0], stride[1]), padding=(padding[0], padding[1]), dilation=(dilation[0], dilation[1]),
        groups=groups,
    )  # fmt: skip
    shape = (groups * int(rng.integers(1, 4)), lengths[0], lengths[1])
    return moves, (kernel[0], kernel[1]), shape


def in_space_network(
    seed: int, profile: Profile, weight_bits: int = 8, given: Numerics | None = None, *,
    tight: bool = False, spike_bits: int = 0,
) -> QuantisedNetwork:  # fmt: skip
    """Convolutions of every kind, pools before them and before matrices, delays, skips, loops; all small; ``tight``:
    the loop over layers has one tick of delay, which only the layered schedule can run; ``spike_bits``: most layers
    send several spikes a tick, of up to that many bits."""
    rng = np.random.default_rng([seed, 1])
    q = given or numerics(rng, profile, weight_bits)
    kind = rng.choice([InputKind.SPIKES, InputKind.SPIKES, InputKind.COUNTS, InputKind.GRADED])
    flat = rng.random() < 0.25
    shape: tuple[int, ...] = (int(rng.integers(1, 4)), int(rng.integers(1, 9)))
    if not flat:
        shape = (*shape, int(rng.integers(1, 8)))
    most = {InputKind.COUNTS: 3, InputKind.GRADED: 11}.get(kind, 1)
    inputs = [InputPopulation(name="in", shape=shape, kind=kind, max_count=most)]
    layers: list[Population] = []
    projections: list[Projection] = []

    def connect(source: str, at: tuple[int, ...], target: str, delay: int, **more: Any) -> None:
        size = more.pop("size")
        if weight_bits == 1:
            weights = rng.choice([-1, 1], size)
        else:
            weights = rng.integers(max(q.weight_min, -40), min(q.weight_max, 40), size, endpoint=True)
        if (pool := more.get("pool")) and pool.overlaps:  # sums of weights must stay weights
            weights = np.sign(weights) if weight_bits > 4 else weights * 0
        projections.append(Projection(source=source, target=target, weights=weights, delay=delay, **more))

    name = "in"
    for n in range(int(rng.integers(1, 4))):
        pool = random_pool(rng, shape)
        if pool and pool.overlaps and weight_bits == 1:
            pool = None
        found = convolved(rng, shape, pool)
        if weight_bits == 1 and found and found[0].groups > 1:
            found = None
        if found is None or int(np.prod(found[2])) > 200:
            break
        moves, kernel, made = found
        behind = (pool.shape(shape) if pool else in_space(shape))[0]
        target = f"c{n}"
        connect(
            name, shape, target, int(rng.choice([0, 0, 2])), size=(made[0], behind // moves.groups, *kernel),
            convolution=moves, pool=pool,
        )  # fmt: skip
        base = population(rng, target, q, plain=False)
        layers.append(resized(rng, base, made, q))
        name, shape = target, made
        if rng.random() < 0.3:  # onto itself, all channels of a position
            connect(name, shape, name, int(rng.integers(1, 3)), size=(made[0], made[0], 1, 1), convolution=MIX)
    last = population(rng, "last", q, plain=False)
    pool = random_pool(rng, shape)
    if pool and pool.overlaps and weight_bits == 1:
        pool = None
    positions = int(np.prod(pool.shape(shape) if pool else shape))
    connect(name, shape, "last", int(rng.integers(0, 2)), size=(last.size, positions), pool=pool)
    if rng.random() < 0.5 and weight_bits > 1:
        projections.append(
            projection(rng, "in", "last", (last.size, inputs[0].size), int(rng.integers(0, 4)), q, sparse=True)
        )
    layers.append(last)
    if len(layers) > 1 and rng.random() < 0.4 and weight_bits > 1:  # from the last one back into space
        delay, sparse = 1 if tight else 8, bool(rng.random() < 0.5)
        projections.append(projection(rng, "last", layers[0].name, (layers[0].size, last.size), delay, q, sparse))
    if spike_bits:
        layers = [several(rng, p, q, spike_bits) if rng.random() < 0.8 else p for p in layers]
    return QuantisedNetwork(
        numerics=q, inputs=inputs, populations=layers, projections=projections, outputs={"out": "last"}
    )


def resized(rng: np.random.Generator, base: Population, shape: tuple[int, ...], q: Numerics) -> Population:
    """Another shape for a population's model: parameters drawn from its own."""
    size = int(np.prod(shape))
    arrays = {name: rng.choice(np.asarray(getattr(base, name)), size) for name in Population.ARRAYS}
    return replace(base, shape=shape, **arrays)


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
