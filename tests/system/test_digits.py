"""The digit network from its file to the gateware."""

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pytest

import spikeloom as sl
from spikeloom.cli.inputs import open_samples

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@pytest.fixture(scope="module")
def network():
    return sl.load(DIGITS / "digits.nir")


@pytest.fixture(scope="module")
def data():
    return open_samples(DIGITS / "samples.npz")


@pytest.fixture(scope="module")
def quantised(network, data):
    return sl.quantise(network, data.samples[:100], weight_bits=8)


def all_test_images() -> tuple[np.ndarray, np.ndarray]:
    """Spikes and labels of the 10,000 MNIST test images."""
    spec = importlib.util.spec_from_file_location("digits_encode", DIGITS / "encode.py")
    assert spec
    assert spec.loader
    encoder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(encoder)
    images = gzip.decompress((DIGITS / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((DIGITS / "t10k-labels-idx1-ubyte.gz").read_bytes())
    return (
        encoder.encode(np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)),
        np.frombuffer(labels, np.uint8, offset=8),
    )


def test_accuracy_on_all_test_images(network, quantised) -> None:
    spikes, labels = all_test_images()
    assert len(spikes) == 10_000
    accuracy = {
        name: (counts.argmax(1) == labels).mean() * 100
        for name, counts in (
            ("float", sl.reference.run(network, spikes).counts),
            ("golden", sl.golden.run(quantised, spikes).counts),
        )
    }
    print(accuracy)
    assert accuracy["golden"] >= 97.5
    assert abs(accuracy["golden"] - accuracy["float"]) <= 0.3


def test_samples_are_the_first_test_images(data) -> None:
    spikes, labels = all_test_images()
    assert np.array_equal(data.samples, spikes[: len(data.samples)])
    assert np.array_equal(data.labels, labels[: len(data.labels)])


@pytest.mark.xdist_group("digits")
def test_verify_on_1_2_and_4_cores(quantised, data) -> None:
    outputs = []
    for target in ("auto:1x1", "auto:2x1", "auto:2x2"):
        found = sl.verify(sl.compile(quantised, target), data.samples[:5])
        assert found.count == 0, found.first
        assert found.compared >= 5 * 25 * 138 * 4
        outputs.append(np.concatenate(found.outputs))
    assert np.array_equal(outputs[0], outputs[1])
    assert np.array_equal(outputs[0], outputs[2])
    assert outputs[0].any()


@pytest.mark.xdist_group("digits")
def test_gateware_classifies_as_golden(quantised, data) -> None:
    with sl.connect("sim", sl.compile(quantised, "auto:1x1")) as board:
        result = board.run(data.samples[:200])
    expected = sl.golden.run(quantised, data.samples[:200])
    assert np.array_equal(result.spikes, expected.spikes)
    assert result.counters["synapses"].sum() == expected.synapses.sum()
    assert (result.counts.argmax(1) == data.labels[:200]).mean() >= 0.975
    assert (result.cycles > 0).all()
