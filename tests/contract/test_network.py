"""Quantised networks: the file and the refusals."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloom.contract.errors import ImageError, NetworkError
from spikeloom.contract.network import (
    NETWORK_VERSION,
    Drive,
    InputKind,
    InputPopulation,
    Population,
    Projection,
    QuantisedNetwork,
)
from spikeloom.contract.neuron import Adaptation, Reset
from spikeloom.contract.numerics import DECAY_ONE, LOIHI, Numerics


def population(name: str = "a", **parameters) -> Population:
    return Population(**{"name": name, "shape": (2,), "theta": 9, "v_min": -9} | parameters)


SEVERAL = {"spike_bits": 4, "reset": Reset.SUBTRACT, "theta": 8, "v_sub": 9}


def network(**parts) -> QuantisedNetwork:
    """A network with one of everything."""
    given = {
        "numerics": LOIHI,
        "inputs": [
            InputPopulation(name="x", shape=(3,), kind=InputKind.COUNTS, max_count=7),
            InputPopulation(name="i", shape=(1, 2), kind=InputKind.CURRENTS),
        ],
        "populations": [
            population("a", alpha=np.array([0, 4096]), reset=Reset.SUBTRACT_DELAYED, v_sub=9, refractory=[0, 63]),
            population("b", shape=(2, 1, 1), theta=np.array([1, 2]), weight_exponent=-3, bias=[-5, 5], bias_u=4),
            population("several", reset=Reset.SUBTRACT, theta=[0, 7], v_sub=[1, 8], spike_bits=3),
        ],
        "projections": [
            Projection(source="x", target="a", weights=np.array([[1, 0, -128], [127, 0, 0]]), sparse=True),
            Projection(source="a", target="b", weights=np.array([[1, 2], [3, 4]]), delay=5),
        ],
        "drives": [Drive(source="i", target="b", weights=np.array([[0.1, 2.0], [-3.0, 1e-9]]), scale=np.array([5, 6]))],
        "outputs": {"first": "a", "second": "b"},
        "states": ["second"],
        "state_scale": {"second": np.array([2.0, 3.0])},
        "report": {"loss": np.float32(0.5), "clipped": [np.int64(3)], "note": "ä"},
    }
    return QuantisedNetwork(**given | parts)


def test_save_and_load(tmp_path: Path) -> None:
    saved, path = network(), tmp_path / "net.npz"
    saved.save(path)
    loaded = QuantisedNetwork.load(path)
    assert loaded.numerics == saved.numerics
    for field in ("inputs", "populations", "projections", "drives"):
        for got, want in zip(getattr(loaded, field), getattr(saved, field), strict=True):
            for name, value in ((slot, getattr(want, slot)) for slot in want.__dataclass_fields__):
                assert np.array_equal(getattr(got, name), value), (field, name)
                assert type(getattr(got, name)) is type(value), (field, name)
    assert (loaded.outputs, loaded.states) == (saved.outputs, saved.states)
    assert loaded.state_scale["second"].tolist() == [2.0, 3.0]
    assert loaded.report == {"loss": 0.5, "clipped": [3], "note": "ä"}


def test_shapes_made_of_numpy_integers_can_be_saved(tmp_path: Path) -> None:
    shape = tuple(np.array([2, 1]))
    network(populations=[population("a", shape=shape), population("b")]).save(tmp_path / "net.npz")
    assert QuantisedNetwork.load(tmp_path / "net.npz").population("a").shape == (2, 1)


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    network().save(path)
    good = path.read_bytes()
    for bad in (b"", b"text", good[: len(good) // 2], good[:-1], good[:200] + b"\xff" * 60 + good[260:]):
        path.write_bytes(bad)
        with pytest.raises(ImageError, match=rf"net\.npz: not a quantised network of format {NETWORK_VERSION}"):
            QuantisedNetwork.load(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(ImageError, match="not a quantised network"):
        QuantisedNetwork.load(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ImageError, match="not a quantised network"):
        QuantisedNetwork.load(path)
    with pytest.raises(ImageError, match="missing"):
        QuantisedNetwork.load(tmp_path / "missing.npz")
    arrays = network().to_arrays()
    version, other = NETWORK_VERSION, NETWORK_VERSION + 1
    text = bytes(arrays["network"]).replace(b'"version": %d' % version, b'"version": %d' % other)
    with pytest.raises(ImageError, match=f"network of format {other}, this program reads {version}"):
        QuantisedNetwork.from_arrays(arrays | {"network": np.frombuffer(text, dtype=np.uint8)})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"populations": [population("a"), population("a")]}, r"names repeat: \['a', 'a'\]"),
        ({"populations": [population("x")]}, "names repeat"),
        ({"outputs": {"out": "c"}}, "output out: there is no population c"),
        ({"outputs": {"out": "x"}}, "output out: there is no population x"),
        ({"states": ["third"]}, "name third, which is no output"),
        ({"state_scale": {"b": 1.0}}, "name b, which is no output"),
        (
            {"drives": [Drive(source="x", target="a", weights=np.zeros((2, 3)), scale=np.ones(2))]},
            "drive x -> a: the source is no input of currents",
        ),
        (
            {"drives": [Drive(source="i", target="a", weights=np.zeros((2, 3)), scale=np.ones(2))]},
            r"i -> a: weights have shape \(2, 3\), must be \(target, source\) = \(2, 2\)",
        ),
    ],
)
def test_networks_are_refused(parts: dict, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        network(**parts)


@pytest.mark.parametrize(
    ("numerics", "projection", "message"),
    [
        (LOIHI, {"source": "q"}, "projection q -> a: there is no population q"),
        (LOIHI, {"target": "q"}, "projection x -> q: there is no population q"),
        (LOIHI, {"target": "x"}, "projection x -> x: the target is an input"),
        (LOIHI, {"source": "i", "weights": np.ones((2, 2), dtype=int)}, "projection i -> a: .* input of currents"),
        (LOIHI, {"weights": np.ones((3, 2), dtype=int)}, r"weights have shape \(3, 2\), .* \(2, 3\)"),
        (LOIHI, {"weights": np.ones((2, 3))}, "projection x -> a: weights must be integers, not float64"),
        (LOIHI, {"weights": np.full((2, 3), 128)}, r"weights are 128 to 128, must be -128 to 127 \(8 bits\)"),
        (LOIHI, {"weights": np.full((2, 3), -129)}, "weights are -129 to -129"),
        (Numerics(weight_bits=2), {"weights": np.full((2, 3), -2)}, r"must be -1 to 1 \(2 bits\)"),
        (Numerics(weight_bits=1), {"weights": np.zeros((2, 3), dtype=int)}, "a weight is 0, and 1-bit weights"),
        (LOIHI, {"delay": -1}, "projection x -> a: delay must be at least 0, not -1"),
    ],
)
def test_projections_are_refused(numerics: Numerics, projection: dict, message: str) -> None:
    good = {"source": "x", "target": "a", "weights": np.ones((2, 3), dtype=int)}
    plain = {"numerics": numerics, "populations": [population("a"), population("b")], "drives": []}
    network(**plain, projections=[Projection(**good)])
    with pytest.raises(NetworkError, match=message):
        network(**plain, projections=[Projection(**good | projection)])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"theta": 0.5}, "population a: theta must be integers, not float64"),
        ({"bias": [1, 2, 3]}, "population a: bias has 3 values for 2 neurons"),
        ({"alpha": [4096, 4097]}, "population a: alpha of neuron 1 is 4097, must be 0 to 4096"),
        ({"beta": -1}, "population a: beta of neuron 0 is -1, must be 0 to 4096"),
        ({"refractory": 64}, "refractory of neuron 0 is 64, must be 0 to 63"),
        ({"v_sub": -1}, "v_sub of neuron 0 is -1, must be 0 to 8388607"),
        ({"theta": 1 << 23}, "theta of neuron 0 is 8388608, must be -8388608 to 8388607"),
        ({"bias": -(1 << 23) - 1}, "bias of neuron 0 is -8388609"),
        ({"gamma": DECAY_ONE + 1}, "gamma of neuron 0 is 4097, must be 0 to 4096"),
        (
            {"step": 1, "adaptation": Adaptation.INPUT, "reset": Reset.SUBTRACT_DELAYED},
            "INPUT takes the place of what reset SUBTRACT_DELAYED",
        ),
        ({"step": -1, "reset": Reset.SUBTRACT}, "reset SUBTRACT needs step >= 0"),
        ({"reset": Reset.SUBTRACT, "theta": -2}, "reset SUBTRACT needs theta >= -1"),
        ({"weight_exponent": 8}, "population a: weight_exponent must be -8 to 7, not 8"),
        ({"spike_bits": 9}, "population a: spike_bits must be 0 to 8, not 9"),
        (SEVERAL | {"reset": Reset.VALUE}, r"several spikes a tick \(spike_bits = 4\) need reset SUBTRACT, not VALUE"),
        (SEVERAL | {"theta": [8, 9]}, "need theta = v_sub - 1 .* theta of neuron 1 is 9, v_sub 9"),
        (SEVERAL | {"theta": -1, "v_sub": 0}, "need theta = v_sub - 1 and v_sub >= 1"),
        (SEVERAL | {"refractory": [0, 1]}, "and a refractory time exclude each other"),
        (SEVERAL | {"step": 1}, "and an adaptation exclude each other"),
    ],
)
def test_populations_are_refused(parameters: dict, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        network(populations=[population(**parameters), population("b")], projections=[])


def test_inputs_are_refused() -> None:
    assert InputPopulation(name="x", shape=(1,), kind="counts").kind is InputKind.COUNTS
    with pytest.raises(
        NetworkError, match="input x: kind must be one of spikes, counts, graded, currents, not 'volts'"
    ):
        InputPopulation(name="x", shape=(1,), kind="volts")
    with pytest.raises(NetworkError, match="input x: max_count must be at least 1, not 0"):
        InputPopulation(name="x", shape=(1,), kind="counts", max_count=0)


def test_exponent_needs_the_loihi_profile() -> None:
    with pytest.raises(NetworkError, match="weight_exponent exists in the loihi profile only"):
        network(numerics=Numerics())


def test_parameters_become_an_array_of_the_neurons() -> None:
    a = population(shape=(2, 3), theta=np.arange(6).reshape(2, 3))
    assert a.size == 6
    assert a.theta.tolist() == [0, 1, 2, 3, 4, 5]
    assert a.v_min.tolist() == [-9] * 6
    assert all(getattr(a, name).dtype == np.int64 for name in Population.ARRAYS)


def test_fanout() -> None:
    some = network()
    sparse, dense = some.projections
    assert some.fanout(sparse).tolist() == [2, 0, 1]
    assert some.fanout(replace(sparse, sparse=False)).tolist() == [2, 2, 2]
    assert some.fanout(dense).tolist() == [2, 2]
    assert dense.name == "a -> b"


def test_biases_do_not_depend_on_how_many_are_computed_at_once() -> None:
    """Sums of tenths end near one half, where the order of additions would decide: see :class:`Drive`."""
    rng = np.random.default_rng(0)
    drive = Drive(source="i", target="a", weights=rng.integers(-9, 9, (16, 100)) * 0.1, scale=np.full(16, 50.0))
    x = rng.integers(0, 9, (64, 100)) * 0.1
    together = drive.biases(x)
    assert (np.stack([drive.biases(row) for row in x]) == together).all()
    fortran = replace(drive, weights=np.asfortranarray(drive.weights))
    assert (fortran.biases(x) == together).all()
    # Halves to even, whichever side of one half the floats fell.
    exact = np.rint(x * 10).astype(int) @ np.rint(drive.weights * 10).astype(int).T
    assert (exact % 2 != 0).any(), "no sum ends in one half"
    assert (together == np.rint(exact / 2)).all()


def test_biases_beyond_every_state_are_still_numbers() -> None:
    drive = Drive(source="i", target="a", weights=np.array([[1.0]]), scale=np.array([1e30]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert drive.biases(np.array([[1.0], [-1.0]])).tolist()[0][0] > 1 << 32
        assert drive.biases(np.array([[1.0], [-1.0]])).tolist()[1][0] < -(1 << 32)
