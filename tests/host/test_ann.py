"""ANN to SNN: what is imported against onnx's own reference, what spikes against what was trained, and refusals."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator
from onnx_models import convolutional, model, reference

import spikeloom as sl
from spikeloom.compiler.ann import activations
from spikeloom.contract.errors import NetworkError, SampleError
from spikeloom.contract.network import InputKind

SHAPE = (2, 9, 8)


def images(n: int, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape)) / 255


def dense(activation: str = "Relu", **more: np.ndarray):
    """``x (3,)``, two neurons, one output."""
    nodes = [
        ("MatMul", ["x", "w"], "m", {}),
        ("Add", ["m", "b"], "s", {}),
        (activation, ["s", *more], "a", {}),
        ("MatMul", ["a", "u"], "out", {}),
    ]
    w = np.array([[1, -0.5], [0.5, 1], [0, 0.25]], np.float32)
    constants = {"w": w, "b": np.array([0.25, -0.25], np.float32), "u": np.array([[1], [-1]], np.float32)}
    return model(nodes, constants | more, (3,))


@pytest.mark.parametrize("seed", range(8))
def test_the_import_computes_what_onnx_computes(seed: int) -> None:
    """The only node that is left out is the Softmax: its reference is compared with ours of the logits."""
    made, x = convolutional(seed), images(20, seed)
    logits = sl.convert(made, x).ann(x)
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert np.allclose(e / e.sum(axis=1, keepdims=True), reference(made, x), atol=1e-6)


def test_a_wrong_batch_norm_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from spikeloom.compiler.ann import layers

    monkeypatch.setitem(layers.OPERATORS, "BatchNormalization", layers.unchanged)
    with pytest.raises(AssertionError):
        test_the_import_computes_what_onnx_computes(0)


@pytest.mark.parametrize("seed", range(2))
def test_rates_become_the_activations(seed: int) -> None:
    """Errors of a spiking run shrink with its length: below 1 % of the outputs' range after 800 ticks."""
    x = images(4, seed)
    c = sl.convert(convolutional(seed), x, percentile=100)
    want, errors = c.ann(x), []
    for ticks in (8, 800):
        result = sl.reference.run(c.network, c.encode(x, ticks))
        errors.append(np.abs(result.v[:, -1] / ticks - want).max() / np.ptp(want))
    assert errors[1] < 0.01
    assert errors[1] < errors[0]


def test_spikes_are_rounded_activations() -> None:
    """A neuron with a steady input, started at half its threshold: the nearest number of spikes."""
    x = np.random.default_rng(1).integers(0, 256, (200, 3)) / 255
    c = sl.convert(dense(), x, percentile=100)
    (theta,) = set(c.thresholds["a.Relu"].tolist())
    counts = sl.reference.run(c.network, c.encode(x, 8)).populations["a.Relu"].spikes.sum(axis=1)
    w, b = np.array([[1, -0.5], [0.5, 1], [0, 0.25]]), np.array([0.25, -0.25])
    exact = np.clip((x @ w + b) / theta, 0, 1) * 8
    clear = np.abs(exact - np.floor(exact) - 0.5) > 1e-6
    assert np.array_equal(counts[clear], np.floor(exact + 0.5)[clear])
    zero = sl.convert(dense(), x, percentile=100, start="zero")
    fewer = sl.reference.run(zero.network, zero.encode(x, 8)).populations["a.Relu"].spikes.sum(axis=1)
    whole = np.abs(exact - np.rint(exact)) > 1e-6
    assert np.array_equal(fewer[whole], np.floor(exact)[whole])


@pytest.mark.parametrize("seed", range(2))
def test_all_ways_in_give_the_same_spikes(seed: int) -> None:
    made, x = convolutional(seed), images(3, seed)
    spikes = {}
    for way in ("once", "repeated", "currents"):
        c = sl.convert(made, x, input=way)
        assert c.input_kind is (InputKind.CURRENTS if way == "currents" else InputKind.GRADED)
        samples = c.encode(x, 6)
        assert samples.shape == (3, 6, *SHAPE)
        assert samples[:, 1:].any() == (way != "once")
        result = sl.reference.run(c.network, samples)
        assert np.abs(result.v[:, -1]).any()
        spikes[way] = np.concatenate([p.spikes.reshape(-1) for p in result.populations.values()])
    assert spikes["once"].any()
    assert np.array_equal(spikes["once"], spikes["repeated"])
    assert np.array_equal(spikes["once"], spikes["currents"])


def test_the_quantised_network_is_close_and_does_not_saturate() -> None:
    x = images(20)
    c = sl.convert(convolutional(3), x, levels=15)
    samples = c.encode(x, 16)
    assert samples.max() == 15
    q = sl.quantise(c.network, samples, weight_bits=8, input_kind=c.input_kind)
    got, want = sl.golden.run(q, samples), sl.reference.run(c.network, samples)
    assert not any(counts.any() for counts in got.saturations.values())
    assert np.abs(got.v[:, -1] - want.v[:, -1]).max() < 0.1 * np.ptp(want.v[:, -1])


def test_negative_pixels_have_a_count_of_their_own() -> None:
    """Normalised images: the darkest pixel is no event, and padding is still 0."""
    x = images(10) * 2 - 0.7
    c = sl.convert(convolutional(5), x, percentile=100)
    samples = c.encode(x, 400)
    assert samples.min() == 0
    want = c.ann(x)
    v = sl.reference.run(c.network, samples).v[:, -1] / 400
    assert np.abs(v - want).max() < 0.02 * np.ptp(want)


def test_a_bound_is_the_threshold_and_a_percentile_else() -> None:
    x = images(50, shape=(3,))
    clip = dense("Clip", zero=np.float32(0), bound=np.float32(0.75))
    assert set(sl.convert(clip, x).thresholds["a.Clip"].tolist()) == {0.75}
    c = sl.convert(dense(), x, percentile=90)
    z = np.maximum(x @ np.array([[1, -0.5], [0.5, 1], [0, 0.25]]) + np.array([0.25, -0.25]), 0)
    assert c.thresholds["a.Relu"] == pytest.approx(np.percentile(z[z > 0], 90))
    own = sl.convert(dense(), x, percentile=90, per="channel").thresholds["a.Relu"]
    assert own == pytest.approx([np.percentile(column[column > 0], 90) for column in z.T])
    assert any("% are above" in str(a) for a in c.network.assumptions)


def test_a_bound_in_two_nodes() -> None:
    """Keras writes ReLU6 as Relu and Min."""
    nodes = [
        ("Relu", ["x"], "r", {}),
        ("Min", ["r", "six"], "a", {}),
        ("MatMul", ["a", "u"], "out", {}),
    ]
    made = model(nodes, {"six": np.float32(0.5), "u": np.ones((3, 1), np.float32)}, (3,))
    c = sl.convert(made, images(5, shape=(3,)))
    assert {name: set(t.tolist()) for name, t in c.thresholds.items()} == {"r.Relu": {0.5}}
    x = images(5, 1, shape=(3,))
    assert np.allclose(c.ann(x), reference(made, x))


def test_channels_last_as_keras_exports_it() -> None:
    """Transposes around a convolution, a flatten in the order of channels last, a mean over space."""
    rng = np.random.default_rng(2)
    nodes = [
        ("Transpose", ["x"], "t", {"perm": [0, 3, 1, 2]}),
        ("Conv", ["t", "k"], "c", {"strides": [2, 2]}),
        ("Relu", ["c"], "a", {}),
        ("Transpose", ["a"], "l", {"perm": [0, 2, 3, 1]}),
        ("Reshape", ["l", "flat"], "f", {}),
        ("MatMul", ["f", "w"], "m", {}),
        ("ReduceMean", ["a"], "r", {"axes": [2, 3], "keepdims": 0}),
        ("Add", ["m", "r"], "out", {}),
    ]
    constants = {
        "k": rng.normal(0, 1, (5, 2, 3, 3)).astype(np.float32), "flat": np.array([-1, 45]),
        "w": rng.normal(0, 1, (45, 5)).astype(np.float32),
    }  # fmt: skip
    made, x = model(nodes, constants, (7, 7, 2)), images(9, shape=(7, 7, 2))
    assert np.allclose(sl.convert(made, x).ann(x), reference(made, x), atol=1e-4)


@pytest.mark.parametrize("name", ["torch_script", "torch_dynamo", "keras"])
def test_what_exporters_write(name: str) -> None:
    """Files of PyTorch's two exporters and of Keras; convolutions stay convolutions."""
    path = Path(__file__).parent / "data" / "onnx" / f"{name}.onnx"
    x = images(6, shape=(12, 12, 3) if name == "keras" else (3, 12, 12))
    c = sl.convert(path, x)
    ann = ReferenceEvaluator(str(path))
    want = ann.run(None, {ann.input_names[0]: x.astype(np.float32)})[0]
    logits = c.ann(x)
    if name == "keras":
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        logits = e / e.sum(axis=1, keepdims=True)
    assert np.allclose(logits, want, atol=1e-5)
    assert sum(e.convolution is not None for e in c.network.projections) >= 2
    (source,) = c.network.inputs
    assert source.shape == (3, 12, 12)
    v = sl.reference.run(c.network, c.encode(x[:2], 100)).v[:, -1] / 100
    assert np.abs(v - c.ann(x[:2])).max() < 0.05 * np.ptp(c.ann(x))


def test_shapes_that_are_computed_in_the_graph() -> None:
    """``x.view(x.size(0), -1)`` of PyTorch."""
    nodes = [
        ("Relu", ["x"], "a", {}),
        ("Shape", ["a"], "size", {}),
        ("Gather", ["size", "zero"], "n", {"axis": 0}),
        ("Unsqueeze", ["n", "axes"], "n1", {}),
        ("Concat", ["n1", "rest"], "flat", {"axis": 0}),
        ("Reshape", ["a", "flat"], "f", {}),
        ("MatMul", ["f", "w"], "out", {}),
    ]
    w = np.random.default_rng(3).normal(0, 1, (144, 2)).astype(np.float32)
    made = model(nodes, {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1]), "w": w}, SHAPE)
    x = images(4)
    assert np.allclose(sl.convert(made, x).ann(x), reference(made, x), atol=1e-4)


REFUSED = {
    "MaxPool": ({"kernel_shape": [2, 2]}, "AveragePool"),
    "LeakyRelu": ({}, "never negative: train with Relu or Clip"),
    "Sigmoid": ({}, "train with Relu or Clip"),
    "Softplus": ({}, "the operators are Add, AveragePool"),
}


@pytest.mark.parametrize("op", REFUSED)
def test_operators_are_refused_by_name_with_a_remedy(op: str) -> None:
    attributes, text = REFUSED[op]
    made = model([("Relu", ["x"], "a", {}), (op, ["a"], "m", attributes), ("Relu", ["m"], "out", {})], {}, SHAPE)
    with pytest.raises(NetworkError, match=rf"node /m/{op} \({op}\): not supported: .*{text}"):
        sl.convert(made, images(3))


def test_other_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = images(3, shape=(3,))
    with pytest.raises(NetworkError, match=r"bounds to -1 .. 1: a spike rate goes from 0"):
        sl.convert(dense("Clip", low=np.float32(-1), high=np.float32(1)), x)
    with pytest.raises(NetworkError, match="nothing in it would spike"):
        sl.convert(model([("MatMul", ["x", "w"], "out", {})], {"w": np.ones((3, 1), np.float32)}, (3,)), x)
    with pytest.raises(NetworkError, match="percentile must be above 0"):
        sl.convert(dense(), x, percentile=0)
    with pytest.raises(NetworkError, match="start must be one of half, zero, not 'full'"):
        sl.convert(dense(), x, start="full")
    with pytest.raises(SampleError, match=r"images are .*must be numbers \(n, 3\)"):
        sl.convert(dense(), images(3))
    c = sl.convert(dense(), x, input_range=(0, 1))
    with pytest.raises(SampleError, match=r"image 0, value 1: 1.5 is outside 0 to 1, .*: give input_range"):
        c.encode(np.array([[0, 1.5, 0]]), 4)
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(NetworkError, match=r"text\.onnx: a trained ANN: spikeloom\.convert"):
        sl.load(tmp_path / "text.onnx")
    with pytest.raises(NetworkError, match=r"text\.onnx: not"):
        sl.convert(tmp_path / "text.onnx", x)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(NetworkError, match=r"pip install 'spikeloom\[onnx\]'"):
        sl.convert(tmp_path / "text.onnx", x)


def test_an_input_that_is_added_to_spikes_is_repeated() -> None:
    nodes = [("Relu", ["x"], "a", {}), ("Add", ["a", "x"], "s", {}), ("Relu", ["s"], "out", {})]
    made, x = model(nodes, {}, (3,)), images(5, shape=(3,))
    c = sl.convert(made, x)
    assert c.input == "repeated"
    counts = sl.reference.run(c.network, c.encode(x, 255)).counts
    assert np.abs(counts / 255 * c.thresholds["out.Relu"] - reference(made, x)).max() < 0.02
    with pytest.raises(NetworkError, match=r"node out\.Relu: it hears the input and spikes.*repeated"):
        sl.convert(made, x, input="once")


def test_silent_layers_are_refused_and_silent_channels_told() -> None:
    x = -images(5, shape=(3,))
    with pytest.raises(NetworkError, match="it is 0 on all samples"):
        sl.convert(dense(), x - 9)
    a = activations.Activation(name="a", shape=(2,), arriving=None, bound=np.inf)  # type: ignore[arg-type]
    theta, how = activations.thresholds(a, np.array([[2.0, 0.0], [4.0, 0.0]]), 100, "channel")
    assert theta.tolist() == [4, 4]
    assert "1 channels are silent" in how


def test_a_file_and_its_name_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    made = dense()
    path.write_bytes(made.SerializeToString())
    x = images(5, shape=(3,))
    assert np.array_equal(sl.convert(path, x).ann(x), sl.convert(made, x).ann(x))
    made.graph.node.append(helper.make_node("Relu", ["nowhere"], ["more"], name="lost"))
    path.write_bytes(made.SerializeToString())
    with pytest.raises(NetworkError, match=r"net\.onnx"):
        sl.convert(path, x)
