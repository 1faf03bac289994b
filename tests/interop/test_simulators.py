"""Random NIR graphs in Norse, snnTorch and sinabs, and in the float reference: the same spikes, all of them.

A graph is drawn from what a simulator reads without changing the meaning; docs/imports.md says what that leaves out.
"""

from collections import Counter

import nir
import numpy as np
import pytest
import simulators
from chains import draw, samples
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import spikeloom as sl
from spikeloom.compiler.nir_export import beyond, export_nir

pytestmark = pytest.mark.full

seeds = st.integers(0, 1 << 32)
DT = 0.25
SNNTORCH_DT = 1e-4
several: Counter[str] = Counter()
"""Graphs in which some neuron sent several spikes in a tick, by kind of neuron."""
many = settings(deadline=None, max_examples=200)


def ours(graph: nir.NIRGraph, x: np.ndarray, **readings: object) -> np.ndarray:
    run = sl.reference.run(sl.load(graph, **readings), x[None])
    return run.spikes[0].reshape(len(x), -1)


@given(seed=seeds)
@many
def test_norse(seed: int) -> None:
    graph = draw(seed, ("IF", "LIF", "CubaLIF"), DT)
    x = samples(graph, seed)
    assert (ours(graph, x, dt=DT) == simulators.run_norse(graph, x, DT)).all()


@given(seed=seeds)
@many
def test_norse_with_loops(seed: int) -> None:
    """Recurrence arrives in the next tick there as here."""
    graph = draw(seed, ("IF", "LIF", "CubaLIF"), DT, loops=True)
    x = samples(graph, seed)
    assert (ours(graph, x, dt=DT) == simulators.run_norse(graph, x, DT)).all()


@given(seed=seeds)
@many
def test_snntorch(seed: int) -> None:
    graph = draw(seed, ("LIF", "CubaLIF"), SNNTORCH_DT, uniform=True)
    x = samples(graph, seed)
    assert (ours(graph, x, dt=SNNTORCH_DT) == simulators.run_snntorch(graph, x)).all()


@given(seed=seeds)
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.filter_too_much])
def test_sinabs(seed: int) -> None:
    """IF as sinabs has it: subtraction, ``>=``, a floor of minus the threshold; while one spike a tick is enough."""
    graph = draw(seed, ("IF",), 1.0, thresholds=(2.0, 4.0))
    x = samples(graph, seed)
    theirs = simulators.run_sinabs(graph, x)
    for node in graph.nodes.values():
        if isinstance(node, nir.IF):
            node.metadata = {"spikeloom.v_min": -node.v_threshold}
    run = sl.reference.run(sl.load(graph, reset="subtract", fire=">="), x[None], record=("v",))
    assume(_one_spike_is_enough(run, graph))
    assert (run.spikes[0].reshape(len(x), -1) == theirs).all()


@given(seed=seeds)
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.filter_too_much])
def test_sinabs_lif(seed: int) -> None:
    """LIF as sinabs has it: exponential decay, time constants in ticks, a gain of 1.

    Its decays are in single precision: samples that come close to a threshold are left out.
    """
    graph = draw(seed, ("LIF",), 1.0, thresholds=(2.0, 4.0), flat=True)  # its import refuses a LIF in space
    for node in graph.nodes.values():
        if isinstance(node, nir.LIF):
            node.r = node.tau.copy()
    x = samples(graph, seed)
    theirs = simulators.run_sinabs(graph, x)
    readings = {"dt": 1.0, "decay": "exact_decay", "reset": "subtract", "fire": ">="}
    run = sl.reference.run(sl.load(graph, **readings), x[None], record=("v",))
    assume(_one_spike_is_enough(run, graph, margin=1e-4))
    assert (run.spikes[0].reshape(len(x), -1) == theirs).all()


@pytest.mark.parametrize("kind", ["IF", "LIF"])
@given(seed=seeds)
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.filter_too_much])
def test_sinabs_with_several_spikes(kind: str, seed: int) -> None:
    """All that sinabs sends, also several spikes of a neuron in one tick; of LIF, samples away from thresholds."""
    graph = draw(seed, (kind,), 1.0, thresholds=(1.0, 2.0, 4.0), flat=kind == "LIF")  # its import refuses others
    for node in graph.nodes.values():
        if isinstance(node, nir.LIF):
            node.r = node.tau.copy()
        elif isinstance(node, nir.IF):
            node.metadata = {"spikeloom.v_min": -node.v_threshold}
    x = samples(graph, seed)
    theirs = simulators.run_sinabs(graph, x)
    readings = {"dt": 1.0, "decay": "exact_decay", "reset": "subtract", "fire": "multi"}
    run = sl.reference.run(sl.load(graph, **readings), x[None], record=("v",))
    for name, p in run.populations.items() if kind == "LIF" else ():
        left = p.v[0] / graph.nodes[name].v_threshold.reshape(-1)
        assume((left < 1 - 1e-4).all() and not ((left < 1e-4) & (p.spikes[0] > 0)).any())
    several["graphs"] += 1
    several[kind] += any(p.spikes.max() > 1 for p in run.populations.values())
    assert (run.spikes[0].reshape(len(x), -1) == theirs).all()


def test_sinabs_sent_several_spikes() -> None:
    """The graphs of the test before, which ran in this process."""
    assert not several["graphs"] or min(several["IF"], several["LIF"]) > several["graphs"] / 8, several


def _one_spike_is_enough(run: object, graph: nir.NIRGraph, margin: float = 0.0) -> bool:
    """Whether no potential is left above its threshold, which sinabs would have sent as further spikes.

    ``margin``: nor is any that close below it, or was it that close above it when it fired.
    """
    return all(
        (p.v[0] < graph.nodes[name].v_threshold.reshape(-1) - margin).all()
        and not ((p.v[0] < margin) & (p.v[0] >= 0) & p.spikes[0] & (margin > 0)).any()
        for name, p in run.populations.items()  # type: ignore[attr-defined]
    )


@given(seed=seeds)
@settings(deadline=None, max_examples=100)
def test_exported_integers_in_norse(seed: int) -> None:
    """An exported network of IF neurons: Norse on it in single precision is the golden model, integer for integer."""
    graph = draw(seed, ("IF",), 1.0, biases=False)
    x = samples(graph, seed)
    quantised = sl.quantise(sl.load(graph), x[None], weight_bits=8)
    golden = sl.golden.run(quantised, x[None])
    exported = export_nir(quantised, dt=DT)
    assert beyond(quantised) == []
    theirs = simulators.run_norse(exported, x, DT)
    assert (golden.spikes[0].reshape(len(x), -1) == theirs).all()


@pytest.mark.parametrize("simulator", ["norse", "snntorch", "sinabs"])
def test_draws_spike_and_faults_are_found(simulator: str) -> None:
    """Most draws spike at their end, and a threshold that is a little wrong is seen in some of them."""
    active, found = 0, 0
    for seed in range(30):
        kinds = {"norse": ("IF", "LIF", "CubaLIF"), "snntorch": ("LIF", "CubaLIF"), "sinabs": ("IF",)}[simulator]
        dt = {"norse": DT, "snntorch": SNNTORCH_DT, "sinabs": 1.0}[simulator]
        graph = draw(seed, kinds, dt, uniform=simulator == "snntorch")
        x = samples(graph, seed)
        run = getattr(simulators, f"run_{simulator}")
        right = run(graph, x, dt) if simulator == "norse" else run(graph, x)
        active += bool(right.any())
        for node in graph.nodes.values():
            if hasattr(node, "v_threshold"):
                node.v_threshold = node.v_threshold + 0.25
        wrong = run(graph, x, dt) if simulator == "norse" else run(graph, x)
        found += bool((right != wrong).any())
    assert active >= 20
    assert found >= 10
