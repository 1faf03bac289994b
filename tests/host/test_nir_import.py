"""Import: each node's formulas, folding, loops, readings, and refusals that name the node."""

from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest

from spikeloom.compiler.nir_import import load
from spikeloom.contract.errors import NetworkError
from spikeloom.contract.neuron import Reset

DATA = Path(__file__).parent / "data" / "nir"
DT = 1e-3


def graph(nodes: dict, edges: list[tuple[str, str]], metadata: dict | None = None) -> nir.NIRGraph:
    return nir.NIRGraph(nodes, edges, metadata or {}, type_check=False)


def chain(*middle: nir.NIRNode, inputs: tuple[int, ...] = (2,), outputs: tuple[int, ...] = (3,), **metadata):
    """``in -> 0 -> 1 ... -> out``."""
    nodes = {"in": nir.Input({"input": np.array(inputs)})}
    nodes |= {str(n): node for n, node in enumerate(middle)}
    nodes["out"] = nir.Output({"output": np.array(outputs)})
    names = list(nodes)
    return graph(nodes, list(pairwise(names)), {f"spikeloom.{k}": v for k, v in metadata.items()})


def full(value: float, size: int = 3) -> np.ndarray:
    return np.full(size, float(value))


def lif(size: int = 3, tau: float = 0.01, r: float = 1, leak: float = 0, thr: float = 1, reset: float = 0) -> nir.LIF:
    return nir.LIF(*(full(x, size) for x in (tau, r, leak, thr, reset)))


def cuba(size: int = 3, **kw: float) -> nir.CubaLIF:
    p = {"tau_syn": 0.005, "tau_mem": 0.01, "r": 1, "v_leak": 0, "v_threshold": 1, "w_in": 1} | kw
    return nir.CubaLIF(**{name: full(value, size) for name, value in p.items()})


def if_(size: int = 3, r: float = 1) -> nir.IF:
    return nir.IF(r=full(r, size), v_threshold=full(1, size), v_reset=full(0, size))


W = np.array([[1.0, -2.0], [0.5, 0.0], [3.0, 4.0]])
B = np.array([0.1, -0.2, 0.3])


def only(network):
    assert len(network.populations) == 1
    return network.populations[0]


# Formulas


def test_lif_euler() -> None:
    network = load(chain(nir.Affine(W, B), lif(tau=0.01, r=2, leak=0.5, thr=0.7, reset=0.2)), dt=DT)
    p = only(network)
    np.testing.assert_allclose(p.alpha, 0)
    np.testing.assert_allclose(p.beta, 0.9)
    np.testing.assert_allclose(network.projections[0].weights, 0.1 * 2 * W)
    np.testing.assert_allclose(p.bias, 0.1 * (0.5 + 2 * B))
    np.testing.assert_allclose(p.bias_u, 0)
    np.testing.assert_allclose(p.theta, 0.7)
    np.testing.assert_allclose(p.v_reset, 0.2)
    assert (p.reset, p.fire, network.states) == (Reset.VALUE, ">", [])


@pytest.mark.parametrize(("decay", "gain"), [("exact", 1 - np.exp(-0.1)), ("exact_decay", 0.1)])
def test_lif_exact(decay: str, gain: float) -> None:
    network = load(chain(nir.Linear(W), lif(leak=0.5)), dt=DT, decay=decay)
    np.testing.assert_allclose(only(network).beta, np.exp(-0.1))
    np.testing.assert_allclose(network.projections[0].weights, gain * W)
    np.testing.assert_allclose(only(network).bias, gain * 0.5)


def test_cuba_lif() -> None:
    network = load(chain(nir.Affine(W, B), cuba(r=3, v_leak=0.5, w_in=7)), dt=DT)
    p, gain = only(network), 0.2 * 7 * 0.1 * 3
    np.testing.assert_allclose(p.alpha, 0.8)
    np.testing.assert_allclose(p.beta, 0.9)
    np.testing.assert_allclose(network.projections[0].weights, gain * W)
    np.testing.assert_allclose(p.bias_u, gain * B)  # what passes the synapse decays with it
    np.testing.assert_allclose(p.bias, 0.1 * 0.5)


def test_if_needs_no_dt() -> None:
    network = load(chain(nir.Linear(W), if_(r=2)))
    np.testing.assert_allclose(only(network).beta, 1)
    np.testing.assert_allclose(network.projections[0].weights, 2 * W)
    assert not any(a.name == "dt" for a in network.assumptions)


def test_threshold_keeps_nothing() -> None:
    p = only(load(chain(nir.Linear(W), nir.Threshold(full(0.5)))))
    np.testing.assert_allclose(p.beta, 0)
    np.testing.assert_allclose(p.theta, 0.5)
    assert p.reset is Reset.NONE


@pytest.mark.parametrize(
    ("node", "alpha", "beta", "gain"),
    [
        (nir.I(r=full(2)), 0, 1, 2),
        (nir.LI(tau=full(0.01), r=full(2), v_leak=full(0)), 0, 0.9, 0.2),
        (
            nir.CubaLI(tau_syn=full(0.005), tau_mem=full(0.01), r=full(2), v_leak=full(0), w_in=full(3)),
            0.8, 0.9, 0.2 * 3 * 0.1 * 2,
        ),
    ],
)  # fmt: skip
def test_integrators_show_their_state(node: nir.NIRNode, alpha: float, beta: float, gain: float) -> None:
    network = load(chain(nir.Linear(W), node), dt=DT)
    p = only(network)
    assert network.states == ["out"]
    assert not p.spiking
    np.testing.assert_allclose(p.alpha, alpha)
    np.testing.assert_allclose(p.beta, beta)
    np.testing.assert_allclose(network.projections[0].weights, gain * W)


@pytest.mark.parametrize(
    ("reset", "want", "v_sub"),
    [
        ("value", Reset.VALUE, 0), ("subtract", Reset.SUBTRACT, 1), ("subtract_delayed", Reset.SUBTRACT_DELAYED, 1),
        ("none", Reset.NONE, 0),
    ],
)  # fmt: skip
def test_resets(reset: str, want: Reset, v_sub: float) -> None:
    p = only(load(chain(nir.Linear(W), lif()), dt=DT, reset=reset))
    assert p.reset is want
    np.testing.assert_allclose(p.v_sub, v_sub)


# Structure


def test_linear_chain_folds_into_one_matrix() -> None:
    scale = np.array([2.0, 3.0, 4.0])
    second = np.arange(9.0).reshape(3, 3)
    flatten = nir.Flatten({"input": np.array([1, 2])}, 0, -1)
    network = load(chain(flatten, nir.Affine(W, B), nir.Scale(scale), nir.Affine(second, B), if_(), inputs=(1, 2)))
    (e,) = network.projections
    np.testing.assert_allclose(e.weights, second @ np.diag(scale) @ W)
    np.testing.assert_allclose(only(network).bias, second @ (scale * B) + B)


def test_branches_add() -> None:
    nodes = {
        "in": nir.Input({"input": np.array([2])}), "a": nir.Linear(W), "b": nir.Affine(2 * W, B), "n": if_(),
        "s": nir.Scale(full(0.5)), "m": if_(), "out": nir.Output({"output": np.array([3])}),
    }  # fmt: skip
    edges = [
        ("in", "a"),
        ("in", "b"),
        ("a", "n"),
        ("b", "n"),
        ("n", "m"),
        ("n", "s"),
        ("s", "m"),
        ("b", "m"),
        ("m", "out"),
    ]
    network = load(graph(nodes, edges))
    weights = {(e.source, e.target): e.weights for e in network.projections}
    np.testing.assert_allclose(weights["in", "n"], 3 * W)
    np.testing.assert_allclose(weights["n", "m"].toarray(), 1.5 * np.eye(3))
    np.testing.assert_allclose(weights["in", "m"], 2 * W)
    np.testing.assert_allclose(network.population("m").bias, B)
    assert all(e.delay == 0 for e in network.projections)


def test_several_inputs_and_outputs() -> None:
    nodes = {
        "left": nir.Input({"input": np.array([2])}), "right": nir.Input({"input": np.array([3])}), "w": nir.Linear(W),
        "n": if_(), "sum": nir.I(r=full(1)), "spikes": nir.Output({"output": np.array([3])}),
        "state": nir.Output({"output": np.array([3])}),
    }  # fmt: skip
    edges = [("left", "w"), ("w", "n"), ("right", "n"), ("n", "sum"), ("n", "spikes"), ("sum", "state")]
    network = load(graph(nodes, edges))
    assert [i.name for i in network.inputs] == ["left", "right"]
    assert network.outputs == {"spikes": "n", "state": "sum"}
    assert network.states == ["state"]


def loop(*edges: tuple[str, str]) -> dict[tuple[str, str], int]:
    """Delays of a network of IF neurons ``a b c``, fed at ``a``, shown at ``c``, with more edges."""
    nodes = {
        "in": nir.Input({"input": np.array([3])}), **{n: if_() for n in "cba"},
        "out": nir.Output({"output": np.array([3])}),
    }  # fmt: skip
    network = load(graph(nodes, [("in", "a"), ("c", "out"), *edges]))
    assert [p.name for p in network.ordered()] == [p.name for p in network.populations]
    return {(e.source, e.target): e.delay for e in network.projections}


def test_self_loop_is_delayed() -> None:
    assert loop(("a", "a"), ("a", "b"), ("b", "c")) == {("in", "a"): 0, ("a", "a"): 1, ("a", "b"): 0, ("b", "c"): 0}


def test_only_the_edge_back_is_delayed() -> None:
    delays = loop(("a", "b"), ("b", "c"), ("c", "a"), ("in", "c"))
    assert [edge for edge, delay in delays.items() if delay] == [("c", "a")]


def test_skip_is_not_delayed() -> None:
    assert not any(loop(("a", "b"), ("b", "c"), ("a", "c")).values())


def test_subgraph_is_flattened() -> None:
    inner = graph(
        {
            "input": nir.Input({"input": np.array([3])}), "lif": if_(), "w_rec": nir.Linear(np.eye(3) * 0.5),
            "output": nir.Output({"output": np.array([3])}),
        },
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
        {"spikeloom.reset": "subtract"},
    )  # fmt: skip
    network = load(chain(nir.Linear(W), inner))
    p = only(network)
    assert (p.name, p.reset, network.outputs) == ("1.lif", Reset.SUBTRACT, {"out": "1.lif"})
    assert {(e.source, e.delay) for e in network.projections} == {("in", 0), ("1.lif", 1)}


# Readings


def assumed(network, name: str) -> list[tuple[str, str]]:
    return [(a.value, a.origin) for a in network.assumptions if a.name == name]


def test_metadata_is_read_and_arguments_win(tmp_path: Path) -> None:
    nir.write(
        tmp_path / "net.nir",
        chain(nir.Linear(W), lif(), dt=DT, decay="exact", reset="subtract_delayed", fire=">="),
    )
    p = only(load(tmp_path / "net.nir"))
    np.testing.assert_allclose(p.beta, np.exp(-0.1))
    assert (p.reset, p.fire) == (Reset.SUBTRACT_DELAYED, ">=")
    network = load(tmp_path / "net.nir", dt=DT / 2, decay="euler", reset="none", fire=">")
    p = only(network)
    np.testing.assert_allclose(p.beta, 0.95)
    assert (p.reset, p.fire) == (Reset.NONE, ">")
    assert assumed(network, "reset") == [("none", "given as argument")]


def test_metadata_of_a_node_beats_the_graph() -> None:
    special = lif()
    special.metadata = {"spikeloom.reset": "none"}
    network = load(chain(nir.Linear(W), lif(), nir.Linear(np.eye(3)), special, dt=DT, reset="subtract"))
    assert [p.reset for p in network.populations] == [Reset.SUBTRACT, Reset.NONE]


def test_defaults_are_noted() -> None:
    network = load(chain(nir.Linear(W), lif()), dt=DT)
    for name, value in (("decay", "euler"), ("reset", "value"), ("fire", ">")):
        ((got, origin),) = assumed(network, name)
        assert got == value
        assert "assumed" in origin
    assert "assumed reset: value (assumed: NIR's own text) [1]" in network.summary()


@pytest.mark.parametrize("dt", [1e-4, 1e-3, 1.0])
def test_dt_is_found_where_gains_are_one(dt: float) -> None:
    network = load(chain(nir.Linear(W), lif(tau=10 * dt, r=10)))
    np.testing.assert_allclose(network.projections[0].weights, W)
    assert assumed(network, "dt") == [(f"{dt:g}", "assumed: r * dt / tau is 1 in every node")]


def test_missing_dt_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"give dt="):
        load(chain(nir.Linear(W), lif()))


def test_two_ticks_are_refused() -> None:
    first, second = lif(), lif()
    first.metadata, second.metadata = {"spikeloom.dt": 1e-3}, {"spikeloom.dt": 1e-4}
    with pytest.raises(NetworkError, match=r"spikeloom.dt differs"):
        load(chain(nir.Linear(W), first, nir.Linear(np.eye(3)), second))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"dt": -1}, "argument dt must be a positive number"),
        ({"decay": "rk4"}, "argument decay must be one of euler, exact"),
        ({"reset": "zero"}, "argument reset must be one of value"),
        ({"fire": "<"}, "argument fire must be one of >, >="),
    ],
)
def test_bad_readings_are_refused(given: dict, text: str) -> None:
    with pytest.raises(NetworkError, match=text):
        load(chain(nir.Linear(W), lif()), **({"dt": DT} | given))


def test_bad_metadata_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"node 1: metadata spikeloom.reset must be one of"):
        load(chain(nir.Linear(W), lif(), reset="zero"), dt=DT)


# Repairs


def test_scalars_spread_over_the_neurons() -> None:
    network = load(DATA / "braille_flattened.nir", dt=0.1)
    assert [p.shape for p in network.populations] == [(38,), (7,)]
    assert len(assumed(network, "repair")) == 2


def test_axes_of_size_one() -> None:
    network = load(DATA / "lif_rockpool.nir", dt=1e-4)
    assert assumed(network, "repair") == [("(1,) taken as (1, 1, 1)", "axes of size 1")]


def test_missing_ports_are_added() -> None:
    network = load(graph({"w": nir.Linear(W), "n": if_()}, [("w", "n")]))
    assert [i.shape for i in network.inputs] == [(2,)]
    assert network.outputs == {"output": "n"}
    assert [value for value, _ in assumed(network, "repair")] == ["Input added", "Output added"]


def test_flatten_that_counts_a_batch_axis() -> None:
    flatten = nir.Flatten({"input": np.array([2, 3])}, 1, -1)
    network = load(chain(flatten, nir.Linear(np.ones((3, 6))), if_(), inputs=(2, 3)))
    assert network.projections[0].weights.shape == (3, 6)
    assert assumed(network, "repair") == [("all axes flattened", "its start_dim counts a batch axis, and NIR has none")]


# Refusals


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (chain(nir.Linear(W), if_(4)), r"edge 0 -> 1: node 0 \(Linear\) gives \(3,\), node 1 \(IF\) takes \(4,\)"),
        (chain(nir.Linear(W), if_(), inputs=(7, 2)), r"if \(7,\) is a time or batch axis, leave it out"),
        (chain(nir.Linear(W), if_(), inputs=(1, 1, 3)), r"gives \(1, 1, 3\)"),
        (chain(nir.Linear(np.ones((3, 4))), if_(), inputs=(2, 2)), r"put a Flatten between"),
        (
            chain(nir.Linear(W), nir.I(r=full(1)), if_()),
            r"node 1 \(I\): its potential goes on to 2, and neurons send spikes only",
        ),
        (chain(nir.Linear(W), nir.I(r=full(1)), nir.Scale(full(2))), r"node 1 \(I\): its potential goes on to out"),
        (chain(nir.Linear(W * np.nan), if_()), r"node 0 \(Linear\): weight is nan at \(0, 0\)"),
        (chain(nir.Affine(W, B * np.inf), if_()), r"node 0 \(Affine\): bias is inf at \(0,\)"),
        (chain(nir.Linear(W), lif(tau=-1)), r"node 1 \(LIF\): tau is -1, must be positive"),
        (chain(nir.Linear(W), cuba(tau_syn=0)), r"node 1 \(CubaLIF\): tau_syn is 0, must be positive"),
        (chain(nir.Linear(W), lif(tau=1e-5)), r"tau 1e-05 is less than a tick of 0.001.*Norse 1.1.0"),
        (chain(nir.Linear(np.ones((2, 3, 2))), if_()), r"node 0 \(Linear\): weight has shape \(2, 3, 2\)"),
    ],
)  # fmt: skip
def test_refused_graphs(network: nir.NIRGraph, text: str) -> None:
    with pytest.raises(NetworkError, match=text):
        load(network, dt=DT)


def refused(nodes: dict, edges: list[tuple[str, str]], text: str) -> None:
    with pytest.raises(NetworkError, match=text):
        load(graph(nodes, edges), dt=DT)


def test_refused_edges() -> None:
    ports = {"in": nir.Input({"input": np.array([3])}), "out": nir.Output({"output": np.array([3])})}
    eye = nir.Linear(np.eye(3))
    ends = [("in", "n"), ("n", "out")]
    refused(
        ports | {"n": if_()}, [*ends, ("n", "ghost")], r"edge n -> ghost: there is no node ghost; nodes are in, n, out"
    )
    refused(ports | {"n": if_()}, [*ends, ("in", "n")], r"edge in -> n is listed 2 times")
    refused(
        ports | {"n": if_(), "a": eye, "b": eye}, [*ends, ("in", "a"), ("a", "b"), ("b", "a"), ("b", "n")],
        r"nodes a, b: an edge closes a loop in which no node has a state",
    )  # fmt: skip
    refused(ports | {"n": if_(), "a": eye}, [*ends, ("a", "n")], r"node a \(Linear\): no edge leads to it")
    refused({"out": ports["out"], "n": if_()}, [("n", "n"), ("n", "out")], r"the graph has no Input node")
    refused({"in": ports["in"], "n": if_()}, [("in", "n"), ("n", "n")], r"the graph has no Output node")


def test_reset_below_zero_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"node 1 \(LIF\): reset by subtraction of a negative v_threshold"):
        load(chain(nir.Linear(W), lif(thr=-1)), dt=DT, reset="subtract")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "the file is empty"),
        (b"PK\x03\x04 and more", "a pickled torch"),
        (b"\x80\x04\x95 and more", "a pickled torch"),
        (b"some text", "no HDF5 file"),
        (b"\x89HDF\r\n\x1a\n and nothing", "damaged or truncated"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "wrong.nir"
    path.write_bytes(content)
    with pytest.raises(NetworkError, match=text) as error:
        load(path)
    assert str(path) in str(error.value)


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    content = (DATA / "lif_norse.nir").read_bytes()
    for length in (100, 1000, len(content) // 2, len(content) - 100):
        (tmp_path / "cut.nir").write_bytes(content[:length])
        with pytest.raises(NetworkError, match=r"cut\.nir"):
            load(tmp_path / "cut.nir", dt=1e-4)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="there is no such file"):
        load(tmp_path / "none.nir")
    nir.write(tmp_path / "single.nir", if_())
    with pytest.raises(NetworkError, match=r"single\.nir"):
        load(tmp_path / "single.nir")
    with pytest.raises(NetworkError, match="takes a path or"):
        load(42)  # type: ignore[arg-type]


def test_errors_in_a_file_name_the_file(tmp_path: Path) -> None:
    nir.write(tmp_path / "net.nir", chain(nir.Linear(W), if_(4)))
    with pytest.raises(NetworkError, match=r"net\.nir: edge 0 -> 1"):
        load(tmp_path / "net.nir")
