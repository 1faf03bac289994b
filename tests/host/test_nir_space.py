"""Convolutions and pools of NIR, as they are imported: against loops, as kernels where rules allow, and refused."""

from itertools import pairwise

import nir
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from naive_nodes import evaluate, random_convolution, random_pool, random_scale
from scipy import sparse

from spikeloom.compiler.graph import FloatProjection, Network
from spikeloom.compiler.nir_import import load
from spikeloom.contract.errors import NetworkError
from spikeloom.contract.geometry import Convolution, Pool

seeds = st.integers(0, 1 << 32)


def neurons(shape: tuple[int, ...], r: float | np.ndarray = 1.0) -> nir.IF:
    return nir.IF(r=np.broadcast_to(r, shape).copy(), v_threshold=np.ones(shape), v_reset=np.zeros(shape))


def network(shape: tuple[int, ...], *middle: nir.NIRNode) -> Network:
    """``in -> 0 -> 1 ... -> out``, ending in neurons."""
    nodes = {"in": nir.Input({"input": np.array(shape)})} | {str(n): node for n, node in enumerate(middle)}
    nodes["out"] = nir.Output({"output": np.array(middle[-1].v_threshold.shape)})
    return load(nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))


def given_to_neurons(found: Network, x: np.ndarray, target: str) -> np.ndarray:
    """What arrives at a population in a tick with input ``x``."""
    (e,) = found.into(target)
    return found.matrix(e) @ x.reshape(-1) + found.population(target).bias


def check(shape: tuple[int, ...], *middle: nir.NIRNode, r: float = 1.0) -> FloatProjection:
    """Import a chain, compare it with the loops, and return its projection."""
    x = np.random.default_rng(1).normal(size=shape)
    y = x
    for node in middle:
        y = evaluate(node, y)
    assert y.size
    found = network(shape, *middle, neurons(y.shape, r))
    target = str(len(middle))
    assert found.population(target).shape == y.shape
    np.testing.assert_allclose(given_to_neurons(found, x, target), r * y.reshape(-1), rtol=1e-9, atol=1e-9)
    return found.projections[0]


def kernel(*shape: int) -> np.ndarray:
    return np.random.default_rng(2).normal(size=shape)


def conv(weight: np.ndarray, **changes: object) -> nir.Conv2d:
    given = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": np.zeros(len(weight))}
    return nir.Conv2d(input_shape=None, weight=weight, **given | changes)  # type: ignore[arg-type]


# What stays a convolution


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_convolutions_stay(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 7, 3).tolist())
    node = random_convolution(rng, shape[0], stated=shape[1:] if rng.random() < 0.5 else None)
    assume(possible(shape, node))
    e = check(shape, node, r=2.0)
    assert e.convolution is not None
    assert (e.pool, e.weights.shape) == (None, node.weight.shape)


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_convolutions_with_one_axis(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 7, 2).tolist())
    node = random_convolution(rng, shape[0], axes=1)
    assume(possible(shape, node))
    e = check(shape, node)
    assert e.convolution is not None
    assert e.weights.shape[2] == 1


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_pools_and_scales_a_channel_fold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, 7, 3).tolist())
    pool = random_pool(rng)
    assume(possible(shape, pool))
    behind = evaluate(pool, np.zeros(shape)).shape
    node = random_convolution(rng, shape[0])
    assume(possible(behind, node))
    after = evaluate(node, np.zeros(behind)).shape
    front, middle, back = (random_scale(rng, s, True) for s in (shape, behind, after))
    e = check(shape, front, pool, middle, node, back)
    assert e.convolution is not None
    assert e.pool == Pool(size=tuple(pool.kernel_size), stride=tuple(pool.stride), padding=tuple(pool.padding))
    assert e.weights.shape == node.weight.shape


def test_pool_in_front_of_a_matrix() -> None:
    flatten = nir.Flatten({"input": np.array([3, 2, 2])}, 0, -1)
    e = check((3, 4, 4), nir.SumPool2d(2, 2, 0), flatten, nir.Affine(kernel(5, 12), kernel(5)))
    assert (e.convolution, e.pool) == (None, Pool(size=(2, 2), stride=(2, 2)))
    assert isinstance(e.weights, np.ndarray)
    assert e.weights.shape == (5, 12)


def test_pool_in_front_of_neurons_is_a_kernel_of_one() -> None:
    e = check((3, 4, 6), nir.AvgPool2d(np.array([2, 3]), np.array([2, 3]), 0), r=1.5)
    assert e.convolution == Convolution(groups=3)
    assert e.pool == Pool(size=(2, 3), stride=(2, 3))
    np.testing.assert_allclose(e.weights, np.full((3, 1, 1, 1), 0.25))


def test_neurons_in_space_behind_neurons() -> None:
    e = check((3, 4, 6), nir.Scale(np.array([1.0, 2.0, 3.0]).reshape(3, 1, 1)))
    assert e.convolution == Convolution(groups=3)
    np.testing.assert_allclose(e.weights.reshape(-1), [1, 2, 3])


def test_parallel_convolutions_of_one_geometry_add() -> None:
    a, b = conv(kernel(2, 1, 3, 3), bias=np.ones(2)), conv(3 * kernel(2, 1, 3, 3))
    nodes = {
        "in": nir.Input({"input": np.array([1, 5, 5])}), "a": a, "b": b, "n": neurons((2, 3, 3)),
        "out": nir.Output({"output": np.array([2, 3, 3])}),
    }  # fmt: skip
    found = load(
        nir.NIRGraph(nodes, [("in", "a"), ("in", "b"), ("a", "n"), ("b", "n"), ("n", "out")], type_check=False)
    )
    (e,) = found.projections
    assert e.convolution == Convolution()
    np.testing.assert_allclose(e.weights, a.weight + b.weight)


# What becomes a matrix


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_any_chain_is_exact(seed: int) -> None:
    """Pools, convolutions and scales in any order, with a matrix at the end or not."""
    rng = np.random.default_rng(seed)
    shape = start = tuple(rng.integers(2, 7, 3).tolist())
    chain: list[nir.NIRNode] = []
    for _ in range(rng.integers(1, 5)):
        node = [
            random_convolution(rng, shape[0]), random_pool(rng), random_scale(rng, shape, False),
            random_scale(rng, shape, True),
        ][rng.integers(4)]  # fmt: skip
        if possible(shape, node):
            chain.append(node)
            shape = evaluate(node, np.zeros(shape)).shape
    assume(chain)
    if rng.random() < 0.3:
        size = int(np.prod(shape))
        chain += [nir.Flatten({"input": np.array(shape)}, 0, -1), nir.Affine(rng.normal(size=(4, size)), np.ones(4))]
    e = check(start, *chain)
    if sum(isinstance(node, nir.Conv2d) for node in chain) > 1:
        assert e.convolution is None


@pytest.mark.parametrize(
    "middle",
    [
        (conv(kernel(2, 3, 3, 3), padding="same"), conv(kernel(3, 2, 3, 3), padding="same")),
        (conv(kernel(2, 3, 3, 3), padding="same"), nir.Scale(kernel(2, 12, 12))),
        (nir.Scale(kernel(3, 12, 12)), conv(kernel(2, 3, 3, 3))),
        (nir.Scale(kernel(3, 12, 12)),),
        (conv(kernel(2, 3, 3, 3)), nir.SumPool2d(2, 2, 0)),
        (nir.SumPool2d(2, 2, 0), nir.SumPool2d(2, 2, 0)),
        (conv(kernel(2, 3, 3, 3)), nir.Flatten({"input": np.array([2, 10, 10])}, 0, -1)),
        (nir.SumPool2d(2, 2, 0), nir.Flatten({"input": np.array([3, 6, 6])}, 0, -1)),
    ],
    ids=lambda middle: "-".join(type(node).__name__ for node in middle),
)
def test_what_follows_no_rule_is_a_sparse_matrix(middle: tuple[nir.NIRNode, ...]) -> None:
    e = check((3, 12, 12), *middle)
    assert (e.convolution, e.pool) == (None, None)
    assert sparse.issparse(e.weights)


def test_dense_only_if_it_is_dense() -> None:
    e = check((1, 3, 3), conv(kernel(2, 1, 3, 3), padding="same"), conv(kernel(2, 2, 3, 3), padding="same"))
    assert isinstance(e.weights, np.ndarray)


def test_branches_of_different_kinds_add_in_a_matrix() -> None:
    nodes = {
        "in": nir.Input({"input": np.array([1, 9, 9])}), "a": conv(kernel(1, 1, 3, 3), padding="same"),
        "n": neurons((1, 9, 9)), "m": neurons((1, 9, 9)), "out": nir.Output({"output": np.array([1, 9, 9])}),
    }  # fmt: skip
    edges = [("in", "n"), ("n", "a"), ("a", "m"), ("n", "m"), ("m", "out")]
    found = load(nir.NIRGraph(nodes, edges, type_check=False))
    first, second = found.projections
    assert first.convolution == Convolution()
    assert sparse.issparse(second.weights)
    x = kernel(1, 9, 9)
    np.testing.assert_allclose(given_to_neurons(found, x, "m"), (evaluate(nodes["a"], x) + x).reshape(-1), atol=1e-12)


def test_bias_in_front_of_a_border() -> None:
    """A constant that passes a padded convolution is less at the border: the bias is one a neuron."""
    first = conv(kernel(2, 1, 1, 1), bias=np.array([1.0, -2.0]))
    found = network((1, 4, 4), first, conv(kernel(3, 2, 3, 3), padding=1), neurons((3, 4, 4)))
    bias = found.population("2").bias.reshape(3, 4, 4)
    assert not np.allclose(bias, bias[:, :1, :1])
    check((1, 4, 4), first, conv(kernel(3, 2, 3, 3), padding=1))


def test_recurrent_convolution_is_delayed() -> None:
    nodes = {
        "in": nir.Input({"input": np.array([2, 4, 4])}), "n": neurons((2, 4, 4)),
        "w": conv(kernel(2, 2, 3, 3), padding="same"), "out": nir.Output({"output": np.array([2, 4, 4])}),
    }  # fmt: skip
    found = load(nir.NIRGraph(nodes, [("in", "n"), ("n", "w"), ("w", "n"), ("n", "out")], type_check=False))
    assert [(e.source, e.delay, e.convolution is not None) for e in found.projections] == [
        ("in", 0, True), ("n", 1, True),
    ]  # fmt: skip


# Shapes


def possible(shape: tuple[int, ...], node: nir.NIRNode) -> bool:
    try:
        return evaluate(node, np.zeros(shape)).size > 0
    except ValueError:  # a kernel larger than its input
        return False


def test_shapes_that_nir_gets_wrong() -> None:
    """nir 1.0.8 takes the first side of a kernel for both, forgets groups, and ignores the stride of 'same'."""
    check((4, 10, 12), nir.Conv2d((10, 12), kernel(8, 1, 3, 5), 1, 0, 1, 4, kernel(8)))


def test_axes_of_size_one() -> None:
    found = network((5, 5), conv(kernel(2, 1, 3, 3)), neurons((2, 3, 3)))
    assert found.projections[0].convolution is None  # the input's first axis is one of space here
    assert [a.value for a in found.assumptions if a.name == "repair"] == ["(5, 5) taken as (1, 5, 5)"]


def test_input_is_added_where_the_shape_is_stated() -> None:
    node = nir.Conv2d((5, 5), kernel(2, 3, 3, 3), 1, 0, 1, 1, np.zeros(2))
    found = load(nir.NIRGraph({"c": node, "n": neurons((2, 3, 3))}, [("c", "n")], type_check=False))
    assert found.inputs[0].shape == (3, 5, 5)


def test_numbers_from_a_file(tmp_path) -> None:
    """A file holds arrays and bytes where a program has integers and text."""
    middle = [
        nir.Conv2d((6, 6), kernel(2, 3, 3, 3), 1, "same", 1, 1, kernel(2)),
        nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.Flatten({"input": np.array([2, 3, 3])}, 0, -1), nir.Linear(kernel(4, 18)), neurons((4,)),
    ]  # fmt: skip
    nodes = {"in": nir.Input({"input": np.array([3, 6, 6])})} | {str(n): node for n, node in enumerate(middle)}
    nodes["out"] = nir.Output({"output": np.array([4])})
    nir.write(tmp_path / "net.nir", nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    found = load(tmp_path / "net.nir")
    x = kernel(3, 6, 6)
    want = x
    for node in middle[:-1]:
        want = node.weight @ want if isinstance(node, nir.Linear) else evaluate(node, want)
    np.testing.assert_allclose(given_to_neurons(found, x, "4"), want, atol=1e-12)
    assert found.projections[0].convolution is None  # a pool behind a convolution follows no rule


def test_summary_tells_kernels() -> None:
    found = network((3, 8, 8), nir.SumPool2d(2, 2, 0), conv(kernel(2, 3, 3, 3)), neurons((2, 2, 2)))
    assert "in -> 2: kernel 2 x 3 x 3 x 3, stride (1, 1)" in found.summary()
    assert "behind sums of 2 x 2" in found.summary()


@pytest.mark.parametrize(
    ("shape", "node", "text"),
    [
        ((1, 5, 5), conv(kernel(2, 3, 3, 3)), r"edge in -> 0: .* node 0 \(Conv2d\) takes \(3, 5, 5\)"),
        ((2, 5, 5), nir.Conv2d((6, 5), kernel(2, 2, 3, 3), 1, 0, 1, 1, np.zeros(2)), r"takes \(2, 6, 5\)"),
        ((1, 2, 2), conv(kernel(2, 1, 3, 3)), r"node 0 \(Conv2d\): its kernel \(3, 3\) is larger than"),
        ((7, 2, 5, 5), conv(kernel(2, 2, 3, 3)), r"node 0 \(Conv2d\): it takes \(channels, y, x\) and gets"),
        ((1, 5, 5), conv(kernel(2, 1, 3, 3), padding="same", stride=2), r"node 0 \(Conv2d\): padding 'same' with"),
        ((1, 5, 5), conv(kernel(2, 1, 3, 3), stride=(1, 0)), r"node 0 \(Conv2d\): stride must be one or 2"),
        ((1, 5, 5), conv(kernel(2, 1, 3, 3), dilation=1.5), r"node 0 \(Conv2d\): dilation must be one or 2 whole"),
        ((1, 5, 5), conv(kernel(2, 1, 3, 3), padding=(1, 1, 1)), r"node 0 \(Conv2d\): padding must be one or 2 whole"),
        ((1, 5, 5), conv(kernel(2, 1, 3, 3), groups=0), r"node 0 \(Conv2d\): groups must be a whole number"),
        ((3, 5, 5), conv(kernel(2, 1, 3, 3), groups=3), r"node 0 \(Conv2d\): groups 3 must divide its 2 channels"),
        ((1, 5, 5), conv(kernel(2, 1, 3, 3), bias=np.zeros(3)), r"node 0 \(Conv2d\): bias has 3 values for 2 channels"),
        ((1, 5, 5), conv(kernel(2, 1, 3, 3) * np.nan), r"node 0 \(Conv2d\): weight is nan at \(0, 0, 0, 0\)"),
        ((1, 5, 5), conv(kernel(2, 1, 3)), r"node 0 \(Conv2d\): weight has shape \(2, 1, 3\), must be \(channels, "),
        ((1, 5, 5), nir.SumPool2d(6, 1, 0), r"node 0 \(SumPool2d\): its windows \(6, 6\) are larger"),
        ((5, 5), nir.AvgPool2d(2, 2, 0), r"node 0 \(AvgPool2d\): it takes \(channels, y, x\) and gets \(5, 5\)"),
        ((1, 5, 5), nir.SumPool2d(2, 0, 0), r"node 0 \(SumPool2d\): stride must be one or 2 whole"),
    ],
)  # fmt: skip
def test_refused_nodes(shape: tuple[int, ...], node: nir.NIRNode, text: str) -> None:
    with pytest.raises(NetworkError, match=text):
        network(shape, node, neurons((2, 3, 3)))
