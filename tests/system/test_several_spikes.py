"""Neurons that send several spikes in a tick, one event with their number: gateware against the golden model."""

from functools import cache

import numpy as np
import pytest

import spikeloom as sl
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.network import InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.neuron import Reset
from spikeloom.contract.numerics import Numerics
from spikeloom_sim.cycles import predicted

NUMERICS = Numerics(fraction_bits=2, state_bits=14, accumulator_bits=20)
ARRAY = ArrayConfig(
    width=2, key_bits=4, index_bits=8, payload_bits=4,
    core=CoreConfig(lanes=4, rows=8, words=512, projections=8, event_fifo=4, spike_fifo=4, spike_bits=4, group=2,
                    numerics=NUMERICS),
)  # fmt: skip
TICKS, SAMPLES = 10, 2


def several(rng: np.random.Generator, name: str, size: int, spike_bits: int) -> Population:
    """Neurons with thresholds from 1 on: some potentials hold many more than their bits can tell."""
    v_sub = rng.choice([1, 7, 60, 300, 900], size)
    return Population(
        name=name, shape=(size,), beta=rng.choice([2048, 4000, 4096], size), theta=v_sub - 1, v_sub=v_sub,
        v_min=rng.choice([-v_sub, np.full(size, NUMERICS.state_min)]), reset=Reset.SUBTRACT, spike_bits=spike_bits,
        bias=rng.integers(-20, 40, size),
    )  # fmt: skip


@cache
def network(seed: int = 1) -> QuantisedNetwork:
    """Populations of 4, 2 and 0 bits, one behind the other, with recurrence in the first one."""
    rng = np.random.default_rng(seed)
    sizes = {"in": 6, "four": 13, "two": 9, "one": 5}
    edges = [
        ("in", "four", 0),
        ("four", "four", 1),
        ("four", "two", 0),
        ("in", "two", 0),
        ("two", "one", 0),
        ("four", "one", 1),
    ]
    one = Population(name="one", shape=(5,), theta=200, v_min=-500, reset=Reset.VALUE, refractory=1)
    return QuantisedNetwork(
        numerics=NUMERICS,
        inputs=[InputPopulation(name="in", shape=(6,))],
        populations=[several(rng, "four", 13, 4), several(rng, "two", 9, 2), one],
        projections=[
            Projection(source=a, target=b, weights=rng.integers(-30, 40, (sizes[b], sizes[a])), delay=delay)
            for a, b, delay in edges
        ],
        outputs={"out": "two", "first": "four", "last": "one"},
    )


def samples() -> np.ndarray:
    rng = np.random.default_rng(2)
    return (rng.random((SAMPLES, TICKS, 6)) < 0.5).astype(np.uint8)


@pytest.mark.xdist_group("several")
def test_gateware_equals_golden() -> None:
    image = sl.compile(network(), ARRAY)
    found = sl.verify(image, samples())
    assert found.count == 0, found.first
    golden = sl.golden.run(network(), samples())
    four, two, one = (golden.populations[name].spikes for name in ("four", "two", "one"))
    assert set(np.unique(four)) > {0, 1, 2, 15}
    assert set(np.unique(two)) == {0, 1, 2, 3}
    assert (four.dtype, two.dtype, one.dtype) == (np.uint8, np.uint8, bool)
    assert golden.saturations["four"].sum() > 10
    assert golden.saturations["two"].sum() > 10


@pytest.mark.xdist_group("several")
def test_results_carry_the_numbers() -> None:
    image = sl.compile(network(), ARRAY)
    golden = sl.golden.run(network(), samples(), record=("v",))
    with sl.connect("sim", image) as board:
        plain = board.run(samples())
        result = board.run(samples(), record=("spikes",))
    for output, population in network().outputs.items():
        for got in (result, plain):
            assert np.array_equal(got.spikes[output], golden.populations[population].spikes)
            assert got.spikes[output].dtype == golden.populations[population].spikes.dtype
            assert np.array_equal(got.counts[output], golden.counts[output])
        assert np.array_equal(result.populations[population].spikes, golden.populations[population].spikes)
    assert result.counters["spikes"].sum() == sum(int(p.spikes.sum()) for p in golden.populations.values())
    for n, edge in enumerate(network().projections):
        if edge.source != "in":
            events = np.count_nonzero(golden.populations[edge.source].spikes, axis=(1, 2))
            assert np.array_equal(golden.events[:, n], events), "one event, whatever it carries"
    assert np.array_equal(predicted(image, samples()), plain.tick_cycles)
