"""How close the walk comes to a word a cycle, by the gateware's own counters."""

import numpy as np
import pytest
from examples import lane_use

import spikeloom as sl
from spikeloom.contract.network import InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.numerics import Numerics

LANES = 8


@pytest.fixture(scope="module")
def dense() -> QuantisedNetwork:
    """128 inputs to 128 neurons that stay silent: 16 words a walk."""
    numerics = Numerics()
    rng = np.random.default_rng(0)
    return QuantisedNetwork(
        numerics=numerics,
        inputs=[InputPopulation(name="in", shape=(128,))],
        populations=[
            Population(name="p", shape=(128,), theta=numerics.state_max, v_min=-numerics.state_max, beta=3000)
        ],
        projections=[Projection(source="in", target="p", weights=rng.integers(-127, 128, (128, 128)))],
        outputs={"out": "p"},
    )


def test_walk_uses_the_lanes_while_events_wait(dense) -> None:
    samples = np.ones((2, 10, 128), np.uint8)
    image = sl.compile(dense, f"auto:1x1:{LANES}")
    with sl.connect("sim", image) as board:
        result = board.run(samples)
    words, synapses = (int(result.counters[name].sum()) for name in ("words", "synapses"))
    assert synapses == samples.sum() * 128
    assert words * LANES == synapses
    assert lane_use(result, LANES) >= 0.95


def test_no_events_walk_nothing(dense) -> None:
    image = sl.compile(dense, f"auto:1x1:{LANES}")
    with sl.connect("sim", image) as board:
        result = board.run(np.zeros((1, 10, 128), np.uint8))
    assert result.counters["words"].sum() == result.counters["waits"].sum() == 0
