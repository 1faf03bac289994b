"""Quantised networks as NIR and back: the same integers, and in other hands the same spikes."""

from dataclasses import fields
from pathlib import Path

import nir
import numpy as np
import pytest
from hypothesis import assume, given, settings
from random_networks import in_space_network, profiles, random_network, random_samples, seeds

import spikeloom as sl
from spikeloom.compiler.nir_export import beyond, export_nir
from spikeloom.compiler.nir_import import load
from spikeloom.compiler.nir_quantised import import_quantised, is_quantised
from spikeloom.contract.errors import NetworkError
from spikeloom.contract.network import InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.neuron import Reset
from spikeloom.contract.numerics import Numerics, Profile


def differences(a: QuantisedNetwork, b: QuantisedNetwork) -> list[str]:
    """Names of what differs; the reports do not count."""
    found = [f.name for f in fields(a) if f.name in ("numerics", "inputs", "outputs") and _plain(a, b, f.name)]
    found += ["states"] if list(a.states) != list(b.states) else []
    left, right = a.to_arrays(), b.to_arrays()
    found += sorted(set(left) ^ set(right))
    return found + [
        name for name in sorted(set(left) & set(right)) if name != "network" and (left[name] != right[name]).any()
    ]


def _plain(a: QuantisedNetwork, b: QuantisedNetwork, name: str) -> bool:
    x, y = getattr(a, name), getattr(b, name)
    if name == "inputs":
        return [(i.name, i.shape, i.kind, i.max_count) for i in x] != [
            (i.name, i.shape, i.kind, i.max_count) for i in y
        ]
    return x != y


def drawn(seed: int, profile: Profile) -> QuantisedNetwork:
    make = in_space_network if seed % 3 == 0 else random_network
    return make(seed, profile)


def exports(network: QuantisedNetwork) -> bool:
    """Whether no current goes past a synaptic current: that is the one thing that no graph can say."""
    return not any(np.asarray(network.population(d.target).alpha).any() for d in network.drives)


@given(seed=seeds, profile=profiles)
@settings(deadline=None, max_examples=25)
def test_the_same_integers_come_back(tmp_path_factory: pytest.TempPathFactory, seed: int, profile: Profile) -> None:
    network = drawn(seed, profile)
    path = tmp_path_factory.mktemp("nir") / "net.nir"
    assume(exports(network))
    export_nir(network, path)
    assert differences(network, import_quantised(path)) == []


@pytest.mark.full
@given(seed=seeds, profile=profiles)
@settings(deadline=None, max_examples=1500)
def test_the_same_integers_come_back_many(seed: int, profile: Profile) -> None:
    network = drawn(seed, profile)
    assume(exports(network))
    assert differences(network, import_quantised(export_nir(network, dt=1.0))) == []


def never_rounds(network: QuantisedNetwork) -> QuantisedNetwork:
    """The same network with decays of 0 and 1, and states that nothing saturates."""
    q = Numerics(weight_bits=8, fraction_bits=network.numerics.fraction_bits, accumulator_bits=24, state_bits=32)
    populations = [
        Population(
            name=p.name, shape=p.shape, alpha=(p.alpha > 3950) * 4096, beta=(p.beta > 2500) * 4096, theta=p.theta,
            v_min=np.minimum(p.v_min, -1), v_reset=p.v_reset, v_sub=p.v_sub, reset=p.reset, refractory=p.refractory,
            bias=p.bias, bias_u=p.bias_u,
        )
        for p in network.populations
    ]  # fmt: skip
    return QuantisedNetwork(
        numerics=q, inputs=network.inputs, populations=populations, projections=network.projections,
        outputs=network.outputs, states=network.states,
    )  # fmt: skip


@given(seed=seeds)
@settings(deadline=None, max_examples=25)
def test_the_graph_in_real_numbers_gives_the_same_states(seed: int) -> None:
    """Where nothing is rounded, the float reference of the exported graph is the golden model."""
    with_drives = drawn(seed, Profile.SPIKELOOM)
    assume(not with_drives.drives)
    network = never_rounds(with_drives)
    x = random_samples(network, seed, ticks=7)
    golden = sl.golden.run(network, x, record=("v",))
    assert not any(s.any() for s in golden.saturations.values())
    graph = export_nir(network)
    given_x = {n: a.reshape(*a.shape[:2], *graph.nodes[n].input_type["input"]) for n, a in x.items()}
    run = sl.reference.run(load(graph), given_x, record=("v",))
    for name, want in golden.populations.items():
        assert (run.populations[name].spikes == want.spikes).all(), name
        np.testing.assert_allclose(run.populations[name].v, want.v, atol=1e-6, rtol=0)


def test_a_current_past_a_current_is_refused() -> None:
    network = next(n for n in (random_network(seed, Profile.SPIKELOOM) for seed in range(1000)) if not exports(n))
    with pytest.raises(NetworkError, match=r"drive currents -> .*past the synaptic current"):
        export_nir(network)


def small() -> QuantisedNetwork:
    """One population with a loop, one that is read."""
    q = Numerics()
    hidden = Population(
        name="hidden", shape=(4,), alpha=2048, beta=3686, theta=900, v_min=-5000, v_sub=800, reset=Reset.SUBTRACT,
        refractory=2, bias=3, bias_u=-2,
    )  # fmt: skip
    read = Population(name="read", shape=(2,), beta=4000, theta=q.state_max, v_min=q.state_min, reset=Reset.NONE)
    rng = np.random.default_rng(5)
    return QuantisedNetwork(
        numerics=q, inputs=[InputPopulation(name="in", shape=(3,))], populations=[hidden, read],
        projections=[
            Projection(source="in", target="hidden", weights=rng.integers(-90, 91, (4, 3)), delay=2),
            Projection(source="hidden", target="hidden", weights=rng.integers(-90, 91, (4, 4)), delay=1),
            Projection(source="hidden", target="read", weights=rng.integers(-90, 91, (2, 4))),
        ],
        outputs={"out": "read"}, states=["out"],
    )  # fmt: skip


def test_nodes_are_what_nir_means() -> None:
    graph = export_nir(small(), dt=1e-4)
    hidden, read = graph.nodes["hidden"], graph.nodes["read"]
    assert (type(hidden).__name__, type(read).__name__) == ("CubaLIF", "LI")
    np.testing.assert_allclose(1 - 1e-4 / hidden.tau_mem, 3686 / 4096)
    np.testing.assert_allclose(1 - 1e-4 / hidden.tau_syn, 0.5)
    np.testing.assert_allclose(hidden.v_threshold, 900)
    np.testing.assert_allclose(hidden.v_leak * 1e-4 / hidden.tau_mem, 3)
    (delay,) = (n for n in graph.nodes.values() if isinstance(n, nir.Delay))
    np.testing.assert_allclose(delay.delay, 2e-4)  # the loop's own tick is no Delay: every reader adds it
    assert beyond(small()) == [
        "hidden: reset subtract; v_min; refractory; v_sub other than the threshold; decays, rounded after each tick",
        "read: decays, rounded after each tick",
    ]


def test_an_edited_graph_is_refused(tmp_path) -> None:
    graph = export_nir(small())
    assert is_quantised(graph)
    graph.nodes["hidden"].v_threshold = graph.nodes["hidden"].v_threshold + 0.25
    with pytest.raises(NetworkError, match=r"changed since its export: node hidden \(CubaLIF\): v_threshold"):
        import_quantised(graph)
    graph = export_nir(small())
    graph.edges = graph.edges[:-1]
    with pytest.raises(NetworkError, match="changed since its export: edge"):
        import_quantised(graph)
    graph = export_nir(small())
    del graph.nodes["read"]
    with pytest.raises(NetworkError, match="changed since its export"):
        import_quantised(graph)


def test_a_network_in_real_numbers_is_none() -> None:
    graph = nir.NIRGraph({"in": nir.Input({"input": np.array([1])})}, [], type_check=False)
    assert not is_quantised(graph)
    with pytest.raises(NetworkError, match=r"no metadata spikeloom\.network"):
        import_quantised(graph)


def test_names_that_files_cannot_hold() -> None:
    network = small()
    renamed = QuantisedNetwork(
        numerics=network.numerics, inputs=[InputPopulation(name="a/b", shape=(3,))],
        populations=network.populations[1:],
        projections=[Projection(source="a/b", target="read", weights=np.ones((2, 3), dtype=int))],
        outputs={"out": "read"},
    )  # fmt: skip
    with pytest.raises(NetworkError, match="a/b: a NIR file cannot hold a '/'"):
        export_nir(renamed)


@pytest.mark.full
@pytest.mark.parametrize(("name", "most"), [("digits", 0.002), ("speech", 0.05), ("digits_direct", 0.0)])
def test_rounded_decays_are_all_that_others_miss(name: str, most: float) -> None:
    """The exported examples in real numbers: few spikes differ from the golden model's, and no decision."""
    folder = Path(__file__).parents[2] / "examples" / name
    with np.load(folder / "samples.npz") as file:
        x, kind = file["spikes" if "spikes" in file else "x"][:50], str(file["kind"]) if "kind" in file else None
    quantised = sl.quantise(load(folder / f"{name}.nir"), x, weight_bits=8, input_kind=kind)
    exported = load(export_nir(quantised))
    golden = sl.golden.run(quantised, x)
    run = sl.reference.run(exported, x.reshape(*x.shape[:2], *exported.inputs[0].shape))
    differ = sum((p.spikes != run.populations[n].spikes).sum() for n, p in golden.populations.items())
    spikes = sum(p.spikes.sum() for p in golden.populations.values())
    print(f"{name}: {differ} of {spikes} spikes differ")
    assert spikes > 1000
    assert differ <= most * spikes

    def decided(result) -> np.ndarray:
        scores = result.counts if result.counts is not None else result.v[:, -1]
        return np.asarray(scores).reshape(len(x), -1).argmax(axis=1)

    assert (decided(golden) == decided(run)).all()
