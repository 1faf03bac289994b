"""Where scales are put: percentiles, least squares, what samples say, bits by layer; and a line for all that is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_quantise import layer

from spikeloom.compiler.calibration import Calibration, worth
from spikeloom.compiler.graph import FloatInput, FloatPopulation, FloatProjection, Network
from spikeloom.compiler.quantise import quantise
from spikeloom.compiler.weights import Sharing
from spikeloom.contract.errors import NetworkError
from spikeloom.contract.geometry import Convolution, Pool
from spikeloom.contract.numerics import SMALL

RNG = np.random.default_rng(7)
HEAVY = RNG.standard_t(3, (4, 400))
"""Weights with rare large ones: what clipping is for."""


def error(weights: np.ndarray, bits: int, calibration: str, samples: np.ndarray | None = None) -> float:
    """Mean square error of rounding, by worth where samples are given."""
    q = quantise(layer(weights), samples, weight_bits=bits, calibration=calibration)
    theta = q.population("n").theta[:, None] / 16  # the scale, nearly: theta is 1
    difference = q.projections[0].weights / theta - weights
    power = 1.0 if samples is None else np.maximum(samples.mean(axis=(0, 1)), 1e-3 * samples.mean())
    return float((power * difference**2).sum())


@pytest.mark.parametrize("bits", [4, 8])
def test_least_squares_are_least(bits: int) -> None:
    errors = {how: error(HEAVY, bits, how) for how in ("mse:100", "max", "percentile:99", "percentile:99.9")}
    assert errors["mse:100"] <= (0.9 if bits == 4 else 1) * min(errors["max"], errors["percentile:99"])
    assert errors["mse:100"] <= errors["percentile:99.9"] * 1.001


def test_max_clips_nothing_and_percentile_says_what_it_clipped() -> None:
    exact = quantise(layer(HEAVY), weight_bits=4)
    assert exact.report["layers"][0]["weights_clipped"] == 0
    q = quantise(layer(HEAVY), weight_bits=4, calibration="percentile:99")
    line = q.report["layers"][0]
    limit = np.sort(np.abs(HEAVY), axis=1)[:, 395]  # 396 of 400 are 99 %
    scale = 7 / limit[:, None]
    nearest = np.rint(HEAVY * scale)
    assert line["weights_clipped"] == int(((nearest < -8) | (nearest > 7)).sum()) > 0
    assert q.projections[0].weights.tolist() == np.clip(nearest, -8, 7).tolist()
    assert any(
        f"{line['weights_clipped']} of 1600 weights are clipped to 4 bits, calibration percentile:99" in warning
        for warning in q.report["warnings"]
    )
    assert q.report["calibration"] == "percentile:99"


def test_error_figures_are_those_of_the_weights() -> None:
    q = quantise(layer(HEAVY), weight_bits=4, calibration="percentile:98", scale="layer")
    line = q.report["layers"][0]
    assert line["scale_min"] == line["scale_max"]
    difference = q.projections[0].weights / line["scale_min"] - HEAVY
    rms = np.sqrt((HEAVY**2).mean())
    assert line["weight_error_rms"] == pytest.approx(np.sqrt((difference**2).mean()) / rms)
    assert line["weight_error_max"] == pytest.approx(np.abs(difference).max() / rms)


def test_weights_that_no_spike_meets_decide_nothing() -> None:
    """Half of the inputs are silent and have the large weights: with samples the others get the range."""
    weights = RNG.normal(0, 1, (3, 60)) * np.where(np.arange(60) < 30, 1, 8)
    samples = np.zeros((5, 20, 60), dtype=np.uint8)
    samples[..., :30] = RNG.random((5, 20, 30)) < 0.3
    blind, seeing = (error(weights, 4, "mse", None), error(weights, 4, "mse", samples))
    assert seeing < blind
    fine = quantise(layer(weights), samples, weight_bits=4, calibration="mse")
    coarse = quantise(layer(weights), weight_bits=4, calibration="mse")
    assert (fine.population("n").theta > coarse.population("n").theta).all()


def test_worth_of_kernels_pools_and_matrices() -> None:
    inputs = [FloatInput(name="in", shape=(4, 2, 2))]
    n = FloatPopulation(name="n", shape=(2, 2, 2), theta=1.0)
    kernel = FloatProjection(source="in", target="n", weights=np.ones((2, 2, 1, 1)), convolution=Convolution(groups=2))
    m = FloatPopulation(name="m", shape=(3,), theta=1.0)
    pool = Pool(size=(2, 2), stride=(2, 2))
    pooled = FloatProjection(source="in", target="m", weights=np.ones((3, 4)), pool=pool)
    network = Network(inputs=inputs, populations=[n, m], projections=[kernel, pooled], outputs={"out": "n"})
    power = {"in": np.repeat([1.0, 2.0, 3.0, 4.0], 4)}
    kernels, matrix = worth(network, [kernel, pooled], power)
    assert kernels.tolist() == [1, 2, 3, 4]
    assert matrix.tolist() == [4, 8, 12, 16] * 3


def test_bits_by_layer_keep_to_their_range_in_the_word_of_the_widest() -> None:
    weights = [RNG.normal(0, 1, (6, 9)), RNG.normal(0, 1, (5, 6)), RNG.normal(0, 1, (4, 5)), RNG.normal(0, 1, (3, 4))]
    names = ["a", "b", "c", "d"]
    network = Network(
        inputs=[FloatInput(name="in", shape=(9,))],
        populations=[FloatPopulation(name=n, shape=(len(w),), theta=1.0) for n, w in zip(names, weights, strict=True)],
        projections=[
            FloatProjection(source=s, target=t, weights=w)
            for s, t, w in zip(["in", *names], names, weights, strict=False)
        ],
        outputs={"out": "d"},
    )
    q = quantise(network, weight_bits={"a": 6, "b": 4, "c": 2, "d": 1})
    assert q.numerics.weight_bits == 8
    largest = [int(np.abs(p.weights).max()) for p in q.projections]
    assert largest == [31, 7, 1, 1]
    assert [line["bits"] for line in q.report["layers"]] == [6, 4, 2, 1]
    assert [line["memory_bits"] for line in q.report["layers"]] == [54 * 6, 30 * 4, 20 * 2, 12]
    assert sum(line["stored_bits"] for line in q.report["layers"]) == (54 + 30 + 20 + 12) * 8
    alike = quantise(network, weight_bits=4)
    assert np.array_equal(alike.projections[1].weights, q.projections[1].weights)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"calibration": "best"}, "calibration must be one of max, percentile, mse, not 'best'"),
        ({"calibration": "percentile:x"}, "percentile:NUMBER, mse or mse:STEPS, not 'percentile:x'"),
        ({"calibration": "max:3"}, "not 'max:3'"),
        ({"calibration": "percentile:20"}, "percentile must be above 50"),
        ({"calibration": "mse:1"}, "steps must be 2 to 1000"),
        ({"weight_bits": {"x": 4}}, "there is no population x; there are n"),
        ({"weight_bits": {"n": 17}}, "weight_bits of n must be 1 to 16, not 17"),
        ({"weight_bits": {"n": 9}, "numerics": SMALL}, "weight_bits of n must be 1 to 8, not 9"),
    ],
)
def test_refusals(options: dict, text: str) -> None:
    with pytest.raises(NetworkError, match=text):
        quantise(layer(HEAVY), **options)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 16), st.sampled_from(["max", "percentile:95", "mse:20"]))
def test_scales_are_finite_and_integers_fit(seed: int, bits: int, how: str) -> None:
    """Groups of zeros, single weights, weights of every size."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 1, (5, 7)) * 10.0 ** rng.integers(-6, 6, (5, 1)) * (rng.random((5, 7)) < 0.6)
    shared = Sharing.of(FloatPopulation(name="n", shape=(5,), theta=1.0), [], "neuron")
    assert Calibration.of(how).scale(shared, bits).size == 5
    q = quantise(layer(weights), weight_bits={"n": bits}, calibration=how)
    half = 1 << bits - 1
    assert -half <= q.projections[0].weights.min()
    assert q.projections[0].weights.max() <= half - 1
    assert not np.any(q.projections[0].weights[weights == 0])
