"""Quantising: scales, rounding, ranges, the overflow proof, inputs, and the report."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from spikeloom.compiler.graph import FloatInput, FloatPopulation, FloatProjection, Network
from spikeloom.compiler.nir_import import load
from spikeloom.compiler.overflow import accumulator_bits_needed, accumulator_bounds
from spikeloom.compiler.quantise import quantise
from spikeloom.contract.errors import NetworkError
from spikeloom.contract.geometry import Convolution, Pool
from spikeloom.contract.network import InputKind, QuantisedNetwork
from spikeloom.contract.neuron import Reset
from spikeloom.contract.numerics import DEFAULT, EXACT, LOIHI, SMALL, Numerics

DATA = Path(__file__).parent / "data" / "nir"
WIDTHS = (1, 2, 4, 8, 16)


def layer(
    weights: np.ndarray, recurrent: np.ndarray | None = None, read: bool = False, **parameters: object
) -> Network:
    """``in -> n`` with an optional loop; ``theta`` is 1 unless given, or none where ``read``."""
    targets, sources = weights.shape
    projections = [FloatProjection(source="in", target="n", weights=weights)]
    if recurrent is not None:
        projections.append(FloatProjection(source="n", target="n", weights=recurrent, delay=1))
    given = {"theta": np.inf if read else 1.0} | parameters
    return Network(
        inputs=[FloatInput(name="in", shape=(sources,))],
        populations=[FloatPopulation(name="n", shape=(targets,), **given)],  # type: ignore[arg-type]
        projections=projections,
        outputs={"out": "n"},
        states=["out"] if read else [],
    )


def weights_of(network: QuantisedNetwork, n: int = 0) -> np.ndarray:
    return network.projections[n].weights


W = np.array([[1.0, -0.25, 0.5], [0.1, 0.2, -0.05]])


# Scales


def test_each_neuron_uses_the_full_range() -> None:
    q = quantise(layer(W))
    assert q.numerics == DEFAULT
    assert np.abs(weights_of(q)).max(axis=1).tolist() == [127, 127]
    assert q.population("n").theta.tolist() == [127 * 16, 5 * 127 * 16]


def test_one_scale_a_layer() -> None:
    q = quantise(layer(W), scale="layer")
    assert weights_of(q).tolist() == [[127, -32, 64], [13, 25, -6]]
    assert q.population("n").theta.tolist() == [127 * 16, 127 * 16]


def test_recurrent_weights_share_the_scale() -> None:
    recurrent = np.array([[0.0, 2.0], [0.1, 0.0]])
    q = quantise(layer(W, recurrent))
    assert weights_of(q, 0)[0].tolist() == np.rint(W[0] * 127 / 2).tolist()
    assert weights_of(q, 1)[0].tolist() == [0, 127]
    assert q.projections[1].delay == 1


def test_parameters_share_the_scale() -> None:
    p = quantise(layer(W, bias=0.5, bias_u=-0.25, v_reset=0.125, v_sub=1, v_min=-1, alpha=0.3, beta=0.9)).population(
        "n"
    )
    unit = np.array([127.0, 635.0]) * 16
    for name, value in {"bias": 0.5, "bias_u": -0.25, "v_reset": 0.125, "v_sub": 1, "v_min": -1}.items():
        assert getattr(p, name).tolist() == np.rint(value * unit).tolist(), name
    assert (p.alpha[0], p.beta[0]) == (round(0.3 * 4096), round(0.9 * 4096))


def test_without_a_floor_v_min_is_the_lowest_state() -> None:
    assert quantise(layer(W)).population("n").v_min.tolist() == [-(2**23)] * 2


def test_capped_scale_keeps_the_threshold_in_a_quarter_of_the_range() -> None:
    weights = np.array([[1.0, 0.5], [1e-6, -5e-7]])
    q = quantise(layer(weights), numerics=SMALL)
    theta = q.population("n").theta
    assert theta[1] == 2 ** (SMALL.state_bits - 2)
    assert weights_of(q)[1].tolist() == [0, 0]
    assert q.report["layers"][0]["capped"] == [1]
    assert any("neuron 1: scale capped" in line for line in q.report["warnings"])
    assert any("neuron 1: all of its weights rounded to 0" in line for line in q.report["warnings"])


def test_neuron_without_weights_has_a_sane_scale() -> None:
    p = quantise(layer(np.array([[0.0, 0.0], [1.0, 0.5]]), bias=0.01)).population("n")
    assert p.theta[0] == 2**20
    assert p.bias[0] == round(0.01 * 2**20)


# Firing at the threshold


def test_greater_or_equal_fires_at_the_threshold() -> None:
    weights = np.array([[1.0, 0.5]])  # 127 units: theta 2032 exactly
    assert quantise(layer(weights)).population("n").theta[0] == 2032
    assert quantise(layer(weights, fire=">=")).population("n").theta[0] == 2031


def test_greater_or_equal_between_integers() -> None:
    weights = np.array([[1.0, 0.5]])
    theta = 1 + 0.3 / 2032  # 2032.3: 2033 is the first potential that fires
    assert quantise(layer(weights, theta=theta, fire=">=")).population("n").theta[0] == 2032
    assert quantise(layer(weights, theta=theta)).population("n").theta[0] == 2032


def test_rounding_noise_does_not_move_an_exact_threshold() -> None:
    """0.3 / 0.1 is not 3 in binary, and 3 units must still be the threshold."""
    for unit in (0.1, 0.7, 1e-3, 3.3):
        q = quantise(layer(np.array([[unit]]), theta=3 * unit, fire=">="))
        assert q.population("n").theta[0] == 3 * 127 * 16 - 1


# Few bits


def test_ternary_weights() -> None:
    q = quantise(layer(np.array([[1.0, -0.9, 0.1, 0.05]])), weight_bits=2)
    assert weights_of(q).tolist() == [[1, -1, 0, 0]]
    assert q.population("n").theta[0] == round(16 / 0.95)
    assert not q.projections[0].sparse


def test_binary_weights() -> None:
    q = quantise(layer(np.array([[1.0, -0.5, 0.3, 0.2]])), weight_bits=1)
    assert weights_of(q).tolist() == [[1, -1, 1, 1]]
    assert q.population("n").theta[0] == 16 * 2


def test_binary_zero_is_no_synapse() -> None:
    q = quantise(layer(np.array([[1.0, -0.5, 0.0]])), weight_bits=1)
    assert q.projections[0].sparse
    assert weights_of(q).tolist() == [[1, -1, 0]]


def test_few_bits_cannot_be_capped() -> None:
    with pytest.raises(NetworkError, match=r"population n: neuron 0: .* 2 bits cannot be scaled down: use 4 bits"):
        quantise(layer(np.array([[1e-6, 1e-6]])), numerics=Numerics(weight_bits=2, state_bits=16))


def test_sparse_when_more_than_half_is_zero() -> None:
    assert not quantise(layer(np.array([[1.0, 0.0]]))).projections[0].sparse
    assert quantise(layer(np.array([[1.0, 0.0, 0.0]]))).projections[0].sparse


# Overflow


def test_accumulator_is_as_wide_as_the_worst_case() -> None:
    for sources, bits in ((100, 16), (258, 16), (259, 17), (1000, 18)):
        q = quantise(layer(np.ones((1, sources))))
        assert accumulator_bounds(q)["n"].tolist() == [[0], [127 * sources]]
        assert q.numerics.accumulator_bits == bits == max(16, accumulator_bits_needed(q))


def test_counts_widen_the_accumulator() -> None:
    samples = np.full((1, 1, 258), 2)
    q = quantise(layer(np.ones((1, 258))), samples)
    assert (q.inputs[0].kind, q.inputs[0].max_count, q.numerics.accumulator_bits) == (InputKind.COUNTS, 2, 17)


def test_too_large_a_sum_is_refused() -> None:
    with pytest.raises(
        NetworkError, match=r"population n: neuron 1: .* needs 25 accumulator bits, .* fewer weight_bits"
    ):
        quantise(layer(np.vstack([np.eye(1, 400), np.ones((1, 400))])), weight_bits=16)


def test_given_numerics_stay_or_are_refused() -> None:
    assert quantise(layer(W), numerics=SMALL).numerics == SMALL
    assert quantise(layer(W), weight_bits=16).numerics.fraction_bits == EXACT.fraction_bits
    with pytest.raises(NetworkError, match="a wider accumulator"):
        quantise(layer(np.ones((1, 300))), numerics=SMALL)
    with pytest.raises(NetworkError, match="contradicts numerics"):
        quantise(layer(W), weight_bits=4, numerics=SMALL)
    with pytest.raises(NetworkError, match="loihi"):
        quantise(layer(W), numerics=LOIHI)


def test_bad_scale_is_refused() -> None:
    with pytest.raises(NetworkError, match="scale must be one of neuron, layer"):
        quantise(layer(W), scale="channel")


numbers = st.floats(-4, 4).map(lambda x: 0.0 if abs(x) < 1e-3 else x)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    sources, targets = draw(st.integers(1, 5)), draw(st.integers(1, 4))

    def matrix(columns: int) -> np.ndarray:
        return np.array(draw(st.lists(numbers, min_size=targets * columns, max_size=targets * columns))).reshape(
            targets, columns
        )

    def vector(low: float, high: float) -> np.ndarray:
        return np.array(draw(st.lists(st.floats(low, high), min_size=targets, max_size=targets)))

    reset = draw(st.sampled_from(Reset))
    return layer(
        matrix(sources),
        matrix(targets) if draw(st.booleans()) else None,
        theta=vector(0.05, 50), alpha=vector(0, 1), beta=vector(0, 1), bias=vector(-3, 3), bias_u=vector(-3, 3),
        v_reset=vector(-2, 2), v_sub=vector(0, 10), reset=reset, fire=draw(st.sampled_from([">", ">="])),
    )  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(networks(), st.sampled_from(WIDTHS), st.sampled_from(["neuron", "layer"]), st.sampled_from([None, 16]))
def test_everything_fits_and_nothing_is_clipped(
    network: Network, weight_bits: int, scale: str, state_bits: int | None
) -> None:
    numerics = None
    if state_bits and weight_bits > 2:
        numerics = Numerics(weight_bits=weight_bits, fraction_bits=0, accumulator_bits=24, state_bits=state_bits)
    q = quantise(network, weight_bits=weight_bits, scale=scale, numerics=numerics)  # the contract checks all ranges
    p, limit = q.population("n"), 1 << q.numerics.state_bits - 2
    for name in ("theta", "v_reset", "v_sub", "bias", "bias_u"):
        assert (np.abs(getattr(p, name)) <= limit + 1).all(), name
    assert accumulator_bits_needed(q) <= q.numerics.accumulator_bits
    for low, high in accumulator_bounds(q)["n"].T:
        assert -(1 << q.numerics.accumulator_bits - 1) <= low <= high < 1 << q.numerics.accumulator_bits - 1
    assert {name for line in q.report["layers"] for name in line} >= {"scale_min", "weight_error_rms", "theta_max"}
    if weight_bits > 2:
        stored = p.theta + (network.population("n").fire == ">=")
        known = stored > 0  # a threshold far below the weights rounds to 0, and tells no scale
        unit = np.asarray(network.population("n").theta) / np.where(known, stored, 1)
        for e, got in zip(network.projections, q.projections, strict=True):
            step = unit * (1 << q.numerics.fraction_bits)
            slack = 0.5 * step + np.abs(e.weights).max(initial=0) / np.maximum(p.theta, 1) + 1e-9
            near = np.abs(got.weights * step[:, None] - e.weights) <= slack[:, None] * 1.01
            assert near[known].all()
    json.dumps(q.report)


# Convolutions and pools


def space(
    kernel: np.ndarray,
    pool: Pool | None = None,
    dense: np.ndarray | None = None,
    convolution: Convolution | None = None,
    **parameters: object,
) -> Network:
    """``in (C, 4, 4) -> n``, through a kernel, behind a pool or not; and ``more (3,) -> n`` through a matrix."""
    channels = kernel.shape[1] * (convolution.groups if convolution else 1)
    edge = FloatProjection(
        source="in", target="n", weights=kernel, convolution=convolution or Convolution(), pool=pool
    )  # fmt: skip
    inputs, projections = [FloatInput(name="in", shape=(channels, 4, 4))], [edge]
    if dense is not None:
        inputs.append(FloatInput(name="more", shape=(3,)))
        projections.append(FloatProjection(source="more", target="n", weights=dense))
    given = {"theta": 1.0} | parameters
    return Network(
        inputs=inputs, projections=projections, outputs={"out": "n"},
        populations=[FloatPopulation(name="n", shape=(len(kernel), 2, 2), **given)],  # type: ignore[arg-type]
    )  # fmt: skip


K = np.array([[0.5, -0.25], [0.1, 0.2]]).reshape(2, 1, 1, 2)
HALF = Pool(size=(2, 2), stride=(2, 2))


def test_neurons_of_a_channel_share_a_scale() -> None:
    q = quantise(space(K, theta=np.arange(1, 9) / 4))
    assert weights_of(q).reshape(2, 2).tolist() == [[127, -64], [64, 127]]
    unit = np.repeat([254.0, 635.0], 4) * 16
    assert q.population("n").theta.tolist() == np.rint(np.arange(1, 9) / 4 * unit).tolist()
    assert q.projections[0].convolution == Convolution()
    (line,) = q.report["layers"]
    assert (line["name"], line["neurons"], line["scale_min"], line["scale_max"]) == ("n", 8, 254, 635)


def test_a_matrix_beside_a_kernel_shares_its_channels_scales() -> None:
    dense = np.zeros((8, 3))
    dense[2, 0], dense[5, 1] = -2, 0.1
    q = quantise(space(K, dense=dense))
    assert weights_of(q).reshape(2, 2).tolist() == [[32, -16], [64, 127]]
    want = dense * np.repeat([63.5, 635.0], 4)[:, None]
    assert (weights_of(q, 1) == np.rint(want)).all()
    assert q.projections[1].sparse


def test_one_scale_a_layer_of_kernels() -> None:
    q = quantise(space(K), scale="layer")
    assert weights_of(q).reshape(2, 2).tolist() == [[127, -64], [25, 51]]
    assert set(q.population("n").theta.tolist()) == {254 * 16}


def test_a_capped_neuron_caps_its_channel() -> None:
    theta = np.ones(8)
    theta[6] = 1000
    q = quantise(space(K, theta=theta), numerics=SMALL)
    assert q.report["layers"][0]["capped"] == [4, 5, 6, 7]
    assert q.population("n").theta.tolist() == [254] * 4 + [16, 16, 2**14, 16]
    assert weights_of(q).reshape(2, 2)[1].tolist() == [2, 3]


def test_windows_of_a_pool_widen_the_accumulator() -> None:
    ones = np.ones((1, 65, 1, 1))
    for pool, sources in ((None, 65), (HALF, 260)):
        q = quantise(space(ones, pool))
        assert accumulator_bounds(q)["n"].tolist() == [[0] * 4, [127 * sources] * 4]
        assert q.projections[0].pool == pool
    assert q.numerics.accumulator_bits == 17


def test_sparse_matrices_stay_sparse() -> None:
    """The same integers as of a dense matrix."""
    dense = layer(np.array([[1.0, 0.0, 0.4], [0.0, -0.2, 0.0]]))
    (edge,) = dense.projections
    thin = Network(
        inputs=dense.inputs, populations=dense.populations, outputs=dense.outputs,
        projections=[FloatProjection(source="in", target="n", weights=sparse.csr_array(edge.weights))],
    )  # fmt: skip
    for bits in (1, 4, 8, 16):
        got, want = quantise(thin, weight_bits=bits), quantise(dense, weight_bits=bits)
        assert got.projections[0].sparse
        assert (weights_of(got) == weights_of(want)).all()
        assert (got.population("n").theta == want.population("n").theta).all() or bits == 1


def test_binary_kernels() -> None:
    q = quantise(space(K), weight_bits=1)
    assert weights_of(q).reshape(2, 2).tolist() == [[1, -1], [1, 1]]
    q = quantise(space(K * [1, 0], HALF), weight_bits=1)
    assert (q.projections[0].convolution, q.projections[0].sparse) == (None, True)
    assert np.count_nonzero(weights_of(q)) == 2 * 4 * 4


def test_currents_through_a_kernel(tmp_path: Path) -> None:
    network, x = space(K, HALF), np.random.default_rng(0).normal(size=(2, 3, 1, 4, 4))
    q = quantise(network, x)
    (drive,) = q.drives
    exact = x.reshape(2, 3, 16) @ network.matrix(network.projections[0]).T.toarray()
    assert sparse.issparse(drive.weights)
    np.testing.assert_allclose(drive.biases(x.reshape(2, 3, 16)), np.rint(exact * drive.scale))
    q.save(tmp_path / "net.npz")
    (again,) = QuantisedNetwork.load(tmp_path / "net.npz").drives
    assert (again.biases(x.reshape(2, 3, 16)) == drive.biases(x.reshape(2, 3, 16))).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1 << 32), st.sampled_from([4, 8, 16]), st.sampled_from(["neuron", "layer"]))
def test_kernels_are_as_near_as_their_matrix(seed: int, weight_bits: int, scale: str) -> None:
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(1, 3))
    kernel = rng.normal(size=(2 * groups, rng.integers(1, 3), *rng.integers(1, 4, 2)))
    convolution = Convolution(stride=(1, 2), padding=(1, 0), dilation=(1, 2), groups=groups)
    network = space(kernel, HALF if rng.random() < 0.5 else None, rng.normal(size=(8 * groups, 3)), convolution)
    q = quantise(network, weight_bits=weight_bits, scale=scale)
    unit = q.population("n").theta / (1 << q.numerics.fraction_bits)  # theta is 1
    slack = 0.5 + 0.6 / (1 << q.numerics.fraction_bits) * np.abs(kernel).max() * 4
    full = [sparse.csr_array(network.matrix(e)).toarray() for e in network.projections]
    for exact, got in zip(full, q.projections, strict=True):
        assert (np.abs(q.matrix(got).toarray() - exact * unit[:, None]) <= slack).all()
    json.dumps(q.report)


def test_a_layer_of_kernels_has_the_integers_of_its_matrix() -> None:
    network = space(np.random.default_rng(3).normal(size=(2, 1, 2, 2)), HALF, convolution=Convolution(padding=(1, 1)))
    whole = Network(
        inputs=network.inputs, populations=network.populations, outputs=network.outputs,
        projections=[
            FloatProjection(source="in", target="n", weights=network.matrix(e).toarray()) for e in network.projections
        ],
    )  # fmt: skip
    got, want = (quantise(n, scale="layer") for n in (network, whole))
    assert (got.matrix(got.projections[0]).toarray() == weights_of(want)).all()


# Outputs that are read


def test_potentials_come_back_in_source_units() -> None:
    q = quantise(layer(W, read=True, beta=0.9))
    assert q.states == ["out"]
    assert q.state_scale["out"].tolist() == [127 * 16, 5 * 127 * 16]
    p = q.population("n")
    assert p.theta.tolist() == [q.numerics.state_max] * 2
    assert p.reset is Reset.NONE


def test_samples_bound_what_is_read() -> None:
    samples = np.ones((1, 500, 1), dtype=np.uint8)
    network = layer(np.array([[1.0]]), read=True, beta=1.0)  # counts to 500
    free, fitted = (quantise(network, s, numerics=SMALL) for s in (None, samples))
    assert free.state_scale["out"][0] == 127
    assert fitted.state_scale["out"][0] * 500 == 2**14
    assert fitted.report["warnings"][0].startswith("population n: neuron 0: scale capped")


# Inputs


def test_kinds_are_seen() -> None:
    network = layer(W)
    for samples, kind in (
        (np.array([[[0, 1, 1]]]), InputKind.SPIKES),
        (np.array([[[0.0, 1.0, 1.0]]]), InputKind.SPIKES),
        (np.array([[[0, 3, 1]]]), InputKind.COUNTS),
        (np.array([[[0, 0.5, 1]]]), InputKind.CURRENTS),
        (np.array([[[0, -1, 1]]]), InputKind.CURRENTS),
    ):
        assert quantise(network, samples).inputs[0].kind is kind
    assert quantise(network).inputs[0].kind is InputKind.SPIKES
    assert quantise(network, input_kind={"in": "currents"}).inputs[0].kind is InputKind.CURRENTS


@pytest.mark.parametrize(
    ("samples", "kind", "text"),
    [
        (None, "counts", "counts need samples"),
        (np.full((1, 1, 3), 0.5), "counts", "counts need samples"),
        (np.full((1, 1, 3), 2), "spikes", r"samples hold counts \(up to 2\), and input_kind says spikes"),
        (None, "photons", "input_kind must be one of spikes, counts, graded, currents"),
        (None, {"other": "spikes"}, "there is no input other"),
    ],
)
def test_wrong_kinds_are_refused(samples: np.ndarray | None, kind: object, text: str) -> None:
    with pytest.raises(NetworkError, match=text):
        quantise(layer(W), samples, input_kind=kind)  # type: ignore[arg-type]


def test_currents_become_a_drive() -> None:
    samples = np.array([[[0.5, -1.0, 0.25]]])
    q = quantise(layer(W), samples)
    (drive,) = q.drives
    assert not q.projections
    assert q.population("n").theta.tolist() == [2**20, 2**20]
    np.testing.assert_allclose(drive.biases(samples[0, 0]), np.rint(W @ samples[0, 0] * 2**20))


def test_currents_fit_beside_small_thresholds() -> None:
    q = quantise(layer(W, theta=1e-3), np.full((1, 1, 3), 99.5))
    assert np.abs(q.drives[0].biases(np.full(3, 99.5))).max() <= 2**22 + 1


def test_currents_share_the_scale_of_spikes() -> None:
    q = quantise(layer(W, np.array([[0.0, 1.0], [0.5, 0.0]])), input_kind="currents")
    assert q.drives[0].scale.tolist() == [127 * 16, 254 * 16]


def test_currents_into_a_synapse_are_refused() -> None:
    with pytest.raises(NetworkError, match=r"input in: it carries currents, and n .* has a synaptic current"):
        quantise(layer(W, alpha=0.5), input_kind="currents")


# Report


def test_lost_parameters_are_told() -> None:
    q = quantise(layer(W, bias=1e-6, beta=0.99999, alpha=1e-5))
    told = "\n".join(q.report["warnings"])
    for text in ("bias rounded to 0", "beta rounded to 1", "alpha rounded to 0"):
        assert f"population n: neuron 0 and 1 more: {text}" in told


def test_slow_decay_that_sticks_is_told() -> None:
    assert any("decay is so slow" in line for line in quantise(layer(W, beta=0.999), numerics=SMALL).report["warnings"])
    assert not quantise(layer(W, beta=0.9)).report["warnings"]


def test_saturation_on_the_samples_is_told() -> None:
    samples = np.ones((1, 400, 1), dtype=np.uint8)
    q = quantise(layer(np.array([[-1.0]])), samples, numerics=SMALL)
    assert q.report["warnings"] == ["population n: neuron 0: the potential saturates at its low end on these samples"]


def test_braille_report(tmp_path: Path) -> None:
    network = load(DATA / "braille_noDelay_bias_zero.nir")
    q = quantise(network, np.load(DATA / "braille_test0_input.npy")[None])
    hidden, out = q.report["layers"]
    assert (hidden["name"], out["name"]) == ("lif1.lif", "lif2")
    assert hidden["rate"] == pytest.approx(119 / 9728)
    assert hidden["weights_clipped"] == 0
    assert 0 < hidden["weight_error_rms"] < 0.02
    assert hidden["capped"] == []
    assert any("reset: value (assumed" in line for line in q.report["assumptions"])
    q.save(tmp_path / "braille.npz")
    again = QuantisedNetwork.load(tmp_path / "braille.npz")
    assert again.report["layers"] == q.report["layers"]
    assert (weights_of(again) == weights_of(q)).all()
