"""The directly coded digits on 128 lanes: a pixel is one graded event, an image takes fewer than 1,000 cycles."""

from pathlib import Path

import numpy as np
import pytest

import spikeloom as sl
from spikeloom.compiler.sizing import size_array

FOLDER = Path(__file__).parents[2] / "examples" / "digits_direct"


@pytest.mark.parametrize("lanes", [16, pytest.param(128, marks=pytest.mark.full)])
@pytest.mark.xdist_group("direct")
def test_cycles_of_an_image(lanes: int) -> None:
    with np.load(FOLDER / "samples.npz") as file:
        samples, labels = file["spikes"][:50], file["labels"][:50]
    network = sl.load(FOLDER / "digits_direct.nir")
    quantised = sl.quantise(network, samples, weight_bits=8, input_kind="graded")
    image = sl.compile(quantised, size_array(quantised, 1, 1, lanes, group=8))
    assert sl.verify(image, samples[:2]).count == 0
    with sl.connect("sim", image) as board:
        result = board.run(samples)
    expected = sl.golden.run(quantised, samples)
    assert np.array_equal(result.v, expected.v)
    assert np.mean(result.v[:, -1].argmax(1) == labels) >= 0.975
    pixels = np.count_nonzero(samples)
    assert result.counters["events"].sum() == pixels + expected.populations["hidden"].spikes.sum()
    assert result.counters["synapses"].sum() == expected.synapses.sum()
    limit = 1000 if lanes == 128 else 3000
    assert result.cycles.mean() <= limit, result.cycles.mean()
