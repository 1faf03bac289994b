"""The cycle model against the gateware's count, tick by tick; and what a tick costs at least and at most."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from examples import ARRAYS as EXAMPLE_ARRAYS
from examples import NAMES, example, lane_use
from random_networks import in_space_network, random_samples

import spikeloom as sl
from spikeloom.compiler.cycles import START_CYCLES, barrier_latency
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.errors import FitError
from spikeloom.contract.geometry import Convolution
from spikeloom.contract.network import InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.numerics import LOIHI_SHIFT, Numerics, Profile
from spikeloom_sim.cycles import measured, predicted

ROOM = {
    "rows": 512, "words": 8192, "slots": 16, "projections": 64, "coordinates": 192, "entries": 1024, "sparse": True,
    "event_fifo": 4, "spike_fifo": 4,
}  # fmt: skip
"""Short queues, so that all of them are full at times."""
SPIKELOOM = Numerics(fraction_bits=3, state_bits=16, accumulator_bits=24)
LOIHI = Numerics(profile=Profile.LOIHI, fraction_bits=LOIHI_SHIFT, accumulator_bits=24)


def array(
    width: int, height: int, lanes: int, numerics: Numerics = SPIKELOOM, payload_bits: int = 0, **changes: int
) -> ArrayConfig:
    core = CoreConfig(lanes=lanes, **ROOM | changes, numerics=numerics)
    return ArrayConfig(width=width, height=height, key_bits=6, index_bits=12, payload_bits=payload_bits, core=core)


def compare(config: ArrayConfig, seeds: Collection[int]) -> Counter[str]:
    """Predict the ticks of random networks, which must be those that are counted; returns what there was."""
    seen: Counter[str] = Counter()
    schedule = "layered" if config.core.phases > 1 else "pipelined"
    for seed in seeds:
        numerics = config.numerics
        tight = config.core.phases > 1 and seed % 2 == 0
        network = in_space_network(seed, numerics.profile, numerics.weight_bits, numerics, tight=tight)
        try:
            image = sl.compile(network, config, schedule)
        except FitError:
            continue
        samples = random_samples(network, seed, samples=2, ticks=8)
        with sl.connect("sim", image) as board:
            result = board.run(samples)
        got = predicted(image, samples)
        assert np.array_equal(got, result.tick_cycles), (seed, got - result.tick_cycles)
        assert np.array_equal(got.sum(axis=1), result.cycles)
        seen["networks"] += 1
        seen["stalls"] += int(result.counters["stalls"].sum())
        seen["drains"] += int(result.counters["drains"].sum())
        seen["sparse"] += any(edge.sparse for edge in network.projections)
        seen["convolution"] += any(edge.convolution is not None for edge in network.projections)
        seen["dense"] += any(edge.convolution is None and not edge.sparse for edge in network.projections)
    print(dict(seen))
    for kind in ("stalls", "drains", "sparse", "convolution", "dense"):
        assert seen[kind] >= 3, seen
    # Without payloads, those with graded inputs do not fit.
    assert seen["networks"] >= (0.9 if config.payload_bits else 0.4) * len(seeds)
    return seen


FULL_QUEUE = (34, 67, 111, 198, 293)
"""Networks that fill an event queue while its walker stands: the skid between them makes room for one more."""


def test_random_networks_on_two_cores() -> None:
    compare(array(2, 1, 4, payload_bits=4), (*range(10), *FULL_QUEUE))


def test_random_networks_with_short_pipelines() -> None:
    compare(array(1, 1, 4, payload_bits=4, short=True, sums_latency=1), (*range(8), 10, *FULL_QUEUE))


@pytest.mark.full
@pytest.mark.parametrize(
    ("config", "seeds"),
    [
        (array(1, 1, 2, LOIHI, group=2, rows=1024), range(300)),
        (array(1, 1, 8, payload_bits=4), range(400)),
        (array(1, 1, 8, event_fifo=2, spike_fifo=2, slots=32), range(300)),
        (array(2, 1, 4), range(300)),
        (array(2, 1, 4, payload_bits=4), range(600)),
        (array(2, 1, 4, payload_bits=4, event_fifo=16), range(1000, 1600)),
        (array(2, 1, 4, payload_bits=4, phases=8), range(300)),
        (array(2, 1, 4, payload_bits=4, short=True, sums_latency=1, event_fifo=2, spike_fifo=2), range(300)),
        (array(2, 2, 2), range(300)),
        (array(2, 2, 2, payload_bits=4, event_fifo=16), range(300)),
        (array(4, 4, 2, event_fifo=2, payload_bits=4), range(100)),
    ],
    ids=[
        "one core, two lanes at once", "one core, eight lanes", "one core, shortest queues", "2x1",
        "2x1, payloads", "2x1, long queues", "2x1, phases", "2x1, short pipelines", "2x2", "2x2, long queues", "4x4",
    ],
)  # fmt: skip
def test_more_random_networks(config: ArrayConfig, seeds: range) -> None:
    compare(config, seeds)


DEFAULT = {("digits", 1), ("speech", 4)}
EVERY = [
    pytest.param(name, cores, id=f"{cores}-{name}", marks=[] if (name, cores) in DEFAULT else [pytest.mark.full])
    for name in NAMES
    for cores in (1, 2, 4)
]


@pytest.mark.parametrize(("name", "cores"), EVERY)
def test_examples(name: str, cores: int) -> None:
    given = example(name)
    image, samples = sl.compile(given.quantised, EXAMPLE_ARRAYS[cores]), given.data.samples[:3]
    got, want = predicted(image, samples), measured(image, samples)
    assert np.array_equal(got, want), got - want


def test_states_read_in_between_wait_for_the_tick() -> None:
    """An output that shows its potential is read after each tick, so spikes come when that is over."""
    network = in_space_network(5, Profile.SPIKELOOM, 8, SPIKELOOM)
    outputs = {**network.outputs, "shown": network.populations[0].name}
    network = replace(network, outputs=outputs, states=["shown"])
    image = sl.compile(network, array(2, 1, 4, payload_bits=4))
    samples = random_samples(network, 5, samples=2, ticks=8)
    assert np.array_equal(predicted(image, samples), measured(image, samples))


LANES = 8


def silent(name: str, shape: tuple[int, ...]) -> Population:
    top = Numerics().state_max
    return Population(name=name, shape=shape, theta=top, v_min=-top, beta=3000)


@pytest.fixture(scope="module")
def convolution() -> QuantisedNetwork:
    """16 channels of 8 by 8 through kernels of 3 by 3 to 16 channels, with the padding that keeps their size."""
    rng = np.random.default_rng(0)
    return QuantisedNetwork(
        numerics=Numerics(),
        inputs=[InputPopulation(name="in", shape=(16, 8, 8))],
        populations=[silent("p", (16, 8, 8))],
        projections=[
            Projection(
                source="in", target="p", weights=rng.integers(-127, 128, (16, 16, 3, 3)),
                convolution=Convolution(padding=(1, 1)),
            )
        ],
        outputs={"out": "p"},
    )  # fmt: skip


def test_convolution_uses_the_lanes_while_events_wait(convolution: QuantisedNetwork) -> None:
    rng = np.random.default_rng(1)
    samples = (rng.random((1, 6, 16, 8, 8)) < 0.5).astype(np.uint8)
    image = sl.compile(convolution, f"auto:1x1:{LANES}")
    with sl.connect("sim", image) as board:
        result = board.run(samples)
    words, synapses = (int(result.counters[name].sum()) for name in ("words", "synapses"))
    assert words * LANES == synapses > samples.sum() * 16 * 4
    assert lane_use(result, LANES) >= 0.90
    assert np.array_equal(predicted(image, samples), result.tick_cycles)


@pytest.mark.parametrize("group", [1, LANES])
def test_what_nothing_costs(convolution: QuantisedNetwork, group: int) -> None:
    """A tick without events, and the reset of the states, measured at the core and from DONE to DONE."""
    image = sl.compile(convolution, f"auto:1x1:{LANES}:{group}")
    core, ticks = image.config.core, 10
    rows = 16 * 8 * 8 // LANES
    with sl.connect("sim", image) as board:
        one = board.run(np.zeros((1, 1, 16, 8, 8), np.uint8))
        result = board.run(np.zeros((1, 1 + ticks, 16, 8, 8), np.uint8))
    counters = {name: int(values[0]) for name, values in result.counters.items()}
    assert not any(counters[name] for name in ("events", "words", "waits", "drains", "emissions", "stalls"))
    cycles = result.tick_cycles[0]
    update = rows * core.groups
    at_the_core = (counters["updates"] - int(one.counters["updates"][0])) / ticks
    outside = START_CYCLES + barrier_latency(image.config)
    print(f"idle tick: {cycles[1]} cycles, {at_the_core} of them at the core, for {update} of the neuron unit")
    assert (cycles[1:] == at_the_core + outside).all()
    assert at_the_core <= update + 20
    reset = cycles[0] - cycles[1]
    print(f"reset: {reset} cycles, {reset - outside} of them at the core")
    assert reset - outside <= rows * max(core.groups, core.slots) + 20
