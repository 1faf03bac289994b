"""The golden model against the scalar model, and rule by rule against numbers worked out by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scalar_model import scalar_run, scalar_step

from spikeloom.contract.errors import ConfigError, NetworkError, SampleError
from spikeloom.contract.network import (
    Drive,
    InputKind,
    InputPopulation,
    Population,
    Projection,
    QuantisedNetwork,
)
from spikeloom.contract.neuron import Adaptation, Reset
from spikeloom.contract.numerics import DECAY_ONE, WEIGHT_BITS, Numerics, Profile
from spikeloom_sim import golden
from spikeloom_sim.golden import network as golden_network
from spikeloom_sim.golden import neuron as golden_neuron
from spikeloom_sim.golden.order import components

SETTINGS = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
"""The same examples in every run: the corners asserted below are then reached in every run too."""

UNSHRUNK = settings(SETTINGS, phases=[Phase.generate], report_multiple_bugs=False)
"""For planted bugs: one failure is enough."""

NUMERICS = st.one_of(
    st.builds(
        Numerics,
        weight_bits=st.sampled_from(WEIGHT_BITS),
        fraction_bits=st.integers(0, 8),
        accumulator_bits=st.sampled_from((12, 13, 24)),
        state_bits=st.sampled_from((12, 14, 32)),
    ),
    st.builds(
        Numerics,
        profile=st.just(Profile.LOIHI),
        weight_bits=st.sampled_from((4, 8)),
        fraction_bits=st.just(6),
        accumulator_bits=st.sampled_from((12, 18)),
        state_bits=st.sampled_from((12, 16, 24)),
    ),
)

# ---- step: against the scalar model


def cornered(rng: np.random.Generator, low: int, high: int, size: int) -> np.ndarray:
    """Random integers, a third of them at the ends of the range and around zero, a third small."""
    edges = np.clip(np.array([low, low + 1, -1, 0, 1, high - 1, high]), low, high)
    choices = np.stack([
        rng.integers(low, high, size, endpoint=True),
        rng.choice(edges, size),
        np.clip(rng.integers(-40, 40, size), low, high),
    ])  # fmt: skip
    return choices[rng.integers(0, 3, size), np.arange(size)]


def random_step(
    numerics: Numerics, rng: np.random.Generator, adaptive: bool = False, several: bool = False, size: int = 48
):
    """Parameters, state and weighted sums of ``size`` unlike neurons; a third of them ends exactly at the threshold."""
    low, high = -numerics.state_max - 1, numerics.state_max
    loihi = numerics.profile is Profile.LOIHI
    reset = rng.integers(0, 4, size)
    p = {
        "alpha": cornered(rng, 0, DECAY_ONE, size),
        "beta": cornered(rng, 0, DECAY_ONE, size),
        "v_min": np.where(rng.random(size) < 0.5, low, cornered(rng, low, high, size)),
        "v_reset": cornered(rng, low, high, size),
        "v_sub": cornered(rng, 0, high, size),
        "reset": reset,
        "refractory": rng.integers(0, 64, size),
        "bias": cornered(rng, low, high, size),
        "bias_u": cornered(rng, low, high, size),
        "weight_exponent": rng.integers(-8, 8, size) * loihi,
    }
    state = golden.State(
        u=cornered(rng, low, high, size),
        v=cornered(rng, numerics.state_min, high, size),
        r=rng.integers(1, 64, size) * (rng.random(size) < 0.2),
        s=rng.random(size) < 0.4,
    )
    zeros = np.zeros(size, dtype=np.int64)
    p |= {"gamma": zeros, "step": zeros, "adaptation": zeros}
    if adaptive:
        p |= {
            "gamma": cornered(rng, 0, DECAY_ONE, size),
            "step": cornered(rng, low, high, size),
            "adaptation": rng.choice([kind.value for kind in Adaptation], size),
        }
        state = state._replace(a=cornered(rng, numerics.state_min, high, size))
    limit = 1 << numerics.accumulator_bits
    acc = cornered(rng, -limit, limit, size)
    unfired = golden.step(numerics, golden.Parameters(**p, theta=4 * high), state, acc).v
    if adaptive:  # the threshold moves, and these are to be met exactly, too
        faded = golden_neuron.decayed(numerics, p["gamma"], state.a)
        unfired = np.clip(unfired - np.choose(p["adaptation"], [state.a, faded, zeros]), low, high)
    theta = np.where(rng.random(size) < 0.3, unfired, cornered(rng, low, high, size))
    p["theta"] = np.where(reset == Reset.SUBTRACT, np.maximum(theta, -1), theta)
    p["spike_bits"] = zeros
    if several:  # potentials of about as many thresholds as the bits can tell, of some neurons exactly
        bits = rng.integers(1, 9, size) * (rng.random(size) < 0.7)
        times = np.maximum(1, (1 << bits) - 1 + rng.integers(-2, 3, size))
        exact = np.where(rng.random(size) < 0.7, unfired // times, cornered(rng, 1, high, size))
        counted, v_sub = bits > 0, np.clip(exact, 1, high)
        changes = {"spike_bits": bits, "v_sub": v_sub, "theta": v_sub - 1, "reset": Reset.SUBTRACT, "refractory": 0}
        p |= {name: np.where(counted, value, p.get(name, 0)) for name, value in changes.items()}
    return p, state, acc


def compare_step(numerics: Numerics, seed: int, adaptive: bool = False, several: bool = False) -> Counter[str]:
    """Assert that golden and scalar model agree on random neurons; count the corners that they met."""
    rng = np.random.default_rng(seed)
    p, state, acc = random_step(numerics, rng, adaptive, several)
    got = golden.step(numerics, golden.Parameters(**p), state, acc)
    got, state = (tuple(np.broadcast_to(x, acc.shape) for x in values) for values in (got, state))
    corners: Counter[str] = Counter()
    name, high = str(numerics.profile), numerics.state_max
    for i in range(len(acc)):
        one = {key: int(values[i]) for key, values in p.items()}
        before = tuple(int(x[i]) for x in state)
        want = scalar_step(numerics, one, before, int(acc[i]))
        assert tuple(int(x[i]) for x in got) == want, (numerics, one, before, int(acc[i]))
        u, v, _, s, saturations, a = want
        held = before[2] > 0
        bits = one["spike_bits"]
        corners.update(
            corner
            for corner, met in {
                f"{name}: fired, {Reset(one['reset']).name}": s == 1 and not bits,
                f"{name}: several": bits and 1 < s < 2**bits - 1,
                f"{name}: as many as the bits can tell": bits > 1 and s == 2**bits - 1 and v < one["v_sub"],
                f"{name}: more than the bits can tell": bits and s and v >= one["v_sub"],
                f"{name}: several, nothing left": s > 1 and v == 0,
                f"{name}: several of a potential out of range": s > 1 and saturations == 2 + (v >= one["v_sub"]),
                f"{name}: refractory": held,
                f"{name}: current out of range": held and saturations == 1,
                f"{name}: potential out of range, high": not held and v == high and saturations > 0,
                f"{name}: potential out of range, low": not held and v == numerics.state_min and saturations > 0,
                f"{name}: both out of range": saturations == 2,
                f"{name}: at the threshold": not held and not s and v == one["theta"],
                f"{name}: on the floor": not held and not s and v == one["v_min"] > numerics.state_min,
                f"{name}: floor above a clipped potential": not held and not s and v == one["v_min"] and saturations,
                f"{name}: delayed subtraction": before[3] and one["reset"] == Reset.SUBTRACT_DELAYED and not held,
                f"{name}: accumulator wraps": abs(int(acc[i])) > 1 << numerics.accumulator_bits - 1,
                f"{name}: negative half": one["alpha"] * before[0] % 4096 == 2048 and before[0] < 0,
                f"{name}: negative remainder": one["beta"] * before[1] % 4096 > 2048 and before[1] < 0,
                f"{name}: exponent {np.sign(one['weight_exponent'])}": True,
                f"{name}: u below v's range": u == -high - 1,
                f"{name}: adapts, {Adaptation(one['adaptation']).name}": before[4] != 0 and s == 1,
                f"{name}: adaptation out of range": s and abs(before[4]) < high // 2 and abs(a) >= high,
                f"{name}: at a moved threshold": not held
                and not s
                and 0 < abs(one["theta"] - v) < high
                and v in (one["theta"] + before[4], one["theta"] + a),
            }.items()
            if met
        )
    return corners


def step_property(corners: Counter[str], how: settings = SETTINGS) -> Callable[[], None]:
    @how
    @given(NUMERICS, st.integers(0, 2**32 - 1))
    def agree(numerics: Numerics, seed: int) -> None:
        corners.update(compare_step(numerics, seed))

    return agree


def test_step_agrees_with_the_scalar_model() -> None:
    corners: Counter[str] = Counter()
    step_property(corners)()
    both = [
        *(f"fired, {reset.name}" for reset in Reset),
        "refractory", "current out of range", "potential out of range, high", "potential out of range, low",
        "both out of range", "at the threshold", "on the floor", "floor above a clipped potential",
        "delayed subtraction", "accumulator wraps", "negative half", "negative remainder", "exponent 0",
    ]  # fmt: skip
    wanted = {f"{profile}: {corner}" for profile in Profile for corner in both}
    wanted |= {"loihi: exponent 1", "loihi: exponent -1", "loihi: u below v's range"}
    assert wanted <= set(corners), f"never met: {sorted(wanted - set(corners))}"


def test_step_with_adaptation_agrees_with_the_scalar_model() -> None:
    corners: Counter[str] = Counter()
    for seed in range(40):
        for profile in Profile:
            numerics = Numerics(profile=profile, fraction_bits=6, state_bits=12 + seed % 2 * 12)
            corners.update(compare_step(numerics, seed, adaptive=True))
    both = [*(f"adapts, {kind.name}" for kind in Adaptation), "adaptation out of range", "at a moved threshold"]
    wanted = {f"{profile}: {corner}" for profile in Profile for corner in both}
    assert wanted <= set(corners), f"never met: {sorted(wanted - set(corners))}"


def several_property(corners: Counter[str], how: settings = SETTINGS) -> Callable[[], None]:
    @how
    @given(NUMERICS, st.integers(0, 2**32 - 1))
    def agree(numerics: Numerics, seed: int) -> None:
        corners.update(compare_step(numerics, seed, several=True))

    return agree


def test_step_with_several_spikes_agrees_with_the_scalar_model() -> None:
    corners: Counter[str] = Counter()
    several_property(corners)()
    both = [
        "several", "as many as the bits can tell", "more than the bits can tell", "several, nothing left",
        "several of a potential out of range", "at the threshold", "refractory",
    ]  # fmt: skip
    wanted = {f"{profile}: {corner}" for profile in Profile for corner in both}
    assert wanted <= set(corners), f"never met: {sorted(wanted - set(corners))}"


def without_limit(v, v_sub, spike_bits):
    return (counts := v // np.maximum(v_sub, 1)), v - counts * v_sub


def rest_is_lost(v, v_sub, spike_bits):
    v_sub = np.maximum(v_sub, 1)
    return np.minimum(v // v_sub, (1 << np.asarray(spike_bits)) - 1), v % v_sub


def power_of_two(v, v_sub, spike_bits):
    counts = np.minimum(v // np.maximum(v_sub, 1), 1 << np.asarray(spike_bits))
    return counts, v - counts * v_sub


@pytest.mark.parametrize("bug", [without_limit, rest_is_lost, power_of_two])
def test_property_of_several_spikes_finds_a_planted_bug(bug: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden_neuron, "several", bug)
    with pytest.raises(AssertionError):
        several_property(Counter(), UNSHRUNK)()


def floor_before_range(numerics, total, v_min):
    total = np.maximum(total, v_min)
    inside = np.clip(total, numerics.state_min, numerics.state_max)
    return inside, inside != total


def full_range(numerics, total, v_min):
    inside = np.clip(total, -numerics.state_max - 1, numerics.state_max)
    return np.maximum(inside, v_min), inside != total


def exponent_last(numerics, exponent, acc):
    acc = golden_neuron.wrap(acc, numerics.accumulator_bits) << numerics.fraction_bits
    return (acc << np.maximum(exponent, 0)) >> np.maximum(np.negative(exponent), 0)


STEP_BUGS = {
    "rounds down": ("decayed", lambda numerics, factor, x: (factor * x) >> 12),
    "rounds the magnitude": (
        "decayed",
        lambda numerics, factor, x: np.sign(x) * ((np.abs(factor * x) + 2048) >> 12),
    ),
    "cuts toward zero": ("decayed", lambda numerics, factor, x: np.sign(x) * (np.abs(factor * x) >> 12)),
    "fires at the threshold": ("fires", lambda v, theta: v >= theta),
    "floor before range": ("limit_potential", floor_before_range),
    "loihi potential of the full range": ("limit_potential", full_range),
    "current always clipped": (
        "limit_current",
        lambda numerics, total: np.clip(total, -numerics.state_max - 1, numerics.state_max),
    ),
    "accumulator never wraps": ("wrap", lambda x, bits: x),
    "exponent after the shift": ("weighted", exponent_last),
}


@pytest.mark.parametrize("bug", STEP_BUGS)
def test_step_property_finds_a_planted_bug(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden_neuron, *STEP_BUGS[bug])
    with pytest.raises(AssertionError):
        step_property(Counter(), UNSHRUNK)()


# ---- run: against the scalar model


COUNTED = (InputKind.COUNTS, InputKind.GRADED)


@st.composite
def networks(draw: st.DrawFn) -> tuple[QuantisedNetwork, dict[str, np.ndarray]]:
    """Small networks of every kind with samples: loops, delays beyond the end, counts, currents, narrow integers."""
    numerics = draw(NUMERICS)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    samples, ticks = draw(st.tuples(st.integers(1, 3), st.integers(1, 7)))
    inputs, data = [], {}
    for n, kind in enumerate(draw(st.lists(st.sampled_from(InputKind), min_size=1, max_size=2))):
        shape = draw(st.sampled_from([(3,), (1,), (2, 1, 2)]))
        count = draw(st.sampled_from([3, 40, 1 << 20, 1 << 50])) if kind in COUNTED else 1
        inputs.append(InputPopulation(name=f"in{n}", shape=shape, kind=kind, max_count=count))
        data[f"in{n}"] = rng.integers(0, count, (samples, ticks, *shape), endpoint=True)
        if kind is InputKind.CURRENTS:
            data[f"in{n}"] = rng.integers(-20, 20, (samples, ticks, *shape)) * 0.1
    populations = [
        random_population(f"p{n}", numerics, rng, draw(st.sampled_from(Reset)), draw(st.sampled_from([(1,), (3,)])))
        for n in range(draw(st.integers(1, 3)))
    ]
    projections, drives = [], []
    for target in populations:
        for source in inputs:
            shape = target.size, source.size
            if source.kind is InputKind.CURRENTS:
                weights, scale = rng.integers(-9, 9, shape) * 0.1, rng.integers(1, 12, target.size) * 5.0
                drives.append(Drive(source=source.name, target=target.name, weights=weights, scale=scale))
            elif draw(st.booleans()):
                projections.append(random_projection(draw, source, target, numerics, rng, 0))
        for source in populations:
            if draw(st.booleans()):
                least = int(populations.index(source) <= populations.index(target))
                projections.append(random_projection(draw, source, target, numerics, rng, least))
    network = QuantisedNetwork(
        numerics=numerics, inputs=inputs, populations=populations, projections=projections, drives=drives,
        outputs={"out": populations[-1].name},
    )  # fmt: skip
    return network, data


def random_population(
    name: str, numerics: Numerics, rng: np.random.Generator, reset: Reset, shape: tuple[int, ...]
) -> Population:
    size, high = int(np.prod(shape)), numerics.state_max
    low = -high - 1
    uniform = rng.random() < 0.3
    adapts = {"gamma": cornered(rng, 0, DECAY_ONE, size), "step": rng.integers(0, 100, size)}
    adapts |= {"adaptation": int(rng.choice(Adaptation)) if reset != Reset.SUBTRACT_DELAYED else Adaptation.THRESHOLD}
    v_sub = rng.integers(1, 200, size)
    several = {"reset": Reset.SUBTRACT, "theta": v_sub - 1, "v_sub": v_sub, "refractory": 0}
    several |= {"spike_bits": int(rng.integers(1, 9))}
    p = Population(
        **(adapts if rng.random() < 0.3 else {}),
        name=name,
        shape=shape,
        alpha=int(rng.integers(0, DECAY_ONE)) if uniform else cornered(rng, 0, DECAY_ONE, size),
        beta=int(rng.integers(0, DECAY_ONE)) if uniform else cornered(rng, 0, DECAY_ONE, size),
        theta=rng.integers(0, 200, size) if rng.random() < 0.8 else np.full(size, high),
        v_min=cornered(rng, low, 0, size),
        v_reset=rng.integers(-50, 50, size),
        v_sub=rng.integers(0, 200, size),
        reset=reset,
        refractory=rng.integers(0, 3, size),
        bias=rng.integers(-400, 400, size),
        bias_u=rng.integers(-400, 400, size),
        weight_exponent=int(rng.integers(-8, 8)) if numerics.profile is Profile.LOIHI else 0,
    )
    return replace(p, **several) if rng.random() < 0.3 and not p.adapts else p


def random_projection(
    draw: st.DrawFn,
    source: InputPopulation | Population,
    target: Population,
    numerics: Numerics,
    rng: np.random.Generator,
    least_delay: int,
) -> Projection:
    sparse = draw(st.booleans())
    weights = rng.integers(numerics.weight_min, numerics.weight_max, (target.size, source.size), endpoint=True)
    if sparse:
        weights *= rng.random(weights.shape) < 0.5
    elif numerics.weight_bits == 1:
        weights[weights == 0] = 1
    delay = least_delay + draw(st.sampled_from([0, 0, 1, 3, 9]))
    return Projection(source=source.name, target=target.name, weights=weights, delay=delay, sparse=sparse)


def compare_run(network: QuantisedNetwork, data: dict[str, np.ndarray]) -> Counter[str]:
    """Assert that golden and scalar model agree on samples, in every state, tick and total; count the corners."""
    got = golden.run(network, data, record=("u", "v", "r", "a"))
    corners: Counter[str] = Counter()
    for sample in range(len(next(iter(data.values())))):
        want = scalar_run(network, {name: values[sample] for name, values in data.items()})
        assert got.events[sample].tolist() == want.events
        assert got.synapses[sample].tolist() == want.synapses
        for population in network.populations:
            name, trace = population.name, want.traces[population.name]
            result = got.populations[name]
            for key, values in {"u": result.u, "v": result.v, "r": result.r, "s": result.spikes, "a": result.a}.items():
                assert values[sample].tolist() == getattr(trace, key), (name, key, sample)
            assert got.saturations[name][sample] == trace.saturations, (name, sample)
            profile = network.numerics.profile
            corners[f"{profile}: saturates"] += trace.saturations
            corners[f"{profile}: fires, {population.reset.name}"] += int(np.sum(trace.s))
            corners[f"{profile}: refractory"] += int(np.any(trace.r))
            corners[f"{profile}: adapts"] += int(np.any(trace.a))
            corners[f"{profile}: several spikes"] += int(np.max(trace.s) > 1)
    for p in network.projections:
        fired = bool(got.events[:, network.projections.index(p)].any())
        corners["sparse"] += p.sparse and fired
        corners["delayed"] += p.delay > 0 and fired
        corners["without delay"] += p.delay == 0 and p.source in got.populations and fired
        corners["beyond the end"] += p.delay >= next(iter(data.values())).shape[1] and fired
        corners["onto itself"] += p.source == p.target and fired
        dtype = golden_network._Synapses.of(network, p, max(end.max_count for end in network.ends)).weights.dtype
        corners[f"sums in {dtype}"] += fired
    corners["loop of several"] += any(len(group) > 1 for group in components(network))
    corners["counts"] += any(i.kind is InputKind.COUNTS for i in network.inputs)
    corners["graded"] += any(i.kind is InputKind.GRADED for i in network.inputs)
    corners["currents"] += len(network.drives)
    return corners


def run_property(corners: Counter[str], how: settings = SETTINGS) -> Callable[[], None]:
    @how
    @given(networks())
    def agree(case: tuple[QuantisedNetwork, dict[str, np.ndarray]]) -> None:
        corners.update(compare_run(*case))

    return agree


def test_run_agrees_with_the_scalar_model() -> None:
    corners: Counter[str] = Counter()
    run_property(corners)()
    wanted = {
        "sparse", "delayed", "without delay", "beyond the end", "onto itself", "loop of several", "counts", "graded",
        "currents",
        "sums in float32", "sums in float64", "sums in int64",
    }  # fmt: skip
    wanted |= {
        f"{profile}: {what}" for profile in Profile for what in ("saturates", "refractory", "adapts", "several spikes")
    }
    wanted |= {f"{profile}: fires, {reset.name}" for profile in Profile for reset in Reset}
    assert wanted <= set(+corners), f"never met: {sorted(wanted - set(+corners))}"


def always_single(self, spikes):
    return (np.float32(spikes) @ np.float32(self.weights)).astype(np.int64)


def one_tick_late(network, projection, largest, of=golden_network._Synapses.of):
    return of(network, replace(projection, delay=projection.delay + 1), largest)


RUN_BUGS = {
    "delays one tick more": (golden_network._Synapses, "of", one_tick_late),
    "populations in another order": (
        golden_network,
        "components",
        lambda network: [[p.name for p in network.populations]],
    ),
    "sums that are not exact": (golden_network._Synapses, "sums", always_single),
    "fires at the threshold": (golden_neuron, *STEP_BUGS["fires at the threshold"]),
    "rounds down": (golden_neuron, *STEP_BUGS["rounds down"]),
}


@pytest.mark.parametrize("bug", RUN_BUGS)
def test_run_property_finds_a_planted_bug(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*RUN_BUGS[bug])
    with pytest.raises((AssertionError, RuntimeWarning)):
        run_property(Counter(), UNSHRUNK)()


# ---- step: rule by rule, numbers by hand

PLAIN = Numerics(fraction_bits=0, accumulator_bits=12, state_bits=12)
"""States are -2048 to 2047."""

LOIHI = Numerics(profile=Profile.LOIHI, fraction_bits=6, accumulator_bits=12, state_bits=12)


def one_step(numerics: Numerics = PLAIN, u=0, v=0, r=0, s=0, acc=0, **parameters):
    """One neuron: ``(u, v, r, s, saturations)``."""
    parameters = {"beta": DECAY_ONE, "theta": 100, "v_min": -2048} | parameters
    state = golden.State(*(np.array([x]) for x in (u, v, r, s)))
    got = golden.step(numerics, golden.Parameters(**parameters), state, np.array([acc]))
    return tuple(int(x[0]) for x in got[:5])


@pytest.mark.parametrize(
    ("reset", "v"),
    [(Reset.VALUE, -7), (Reset.SUBTRACT, 101 - 30), (Reset.SUBTRACT_DELAYED, 101), (Reset.NONE, 101)],
)
def test_reset(reset: Reset, v: int) -> None:
    assert one_step(v=101, reset=reset, v_reset=-7, v_sub=30) == (0, v, 0, 1, 0)
    assert one_step(v=100, reset=reset, v_reset=-7, v_sub=30) == (0, 100, 0, 0, 0), "the threshold is strict"


def adapting_step(v: int, a: int, r: int = 0, **parameters) -> tuple[int, int, int, int]:
    """One neuron that decays to a half, with steps of 20: ``(v, s, saturations, a)``."""
    parameters = {"theta": 100, "v_min": -2048, "gamma": 2048, "step": 20} | parameters
    state = golden.State(*(np.array([x]) for x in (0, v, r, 0, a)))
    got = golden.step(PLAIN, golden.Parameters(**parameters), state, np.array([0]))
    return tuple(int(np.ravel(x)[0]) for x in (got.v, got.s, got.saturations, got.a))


def test_adaptation() -> None:
    old, faded, given = Adaptation.THRESHOLD, Adaptation.FADED_THRESHOLD, Adaptation.INPUT
    assert adapting_step(110, 10, adaptation=old) == (110, 0, 0, 5), "strict, and what there is decays"
    assert adapting_step(111, 10, adaptation=old) == (0, 1, 0, 25), "a spike adds to what the decay leaves"
    assert adapting_step(105, 10, adaptation=faded) == (105, 0, 0, 5)
    assert adapting_step(106, 10, adaptation=faded) == (0, 1, 0, 25)
    assert adapting_step(110, 10, adaptation=given) == (100, 0, 0, 5), "taken from the input, not from the threshold"
    assert adapting_step(111, 10, adaptation=given) == (0, 1, 0, 25)
    assert adapting_step(500, 10, r=2, v_reset=-7) == (-7, 0, 0, 5), "it goes on while the neuron is refractory"
    assert adapting_step(2047, 1600, step=2000) == (0, 1, 1, 2047), "it saturates, and that counts"
    assert adapting_step(-2047, -2047, step=-2000, theta=-500) == (0, 1, 1, -2048)


def test_adaptation_is_lavas_atrlif() -> None:
    """The rule of lava's ATRLIF in fixed point, restated: no reset, and a refractoriness that decays at once."""
    rng = np.random.default_rng(7)
    decay_u, decay_v, decay_theta, theta_0, step = 1200, 700, 300, 40 << 6, 25 << 6
    p = golden.Parameters(
        alpha=DECAY_ONE - decay_u - 1, beta=DECAY_ONE - decay_v, gamma=DECAY_ONE - decay_theta, theta=theta_0 - 1,
        v_min=-(1 << 23), reset=Reset.NONE, step=step, adaptation=Adaptation.FADED_THRESHOLD,
    )  # fmt: skip
    numerics = Numerics(profile=Profile.LOIHI, fraction_bits=6, accumulator_bits=18)
    state = golden.State.zeros((1,))
    u = v = spikes = 0
    theta = theta_0

    def part(x: int, factor: int) -> int:
        return (abs(x) * factor >> 12) * (1 if x >= 0 else -1)

    for acc in rng.integers(-60, 90, 400):
        u = part(u, DECAY_ONE - decay_u - 1) + int(acc) * 64
        v = part(v, DECAY_ONE - decay_v) + u
        theta = part(theta - theta_0, DECAY_ONE - decay_theta) + theta_0
        fired = v >= theta
        theta += step * fired
        spikes += fired
        after = golden.step(numerics, p, state, np.array([acc]))
        state = after.state
        assert (int(after.u[0]), int(after.v[0]), bool(after.s[0])) == (u, v, fired)
        assert int(after.a[0]) == theta - theta_0
    assert 40 < spikes < 360


def test_delayed_subtraction_follows_the_decay_in_the_next_tick() -> None:
    parameters = {"reset": Reset.SUBTRACT_DELAYED, "v_sub": 30, "beta": 2048}
    assert one_step(v=101, s=1, **parameters) == (0, 51 - 30, 0, 0, 0)
    assert one_step(v=101, s=0, **parameters) == (0, 51, 0, 0, 0)
    assert one_step(v=101, s=1, reset=Reset.SUBTRACT, v_sub=30, beta=2048) == (0, 51, 0, 0, 0)


def test_refractory_ticks_hold_the_potential_and_not_the_current() -> None:
    parameters = {"refractory": 2, "v_reset": -5, "v_min": 0, "alpha": DECAY_ONE}
    assert one_step(u=50, v=60, **parameters) == (50, -5, 2, 1, 0), "v_reset is not floored"
    assert one_step(u=50, v=-5, r=2, s=1, acc=3, **parameters) == (53, -5, 1, 0, 0)
    assert one_step(u=53, v=-5, r=1, **parameters) == (53, -5, 0, 0, 0)
    assert one_step(u=53, v=-5, **parameters) == (53, 48, 0, 0, 0)


@pytest.mark.parametrize(
    ("factor", "x", "spikeloom", "loihi"),
    [
        (4096, -3, -3, -3), (0, -3, 0, 0), (2048, 3, 2, 1), (2048, -3, -1, -1), (2048, -1, 0, 0), (2047, -1, 0, 0),
        (2049, -1, -1, 0), (4095, -1, -1, 0), (4095, 1, 1, 0), (4095, 2047, 2047, 2046), (4095, -2047, -2047, -2046),
    ],
)  # fmt: skip
def test_rounding(factor: int, x: int, spikeloom: int, loihi: int) -> None:
    for numerics, want in ((PLAIN, spikeloom), (LOIHI, loihi)):
        assert one_step(numerics, v=x, beta=factor, theta=2047)[1] == want
        assert one_step(numerics, u=x, alpha=factor, theta=2047)[:2] == (want, want)


def test_current_and_potential_saturate_and_are_counted() -> None:
    quiet = {"alpha": DECAY_ONE, "theta": 2047}
    assert one_step(u=2000, acc=48, **quiet) == (2047, 2047, 0, 0, 1)
    assert one_step(u=2000, acc=47, **quiet) == (2047, 2047, 0, 0, 0)
    assert one_step(u=-2000, acc=-49, **quiet) == (-2048, -2048, 0, 0, 1)
    assert one_step(u=2000, acc=48, v=1, **quiet) == (2047, 2047, 0, 0, 2)
    assert one_step(v=2000, bias=48, **quiet) == (0, 2047, 0, 0, 1)
    assert one_step(v=2000, bias=48, r=1, **quiet) == (0, 0, 0, 0, 0), "a held potential does not saturate"
    assert one_step(u=2000, acc=48, v=2000, r=1, **quiet) == (2047, 0, 0, 0, 1)


def test_floor_is_no_saturation() -> None:
    assert one_step(v=-90, bias=-50, v_min=-100) == (0, -100, 0, 0, 0)
    assert one_step(v=-2000, bias=-50, v_min=-100) == (0, -100, 0, 0, 1), "the range comes first"
    assert one_step(v=0, v_min=101) == (0, 0, 0, 1, 0), "a floor above the threshold fires"


def test_accumulator_wraps_before_the_shift() -> None:
    numerics = Numerics(fraction_bits=4, accumulator_bits=12, state_bits=24)
    assert one_step(numerics, acc=2047, theta=1 << 22)[0] == 2047 << 4
    assert one_step(numerics, acc=2048, theta=1 << 22)[0] == -2048 << 4
    assert one_step(numerics, acc=-2049, theta=1 << 22)[0] == 2047 << 4
    assert one_step(numerics, acc=3 * 4096 + 5, theta=1 << 22)[0] == 5 << 4


def test_loihi_current_wraps_and_potential_is_clipped_symmetrically() -> None:
    quiet = {"alpha": DECAY_ONE, "theta": 2047}
    assert one_step(LOIHI, u=2000, acc=1, **quiet) == (2064 - 4096, 2064 - 4096, 0, 0, 1)
    assert one_step(LOIHI, u=-2048, v=0, **quiet) == (-2048, -2047, 0, 0, 1)
    assert one_step(LOIHI, v=2047, acc=1, **quiet) == (64, 2047, 0, 0, 1)


@pytest.mark.parametrize(("exponent", "acc", "u"), [(0, -3, -192), (2, -3, -768), (-1, -3, -128), (-8, -3, -64)])
def test_loihi_exponent_shifts_the_sum_and_rounds_down(exponent: int, acc: int, u: int) -> None:
    assert one_step(LOIHI, acc=acc, weight_exponent=exponent)[0] == u


def test_biases() -> None:
    assert one_step(alpha=2048, u=10, acc=1, bias_u=7, bias=20, v=1) == (13, 34, 0, 0, 0)


def test_parameters_have_the_names_of_the_contract() -> None:
    names = {f.name for f in fields(golden.Parameters)}
    assert names == {*Population.ARRAYS, "reset", "weight_exponent", "adaptation", "spike_bits"}


# ---- run: rule by rule


def integrator(name: str, size: int = 1, **parameters) -> Population:
    """Adds up what comes in and fires at each tick with a positive sum."""
    parameters = {"theta": 0, "v_min": -1000, "v_reset": 0} | parameters
    return Population(name=name, shape=(size,), **parameters)


def chain(delay: int = 0, weight: int = 1, **parameters) -> QuantisedNetwork:
    """One input, one neuron."""
    return QuantisedNetwork(
        numerics=PLAIN,
        inputs=[InputPopulation(name="x", shape=(1,))],
        populations=[integrator("a", **parameters)],
        projections=[Projection(source="x", target="a", weights=np.array([[weight]]), delay=delay)],
        outputs={"a": "a"},
    )


def spikes(*ticks: int) -> np.ndarray:
    """One sample of one input."""
    return np.array(ticks).reshape(1, -1, 1)


@pytest.mark.parametrize("delay", [0, 1, 3, 9])
def test_delay(delay: int) -> None:
    result = golden.run(chain(delay), spikes(1, 0, 0, 0, 1))
    assert np.flatnonzero(result.spikes[0, :, 0]).tolist() == [t for t in (delay, 4 + delay) if t < 5]
    assert result.events.tolist() == [[2]]
    assert result.synapses.tolist() == [[2]], "also those that arrive after the end"


def test_spikes_of_a_tick_pass_through_several_populations_in_that_tick() -> None:
    network = QuantisedNetwork(
        numerics=PLAIN,
        inputs=[InputPopulation(name="x", shape=(1,))],
        populations=[integrator("c"), integrator("b"), integrator("a")],
        projections=[
            Projection(source=source, target=target, weights=np.array([[1]]), delay=delay)
            for source, target, delay in [("b", "c", 0), ("a", "b", 0), ("x", "a", 0), ("c", "a", 2)]
        ],
        outputs={"first": "a", "last": "c"},
    )
    result = golden.run(network, spikes(1, 0, 0, 0, 0))
    for name in "abc":
        assert result.populations[name].spikes[0, :, 0].tolist() == [1, 0, 1, 0, 1]
    assert result.counts["last"].tolist() == [[3]]
    assert set(result.spikes) == {"first", "last"}
    assert result.v == {}


def test_loop_without_delay_is_refused() -> None:
    network = chain()
    looped = QuantisedNetwork(
        inputs=network.inputs,
        populations=[integrator("a"), integrator("b"), integrator("elsewhere")],
        projections=[
            Projection(source=source, target=target, weights=np.array([[1]]))
            for source, target in [("a", "b"), ("b", "a"), ("a", "elsewhere")]
        ],
        outputs={"a": "a"},
    )
    with pytest.raises(NetworkError, match=r"a -> b -> a|b -> a -> b") as caught:
        golden.run(looped, spikes(1))
    assert "elsewhere" not in str(caught.value)
    onto_itself = Projection(source="a", target="a", weights=np.array([[1]]))
    with pytest.raises(NetworkError, match="a -> a"):
        golden.run(
            QuantisedNetwork(
                inputs=network.inputs, populations=network.populations, projections=[onto_itself], outputs={}
            ),
            spikes(1),
        )


def test_samples_start_from_zero_states() -> None:
    network = chain(weight=3, theta=5, alpha=DECAY_ONE, refractory=2)
    one = np.array([1, 1, 0, 1]).reshape(1, 4, 1)
    got = golden.run(network, np.concatenate([one, one]), record=("u", "v", "r"))
    for array in (got.spikes, got.populations["a"].u, got.populations["a"].v, got.populations["a"].r):
        assert (array[0] == array[1]).all()
    assert got.populations["a"].u[0, :, 0].tolist() == [3, 6, 6, 9]
    assert got.populations["a"].v[0, :, 0].tolist() == [3, 0, 0, 0]
    assert got.populations["a"].r[0, :, 0].tolist() == [0, 2, 1, 0]


def test_counts_multiply_sums_and_synapses() -> None:
    network = QuantisedNetwork(
        numerics=PLAIN,
        inputs=[InputPopulation(name="x", shape=(2,), kind=InputKind.COUNTS, max_count=5)],
        populations=[integrator("a", 3, theta=1000)],
        projections=[
            Projection(source="x", target="a", weights=np.array([[1, 10], [0, 2], [0, 0]]), sparse=sparse)
            for sparse in (True, False)
        ],
        outputs={"a": "a"},
    )
    result = golden.run(network, np.array([[[5, 2]], [[0, 0]]]), record="v")
    assert result.populations["a"].v[:, 0].tolist() == [[50, 8, 0], [0, 0, 0]]
    assert result.events.tolist() == [[7, 7], [0, 0]]
    assert result.synapses.tolist() == [[5 * 1 + 2 * 2, 7 * 3], [0, 0]]
    assert result.populations["a"].u is None


def test_currents_become_biases_and_never_clip() -> None:
    network = QuantisedNetwork(
        numerics=PLAIN,
        inputs=[InputPopulation(name="x", shape=(2,), kind=InputKind.CURRENTS)],
        populations=[integrator("a", theta=2047, bias=3)],
        projections=[],
        drives=[Drive(source="x", target="a", weights=np.array([[0.5, -1.0]]), scale=np.array([10.0]))],
        outputs={"volts": "a"},
        states=["volts"],
        state_scale={"volts": np.array([10.0])},
    )
    result = golden.run(network, np.array([[[1.0, 0.0], [0.09, 0.1]]]))
    assert result.v.tolist() == [[[0.8], [1.0]]]
    assert result.spikes is None
    assert result.counts is None
    assert golden.run(network, np.array([[[408.8, 0.0]]])).v.tolist() == [[[204.7]]]
    with pytest.raises(SampleError, match=r"population a: sample 1, tick 0, neuron 0: .* bias of 2048, must be -2048"):
        golden.run(network, np.array([[[0.0, 0.0]], [[409.0, 0.0]]]))
    with pytest.raises(SampleError, match=r"sample 0, tick 1, neuron 1: nan is no finite number"):
        golden.run(network, np.array([[[0.0, 0.0], [0.0, np.nan]]]))


def test_saturations_are_totals_of_a_sample() -> None:
    network = chain(weight=1, alpha=DECAY_ONE, bias_u=2000, theta=2047)
    result = golden.run(network, np.array([[[0], [0]], [[0], [1]]]))
    assert result.saturations["a"].tolist() == [2, 2], "u and v in tick 1"
    assert golden.run(network, spikes(0)).saturations["a"].tolist() == [0]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((3, 1)), r"input x: samples have shape \(3, 1\), must be \(samples, ticks, 1\); a single sample"),
        (np.zeros((1, 3, 2)), r"shape \(1, 3, 2\), must be \(samples, ticks, 1\)$"),
        (spikes(0, 1, 2), r"input x: sample 0, tick 2, neuron 0: 2 is out of range: spikes are 0 or 1"),
        (spikes(0, -1), r"sample 0, tick 1, neuron 0: -1 is out of range"),
        (spikes(0.0, 0.5), r"sample 0, tick 1, neuron 0: 0.5 is no integer; .* currents"),
        (spikes(np.nan), "nan is no integer"),
        (spikes("1"), "samples must be numbers"),
        ({"y": spikes(1)}, r"\['x', 'y'\] are missing or unknown"),
    ],
)
def test_samples_are_refused(samples, message: str) -> None:
    with pytest.raises(SampleError, match=message):
        golden.run(chain(), samples)


def test_refusals_name_the_place_in_any_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikeloom.contract.samples.CHUNK", 8)
    network = QuantisedNetwork(
        inputs=[
            InputPopulation(name="x", shape=(2, 2), kind=InputKind.COUNTS, max_count=3),
            InputPopulation(name="y", shape=(1,)),
        ],
        populations=[integrator("a")],
        projections=[],
        outputs={"a": "a"},
    )
    x, y = np.zeros((9, 2, 2, 2), dtype=int), np.zeros((9, 2, 1), dtype=int)
    x[6, 1, 0, 1] = 4
    with pytest.raises(SampleError, match=r"input x: sample 6, tick 1, neuron \(0, 1\): 4 .* max_count = 3"):
        golden.run(network, {"x": x, "y": y})
    with pytest.raises(SampleError, match="give a dict"):
        golden.run(network, x)
    with pytest.raises(SampleError, match=r"same numbers .* x \(9, 2\), y \(8, 2\)"):
        golden.run(network, {"x": x * 0, "y": y[1:]})
    with pytest.raises(ConfigError, match=r"record: \['w'\]"):
        golden.run(network, {"x": x * 0, "y": y}, record=("w",))


def test_batches_change_nothing_and_report_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    network = QuantisedNetwork(
        inputs=[InputPopulation(name="x", shape=(5,)), InputPopulation(name="i", shape=(3,), kind=InputKind.CURRENTS)],
        populations=[integrator("a", 4, theta=60, alpha=3000, beta=3900)],
        projections=[
            Projection(source="x", target="a", weights=np.arange(20).reshape(4, 5)),
            Projection(source="a", target="a", weights=np.arange(16).reshape(4, 4) - 8, delay=1),
        ],
        drives=[Drive(source="i", target="a", weights=np.full((4, 3), 0.1), scale=np.full(4, 50.0))],
        outputs={"a": "a"},
    )
    rng = np.random.default_rng(1)
    data = {"x": rng.random((10, 6, 5)) < 0.4, "i": rng.integers(0, 9, (10, 6, 3)) * 0.1}
    whole = golden.run(network, data, record=("v",))
    monkeypatch.setattr(golden_network, "MEMORY", 8 * 6 * (3 * 4 + 2 * 5) * 4)
    calls: list[tuple[int, int]] = []
    parts = golden.run(network, data, record=("v",), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(4, 10), (8, 10), (10, 10)]
    assert whole.counts.any()
    assert (whole.spikes == parts.spikes).all()
    assert (whole.populations["a"].v == parts.populations["a"].v).all()
    assert (whole.synapses == parts.synapses).all()


def test_empty_runs() -> None:
    assert golden.run(chain(), np.zeros((0, 4, 1))).counts.shape == (0, 1)
    assert golden.run(chain(), np.zeros((2, 0, 1))).spikes.shape == (2, 0, 1)
