"""The layered schedule on gateware: random networks against golden, and against the pipelined schedule."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from random_networks import in_space_network, random_network, random_samples

import spikeloom as sl
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.errors import FitError, NetworkError
from spikeloom.contract.network import InputKind, InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.numerics import Numerics, Profile

ARRAY = ArrayConfig(
    width=2, key_bits=6, index_bits=12, payload_bits=4,
    core=CoreConfig(
        lanes=4, rows=512, words=8192, slots=16, projections=64, coordinates=192, entries=1024, sparse=True, phases=8,
        event_fifo=4, spike_fifo=4, numerics=Numerics(fraction_bits=3, state_bits=16, accumulator_bits=20),
    ),
)  # fmt: skip
"""One build holds every network that is drawn."""

QUICK, FULL = 20, 300
TICKS = 8

pytestmark = pytest.mark.xdist_group("layered")


def layers(seed: int, tight: bool) -> QuantisedNetwork:
    return random_network(seed, Profile.SPIKELOOM, 8, ARRAY.numerics, tight=tight)


def in_space(seed: int, tight: bool) -> QuantisedNetwork:
    return in_space_network(seed, Profile.SPIKELOOM, 8, ARRAY.numerics, tight=tight)


DRAWN = {"layers": layers, "in space": in_space}


def same(a: sl.Image, b: sl.Image, samples: dict[str, np.ndarray]) -> bool:
    """Whether two boards give the same outputs."""
    results = []
    for image in (a, b):
        with sl.connect("sim", image) as board:
            results.append(board.run(samples))
    first, second = ([r.spikes, r.counts, r.v] for r in results)
    np.testing.assert_equal(first, second)
    return True


def check(draw: Callable[[int, bool], QuantisedNetwork], seeds: range) -> None:
    """No difference in any network; nothing runs behind; what both schedules can run is the same in both."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        network = draw(seed, seed % 2 == 0)
        try:
            image = sl.compile(network, ARRAY, "layered")
        except FitError as error:
            seen[f"does not fit: {error.parameter}"] += 1
            continue
        assert image.latency == 0
        samples = random_samples(network, seed, samples=1, ticks=TICKS)
        found = sl.verify(image, samples)
        assert found.count == 0, (seed, found.first)
        seen["networks"] += 1
        seen["several phases"] += image.phases > 1
        seen["spikes"] += sum(int(p.spikes.sum()) for p in sl.golden.run(network, samples).populations.values())
        try:
            pipelined = sl.compile(network, ARRAY, "pipelined")
        except NetworkError:
            seen["layered only"] += 1
        else:
            seen["both"] += same(image, pipelined, samples)
    assert seen["networks"] >= 0.8 * len(seeds), seen
    assert seen["spikes"] > 8 * len(seeds), seen
    assert min(seen["several phases"], seen["both"]) >= len(seeds) / 5, seen
    assert seen["layered only"] >= len(seeds) / 50, seen


@pytest.mark.parametrize("kind", DRAWN)
def test_no_difference(kind: str) -> None:
    check(DRAWN[kind], range(QUICK))


@pytest.mark.full
@pytest.mark.parametrize("kind", DRAWN)
def test_no_difference_in_many(kind: str) -> None:
    check(DRAWN[kind], range(2000, 2000 + FULL // len(DRAWN)))


def test_feedback_over_three_layers() -> None:
    """One tick of delay for three edges: the pipelined schedule refuses it, "auto" finds the other one."""
    rng = np.random.default_rng(8)
    sizes = {"in": 20, "a": 30, "b": 9, "c": 17}
    edges = [("in", "a", 0), ("a", "b", 0), ("b", "c", 0), ("c", "a", 1), ("a", "a", 1), ("in", "c", 0)]
    network = QuantisedNetwork(
        numerics=ARRAY.numerics,
        inputs=[InputPopulation(name="in", shape=(20,), kind=InputKind.SPIKES)],
        populations=[
            Population(
                name=name, shape=(sizes[name],), alpha=2000, beta=3600, theta=600, v_min=-2000, v_sub=600,
                refractory=1,
            )
            for name in "abc"
        ],
        projections=[
            Projection(source=a, target=b, weights=rng.integers(-40, 60, (sizes[b], sizes[a])), delay=delay)
            for a, b, delay in edges
        ],
        outputs={"out": "c"},
    )  # fmt: skip
    with pytest.raises(NetworkError, match=r"loop .* has a delay of 1 ticks for 3 edges"):
        sl.compile(network, ARRAY, "pipelined")
    image = sl.compile(network, ARRAY)
    assert (image.phases, image.latency) == (3, 0)
    samples = (rng.random((2, 20, 20)) < 0.3).astype(np.int64)
    found = sl.verify(image, samples)
    assert found.count == 0, found.first
    outputs = np.concatenate(found.outputs)
    assert 0.02 < outputs.mean() < 0.9
    # Spikes of tick 0 have come through three layers within that tick.
    assert sl.golden.run(network, samples).populations["b"].spikes[:, 0].any()
