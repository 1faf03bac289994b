"""A deep network with skips and a loop over three layers on gateware, both schedules; and what is counted there."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from random_networks import in_space_network, random_network, random_samples
from test_layered import ARRAY

import spikeloom as sl
from spikeloom.compiler.schedule import Kind
from spikeloom.contract.network import InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.numerics import Profile

pytestmark = pytest.mark.xdist_group("layered")  # one build for all of them

BOTH: list[Kind] = ["pipelined", "layered"]


def spread(rng: np.random.Generator, target: int, source: int) -> np.ndarray:
    return rng.integers(-45, 60, (target, source))


def network(sizes: dict[str, int], edges: list[tuple[str, str, int]], seed: int) -> QuantisedNetwork:
    """Populations of the given sizes, the first one the input, and dense edges with their delays."""
    rng = np.random.default_rng(seed)
    first, *rest = sizes
    return QuantisedNetwork(
        numerics=ARRAY.numerics,
        inputs=[InputPopulation(name=first, shape=(sizes[first],))],
        populations=[
            Population(name=n, shape=(sizes[n],), alpha=1500, beta=3500, theta=900, v_min=-3000, v_sub=900)
            for n in rest
        ],
        projections=[
            Projection(source=a, target=b, weights=spread(rng, sizes[b], sizes[a]), delay=delay)
            for a, b, delay in edges
        ],
        outputs={"out": rest[-1]},
    )


@cache
def residual() -> QuantisedNetwork:
    """Seven weighted layers; the first one's spikes skip to the fourth, the fourth one's to the last."""
    names = ["in", "a", "b", "c", "d", "e", "f", "g"]
    sizes = dict(zip(names, (12, 16, 9, 14, 16, 10, 13, 6), strict=True))
    chain = [(a, b, 0) for a, b in pairwise(names)]
    return network(sizes, [*chain, ("a", "d", 0), ("d", "g", 0)], 5)


def looped(delay: int) -> QuantisedNetwork:
    """Three layers and a way back to the first one."""
    sizes = {"in": 12, "a": 14, "b": 9, "c": 11}
    return network(sizes, [("in", "a", 0), ("a", "b", 0), ("b", "c", 0), ("c", "a", delay)], 6)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(("draw", "layers"), [(residual, 7), (lambda: looped(3), 3)])
def test_no_difference(draw, layers: int, kind: Kind) -> None:
    """Every state of every tick; the last layer fires, and would not without what skips or comes back."""
    quantised = draw()
    samples = (np.random.default_rng(1).random((2, 16, 12)) < 0.35).astype(np.int64)
    image = sl.compile(quantised, ARRAY, kind)
    assert (image.latency, image.phases) == ((layers - 1, 1) if kind == "pipelined" else (0, layers))
    found = sl.verify(image, samples)
    assert found.count == 0, found.first
    whole = sl.golden.run(quantised, samples)
    assert 0.02 < whole.spikes.mean() < 0.9
    chain = [e for n, e in enumerate(quantised.projections) if n < layers]
    less = QuantisedNetwork(
        numerics=quantised.numerics, inputs=quantised.inputs, populations=quantised.populations, projections=chain,
        outputs=quantised.outputs,
    )  # fmt: skip
    assert (whole.spikes != sl.golden.run(less, samples).spikes).any()


@pytest.mark.parametrize("seed", [5, 6, 12])
def test_the_board_counts_what_the_golden_model_does(seed: int) -> None:
    draw = random_network if seed % 2 else in_space_network
    quantised = draw(seed, Profile.SPIKELOOM, 8, ARRAY.numerics)
    samples = random_samples(quantised, seed, samples=2, ticks=6)
    image = sl.compile(quantised, ARRAY)
    with sl.connect("sim", image) as board:
        result = board.run(samples, record=("spikes",))
    counts = sl.count(quantised, samples)
    assert sl.count_result(quantised, samples, result) == counts
    assert counts.performed > 0
    assert counts.spikes > 0
    result.counters["synapses"][0] += 1  # a board that counts wrong is found
    assert sl.count_result(quantised, samples, result) != counts
