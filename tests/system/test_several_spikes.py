"""Neurons that send several spikes in a tick, one event with their number: gateware against the golden model."""

from collections import Counter
from functools import cache

import nir
import numpy as np
import pytest
from random_networks import in_space_network, random_samples

import spikeloom as sl
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.errors import FitError
from spikeloom.contract.network import InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.neuron import Reset
from spikeloom.contract.numerics import Numerics
from spikeloom.driver.stepper import Stepper
from spikeloom_sim.cycles import measured, predicted

NUMERICS = Numerics(fraction_bits=2, state_bits=16, accumulator_bits=24)
ARRAY = ArrayConfig(
    width=2, key_bits=6, index_bits=12, payload_bits=5,
    core=CoreConfig(
        lanes=4, rows=256, words=4096, slots=16, projections=64, coordinates=192, entries=1024, sparse=True, group=2,
        event_fifo=16, spike_fifo=4, phases=4, spike_bits=4, numerics=NUMERICS,
    ),
)  # fmt: skip
"""One array for all networks here; its flits have room for a number more than its neurons send."""
TICKS, SAMPLES = 10, 2

pytestmark = pytest.mark.xdist_group("several")


def several(rng: np.random.Generator, name: str, size: int, spike_bits: int) -> Population:
    """Neurons with thresholds from 1 on: some potentials hold many more than their bits can tell."""
    v_sub = rng.choice([1, 7, 60, 300, 900], size)
    return Population(
        name=name, shape=(size,), beta=rng.choice([2048, 4000, 4096], size), theta=v_sub - 1, v_sub=v_sub,
        v_min=rng.choice([-v_sub, np.full(size, NUMERICS.state_min)]), reset=Reset.SUBTRACT, spike_bits=spike_bits,
        bias=rng.integers(-20, 40, size),
    )  # fmt: skip


@cache
def network() -> QuantisedNetwork:
    """Populations of 4, 2 and 0 bits, one behind the other, with recurrence in the first one."""
    rng = np.random.default_rng(1)
    sizes = {"in": 6, "four": 13, "two": 9, "one": 5}
    edges = [("in", "four", 0), ("four", "four", 1), ("four", "two", 0), ("in", "two", 0), ("two", "one", 0)]
    edges += [("four", "one", 1)]
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


def test_gateware_equals_golden() -> None:
    found = sl.verify(sl.compile(network(), ARRAY), samples())
    assert found.count == 0, found.first
    golden = sl.golden.run(network(), samples())
    four, two, one = (golden.populations[name].spikes for name in ("four", "two", "one"))
    assert set(np.unique(four)) > {0, 1, 2, 15}
    assert set(np.unique(two)) == {0, 1, 2, 3}
    assert (four.dtype, two.dtype, one.dtype) == (np.uint8, np.uint8, bool)
    for name in ("four", "two"):
        assert golden.saturations[name].sum() > 10, "more spikes than the bits can tell"


def test_results_carry_the_numbers() -> None:
    image = sl.compile(network(), ARRAY)
    golden = sl.golden.run(network(), samples())
    with sl.connect("sim", image) as board:
        plain = board.run(samples())
        recorded = board.run(samples(), record=("spikes",))
    for output, population in network().outputs.items():
        want = golden.populations[population].spikes
        for got in (plain, recorded):
            assert np.array_equal(got.spikes[output], want)
            assert got.spikes[output].dtype == want.dtype
            assert np.array_equal(got.counts[output], golden.counts[output])
        assert np.array_equal(recorded.populations[population].spikes, want)
    assert plain.counters["spikes"].sum() == sum(int(p.spikes.sum()) for p in golden.populations.values())
    assert plain.counters["saturations"].sum() == sum(int(s.sum()) for s in golden.saturations.values())
    for n, edge in enumerate(network().projections):
        if edge.source != "in":
            events = np.count_nonzero(golden.populations[edge.source].spikes, axis=(1, 2))
            assert np.array_equal(golden.events[:, n], events), "one event, whatever it carries"
    assert np.array_equal(predicted(image, samples()), plain.tick_cycles)


def test_counts_are_those_of_the_golden_model() -> None:
    image, given = sl.compile(network(), ARRAY), samples()
    with sl.connect("sim", image) as board:
        result = board.run(given, record=("spikes",))
    assert sl.count_result(network(), given, result) == sl.count(network(), given)


def run(seeds: range, timed: bool = False) -> Counter[str]:
    """Verify random networks on the one array, if asked for their cycles too; returns what they had."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        net = in_space_network(seed, NUMERICS.profile, NUMERICS.weight_bits, NUMERICS, spike_bits=4)
        try:
            image = sl.compile(net, ARRAY)
        except FitError as error:
            seen[f"does not fit: {error.parameter}"] += 1
            continue
        given = random_samples(net, seed, samples=1, ticks=8)
        found = sl.verify(image, given)
        assert found.count == 0, (seed, found.first)
        if timed:
            assert np.array_equal(predicted(image, given), measured(image, given)), seed
        golden = sl.golden.run(net, given)
        seen["networks"] += 1
        for p in net.populations:
            spikes = golden.populations[p.name].spikes
            sent = {e.name for e in net.projections if e.source == p.name and (e.convolution or e.pool)}
            seen["several"] += bool(spikes.max(initial=0) > 1)
            seen["several through space"] += bool(spikes.max(initial=0) > 1 and sent)
            seen["all that the bits can tell"] += bool(p.graded and spikes.max(initial=0) == p.max_count)
            seen["one at most"] += not p.graded
    return seen


def check(seen: Counter[str], networks: int) -> None:
    assert seen["networks"] >= 0.7 * networks, seen
    for what in ("several", "several through space", "all that the bits can tell", "one at most"):
        assert seen[what] >= networks / 10, (what, seen)


def test_no_difference_in_random_networks() -> None:
    check(run(range(20), timed=True), 20)


@pytest.mark.full
def test_no_difference_in_many_random_networks() -> None:
    check(run(range(1000, 1200)), 200)


def iaf(size: int, threshold: float) -> nir.IF:
    return nir.IF(np.ones(size), np.full(size, threshold), metadata={"spikeloom.v_min": -threshold})


def test_a_network_of_sinabs_from_file_to_gateware() -> None:
    """Whole weights of full scale and whole thresholds: nothing is rounded, so each number is what sinabs sends."""
    rng = np.random.default_rng(3)
    weights = [rng.integers(-90, 128, shape) for shape in ((12, 8), (5, 12))]
    for w in weights:
        w[:, 0] = 127  # the quantiser's scale is then 1
    graph = nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array([8])}),
            "w1": nir.Linear(weights[0].astype(float)), "n1": iaf(12, 60.0),
            "w2": nir.Linear(weights[1].astype(float)), "n2": iaf(5, 500.0),
            "output": nir.Output({"output": np.array([5])}),
        },
        [("input", "w1"), ("w1", "n1"), ("n1", "w2"), ("w2", "n2"), ("n2", "output")],
        type_check=False,
    )  # fmt: skip
    x = (rng.random((3, 15, 8)) < 0.4).astype(np.uint8)
    quantised = sl.quantise(sl.load(graph, dt=1, reset="subtract", fire="multi"), x, numerics=NUMERICS)
    bits = {p.name: p.spike_bits for p in quantised.populations}
    want = sinabs_iaf(weights, (60.0, 500.0), x)
    assert bits == {"n1": int(want[0].max()).bit_length(), "n2": int(want[1].max()).bit_length()}
    sized = sl.compile(quantised, "auto:1x1:4").config
    assert (sized.core.spike_bits, sized.payload_bits) == (max(bits.values()),) * 2
    golden = sl.golden.run(quantised, x)
    for name, spikes in zip(("n1", "n2"), want, strict=True):
        assert spikes.max() > 1
        assert np.array_equal(golden.populations[name].spikes, spikes)
    found = sl.verify(sl.compile(quantised, ARRAY), x)
    assert found.count == 0, found.first


def sinabs_iaf(weights: list[np.ndarray], thresholds: tuple[float, ...], x: np.ndarray) -> list[np.ndarray]:
    """sinabs 3.1.3's IAF with MultiSpike and MembraneSubtract, written down once more: spikes of each layer."""
    found = []
    for w, threshold in zip(weights, thresholds, strict=True):
        v, spikes = np.zeros((len(x), len(w))), []
        for tick in range(x.shape[1]):
            v = v + x[:, tick] @ w.T.astype(float)
            n = (v > 0) * np.trunc(v / threshold)
            v = np.maximum(v - n * threshold, -threshold)
            spikes.append(n)
        x = np.stack(spikes, axis=1)
        found.append(x)
    return found


def test_a_tick_at_a_time() -> None:
    """Both steppers give numbers where several may come, and bool elsewhere."""
    net = network()
    image = sl.compile(net, ARRAY, schedule="layered")
    stepping = sl.golden.Stepper(net)
    golden = sl.golden.run(net, samples())
    with sl.connect("sim", image) as board:
        steps = Stepper(board)
        for tick in range(TICKS):
            spikes = {"in": samples()[0, tick]}
            want, got = stepping.step(spikes=spikes), steps.step(spikes=spikes)
            for name in net.outputs.values():
                assert np.array_equal(golden.populations[name].spikes[0, tick], want[name])
                assert np.array_equal(got[name], want[name])
                assert got[name].dtype == want[name].dtype == golden.populations[name].spikes.dtype
