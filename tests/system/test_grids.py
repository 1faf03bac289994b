"""Random networks on 1 to 16 cores: golden model and gateware agree on every grid, with either schedule."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import in_space_network, random_network, random_samples

import spikeloom as sl
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.errors import FitError, NetworkError
from spikeloom.contract.numerics import Numerics, Profile

GRIDS = ((1, 1), (2, 1), (2, 2), (4, 2), (4, 4))
EXAMPLES = 40

CORE = CoreConfig(
    lanes=2, group=2, rows=512, words=8192, slots=16, projections=64, coordinates=192, entries=1024, sparse=True,
    phases=8, event_fifo=4, spike_fifo=4, numerics=Numerics(fraction_bits=3, state_bits=16, accumulator_bits=20),
)  # fmt: skip


def array(width: int, height: int) -> ArrayConfig:
    """One build of each grid holds every network that is drawn."""
    return ArrayConfig(width=width, height=height, key_bits=7, index_bits=12, payload_bits=4, core=CORE)


@pytest.mark.full
@pytest.mark.xdist_group("grids")
@pytest.mark.parametrize("draw", [random_network, in_space_network])
def test_no_difference_on_any_grid(draw) -> None:
    seen: Counter[str] = Counter()

    @settings(deadline=None, max_examples=EXAMPLES, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 1 << 32), st.sampled_from(["pipelined", "layered"]), st.booleans())
    def verify(seed: int, kind, busy: bool) -> None:
        network = draw(seed, Profile.SPIKELOOM, 8, CORE.numerics)
        samples = random_samples(network, seed, samples=1, ticks=6)
        activity = sl.activity(network, samples) if busy else None
        for grid in GRIDS:
            try:
                image = sl.compile(network, array(*grid), kind, activity)
            except (FitError, NetworkError):
                seen["does not fit"] += 1
                continue
            found = sl.verify(image, samples)
            assert found.count == 0, (seed, grid, found.first)
            seen["networks"] += 1
            seen["several cores"] += len({s.core for s in image.slices}) > 1
            seen["synapses"] += found.compared

    verify()
    assert seen["networks"] >= 0.8 * EXAMPLES * len(GRIDS), seen
    assert seen["several cores"] >= 0.5 * EXAMPLES * len(GRIDS), seen
