"""The N-MNIST network of the NIR paper: convolutions and pools as its file has them, in float and in 8 bits."""

from functools import cache
from pathlib import Path

import numpy as np

import spikeloom as sl
from spikeloom.compiler.graph import Network
from spikeloom.contract.geometry import Convolution, Pool

FOLDER = Path(__file__).parents[2] / "examples" / "nmnist"
RECORDINGS = 5
HALF = Pool(size=(2, 2), stride=(2, 2))


@cache
def network() -> Network:
    return sl.load(FOLDER / "cnn_sinabs.nir")


def test_layers_are_what_the_file_says() -> None:
    found = {(e.source, e.target): (e.weights.shape, e.convolution, e.pool) for e in network().projections}
    assert found == {
        ("input", "1"): ((16, 2, 5, 5), Convolution(stride=(2, 2), padding=(1, 1)), None),
        ("1", "3"): ((16, 16, 3, 3), Convolution(padding=(1, 1)), None),
        ("3", "6"): ((8, 16, 3, 3), Convolution(padding=(1, 1)), HALF),
        ("6", "10"): ((256, 128), None, HALF),
        ("10", "12"): ((10, 256), None, None),
    }
    assert [p.shape for p in network().populations] == [(16, 16, 16), (16, 16, 16), (8, 8, 8), (256,), (10,)]


def test_float_and_8_bits_decide_alike() -> None:
    with np.load(FOLDER / "samples.npz") as file:
        samples, labels = file["spikes"], file["labels"]
    assert labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 9]
    quantised = sl.quantise(network(), samples[:2], weight_bits=8)
    assert [(p.convolution is not None, p.pool) for p in quantised.projections] == [
        (True, None), (True, None), (True, HALF), (False, HALF), (False, None),
    ]  # fmt: skip
    assert quantised.report["warnings"] == []
    want = sl.reference.run(network(), samples[:RECORDINGS])
    got = sl.golden.run(quantised, samples[:RECORDINGS])
    assert np.array_equal(want.counts.argmax(1), labels[:RECORDINGS])
    assert np.array_equal(got.counts.argmax(1), labels[:RECORDINGS])
    for name, p in want.populations.items():  # not only decisions: layers are as busy, and where they were
        a, b = (x.spikes.sum(axis=(0, 1)).astype(float) for x in (p, got.populations[name]))
        assert a.sum() > 100
        assert abs(a.sum() - b.sum()) < 0.05 * a.sum(), name
        assert a @ b > 0.99 * np.linalg.norm(a) * np.linalg.norm(b), name
