"""Random networks on whole arrays, compiled natively: every state, spike and counter against golden, on any grid."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest

import spikeloom as sl
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.network import QuantisedNetwork
from spikeloom.contract.numerics import LOIHI_SHIFT, Numerics, Profile
from spikeloom_sim.stimulus import random_network, random_samples

SEEDS = range(3)


@dataclass(frozen=True)
class Case:
    """Numerics, the core, the grids to try it on, and the networks."""

    core: CoreConfig
    grids: tuple[tuple[int, int], ...]
    network: dict[str, Any] = field(default_factory=dict)

    def array(self, grid: tuple[int, int]) -> ArrayConfig:
        # A core of a large grid needs to hold less.
        width, height = grid
        return ArrayConfig(width=width, height=height, key_bits=7, index_bits=9, core=self.core)


CASES = {
    "narrow, 4 lanes, sparse, delays": Case(
        CoreConfig(
            lanes=4, rows=21, words=1500, slots=8, entries=256, sparse=True, coordinates=60,
            projections=40, event_fifo=4, spike_fifo=4,
            numerics=Numerics(fraction_bits=3, state_bits=12),
        ),
        grids=((1, 1), (2, 1), (2, 2)),
        network={"sizes": (40, 17, 9), "sparse": True, "delay_max": 3},
    ),
    "loihi, 8 lanes, 2 at once": Case(
        CoreConfig(
            lanes=8, rows=12, words=900, slots=8, group=2, entries=256, sparse=True, coordinates=60, projections=40,
            numerics=Numerics(profile=Profile.LOIHI, fraction_bits=LOIHI_SHIFT, accumulator_bits=18, state_bits=16),
        ),
        grids=((1, 1), (2, 2)),
        network={"sizes": (40, 17, 9), "sparse": True},
    ),
    "6 lanes at once, rows share parameters, 2 flits of room": Case(
        CoreConfig(
            lanes=6, rows=14, words=900, slots=8, group=6, projections=40, parameters_per_neuron=False,
            event_fifo=2, spike_fifo=2, numerics=Numerics(weight_bits=4, fraction_bits=4, state_bits=13),
        ),
        grids=((1, 1), (1, 2)),
        network={"sizes": (40, 17, 9), "per_neuron": False},
    ),
    "16 small cores": Case(
        CoreConfig(
            lanes=2, rows=5, words=400, slots=8, projections=64, event_fifo=2, spike_fifo=2,
            numerics=Numerics(fraction_bits=2, state_bits=12),
        ),
        grids=((4, 4),),
        network={"sizes": (40, 17, 9)},
    ),
}  # fmt: skip
GRIDS = [
    pytest.param(case, (w, h), id=f"{case}, {w}x{h}", marks=[] if 1 < w * h <= 4 else [pytest.mark.full])
    for case in CASES
    for w, h in CASES[case].grids
]


@cache
def network_and_samples(case: str, seed: int) -> tuple[QuantisedNetwork, np.ndarray]:
    rng = np.random.default_rng(seed)
    network = random_network(rng, CASES[case].core.numerics, **CASES[case].network)
    return network, random_samples(rng, network, samples=2, ticks=14)


@cache
def found_on(case: str, grid: tuple[int, int], seed: int) -> Any:
    network, samples = network_and_samples(case, seed)
    return sl.verify(sl.compile(network, CASES[case].array(grid)), samples)


@pytest.mark.parametrize(("case", "grid"), GRIDS)
@pytest.mark.xdist_group("arrays")
def test_no_difference(case: str, grid: tuple[int, int]) -> None:
    spikes = saturations = 0
    for seed in SEEDS:
        network, samples = network_and_samples(case, seed)
        image = sl.compile(network, CASES[case].array(grid))
        assert len({s.core for s in image.slices}) == grid[0] * grid[1], "a core is empty"
        found = found_on(case, grid, seed)
        assert found.count == 0, found.first
        want = sl.golden.run(network, samples)
        spikes += sum(int(p.spikes.sum()) for p in want.populations.values())
        saturations += sum(int(s.sum()) for s in want.saturations.values())
    assert spikes > 500, "hardly a neuron fires"
    assert saturations > 50 or CASES[case].core.numerics.state_bits > 12, "hardly a state saturates"


SEVERAL = [case for case in CASES if len(CASES[case].grids) > 1]


@pytest.mark.parametrize("case", [SEVERAL[0], *(pytest.param(case, marks=pytest.mark.full) for case in SEVERAL[1:])])
@pytest.mark.xdist_group("arrays")
def test_every_grid_gives_the_same(case: str) -> None:
    for seed in SEEDS:
        outputs = [np.concatenate(found_on(case, grid, seed).outputs) for grid in CASES[case].grids]
        assert all(np.array_equal(outputs[0], other) for other in outputs[1:])
