"""Every NIR file that is kept here loads and runs, or is refused with the node and the reason; ports and versions."""

from itertools import pairwise
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

import spikeloom as sl
from spikeloom.compiler.nir_import import load
from spikeloom.contract.errors import NetworkError

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data" / "nir"
FILES = sorted([*DATA.glob("*.nir"), *ROOT.glob("examples/**/*.nir")])

REFUSED = {
    "braille_c381ba29.nir": r"edge lif1r -> lif1: node lif1r \(Affine\) gives \(63,\), node lif1 \(CubaLIF\) takes",
    "braille_noDelay_bias_zero_subgraph.nir": r"edge lif1.input -> lif1.lif: there is no node lif1.lif",
    "braille_v2.nir": r"edge input -> fc1: node input \(Input\) gives \(256, 12\).*time or batch axis",
}
"""Files that contradict themselves, and what is said of them."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_loads_and_runs_or_says_why_not(path: Path) -> None:
    dt = None if path.parent.parent.name == "examples" and path.parent.name != "nir_paper" else 1e-4
    if path.name in REFUSED:
        with pytest.raises(NetworkError, match=REFUSED[path.name]) as error:
            load(path, dt=dt)
        assert str(path) in str(error.value)
        return
    network = load(path, dt=dt)
    rng = np.random.default_rng(0)
    x = {i.name: (rng.random((1, 6, *i.shape)) < 0.3).astype(np.uint8) for i in network.inputs}
    want, got = sl.reference.run(network, x), sl.golden.run(sl.quantise(network, x), x)
    for name, population in want.populations.items():
        assert got.populations[name].spikes.shape == population.spikes.shape


def test_files_are_there() -> None:
    assert len(FILES) >= 16
    assert {path.name for path in FILES} >= set(REFUSED)


def test_two_neurons_fire_by_their_leak() -> None:
    """The only file with a v_leak: above the first one's threshold, so that it fires without any input."""
    network = load(DATA / "two_lif_neurons.nir", dt=1e-4)
    run = sl.reference.run(network, np.zeros((1, 400, 1)))
    assert [bool(p.spikes.any()) for p in run.populations.values()] == [True, False]


def chain(nodes: dict) -> nir.NIRGraph:
    return nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False)


def if_(*shape: int) -> nir.IF:
    return nir.IF(r=np.ones(shape), v_threshold=np.ones(shape), v_reset=np.zeros(shape))


def ports(taken: int, given: int) -> dict:
    return {"in": nir.Input({"input": np.array([taken])}), "out": nir.Output({"output": np.array([given])})}


def test_files_of_before_input_shape_and_v_reset(tmp_path: Path) -> None:
    """nir 0.2 wrote convolutions without ``input_shape``, kept the batch axis and knew no ``v_reset``."""
    rng = np.random.default_rng(1)
    kernel, matrix = rng.normal(size=(3, 2, 3, 3)), rng.normal(size=(4, 12))

    def layers(*batch: int) -> dict:
        return {
            "input": nir.Input({"input": np.array([*batch, 2, 5, 5])}),
            "0": nir.Conv2d((5, 5), kernel, (1, 1), (1, 1), (1, 1), 1, np.zeros(3)), "1": if_(*batch, 3, 5, 5),
            "2": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
            "3": nir.Flatten({"input": np.array([*batch, 3, 2, 2])}, len(batch), -1),
            "4": nir.Affine(matrix, np.zeros(4)), "5": if_(*batch, 4),
            "output": nir.Output({"output": np.array([*batch, 4])}),
        }  # fmt: skip

    nir.write(tmp_path / "new.nir", chain(layers()))
    nir.write(tmp_path / "old.nir", chain(layers(1)))
    with h5py.File(tmp_path / "old.nir", "r+") as file:
        nodes = file["node/nodes"]
        del nodes["0/input_shape"], nodes["1/v_reset"], nodes["5/v_reset"]
    with pytest.raises(TypeError):  # nir itself cannot
        nir.read(tmp_path / "old.nir", type_check=False)
    new, old = load(tmp_path / "new.nir"), load(tmp_path / "old.nir")
    x = rng.integers(0, 2, (2, 10, 2, 5, 5))
    want, got = sl.reference.run(new, x), sl.reference.run(old, x)
    assert want.spikes.any()
    assert (got.spikes.reshape(want.spikes.shape) == want.spikes).all()
    assert any(a.name == "repair" and "batch axis" in a.origin for a in old.assumptions)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("type", r"node n \(None\): nir 1.0.8 knows no such type"),
        ("v_threshold", r"node n \(IF\): nir 1.0.8 cannot build it: "),
    ],
)
def test_a_damaged_node_is_named(tmp_path: Path, field: str, text: str) -> None:
    made = chain({"in": ports(2, 2)["in"], "n": if_(2), "out": ports(2, 2)["out"]})
    nir.write(tmp_path / "net.nir", made)
    with h5py.File(tmp_path / "net.nir", "r+") as file:
        del file[f"node/nodes/n/{field}"]
    with pytest.raises(NetworkError, match=text) as error:
        load(tmp_path / "net.nir")
    assert "net.nir" in str(error.value)


def inner() -> nir.NIRGraph:
    """Two inputs, two outputs: ``left -> a -> first``, ``right -> b -> second``, and ``a -> b``."""
    nodes = {
        "left": ports(3, 3)["in"], "right": ports(3, 3)["in"], "a": if_(3), "b": if_(3),
        "first": ports(3, 3)["out"], "second": ports(3, 3)["out"],
    }  # fmt: skip
    edges = [("left", "a"), ("right", "b"), ("a", "b"), ("a", "first"), ("b", "second")]
    return nir.NIRGraph(nodes, edges, type_check=False)


def test_edges_name_the_ports_of_a_subgraph() -> None:
    nodes = {**ports(3, 3), "sub": inner(), "n": if_(3)}
    edges = [("in", "sub.left"), ("sub.second", "n"), ("sub.first", "sub.right"), ("n", "out")]
    network = load(nir.NIRGraph(nodes, edges, type_check=False))
    assert {(e.source, e.target) for e in network.projections} == {
        ("in", "sub.a"), ("sub.a", "sub.b"), ("sub.b", "n"),
    }  # fmt: skip
    twice = next(e for e in network.projections if e.target == "sub.b")
    np.testing.assert_allclose(network.matrix(twice).toarray(), 2 * np.eye(3))  # by the port and inside


def test_a_port_that_an_edge_leaves_open_is_refused() -> None:
    nodes = {**ports(3, 3), "sub": inner()}
    text = r"edge in -> sub: node sub \(NIRGraph\) has 2 Input nodes \(sub.left, sub.right\): let the edge name the one"
    with pytest.raises(NetworkError, match=text):
        load(nir.NIRGraph(nodes, [("in", "sub"), ("sub.second", "out")], type_check=False))


def test_subgraphs_in_subgraphs() -> None:
    deep = nir.NIRGraph(
        {"input": ports(3, 3)["in"], "n": if_(3), "output": ports(3, 3)["out"]},
        [("input", "n"), ("n", "n"), ("n", "output")], type_check=False,
    )  # fmt: skip
    middle = nir.NIRGraph(
        {"input": ports(3, 3)["in"], "deep": deep, "output": ports(3, 3)["out"]},
        [("input", "deep"), ("deep", "output")], type_check=False,
    )  # fmt: skip
    nodes = {**ports(3, 3), "outer": middle}
    network = load(nir.NIRGraph(nodes, [("in", "outer"), ("outer", "out")], type_check=False))
    assert network.outputs == {"out": "outer.deep.n"}
    assert {e.source: e.delay for e in network.projections} == {"in": 0, "outer.deep.n": 1}


def test_a_flattened_subgraph_is_still_one() -> None:
    """As nirtorch wrote it: the subgraph's nodes stand in the graph, edges still lead to the subgraph's own name."""
    nodes = {
        **ports(3, 3), "sub.input": ports(3, 3)["in"], "sub.n": if_(3), "sub.output": ports(3, 3)["out"], "m": if_(3),
    }  # fmt: skip
    edges = [("in", "sub"), ("sub.input", "sub.n"), ("sub.n", "sub.output"), ("sub", "m"), ("m", "out")]
    network = load(nir.NIRGraph(nodes, edges, type_check=False))
    assert [i.name for i in network.inputs] == ["in"]
    assert network.outputs == {"out": "m"}
    assert {(e.source, e.target) for e in network.projections} == {("in", "sub.n"), ("sub.n", "m")}


def test_an_output_of_a_sum_is_read_as_a_potential() -> None:
    """An Affine at the end, and an input that goes straight out."""
    w, b = np.array([[1.0, 2.0, -1.0]]), np.array([0.5])
    nodes = {
        **ports(3, 1), "n": if_(3), "w": nir.Affine(w, b), "echo": ports(3, 3)["out"],
    }  # fmt: skip
    edges = [("in", "n"), ("n", "w"), ("w", "out"), ("in", "echo")]
    network = load(nir.NIRGraph(nodes, edges, type_check=False))
    assert set(network.states) == {"out", "echo"}
    x = np.random.default_rng(3).integers(0, 4, (2, 8, 3))
    run = sl.reference.run(network, x)
    spikes = run.populations["n"].spikes
    assert spikes.any()
    np.testing.assert_allclose(run.v["out"], spikes @ w.T + b)
    np.testing.assert_allclose(run.v["echo"], x)
    golden = sl.golden.run(sl.quantise(network, x), x)
    assert golden.v["out"].shape == (2, 8, 1)


def test_what_nir_has_no_field_for_is_metadata() -> None:
    node = if_(2)
    node.metadata = {
        "spikeloom.v_min": np.array([-0.5, -1]), "spikeloom.refractory": 3, "spikeloom.v_sub": np.array([0.25, 2]),
        "spikeloom.reset": "subtract",
    }  # fmt: skip
    population = load(chain({"in": ports(2, 2)["in"], "n": node, "out": ports(2, 2)["out"]})).populations[0]
    assert (population.v_min.tolist(), population.refractory.tolist()) == ([-0.5, -1], [3, 3])
    assert population.v_sub.tolist() == [0.25, 2]
    node.metadata = {"spikeloom.refractory": 1.5}
    with pytest.raises(NetworkError, match=r"node n: metadata spikeloom\.refractory is 1\.5"):
        load(chain({"in": ports(2, 2)["in"], "n": node, "out": ports(2, 2)["out"]}))
