"""The golden model's fast update against its plain one, number for number, at the ends of every range."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from test_golden import cornered

from spikeloom.contract.network import InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.neuron import Reset
from spikeloom.contract.numerics import DECAY_ONE, LOIHI, Numerics
from spikeloom_sim import golden
from spikeloom_sim.golden import network as golden_network
from spikeloom_sim.golden import quick

SAMPLES, SIZE, TICKS, SEEDS = 3, 24, 6, 120


def random_population(numerics: Numerics, rng: np.random.Generator) -> Population:
    low, high = numerics.state_min, numerics.state_max
    reset = Reset(int(rng.integers(0, 4)))

    def decay() -> np.ndarray | int:
        kind = rng.integers(0, 4)
        return (0, DECAY_ONE, int(rng.integers(1, DECAY_ONE)), cornered(rng, 0, DECAY_ONE, SIZE))[kind]

    v_sub = np.choose(rng.integers(0, 3, SIZE), [cornered(rng, 1, high, SIZE), rng.integers(1, 9, SIZE), high // 200])
    several = {"reset": Reset.SUBTRACT, "theta": v_sub - 1, "v_sub": v_sub, "spike_bits": int(rng.integers(1, 9))}
    p = Population(
        name="n", shape=(SIZE,), alpha=decay(), beta=decay(), reset=reset,
        theta=cornered(rng, -1, high, SIZE), v_min=low if rng.random() < 0.5 else cornered(rng, low, 0, SIZE),
        v_reset=cornered(rng, low, high, SIZE), v_sub=cornered(rng, 0, high, SIZE),
        bias=cornered(rng, low, high, SIZE) * int(rng.integers(0, 2)),
        bias_u=cornered(rng, low, high, SIZE) * int(rng.integers(0, 2)),
    )  # fmt: skip
    return replace(p, **several) if rng.random() < 0.3 else p


def compare(seed: int) -> Counter[str]:
    """Assert that both updates agree for some ticks; count what was met."""
    rng = np.random.default_rng(seed)
    numerics = Numerics(
        fraction_bits=int(rng.integers(0, 9)), accumulator_bits=24, state_bits=int(rng.choice((12, 24, 32)))
    )
    p = random_population(numerics, rng)
    limit = (1 << numerics.accumulator_bits - 1) - 1
    assert quick.possible(numerics, p, limit)
    fast, plain = quick.Neurons(numerics, p, SAMPLES), golden.State.zeros((SAMPLES, SIZE))
    corners: Counter[str] = Counter()
    for _ in range(TICKS):
        acc = cornered(rng, -limit, limit, SAMPLES * SIZE).reshape(SAMPLES, SIZE) >> int(rng.integers(0, 24))
        drive = cornered(rng, numerics.state_min, numerics.state_max, SAMPLES * SIZE).reshape(SAMPLES, SIZE)
        bias = drive if rng.random() < 0.3 else None
        parameters = golden.Parameters.of(p)
        want = golden.step(numerics, parameters if bias is None else parameters.with_bias(bias), plain, acc)
        got = fast.step(acc.astype(np.float64), bias)
        for name in ("u", "v", "s"):
            assert np.array_equal(getattr(got, name), getattr(want, name)), (seed, name)
        assert np.array_equal(got.saturations.sum(axis=1), want.saturations.sum(axis=1, dtype=np.int64)), seed
        if not p.graded:
            corners.update({f"fired, {p.reset.name}": want.s.sum(), "saturated": want.saturations.sum()})
        else:
            corners["several"] += int(((want.s > 1) & (want.s < p.max_count)).sum())
            corners["more than can be told"] += int((want.v >= np.asarray(p.v_sub)).sum())
        corners["floor"] += np.sum((want.v == np.asarray(p.v_min)) & (np.asarray(p.v_min) > numerics.state_min))
        corners["driven"] += bias is not None
        plain = want.state
    return corners


def compare_all() -> Counter[str]:
    return sum((compare(seed) for seed in range(SEEDS)), Counter())


def test_both_updates_agree() -> None:
    corners = compare_all()
    wanted = {*(f"fired, {reset.name}" for reset in Reset), "saturated", "floor", "driven"}
    wanted |= {"several", "more than can be told"}
    assert wanted <= set(+corners), corners


def rounds_down(x: np.ndarray, factor: np.ndarray | float) -> None:
    x *= factor
    np.floor(x, out=x)


BUGS = {
    "rounds down": (quick, "_decay", rounds_down),
    "never clips": (quick.Neurons, "_clip", lambda self, x: self.none),
    "forgets constants": (quick, "_add", lambda x, constant: None),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*BUGS[bug])
    with pytest.raises(AssertionError):
        compare_all()


def test_who_is_updated_slowly() -> None:
    p = Population(name="n", shape=(2,), theta=1, v_min=-9)
    resting = Population(name="n", shape=(2,), theta=1, v_min=-9, refractory=[0, 1])
    assert quick.possible(Numerics(), p, 2**15 - 1)
    assert not quick.possible(Numerics(), p, 2**15)
    assert not quick.possible(Numerics(), resting, 1)
    assert not quick.possible(LOIHI, p, 1)


@pytest.mark.parametrize("kernel", [False, True])
def test_few_spikes_or_many_give_the_same_sums(kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products over spikes, over all sources, and of rows that are not silent."""
    rng = np.random.default_rng(5)
    weights = rng.integers(-128, 128, (9, 40))
    pool = {"sparse": True} if kernel else {}
    network = QuantisedNetwork(
        inputs=[InputPopulation(name="in", shape=(40,))],
        populations=[Population(name="n", shape=(9,), theta=300, v_min=-9999, reset=Reset.SUBTRACT, v_sub=300)],
        projections=[Projection(source="in", target="n", weights=weights * (rng.random((9, 40)) < 0.9), **pool)],
        outputs={"out": "n"},
    )
    samples = rng.random((6, 7, 40)) < 0.05
    samples[:, 2:4] = 0
    results = []
    for share in (0.0, 1.0):
        monkeypatch.setattr(golden_network, "SPARSE", share)
        results.append(golden.run(network, samples, record=("v",)).populations["n"])
    want = samples @ np.asarray(network.projections[0].weights).T.astype(np.int64)
    v, expected = np.zeros((6, 9), dtype=np.int64), []
    for tick in range(7):
        v = v + (want[:, tick] << 4)
        v = v - 300 * (v > 300)
        expected.append(v)
    for result in results:
        assert np.array_equal(result.v, np.stack(expected, axis=1))
