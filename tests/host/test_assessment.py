"""What quantising did, predicted and measured, and the search for bits."""

import json

import numpy as np
import pytest

import spikeloom as sl
from spikeloom.compiler.graph import FloatInput, FloatPopulation, FloatProjection, Network
from spikeloom.compiler.predict import with_rounded_weights
from spikeloom.compiler.quantise import layers_of
from spikeloom.contract.errors import NetworkError, SampleError
from spikeloom.contract.neuron import Reset

CLASSES, INPUTS, HIDDEN = 4, 24, 16


def network() -> Network:
    """Each class has inputs of its own; hidden neurons of each class hear them, outputs count those."""
    rng = np.random.default_rng(1)
    first = rng.normal(0, 0.08, (HIDDEN, INPUTS)) + 0.35 * (
        np.arange(HIDDEN)[:, None] % CLASSES == np.arange(INPUTS) % CLASSES
    )
    second = rng.normal(0, 0.1, (CLASSES, HIDDEN)) + (np.arange(CLASSES)[:, None] == np.arange(HIDDEN) % CLASSES)
    common = {"beta": 0.9, "theta": 1.0, "v_sub": 1.0, "reset": Reset.SUBTRACT}
    return Network(
        inputs=[FloatInput(name="in", shape=(INPUTS,))],
        populations=[
            FloatPopulation(name="hidden", shape=(HIDDEN,), **common),  # type: ignore[arg-type]
            FloatPopulation(name="out", shape=(CLASSES,), **common),  # type: ignore[arg-type]
        ],
        projections=[
            FloatProjection(source="in", target="hidden", weights=first),
            FloatProjection(source="hidden", target="out", weights=second),
        ],
        outputs={"out": "out"},
    )


def data(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, CLASSES, n)
    rates = np.where(np.arange(INPUTS) % CLASSES == labels[:, None], 0.4, 0.2)
    return (rng.random((n, 12, INPUTS)) < rates[:, None]).astype(np.uint8), labels


def test_figures_are_those_of_the_models() -> None:
    samples, labels = data()
    whole = network()
    q = sl.assess(whole, samples, labels, weight_bits=4)
    plain, layers = layers_of(whole, samples, weight_bits=4)
    assert all(np.array_equal(a.weights, b.weights) for a, b in zip(q.projections, plain.projections, strict=True))
    runs = {
        "float": sl.reference.run(whole, samples),
        "predicted": sl.reference.run(with_rounded_weights(whole, layers), samples),
        "measured": sl.golden.run(plain, samples),
    }
    counts = {kind: result.counts for kind, result in runs.items()}
    decisions = q.report["decisions"]
    for kind, result in runs.items():
        assert decisions[kind]["accuracy"] == pytest.approx((counts[kind].argmax(1) == labels).mean() * 100)
        same = (counts[kind].argmax(1) == counts["float"].argmax(1)).mean() * 100
        assert decisions[kind]["agreement"] == pytest.approx(same)
        for line in q.report["layers"]:
            assert line[f"rate_{kind}"] == pytest.approx(result.populations[line["name"]].spikes.mean())
    error = np.sqrt(((counts["measured"] - counts["float"]) ** 2).sum() / (counts["float"] ** 2).sum())
    assert decisions["measured"]["output_error"] == pytest.approx(error)
    assert decisions["measured"]["output_error"] > 0
    json.dumps(q.report)


def test_one_layer_alone() -> None:
    samples, labels = data()
    q = sl.assess(network(), samples, labels, weight_bits={"hidden": 2, "out": 8}, alone=True)
    hidden, out = q.report["layers"]
    assert hidden["alone"]["output_error"] > 3 * out["alone"]["output_error"]


def test_calibration_samples_and_labels() -> None:
    samples, labels = data()
    q = sl.assess(network(), samples, calibration_samples=samples[:10], calibration="mse")
    assert "accuracy" not in q.report["decisions"]["measured"]
    assert q.report["decided_on"] == 60
    with pytest.raises(SampleError, match=r"labels: \(3,\) for 60 samples"):
        sl.assess(network(), samples, labels[:3])


def test_search_under_a_budget_of_loss() -> None:
    samples, labels = data()
    found = sl.search_bits(network(), samples, labels, max_loss=2, choices=(8, 4, 3, 2))
    losses = [step["loss"] for step in found.path]
    memory = [step["memory_bits"] for step in found.path]
    assert found.path[0]["bits"] == {"hidden": 8, "out": 8}
    assert found.path[-1]["bits"] == found.bits
    assert memory == sorted(memory, reverse=True)
    assert len(set(memory)) == len(memory) > 2
    assert max(losses) <= 2
    assert all("points lost" in refused["why"] for refused in found.refused)
    report = found.quantised.report
    assert report["bits_path"] == found.path
    assert sum(line["memory_bits"] for line in report["layers"]) == memory[-1]
    result = sl.golden.run(found.quantised, samples)
    assert (result.counts.argmax(1) == labels).mean() * 100 == pytest.approx(found.path[-1]["accuracy"])


def test_each_step_is_the_cheapest_of_all() -> None:
    """The first step of the search against every step tried by hand."""
    samples, labels = data()
    found = sl.search_bits(network(), samples, labels, max_loss=100, choices=(8, 3))
    prices = {}
    start = sl.assess(network(), samples, labels, weight_bits=8).report["decisions"]["measured"]
    for layer, size in {"hidden": HIDDEN * INPUTS, "out": CLASSES * HIDDEN}.items():
        bits = {"hidden": 8, "out": 8} | {layer: 3}
        after = sl.assess(network(), samples, labels, weight_bits=bits).report["decisions"]["measured"]
        saved = size * 5
        lost = max(0, start["accuracy"] - after["accuracy"])
        prices[layer] = (lost / saved, (after["output_error"] - start["output_error"]) / saved)
    assert found.path[1]["layer"] == min(prices, key=lambda layer: prices[layer])


def test_search_under_a_budget_of_memory() -> None:
    samples, _ = data()
    most = HIDDEN * INPUTS * 8 + CLASSES * HIDDEN * 8
    found = sl.search_bits(network(), samples, memory_bits=most // 2, choices=(8, 4, 2))
    assert found.path[-1]["memory_bits"] <= most // 2 < found.path[-2]["memory_bits"]
    with pytest.raises(NetworkError, match=r"the weights still take \d+ bits, more than 10, .*allow more loss, memory"):
        sl.search_bits(network(), samples, memory_bits=10, choices=(8, 4))
    with pytest.raises(NetworkError, match="give memory_bits or max_loss"):
        sl.search_bits(network(), samples)
    with pytest.raises(NetworkError, match="choices must be 1 to 16 bits"):
        sl.search_bits(network(), samples, max_loss=1, choices=(0,))
