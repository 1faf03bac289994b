"""The N-MNIST network on gateware: kernels stored once, real event streams, every state against golden."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from examples import lane_use

import spikeloom as sl
from spikeloom.compiler.sizing import size_array

FOLDER = Path(__file__).parents[2] / "examples" / "nmnist"


@cache
def quantised_and_samples() -> tuple[sl.QuantisedNetwork, np.ndarray]:
    with np.load(FOLDER / "samples.npz") as file:
        samples = file["spikes"]
    return sl.quantise(sl.load(FOLDER / "cnn_sinabs.nir"), samples[:2], weight_bits=8), samples


def test_kernels_are_stored_once() -> None:
    quantised, _ = quantised_and_samples()
    image = sl.compile(quantised, size_array(quantised, 1, 1, 8))
    weights = sum(edge.weights.size for edge in quantised.projections)
    assert image.report["synapses"] > 20 * weights
    assert image.report["resources"]["words"]["used"] * 8 < 1.1 * weights


@pytest.mark.xdist_group("nmnist")
def test_no_difference() -> None:
    """One core, 16 ticks from where the recording is busiest."""
    quantised, samples = quantised_and_samples()
    first = int(samples[0].sum(axis=(1, 2, 3)).argmax())
    found = sl.verify(sl.compile(quantised, size_array(quantised, 1, 1, 8)), samples[:1, first : first + 16])
    assert found.count == 0, found.first


@pytest.mark.xdist_group("nmnist")
def test_lanes_are_used_while_events_wait() -> None:
    """All events of a recording in one tick, so that the next one is there when a walk ends."""
    quantised, samples = quantised_and_samples()
    image = sl.compile(quantised, size_array(quantised, 1, 1, 8))
    busy = samples[:1].max(axis=1, keepdims=True)
    with sl.connect("sim", image) as board:
        result = board.run(busy)
    assert result.counters["events"].sum() > busy.sum() > 500
    assert lane_use(result, 8) >= 0.90


@pytest.mark.full
@pytest.mark.parametrize("grid", [(1, 1), (2, 2)])
@pytest.mark.xdist_group("nmnist")
def test_no_difference_in_whole_recordings(grid: tuple[int, int]) -> None:
    quantised, samples = quantised_and_samples()
    found = sl.verify(sl.compile(quantised, size_array(quantised, *grid, 8)), samples)
    assert found.count == 0, found.first
    labels = np.load(FOLDER / "samples.npz")["labels"]
    assert [int(spikes.sum(axis=(0, 1)).argmax()) for spikes in found.outputs] == labels.tolist()
