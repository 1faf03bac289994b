"""Delay nodes: ticks by name, on both sides of weights, in loops; and what is refused."""

from itertools import pairwise

import nir
import numpy as np
import pytest

import spikeloom as sl
from spikeloom import reference
from spikeloom.compiler.graph import Network
from spikeloom.compiler.nir_import import load
from spikeloom.contract.errors import NetworkError
from spikeloom.contract.network import InputKind

DT = 1e-3
W = np.array([[1.0, -2.0], [0.5, 0.0], [3.0, 4.0]])


def graph(nodes: dict, edges: list[tuple[str, str]], metadata: dict | None = None) -> nir.NIRGraph:
    return nir.NIRGraph(nodes, edges, metadata or {}, type_check=False)


def chain(*middle: nir.NIRNode, inputs: int = 2, outputs: int = 3) -> nir.NIRGraph:
    nodes = {"in": nir.Input({"input": np.array([inputs])})}
    nodes |= {str(n): node for n, node in enumerate(middle)}
    nodes["out"] = nir.Output({"output": np.array([outputs])})
    return graph(nodes, list(pairwise(nodes)))


def if_(size: int = 3) -> nir.IF:
    return nir.IF(r=np.ones(size), v_threshold=np.full(size, 0.5), v_reset=np.zeros(size))


def late(*ticks: float) -> nir.Delay:
    return nir.Delay(np.array(ticks, dtype=np.float32) * np.float32(DT))


def by_delay(network: Network) -> dict[int, np.ndarray]:
    return {e.delay: network.matrix(e) for e in network.projections}


def dense(weights: object) -> np.ndarray:
    return weights if isinstance(weights, np.ndarray) else weights.toarray()  # type: ignore[attr-defined]


def test_one_delay_is_the_projections() -> None:
    network = load(chain(nir.Linear(W), late(5, 5, 5), if_()), dt=DT)
    assert {delay: dense(w).tolist() for delay, w in by_delay(network).items()} == {5: W.tolist()}
    assert [str(a) for a in network.assumptions if a.name == "delay"] == ["delay: 5 to 5 ticks (round(delay / dt)) [1]"]


def test_a_delay_a_neuron_behind_the_weights() -> None:
    found = by_delay(load(chain(nir.Linear(W), late(0, 7, 2), if_()), dt=DT))
    assert {d: np.flatnonzero(dense(w).any(axis=1)).tolist() for d, w in found.items()} == {0: [0], 2: [2], 7: [1]}
    np.testing.assert_allclose(sum(dense(w) for w in found.values()), W)


def test_a_delay_an_input_in_front_of_them() -> None:
    found = by_delay(load(chain(late(1, 3), nir.Linear(W), if_()), dt=DT))
    assert {d: np.flatnonzero(dense(w).any(axis=0)).tolist() for d, w in found.items()} == {1: [0], 3: [1]}


def test_delays_in_a_row_add_up() -> None:
    network = load(chain(late(1, 3), nir.Linear(W), nir.Delay(np.array(2 * DT)), late(4, 4, 4), if_()), dt=DT)
    assert set(by_delay(network)) == {7, 9}


def test_a_channel_of_a_convolution_is_delayed() -> None:
    conv = nir.Conv2d((3, 3), np.ones((2, 1, 3, 3)), 1, 1, 1, 1, np.zeros(2))
    neurons = nir.IF(r=np.ones((2, 3, 3)), v_threshold=np.ones((2, 3, 3)), v_reset=np.zeros((2, 3, 3)))
    nodes = {
        "in": nir.Input({"input": np.array([1, 3, 3])}), "c": conv,
        "d": nir.Delay(np.array([1, 4]).reshape(2, 1, 1) * DT), "n": neurons,
        "out": nir.Output({"output": np.array([2, 3, 3])}),
    }  # fmt: skip
    network = load(graph(nodes, list(pairwise(nodes))), dt=DT)
    assert {e.delay: e.weights.sum(axis=(1, 2, 3)).tolist() for e in network.projections} == {1: [9, 0], 4: [0, 9]}
    assert all(e.convolution for e in network.projections)


def loop(node: nir.NIRNode | None, **readings: str) -> list[int]:
    nodes = {
        "in": nir.Input({"input": np.array([3])}), "a": if_(), "w": nir.Linear(np.eye(3)), "b": if_(),
        "back": node or nir.Scale(np.ones(3)), "out": nir.Output({"output": np.array([3])}),
    }  # fmt: skip
    edges = [("in", "a"), ("a", "w"), ("w", "b"), ("b", "back"), ("back", "a"), ("b", "out")]
    network = load(graph(nodes, edges), dt=DT, **readings)
    delays = {(e.source, e.target): e.delay for e in network.projections}
    return [delays[pair] for pair in (("in", "a"), ("a", "b"), ("b", "a"))]


def test_a_loop_needs_one_tick_and_no_more() -> None:
    assert loop(None) == [0, 0, 1]
    assert loop(late(3, 3, 3)) == [0, 0, 3]


def test_synapses_of_one_tick() -> None:
    assert loop(None, delay="synapse") == [0, 1, 1]
    assert loop(late(3, 3, 3), delay="synapse") == [0, 1, 4]


def test_the_reading_is_metadata_of_the_graph_too() -> None:
    nodes = {
        "in": nir.Input({"input": np.array([3])}), "a": if_(), "b": if_(), "out": nir.Output({"output": np.array([3])}),
    }  # fmt: skip
    network = load(graph(nodes, list(pairwise(nodes)), {"spikeloom.delay": "synapse"}))
    assert [e.delay for e in network.projections] == [0, 1]
    nodes["b"].metadata = {"spikeloom.delay": "loop"}
    with pytest.raises(NetworkError, match=r"metadata spikeloom\.delay differs among nodes: loop, synapse"):
        load(graph(nodes, list(pairwise(nodes)), {"spikeloom.delay": "synapse"}))


def test_a_bias_is_there_from_the_first_tick() -> None:
    network = load(chain(nir.Affine(W, np.ones(3)), late(2, 2, 2), if_()), dt=DT)
    np.testing.assert_allclose(network.populations[0].bias, 1)
    assert any("a bias in front of a Delay" in str(a) for a in network.assumptions)


@pytest.mark.parametrize(
    ("delay", "text"),
    [
        (late(1, 2.4, 3), r"node 1 \(Delay\): delay 0.0024 is 2.4 ticks of 0.001"),
        (late(1, -2, 3), r"node 1 \(Delay\): delay is -0.002"),
        (nir.Delay(np.full(4, DT)), r"node 0 \(Linear\) gives \(3,\), node 1 \(Delay\)"),
        (nir.Delay(np.full(3, np.nan)), r"node 1 \(Delay\): delay is nan"),
    ],
)
def test_refused_delays(delay: nir.Delay, text: str) -> None:
    with pytest.raises(NetworkError, match=text):
        load(chain(nir.Linear(W), delay, if_()), dt=DT)


def test_a_delay_needs_a_tick() -> None:
    with pytest.raises(NetworkError, match="node 1 has a time constant or a delay: give dt="):
        load(chain(nir.Linear(W), late(1, 1, 1), if_()))
    load(chain(nir.Linear(W), late(0, 0, 0), if_()))  # none at all needs none


def test_currents_cannot_be_late() -> None:
    network = load(chain(nir.Linear(W), late(1, 1, 1), if_()), dt=DT)
    with pytest.raises(NetworkError, match="they reach 2 1 ticks late"):
        sl.quantise(network, np.full((1, 4, 2), 0.5), input_kind=InputKind.CURRENTS)


def test_golden_is_as_late_as_the_reference() -> None:
    rng = np.random.default_rng(1)
    w = rng.integers(-3, 4, (6, 4)).astype(float)
    network = load(chain(late(0, 1, 5, 2), nir.Linear(w), late(0, 0, 3, 3, 9, 1), if_(6), inputs=4, outputs=6), dt=DT)
    x = (rng.random((2, 25, 4)) < 0.4).astype(np.uint8)
    want, got = reference.run(network, x), sl.golden.run(sl.quantise(network, x), x)
    assert want.spikes.any()
    assert (got.spikes == want.spikes).all()


def test_an_output_may_show_spikes_late() -> None:
    network = load(chain(nir.Linear(np.abs(W)), if_(), late(2, 0, 1)), dt=DT)
    assert network.states == ["out"]
    x = (np.random.default_rng(2).random((1, 12, 2)) < 0.5).astype(np.uint8)
    run = reference.run(network, x)
    spikes = run.populations["1"].spikes[0].astype(float)
    assert spikes.sum(axis=0).min() > 1
    for neuron, ticks in enumerate((2, 0, 1)):
        assert (run.v[0, ticks:, neuron] == spikes[: 12 - ticks, neuron]).all()
        assert not run.v[0, :ticks, neuron].any()
