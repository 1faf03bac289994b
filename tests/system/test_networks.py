"""The example networks on gateware: every state of every neuron at every tick, on 1, 2 and 4 cores."""

import numpy as np
import pytest
from examples import ARRAYS, NAMES, example

import spikeloom as sl
from spikeloom.contract.boards import BOARDS
from spikeloom.contract.ring import Space


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.xdist_group("networks")
def test_no_difference_on_1_2_and_4_cores(name: str) -> None:
    quantised, samples = example(name).quantised, example(name).data.samples[:5]
    outputs = []
    for config in ARRAYS.values():
        found = sl.verify(sl.compile(quantised, config), samples)
        assert found.count == 0, found.first
        neurons = sum(p.size for p in quantised.populations)
        assert found.compared >= len(samples) * samples.shape[1] * neurons * 4
        outputs.append(np.concatenate(found.outputs))
    assert outputs[0].any()
    assert all(np.array_equal(outputs[0], other) for other in outputs[1:])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.xdist_group("networks")
def test_gateware_classifies_as_golden(name: str) -> None:
    quantised, data = example(name).quantised, example(name).data.first(200)
    with sl.connect("sim", sl.compile(quantised, ARRAYS[1])) as board:
        result = board.run(data.samples)
    expected = sl.golden.run(quantised, data.samples)
    assert np.array_equal(result.spikes, expected.spikes)
    assert result.counters["synapses"].sum() == expected.synapses.sum()
    assert data.accuracy(result.counts) == data.accuracy(expected.counts)
    assert (result.cycles > 0).all()


@pytest.mark.xdist_group("networks")
def test_digits_on_the_preset_of_the_icebreaker() -> None:
    """784-128-10 on short pipelines, with states of 14 bits: as exact, and as good."""
    data = example("digits").data
    quantised = sl.quantise(
        example("digits").network, data.samples[:100], scale="layer", numerics=BOARDS["icebreaker"].config.numerics
    )
    image = sl.compile(quantised, "icebreaker")
    assert sl.verify(image, data.samples[:5]).count == 0
    assert data.accuracy(sl.golden.run(quantised, data.samples).counts) >= 99


@pytest.mark.xdist_group("networks")
def test_verify_finds_a_planted_fault() -> None:
    """One bit of one weight: the comparison must not be blind."""
    quantised, samples = example("speech").quantised, example("speech").data.samples[:1]
    image = sl.compile(quantised, ARRAYS[1])
    image.memories[0, Space.WEIGHT][7, 0] ^= 1
    found = sl.verify(image, samples)
    assert found.states > 0
    assert "golden" in found.first[0]
