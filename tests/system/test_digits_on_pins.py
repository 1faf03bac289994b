"""The digit network on the ULX3S top: what the serial driver sees is what the array in this process does."""

import numpy as np
import pytest
from examples import example

import spikeloom as sl

COUNTERS = ("events", "words", "synapses", "spikes", "saturations", "refused", "unrouted")


@pytest.mark.full
def test_20_images_over_the_pins_equal_the_board_in_process() -> None:
    data = example("digits").data.first(20)
    image = sl.compile(example("digits").quantised, "ulx3s_85f")
    results = {}
    for where in ("sim", "sim-pins"):
        with sl.connect(where, image) as board:
            results[where] = board.run(data.samples)
    near, far = results["sim"], results["sim-pins"]
    assert far.spikes.any()
    assert np.array_equal(far.spikes, near.spikes)
    assert np.array_equal(far.spikes, sl.golden.run(image.network, data.samples).spikes)
    assert all(np.array_equal(far.counters[name], near.counters[name]) for name in COUNTERS)
