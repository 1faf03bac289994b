"""Random networks of convolutions, pools, matrices and sparse patterns, delays and loops on gateware against golden."""

from collections import Counter
from functools import cache

import pytest
from random_networks import in_space_network, random_samples

import spikeloom as sl
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.errors import FitError
from spikeloom.contract.network import QuantisedNetwork
from spikeloom.contract.numerics import LOIHI_SHIFT, Numerics, Profile

ROOM = {
    "rows": 512, "words": 8192, "slots": 16, "projections": 64, "coordinates": 192, "entries": 1024, "sparse": True,
    "event_fifo": 4, "spike_fifo": 4,
}  # fmt: skip
ARRAYS = {
    "8 bits, 4 lanes, 2x1": ArrayConfig(
        width=2, key_bits=6, index_bits=12, payload_bits=4,
        core=CoreConfig(lanes=4, **ROOM, numerics=Numerics(fraction_bits=3, state_bits=16, accumulator_bits=24)),
    ),
    "loihi, 2 lanes at once, 1x1": ArrayConfig(
        key_bits=6, index_bits=12, payload_bits=4,
        core=CoreConfig(
            lanes=2, group=2, **ROOM | {"rows": 1024},
            numerics=Numerics(profile=Profile.LOIHI, fraction_bits=LOIHI_SHIFT, accumulator_bits=24),
        ),
    ),
    "short pipelines, 4 lanes, 2 at once, 1x1": ArrayConfig(
        key_bits=6, index_bits=12, payload_bits=4,
        core=CoreConfig(
            lanes=4, group=2, short=True, sums_latency=1, **ROOM,
            numerics=Numerics(fraction_bits=3, state_bits=16, accumulator_bits=24),
        ),
    ),
}  # fmt: skip
"""Arrays that hold every network that is drawn: one build serves them all."""

QUICK, FULL = 25, 300


@cache
def drawn(case: str, seed: int) -> QuantisedNetwork:
    """A random network in the numerics of an array."""
    numerics = ARRAYS[case].numerics
    return in_space_network(seed, numerics.profile, numerics.weight_bits, numerics)


def run(case: str, seeds: range) -> Counter[str]:
    """Verify each network on the one array; returns what they had."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        network = drawn(case, seed)
        try:
            image = sl.compile(network, ARRAYS[case])
        except FitError as error:
            seen[f"does not fit: {error.parameter}"] += 1
            continue
        samples = random_samples(network, seed, samples=1, ticks=8)
        found = sl.verify(image, samples)
        assert found.count == 0, (seed, found.first)
        seen["networks"] += 1
        seen["spikes"] += sum(int(p.spikes.sum()) for p in sl.golden.run(network, samples).populations.values())
        for edge in network.projections:
            move, pool = edge.convolution, edge.pool
            seen["sparse"] += edge.sparse
            seen["pooled matrix"] += bool(pool and not move)
            seen["convolution"] += bool(move)
            seen["pooled convolution"] += bool(pool and move)
            seen["overlapping pool"] += bool(pool and pool.overlaps)
            seen["groups"] += bool(move and move.groups > 1)
            seen["stride"] += bool(move and max(move.stride) > 1)
            seen["dilation"] += bool(move and max(move.dilation) > 1)
            seen["padding"] += bool(move and max(move.padding) > 0)
            seen["delay"] += edge.delay > 0
    return seen


def check(seen: Counter[str], networks: int) -> None:
    assert seen["networks"] >= 0.9 * networks, seen
    for kind in (
        "sparse", "pooled matrix", "convolution", "pooled convolution", "overlapping pool", "groups", "stride",
        "dilation", "padding", "delay",
    ):  # fmt: skip
        assert seen[kind] >= networks / 10, (kind, seen)
    assert seen["spikes"] > 10 * networks, seen


@pytest.mark.xdist_group("in space")
def test_no_difference() -> None:
    case = next(iter(ARRAYS))
    check(run(case, range(QUICK)), QUICK)


@pytest.mark.full
@pytest.mark.parametrize("case", ARRAYS)
@pytest.mark.xdist_group("in space")
def test_no_difference_in_many(case: str) -> None:
    check(run(case, range(1000, 1000 + FULL // len(ARRAYS))), FULL // len(ARRAYS))
