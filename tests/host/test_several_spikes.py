"""Several spikes a tick on the host: sinabs' rule in the float reference, and from there to an array's sizes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import in_space_network, seeds

import spikeloom as sl
from spikeloom.busy import activity
from spikeloom.compiler.graph import FloatInput, FloatPopulation, FloatProjection, Network
from spikeloom.compiler.nir_export import beyond
from spikeloom.compiler.overflow import accumulator_bounds
from spikeloom.compiler.simulate import statistics
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.errors import FitError, NetworkError
from spikeloom.contract.network import InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.neuron import Reset
from spikeloom.contract.numerics import Numerics, Profile

MULTI = {"theta": 1.0, "v_sub": 1.0, "reset": Reset.SUBTRACT, "fire": "multi"}


def single(**parameters: object) -> Network:
    return Network(
        inputs=[FloatInput(name="in", shape=(1,))],
        populations=[FloatPopulation(name="n", shape=(1,), **(MULTI | parameters))],  # type: ignore[arg-type]
        projections=[FloatProjection(source="in", target="n", weights=np.ones((1, 1)))],
        outputs={"out": "n"},
    )


def test_ticks_by_hand() -> None:
    x = np.array([0.5, 0.5, 3.25, -4.0, 7.75])
    n = sl.reference.run(single(v_min=-1.0), x[None, :, None], record=("v",)).populations["n"]
    assert n.spikes[0, :, 0].tolist() == [0, 1, 3, 0, 6]
    assert n.v is not None
    assert n.v[0, :, 0].tolist() == [0.5, 0.0, 0.25, -1.0, 0.75]


# ---- sinabs


def sinabs_layer(x: np.ndarray, w: np.ndarray, beta: float, threshold: np.ndarray, floor: np.ndarray | None):
    """Spikes and potentials of sinabs' LIF (``beta`` below 1) or IAF, as its version 3.1.3 computes them.

    ``lif_forward_single`` with MultiSpike and MembraneSubtract, which its NIR import gives a neuron: decay, input;
    ``(v > 0) * trunc(v / threshold)`` spikes, each minus a threshold; the floor.
    """
    v, spikes, potentials = np.zeros((len(x), len(w))), [], []
    for tick in range(x.shape[1]):
        v = beta * v + x[:, tick] @ w.T
        n = (v > 0) * np.trunc(v / threshold)
        v = v - n * threshold
        if floor is not None:
            v = np.maximum(v, floor)
        spikes.append(n)
        potentials.append(v)
    return np.stack(spikes, axis=1), np.stack(potentials, axis=1)


@given(seed=seeds, leaks=st.booleans())
@settings(deadline=None, max_examples=40)
def test_the_float_reference_is_sinabs(seed: int, leaks: bool) -> None:
    """Two layers from a NIR graph against the rule written down once more."""
    rng = np.random.default_rng(seed)
    shapes = ((5, 4), (3, 5))
    weights = [rng.normal(0, 2, shape) for shape in shapes]
    thresholds = [rng.uniform(0.2, 1.5, len(w)) for w in weights]
    tau = rng.uniform(1.5, 9)
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input({"input": np.array([4])})}
    for n, (w, threshold) in enumerate(zip(weights, thresholds, strict=True)):
        nodes[f"w{n}"] = nir.Linear(w)
        full = np.ones(len(w))
        if leaks:
            nodes[f"n{n}"] = nir.LIF(full * tau, full * tau, full * 0, threshold)
        else:
            nodes[f"n{n}"] = nir.IF(full, threshold, metadata={"spikeloom.v_min": -threshold})
    nodes["output"] = nir.Output({"output": np.array([3])})
    names = list(nodes)
    graph = nir.NIRGraph(nodes, list(pairwise(names)), type_check=False)
    network = sl.load(graph, dt=1.0, decay="exact_decay", reset="subtract", fire="multi")
    x = rng.normal(0, 1, (2, 12, 4))
    run = sl.reference.run(network, x, record=("v",))
    for n in range(2):
        beta, floor = (np.exp(-1 / tau), None) if leaks else (1.0, -thresholds[n])
        x, v = sinabs_layer(x, weights[n], beta, thresholds[n], floor)
        assert np.array_equal(run.populations[f"n{n}"].spikes, x)
        np.testing.assert_allclose(run.populations[f"n{n}"].v, v, atol=1e-9)
    assert np.array_equal(run.counts, x.sum(axis=1))


# ---- import


def chain(node: nir.NIRNode) -> nir.NIRGraph:
    ports = {"input": nir.Input({"input": np.array([2])}), "output": nir.Output({"output": np.array([2])})}
    nodes = {"input": ports["input"], "w": nir.Linear(np.eye(2)), "n": node, "output": ports["output"]}
    return nir.NIRGraph(nodes, [("input", "w"), ("w", "n"), ("n", "output")], type_check=False)


def integrate(**metadata: object) -> nir.IF:
    return nir.IF(np.ones(2), np.full(2, 2.0), metadata={f"spikeloom.{k}": v for k, v in metadata.items()})


def test_the_reading_comes_from_metadata_too() -> None:
    p = sl.load(chain(integrate(fire="multi", reset="subtract"))).population("n")
    assert (p.fire, p.reset, p.theta.tolist(), p.v_sub.tolist()) == ("multi", Reset.SUBTRACT, [2, 2], [2, 2])


@pytest.mark.parametrize(
    ("node", "given", "message"),
    [
        (integrate(), {}, r'node n \(IF\): fire multi, .*: give reset="subtract", not \'value\''),
        (integrate(), {"reset": "subtract_delayed"}, 'give reset="subtract", not'),
        (integrate(v_sub=1.0), {"reset": "subtract"}, "subtracts 1, and must subtract its theta, 2"),
        (integrate(refractory=1), {"reset": "subtract"}, "several spikes in a tick has no refractory time"),
        (
            nir.Threshold(np.ones(2)),
            {"reset": "subtract"},
            r"node n \(Threshold\): fire multi, and it has no potential",
        ),
        (nir.IF(np.ones(2), np.zeros(2)), {"reset": "subtract"}, "theta of neuron 0 is 0, must be positive"),
    ],
)
def test_what_sends_no_several_spikes_is_refused(node: nir.NIRNode, given: dict, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        sl.load(chain(node), fire="multi", **given)


# ---- quantise


def layers(theta: float = 1.0) -> Network:
    rng = np.random.default_rng(7)
    several = MULTI | {"theta": theta, "v_sub": theta}
    return Network(
        inputs=[FloatInput(name="in", shape=(6,))],
        populations=[FloatPopulation(name=name, shape=(5,), **several) for name in ("a", "b")],  # type: ignore[arg-type]
        projections=[
            FloatProjection(source="in", target="a", weights=rng.normal(0.5, 1, (5, 6))),
            FloatProjection(source="a", target="b", weights=rng.normal(0.1, 0.5, (5, 5))),
        ],
        outputs={"out": "b"},
    )


def spikes(seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).random((4, 10, 6)) < 0.5).astype(np.uint8)


def test_bits_are_those_that_the_samples_need() -> None:
    network, x = layers(), spikes()
    most = {name: int(p.spikes.max()) for name, p in sl.reference.run(network, x).populations.items()}
    assert most["a"] != most["b"]
    quantised = sl.quantise(network, x)
    assert {p.name: p.spike_bits for p in quantised.populations} == {n: m.bit_length() for n, m in most.items()}
    assert [line["spikes_max"] for line in quantised.report["layers"]] == list(most.values())
    assert [p.spike_bits for p in sl.quantise(network).populations] == [4, 4]
    told = sl.quantise(network, x, spike_bits=1)
    assert [p.spike_bits for p in told.populations] == [1, 1]
    assert any("more than 1 spikes in a tick on these samples" in line for line in told.report["warnings"])
    assert not any("spikes in a tick" in line for line in quantised.report["warnings"])
    with pytest.raises(NetworkError, match="spike_bits must be 1 to 8, not 9"):
        sl.quantise(network, x, spike_bits=9)


def test_each_spike_takes_one_threshold() -> None:
    for theta in (1.0, 0.7):
        for p in sl.quantise(layers(theta), spikes()).populations:
            assert (p.theta == p.v_sub - 1).all()
            assert p.reset is Reset.SUBTRACT


def test_golden_follows_the_float_reference() -> None:
    """16-bit weights: decisions and all but a few numbers of spikes are those of the float reference."""
    network, x = layers(), spikes()
    want = sl.reference.run(network, x).populations["b"].spikes
    golden = sl.golden.run(sl.quantise(network, x, weight_bits=16), x).populations["b"].spikes
    assert want.max() > 2
    assert (golden != want).mean() < 0.02
    one = sl.golden.run(sl.quantise(network, x, weight_bits=16, spike_bits=1), x).populations["b"].spikes
    assert (one != want).mean() > 0.1, "the number of spikes does not count here"


def test_the_mean_square_of_what_is_sent_counts() -> None:
    network, x = layers(), spikes()
    seen = statistics(network, {"in": x.astype(float)})["a"]
    sent = sl.reference.run(network, x).populations["a"].spikes
    np.testing.assert_allclose(seen.power, (sent.astype(float) ** 2).mean(axis=(0, 1)))
    assert seen.count.tolist() == sent.max(axis=(0, 1)).tolist()


# ---- down to an array


def counting(spike_bits: int = 3) -> QuantisedNetwork:
    several = {"reset": Reset.SUBTRACT, "theta": 9, "v_sub": 10, "v_min": -99, "spike_bits": spike_bits}
    return QuantisedNetwork(
        numerics=Numerics(fraction_bits=0),
        inputs=[InputPopulation(name="in", shape=(2,))],
        populations=[Population(name="a", shape=(2,), **several), Population(name="b", shape=(1,), theta=0, v_min=-99)],
        projections=[
            Projection(source="in", target="a", weights=np.array([[35, 0], [0, 120]])),
            Projection(source="a", target="b", weights=np.array([[2, -3]])),
        ],
        outputs={"out": "a", "v": "b"},
        states=["v"],
    )


def test_one_event_with_a_number() -> None:
    x = np.array([[[1, 1], [0, 0], [1, 0]]], dtype=np.uint8)
    network = counting()
    golden = sl.golden.run(network, x, record=("v",))
    assert golden.populations["a"].spikes[0].tolist() == [[3, 7], [0, 5], [4, 0]]
    assert golden.populations["a"].v is not None
    assert golden.populations["a"].v[0].tolist() == [[5, 50], [5, 0], [0, 0]]
    assert golden.saturations["a"].tolist() == [1], "twelve spikes, and seven can be told"
    assert golden.events[0].tolist() == [3, 4]
    assert golden.synapses[0].tolist() == [6, 4]
    assert activity(network, x)["a"].tolist() == [2 / 3, 2 / 3], "events, whatever they carry"
    counts = sl.count(network, x)
    assert (counts.effective_acs, counts.effective_macs, counts.spikes) == (
        3,
        4,
        19 + golden.populations["b"].spikes.sum(),
    )
    zeros = 2 + np.count_nonzero(golden.populations["b"].spikes == 0)
    assert counts.activation_sparsity == pytest.approx(zeros / 9)
    assert accumulator_bounds(network)["b"].tolist() == [[-21], [14]]


def test_sizes_follow_the_network() -> None:
    config = sl.compile(counting(), "auto:1x1:4").config
    assert (config.core.spike_bits, config.payload_bits) == (3, 3)
    assert sl.compile(counting(0 + 1), "auto:1x1:4").config.core.spike_bits == 1


@pytest.mark.parametrize("spike_bits", [0, 2])
def test_cores_without_enough_bits_are_refused(spike_bits: int) -> None:
    config = ArrayConfig(payload_bits=2, core=CoreConfig(lanes=4, spike_bits=spike_bits, numerics=counting().numerics))
    with pytest.raises(FitError, match=rf"population a: .* up to 7 .* spike_bits = {spike_bits}: set spike_bits = 3"):
        sl.compile(counting(), config)


def test_networks_are_saved_with_their_bits(tmp_path) -> None:
    counting(5).save(tmp_path / "net.npz")
    assert QuantisedNetwork.load(tmp_path / "net.npz").population("a").spike_bits == 5


# ---- back out


@given(seed=seeds, profile=st.sampled_from(Profile))
@settings(deadline=None, max_examples=20)
def test_the_same_integers_come_back_from_nir(seed: int, profile: Profile) -> None:
    network = in_space_network(seed, profile, spike_bits=8)
    again = sl.import_quantised(sl.export_nir(network))
    for a, b in zip(network.populations, again.populations, strict=True):
        assert (a.spike_bits, a.reset) == (b.spike_bits, b.reset)
        for name in Population.ARRAYS:
            assert np.array_equal(getattr(a, name), getattr(b, name)), name


def test_the_exported_graph_in_real_numbers_gives_the_same_spikes() -> None:
    network = counting(8)
    x = spikes()[:, :, :2]
    graph = sl.export_nir(network)
    run = sl.reference.run(sl.load(graph), x)
    golden = sl.golden.run(network, x)
    assert golden.populations["a"].spikes.max() > 1
    assert np.array_equal(run.populations["a"].spikes, golden.populations["a"].spikes)
    assert any("up to 255 spikes a tick" in line for line in beyond(network))
    edited = replace(network, populations=[replace(network.population("a"), spike_bits=0), network.population("b")])
    assert not any("spikes a tick" in line for line in beyond(edited))
