"""The float reference against published activities, spike for spike, and against hand-worked ticks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from spikeloom import reference
from spikeloom.compiler.graph import FloatInput, FloatPopulation, FloatProjection, Network
from spikeloom.compiler.nir_import import load
from spikeloom.contract.errors import SampleError
from spikeloom.contract.geometry import Convolution, Pool
from spikeloom.contract.neuron import Reset

DATA = Path(__file__).parent / "data" / "nir"


def braille(network: str, reset: str) -> np.ndarray:
    samples = np.load(DATA / "braille_test0_input.npy")[None]
    run = reference.run(load(DATA / f"braille_noDelay_{network}.nir", reset=reset), samples)
    return run.populations["lif1.lif"].spikes[0]


@pytest.mark.parametrize(
    ("network", "platform", "reset", "late"),
    [
        ("bias_zero", "snntorch", "value", 0),
        ("noBias_subtract", "norse", "value", 0),  # its subtraction was not exported: it ran with a reset to zero
        ("bias_zero", "spyx", "subtract", 1),  # Spyx compares the potential of the last tick
        ("noBias_subtract", "spyx", "subtract", 1),
    ],
)
def test_braille_activities(network: str, platform: str, reset: str, late: int) -> None:
    published = np.load(DATA / f"{platform}_activity_noDelay_{network}.npy")
    spikes = braille(network, reset)
    assert published.sum() > 100
    assert np.count_nonzero(spikes[: 256 - late] != published[late:]) == 0


@pytest.mark.parametrize(
    ("file", "platform", "decay", "late"),
    [
        ("lif_norse", "norse", "euler", 0),
        ("lif_norse", "rockpool", "exact_decay", 0),
        ("lif_norse", "spyx", "euler", 1),
    ],
)
def test_lif_traces(file: str, platform: str, decay: str, late: int) -> None:
    x, v, spikes = np.loadtxt(DATA / f"lif_{platform}.csv", delimiter=",").T
    run = reference.run(load(DATA / f"{file}.nir", dt=1e-4, decay=decay), x[None, :, None], record=("v",))
    assert spikes.any()
    assert np.count_nonzero(run.spikes[0, : 1000 - late, 0] != spikes[late:]) == 0
    if platform == "norse":
        np.testing.assert_allclose(run.populations["1"].v[0, :, 0], v, atol=1e-6)


def single(**parameters: object) -> Network:
    return Network(
        inputs=[FloatInput(name="in", shape=(1,))],
        populations=[FloatPopulation(name="n", shape=(1,), **parameters)],
        projections=[FloatProjection(source="in", target="n", weights=np.ones((1, 1)))],
        outputs={"out": "n"},
    )


def trace(network: Network, x: list[float]) -> tuple[list[int], list[float], list[float]]:
    n = reference.run(network, np.array(x)[None, :, None], record=("u", "v")).populations["n"]
    assert n.u is not None
    assert n.v is not None
    return n.spikes[0, :, 0].astype(int).tolist(), n.u[0, :, 0].tolist(), n.v[0, :, 0].tolist()


@pytest.mark.parametrize(
    ("parameters", "spikes", "v"),
    [
        ({"v_reset": 0.25}, [0, 0, 1, 0, 0], [0.5, 1.0, 0.25, 0.75, 0.75]),
        ({"fire": ">="}, [0, 1, 0, 1, 0], [0.5, 0.0, 0.5, 0.0, 0.0]),
        ({"reset": Reset.SUBTRACT, "v_sub": 1}, [0, 0, 1, 0, 0], [0.5, 1.0, 0.5, 1.0, 1.0]),
        ({"reset": Reset.SUBTRACT_DELAYED, "v_sub": 1}, [0, 0, 1, 0, 0], [0.5, 1.0, 1.5, 1.0, 1.0]),
        ({"reset": Reset.NONE}, [0, 0, 1, 1, 1], [0.5, 1.0, 1.5, 2.0, 2.0]),
        ({"refractory": 1}, [0, 0, 1, 0, 0], [0.5, 1.0, 0.0, 0.0, 0.0]),
        ({"bias": -1.0, "v_min": -0.75}, [0, 0, 0, 0, 0], [-0.5, -0.75, -0.75, -0.75, -0.75]),
        ({"beta": 0.5, "theta": 9}, [0, 0, 0, 0, 0], [0.5, 0.75, 0.875, 0.9375, 0.46875]),
    ],
)
def test_ticks_by_hand(parameters: dict, spikes: list[int], v: list[float]) -> None:
    got = trace(single(**({"theta": 1.0} | parameters)), [0.5, 0.5, 0.5, 0.5, 0])
    assert (got[0], got[2]) == (spikes, v)


def test_current_decays_and_carries_its_bias() -> None:
    _, u, v = trace(single(alpha=0.5, beta=1.0, bias_u=0.25, theta=9), [1, 0, 0])
    assert u == [1.25, 0.875, 0.6875]
    assert v == [1.25, 2.125, 2.8125]


def net(**changes: object) -> Network:
    """Two inputs, a spiking population with a loop, an integrator; both are shown."""
    rng = np.random.default_rng(3)
    return Network(
        inputs=[FloatInput(name="a", shape=(2, 2)), FloatInput(name="b", shape=(3,))],
        populations=[
            FloatPopulation(name="read", shape=(2,), kind="LI", beta=0.5),
            FloatPopulation(name="hidden", shape=(5, 1), alpha=0.5, beta=0.9, theta=1),
        ],
        projections=[
            FloatProjection(source="hidden", target="read", weights=rng.normal(size=(2, 5))),
            FloatProjection(source="hidden", target="hidden", weights=rng.normal(size=(5, 5)), delay=1),
            FloatProjection(source="a", target="hidden", weights=rng.normal(size=(5, 4))),
            FloatProjection(source="b", target="hidden", weights=rng.normal(size=(5, 3)), delay=2),
        ],
        outputs={"spikes": "hidden", "state": "read"},
        states=["state"],
    )


def samples(n: int, ticks: int = 12) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    return {"a": rng.integers(0, 2, (n, ticks, 2, 2)), "b": rng.integers(0, 2, (n, ticks, 3))}


def test_network_against_loops() -> None:
    network, x = net(), samples(3)
    run = reference.run(network, x)
    w = {(e.source, e.target): e.weights for e in network.projections}
    for sample in range(3):
        u, v, s, out = np.zeros(5), np.zeros(5), np.zeros(5), np.zeros(2)
        for t in range(12):
            u = 0.5 * u + w["a", "hidden"] @ x["a"][sample, t].reshape(-1) + w["hidden", "hidden"] @ s
            if t >= 2:
                u = u + w["b", "hidden"] @ x["b"][sample, t - 2]
            v = 0.9 * v + u
            s = (v > 1).astype(float)
            v = np.where(v > 1, 0, v)
            out = 0.5 * out + w["hidden", "read"] @ s
            assert (run.spikes["spikes"][sample, t, :, 0] == s).all()
            np.testing.assert_allclose(run.v["state"][sample, t], out)
    assert run.spikes["spikes"].any()


def test_kernels_and_pools_are_their_matrices() -> None:
    """The same network with dense matrices: every potential is the same but for the order of the sums."""
    rng = np.random.default_rng(5)
    parts = {
        "inputs": [FloatInput(name="in", shape=(2, 8, 8))],
        "populations": [
            FloatPopulation(name="a", shape=(4, 8, 8), theta=1),
            FloatPopulation(name="b", shape=(3, 2, 2), theta=1, beta=0.9),
            FloatPopulation(name="c", shape=(5,), theta=1),
        ],
        "outputs": {"out": "c"},
    }
    half = Pool(size=(2, 2), stride=(2, 2))
    first, second = Convolution(padding=(1, 1), groups=2), Convolution(stride=(2, 2))
    back = sparse.csr_array(rng.normal(size=(256, 12)) * (rng.random((256, 12)) < 0.1))
    projections = [
        FloatProjection(source="in", target="a", weights=rng.normal(size=(4, 1, 3, 3)), convolution=first),
        FloatProjection(source="a", target="b", weights=rng.normal(size=(3, 4, 2, 2)), convolution=second, pool=half),
        FloatProjection(source="b", target="a", weights=back, delay=1),
        FloatProjection(source="b", target="c", weights=rng.normal(size=(5, 3)), pool=half),
    ]
    network = Network(**parts, projections=projections)
    full = [sparse.csr_array(network.matrix(e)).toarray() for e in projections]
    plain = [replace(e, weights=w, convolution=None, pool=None) for e, w in zip(projections, full, strict=True)]
    dense = Network(**parts, projections=plain)
    x = rng.integers(0, 3, (3, 12, 2, 8, 8)) * (rng.random((3, 12, 2, 8, 8)) < 0.2)
    got, want = (reference.run(n, x, record=("v",)) for n in (network, dense))
    for name in "abc":
        assert want.populations[name].spikes.any()
        assert (got.populations[name].spikes == want.populations[name].spikes).all()
        np.testing.assert_allclose(got.populations[name].v, want.populations[name].v, atol=1e-9)


def test_result_has_dicts_for_several_outputs() -> None:
    run = reference.run(net(), samples(3))
    assert set(run.spikes) == set(run.counts) == {"spikes"}
    assert set(run.v) == {"state"}
    assert run.spikes["spikes"].shape == (3, 12, 5, 1)
    assert (run.counts["spikes"] == run.spikes["spikes"].sum(axis=1)).all()
    assert run.populations["hidden"].spikes.shape == (3, 12, 5)
    assert run.populations["hidden"].u is None


def test_samples_do_not_depend_on_the_batch() -> None:
    x = samples(150)
    whole = reference.run(net(), x)
    parts = [reference.run(net(), {k: a[n : n + 1] for k, a in x.items()}) for n in (0, 70, 149)]
    for n, part in zip((0, 70, 149), parts, strict=True):
        assert (whole.spikes["spikes"][n] == part.spikes["spikes"][0]).all()


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.zeros((1, 2, 4)), r"shape is \(1, 2, 4\), must be \(n, ticks, 1\)"),
        (np.zeros((1, 1)), r"must be \(n, ticks, 1\)"),
        (np.full((1, 2, 1), np.nan), "not a finite number"),
        (np.array([[["x"]]]), "must be numbers"),
        ({"wrong": np.zeros((1, 2, 1))}, "the inputs are in"),
    ],
)
def test_wrong_samples_are_refused(x: object, text: str) -> None:
    with pytest.raises(SampleError, match=text):
        reference.run(single(theta=1), x)  # type: ignore[arg-type]


def test_unknown_record_is_refused() -> None:
    with pytest.raises(SampleError, match="record: must be of"):
        reference.run(single(theta=1), np.zeros((1, 2, 1)), record=("w",))
