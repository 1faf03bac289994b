"""Whole random graphs: import and float reference against the same graph node by node, nothing folded."""

from pathlib import Path

import naive_graph
import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import DT, RandomGraph, random_graph, random_samples

import spikeloom as sl
from spikeloom import reference
from spikeloom.compiler.graph import Network
from spikeloom.compiler.nir_import import load

seeds = st.integers(0, 1 << 32)


def loops(network: Network) -> set[tuple[str, str]]:
    """Pairs of populations whose connection the importer took to close a loop."""
    pairs = [pair.split(" -> ") for a in network.assumptions if a.origin == "it closes a loop" for pair in a.nodes]
    return {(source, target) for source, target in pairs}


def compare(made: RandomGraph, network: Network, x: dict[str, np.ndarray]) -> str:
    """Every output at every tick; says where the first difference is, or nothing."""
    closing = loops(network)
    if closing & made.mixed:  # part of it late by the loop, part by its Delay: the naive run has no edge for that
        return ""
    want = naive_graph.run(made.graph(), made.late_edges(closing), x, DT)
    run = reference.run(network, {name: samples[None] for name, samples in x.items()})
    for name in network.outputs:
        shown = run.v if name in network.states else run.spikes
        got = (shown[name] if isinstance(shown, dict) else shown)[0]
        if got.shape != want[name].shape or (got != want[name]).any():
            return f"output {name}: {got.tolist()} where {want[name].tolist()}"
    return ""


def draw(seed: int) -> tuple[RandomGraph, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    made = random_graph(rng)
    return made, random_samples(rng, made)


@given(seed=seeds)
@settings(deadline=None, max_examples=40)
def test_reference_is_the_graph(seed: int) -> None:
    made, x = draw(seed)
    assert compare(made, load(made.graph(), dt=DT), x) == ""


@pytest.mark.full
@given(seed=seeds)
@settings(deadline=None, max_examples=2000)
def test_reference_is_the_graph_many(seed: int) -> None:
    made, x = draw(seed)
    assert compare(made, load(made.graph(), dt=DT), x) == ""


@given(seed=seeds)
@settings(deadline=None, max_examples=10)
def test_files_keep_the_graph(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    made, x = draw(seed)
    path: Path = tmp_path_factory.mktemp("nir") / "net.nir"
    nir.write(path, made.graph(dt=DT))
    assert compare(made, load(path), x) == ""


def test_draws_have_everything() -> None:
    """Else the tests above would prove little."""
    kinds, several, delays, closed, shown = set(), 0, 0, 0, 0
    for seed in range(60):
        made, x = draw(seed)
        network = load(made.graph(), dt=DT)
        kinds |= {type(node).__name__ for node in made.nodes.values()}
        several += len(network.inputs) > 1 and len(network.outputs) > 1
        delays += any(e.delay > 1 for e in network.projections)
        closed += bool(loops(network))
        run = reference.run(network, {name: samples[None] for name, samples in x.items()})
        shown += any(p.spikes.any() and not p.spikes.all() for p in run.populations.values())
    assert {"I", "LI", "CubaLI", "IF", "LIF", "CubaLIF", "Threshold", "Delay", "Scale", "Affine", "Linear"} <= kinds
    assert {"Conv2d", "Flatten", "Input", "Output"} <= kinds
    assert min(several, delays, closed) > 5
    assert shown > 50


@pytest.mark.parametrize("fault", ["delay", "weight", "v_leak", "late"])
def test_planted_faults_are_found(fault: str) -> None:
    """A network that is imported a little wrong differs somewhere in some draws."""
    found = 0
    for seed in range(12):
        made, x = draw(seed)
        network = load(made.graph(), dt=DT)
        if fault == "late":
            made.first = {pair: edges if pair[0] != pair[1] else [] for pair, edges in made.first.items()}
        for node in made.nodes.values():
            if fault == "delay" and isinstance(node, nir.Delay):
                node.delay = node.delay + DT
            elif fault == "weight" and isinstance(node, nir.Linear | nir.Affine):
                node.weight = node.weight + 0.25
            elif fault == "v_leak" and hasattr(node, "v_leak"):
                node.v_leak = node.v_leak + 0.25
        try:
            found += compare(made, network, x) != ""
        except AssertionError:  # a loop that is not late any more
            found += 1
    assert found > 0


def test_golden_in_16_bits_is_close_and_maps() -> None:
    """The whole way: import, quantise, run in integers, compile for one core and for four."""
    spikes, differ = 0, 0
    for seed in range(8):
        made, x = draw(seed)
        network = load(made.graph(), dt=DT)
        samples = {name: a[None] for name, a in x.items()}
        quantised = sl.quantise(network, samples, weight_bits=16)
        want, got = reference.run(network, samples), sl.golden.run(quantised, samples)
        spikes += sum(int(p.spikes.sum()) for p in want.populations.values())
        differ += sum(int((p.spikes != got.populations[name].spikes).sum()) for name, p in want.populations.items())
        for target in ("auto", "auto:2x2"):
            assert sl.compile(quantised, target).network is quantised
    assert spikes > 100
    assert differ < 0.05 * spikes
