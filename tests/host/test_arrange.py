"""Cores change places in the mesh: what a core holds stays together, and the busiest router sends less."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import random_network, random_samples, seeds

import spikeloom as sl
from spikeloom.compiler.arrange import Traffic, arrange, copies, load, traffic
from spikeloom.compiler.place import place
from spikeloom.compiler.schedule import schedule
from spikeloom.compiler.sizing import size_array
from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.fabric import HOST, multicast_tree
from spikeloom.contract.network import InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.numerics import Profile
from spikeloom.image import NO_KEY

from .test_mapping import agree


@settings(deadline=None)
@given(seeds, st.integers(1, 4), st.integers(1, 4))
def test_copies_are_those_of_the_trees(seed: int, width: int, height: int) -> None:
    rng, keys = np.random.default_rng(seed), 4
    config = ArrayConfig(width=width, height=height)
    at = rng.permutation(config.cores)
    homes = rng.integers(0, config.cores + 1, keys)  # the last one is the host
    reached = rng.random((keys, config.cores + 1)) < 0.4
    found = copies(config, Traffic(np.ones(keys), homes, reached), at)
    names = [*at.tolist(), HOST]
    for key in range(keys):
        tree = multicast_tree(config, names[homes[key]], [names[n] for n in np.flatnonzero(reached[key])])
        assert (found[key].reshape(-1) == np.bitwise_count(tree)).all()


@settings(deadline=None, max_examples=15)
@given(seeds, st.sampled_from(((2, 2), (4, 1), (3, 2))))
def test_never_worse_and_nothing_is_lost(seed: int, grid: tuple[int, int]) -> None:
    network = random_network(seed, Profile.SPIKELOOM)
    busy = sl.activity(network, random_samples(network, seed))
    config = size_array(network, *grid, 2)
    before = place(network, config, schedule(network))
    after = arrange(config, before, busy)
    same = np.arange(config.cores)
    assert load(config, traffic(config, after, busy), same) <= load(config, traffic(config, before, busy), same)
    cores = {b.core: a.core for b, a in zip(before.slices, after.slices, strict=True)}
    assert len(set(cores.values())) == len(cores)
    assert [(s.population, s.grid, s.row0, s.key) for s in after.slices] == [
        (s.population, s.grid, s.row0, s.key) for s in before.slices
    ]
    homes = {s.key: s.core for s in after.slices if s.key != NO_KEY}
    for link in after.links:
        assert link.core == homes.get(link.key, HOST)
        assert any(link.target is s for s in after.slices)


@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(seeds, st.sampled_from(((2, 2), (4, 2), (4, 4))), st.sampled_from(("pipelined", "layered")))
def test_up_to_16_cores_in_other_places_run_the_network(seed: int, grid: tuple[int, int], kind) -> None:
    """The model array, which knows only the memories, against the golden model."""
    network = random_network(seed, Profile.SPIKELOOM)
    samples = random_samples(network, seed, samples=1, ticks=6)
    config = size_array(network, *grid, 2, plan=schedule(network, kind))
    agree(network, sl.compile(network, config, kind, sl.activity(network, samples)), samples)


def test_the_same_twice_and_a_busy_pair_comes_together() -> None:
    """Four populations in a row on four cores: the chatty ones end up side by side."""
    size = {"in": 4, "a": 8, "b": 8, "c": 8, "d": 8}
    edges = [("in", "a"), ("a", "d"), ("in", "b"), ("b", "c")]
    network = QuantisedNetwork(
        inputs=[InputPopulation(name="in", shape=(4,))],
        populations=[Population(name=n, shape=(8,), theta=9, v_min=-9) for n in "abcd"],
        projections=[
            Projection(source=s, target=t, weights=np.ones((size[t], size[s]), dtype=np.int64)) for s, t in edges
        ],
        outputs={"out": "d"},
    )
    config = size_array(network, 4, 1, 8)
    before = place(network, config, schedule(network))
    home = {s.population: s.core for s in before.slices}
    assert sorted(home.values()) == [0, 1, 2, 3]
    busy = {"in": np.zeros(4), "a": np.ones(8), "b": np.zeros(8), "c": np.zeros(8), "d": np.zeros(8)}
    first, again = (arrange(config, before, busy) for _ in range(2))
    assert first.slices == again.slices
    placed = {s.population: s.core for s in first.slices}
    assert abs(placed["a"] - placed["d"]) == 1
