"""Random NIR graphs all the way down: imported, quantised, mapped on 1, 4 and 16 cores, every state against golden."""

from collections import Counter

import numpy as np
import pytest
from random_graphs import DT, random_graph, random_samples

import spikeloom as sl
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.errors import FitError
from spikeloom.contract.numerics import DEFAULT

SEEDS = 40
GRIDS = ((1, 1), (2, 2), (4, 4))


def array(width: int, height: int) -> ArrayConfig:
    """An array that holds every graph that is drawn."""
    core = CoreConfig(
        lanes=2, rows=128, words=4096, slots=32, projections=64, coordinates=192, entries=1024, sparse=True,
        event_fifo=4, spike_fifo=4, phases=8, numerics=DEFAULT,
    )  # fmt: skip
    return ArrayConfig(width=width, height=height, key_bits=6, index_bits=10, core=core)


def quantised(seed: int) -> tuple[sl.QuantisedNetwork, dict[str, np.ndarray]]:
    """A random graph in integers, and samples for it."""
    rng = np.random.default_rng(seed)
    made = random_graph(rng)
    x = {name: samples[None] for name, samples in random_samples(rng, made).items()}
    return sl.quantise(sl.load(made.graph(), dt=DT), x, numerics=DEFAULT), x


@pytest.mark.full
@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: f"{grid[0] * grid[1]} cores")
@pytest.mark.xdist_group("nir graphs")
def test_no_difference(grid: tuple[int, int]) -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        network, x = quantised(seed)
        try:
            image = sl.compile(network, array(*grid))
        except FitError as error:
            seen[f"does not fit: {error.parameter}"] += 1
            continue
        found = sl.verify(image, x)
        assert found.count == 0, (seed, found.first)
        golden = sl.golden.run(network, x)
        seen["graphs"] += 1
        seen["spiking"] += any(p.spikes.any() for p in golden.populations.values())
        seen["delayed"] += any(e.delay > 1 for e in network.projections)
        seen["several outputs"] += len(network.outputs) > 1
    print(dict(seen))
    assert seen["graphs"] >= 0.9 * SEEDS, seen
    assert min(seen["spiking"], seen["delayed"], seen["several outputs"]) >= SEEDS / 4, seen
