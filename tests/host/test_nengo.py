"""Nengo models on the golden model and on the array's model: errors, the split, refusals."""

import pickle

import nengo
import numpy as np
import pytest

import spikeloom.nengo
from spikeloom.contract.errors import FitError
from spikeloom.driver.board import Board
from spikeloom.nengo import backend
from spikeloom.nengo.neurons import array_neuron

from .model_array import ModelArray


@pytest.fixture(autouse=True)
def no_cache():
    """Nengo's cache of decoders lies in the home directory."""
    before = nengo.rc.get("decoder_cache", "enabled")
    nengo.rc.set("decoder_cache", "enabled", "False")
    yield
    nengo.rc.set("decoder_cache", "enabled", before)


def run(network: nengo.Network, ticks: int, simulator=spikeloom.nengo.Simulator, **options):
    with simulator(network, progress_bar=False, **options) as sim:
        sim.run_steps(ticks)
    return sim


def sine(seed: int, neurons: int = 100):
    """A sine into an ensemble, its decoded value and its spikes."""
    with nengo.Network(seed=seed) as network:
        stimulus = nengo.Node(lambda t: np.sin(2 * np.pi * t))
        ensemble = nengo.Ensemble(neurons, 1)
        nengo.Connection(stimulus, ensemble)
        probes = nengo.Probe(ensemble, synapse=0.03), nengo.Probe(ensemble.neurons)
    return network, ensemble, probes


def error(sim, probe, *taus: float) -> float:
    ideal = np.sin(2 * np.pi * sim.trange())[:, None]
    for tau in taus:
        ideal = nengo.Lowpass(tau).filt(ideal, dt=0.001, y0=0)
    return float(np.sqrt(np.mean((sim.data[probe] - ideal) ** 2)))


def test_errors_are_near_those_of_nengo() -> None:
    errors = {nengo.Simulator: [], spikeloom.nengo.Simulator: []}
    for seed in range(3):
        network, _, (probe, _) = sine(seed)
        for simulator, found in errors.items():
            found.append(error(run(network, 500, simulator), probe, 0.005, 0.03))
    reference, array = (np.mean(found) for found in errors.values())
    assert array <= 1.25 * reference
    assert reference < 0.02


def counts_away(currents: np.ndarray, ticks: int) -> float:
    """Largest difference of spike counts under constant currents from the closed form."""
    neuron = nengo.LIF(initial_state={"voltage": nengo.dists.Choice([0])})
    with nengo.Network(seed=1) as network:
        ones = np.ones(len(currents))
        ensemble = nengo.Ensemble(
            len(currents), 1, gain=ones, bias=currents, encoders=ones[:, None], neuron_type=neuron
        )
        probe = nengo.Probe(ensemble.neurons)
    counts = (run(network, ticks).data[probe] > 0).sum(axis=0)
    return float(np.abs(counts - array_neuron(neuron, 0.001).rates(currents) * ticks * 0.001).max())


def test_rates_are_the_closed_form_in_whole_ticks() -> None:
    assert counts_away(np.concatenate([np.linspace(0.5, 3, 40), np.linspace(3, 40, 40)]), 1000) <= 1


def test_a_wrong_refractory_period_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from spikeloom.nengo import quantise

    honest = quantise.Population
    monkeypatch.setattr(quantise, "Population", lambda **given: honest(**given | {"refractory": 1}))
    assert counts_away(np.linspace(1.5, 10, 20), 1000) > 1


def mixed():
    """A model with a bit of everything that has to be told apart."""
    with nengo.Network(seed=3) as network:
        stimulus = nengo.Node([0.5])
        a, b, c = (nengo.Ensemble(30, 1, label=name) for name in "abc")
        rate = nengo.Ensemble(30, 1, neuron_type=nengo.LIFRate(), label="rate")
        watched = nengo.Ensemble(30, 1, label="watched")
        nengo.Probe(watched, "input")
        connections = {
            "currents": nengo.Connection(stimulus, a),
            "filtered": nengo.Connection(a, b),
            "recurrent": nengo.Connection(b, b),
            "other synapse": nengo.Connection(a[0], b, synapse=0.1, transform=0.5),
            "alpha": nengo.Connection(a, b, synapse=nengo.Alpha(0.01)),
            "neurons": nengo.Connection(a.neurons[:5], c.neurons[3:8], synapse=0.02),
            "to rate": nengo.Connection(a, rate),
            "learned": nengo.Connection(a, c, learning_rule_type=nengo.PES()),
            "probed": nengo.Connection(a, watched),
        }
        nengo.Connection(stimulus, connections["learned"].learning_rule)
    return network, connections


def test_the_split_says_what_runs_where_and_why() -> None:
    network, connections = mixed()
    with spikeloom.nengo.Simulator(network, progress_bar=False) as sim:
        split, text = sim.plan.split, sim.report.text
    there = {name for name, connection in connections.items() if split.on_array(connection)}
    assert there == {"filtered", "recurrent", "neurons"}
    reasons = {name: split.connections[connection].why for name, connection in connections.items()}
    for name, words in {
        "other synapse": "one current",
        "alpha": "its synapse is Alpha",
        "to rate": "is on the host",
        "learned": "its weights learn",
        "probed": "is probed",
    }.items():
        assert words in reasons[name], name
        assert reasons[name] in text, name
    assert "neurons are LIFRate, the array has LIF, AdaptiveLIF, SpikingRectifiedLinear" in text
    assert sim.report.on_array == 4


def test_connections_of_the_array_do_what_those_of_the_host_do() -> None:
    """The same model with all connections on the host: only the rounding of weights differs."""
    with nengo.Network(seed=5) as network:
        stimulus = nengo.Node(lambda t: [np.sin(9 * t), np.cos(9 * t)])
        a, b = nengo.Ensemble(60, 2), nengo.Ensemble(50, 2, neuron_type=nengo.SpikingRectifiedLinear())
        noisy = nengo.Ensemble(40, 2, neuron_type=nengo.PoissonSpiking(nengo.LIFRate()), seed=1)
        nengo.Connection(stimulus, noisy)
        nengo.Connection(noisy, b, transform=0.3)
        product = nengo.networks.Product(60, 1)
        nengo.Connection(stimulus, a)
        nengo.Connection(a, b, function=lambda x: x[::-1], transform=[[0.5, 0], [0, -0.5]])
        nengo.Connection(a[0], product.input_a)
        nengo.Connection(a[1], product.input_b)
        probes = [nengo.Probe(x, synapse=0.05) for x in (b, product.output)]
    array, host = (run(network, 400, seed=2, synapses=size) for size in (1 << 20, 1))
    assert sum(line.place == "array" for line in array.report.connections) == 6
    assert sum(line.place == "array" for line in host.report.connections) == 0
    assert sum(" around " in line.name for line in array.report.connections) == 4
    for probe in probes:
        ours, theirs = array.data[probe], host.data[probe]
        assert np.sqrt(np.mean((ours - theirs) ** 2)) < 0.03
        assert np.abs(theirs).max() > 0.1


def test_adaptation_slows_neurons_as_in_nengo() -> None:
    with nengo.Network(seed=6) as network:
        gain, bias = np.full(20, 2.0), np.linspace(1.5, 4, 20)
        neuron = nengo.AdaptiveLIF(tau_n=0.1, inc_n=0.02)
        ensemble = nengo.Ensemble(20, 1, gain=gain, bias=bias, neuron_type=neuron)
        probe = nengo.Probe(ensemble.neurons)
    early, late = {}, {}
    for simulator in (nengo.Simulator, spikeloom.nengo.Simulator):
        fired = run(network, 600, simulator).data[probe] > 0
        early[simulator], late[simulator] = fired[:50].sum(), fired[300:].sum() / 6
    assert sim_on_array(network) == 1
    for counts in (early, late):
        reference, array = counts.values()
        assert abs(array / reference - 1) < 0.08
    assert late[spikeloom.nengo.Simulator] < 0.8 * early[spikeloom.nengo.Simulator]


def sim_on_array(network: nengo.Network) -> int:
    with spikeloom.nengo.Simulator(network, progress_bar=False) as sim:
        return sim.report.on_array


def taught(seed: int):
    """A channel that PES teaches from zero, and its value."""
    with nengo.Network(seed=seed) as network:
        stimulus = nengo.Node([0.6])
        pre, post = nengo.Ensemble(60, 1), nengo.Ensemble(60, 1)
        rule = nengo.PES(learning_rate=1e-3)
        nengo.Connection(stimulus, pre)
        learned = nengo.Connection(pre, post, function=lambda x: 0 * x, learning_rule_type=rule)
        fault = nengo.Node(size_in=1)
        nengo.Connection(post, fault)
        nengo.Connection(stimulus, fault, transform=-1)
        nengo.Connection(fault, learned.learning_rule)
        probe = nengo.Probe(post, synapse=0.05)
    return network, learned, probe


@pytest.mark.parametrize("where", ["host", "array"])
def test_learning_by_the_host_teaches_the_array(where: str) -> None:
    network, learned, probe = taught(7)
    sim = run(network, 900, learning=where)
    assert sim.plan.split.on_array(learned) == (where == "array")
    values = sim.data[probe]
    assert abs(values[50, 0]) < 0.2
    assert abs(values[-1, 0] - 0.6) < 0.1


def test_learned_weights_are_written_to_a_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "connect", lambda where, image: Board(ModelArray(image.config), image))
    with nengo.Network(seed=12) as network:
        pre, post = nengo.Ensemble(8, 1, bias=np.full(8, 3.0), gain=np.ones(8)), nengo.Ensemble(6, 1)
        rule = nengo.PES(learning_rate=1e-2)
        learned = nengo.Connection(pre, post, function=lambda x: 0 * x, learning_rule_type=rule)
        nengo.Connection(nengo.Node([-1]), learned.learning_rule, synapse=None)
        probes = [nengo.Probe(post.neurons), nengo.Probe(learned, "weights")]
    fired = []
    for name in ("golden", "sim"):
        with spikeloom.nengo.Simulator(network, progress_bar=False, board=name, learning="array", learn_every=5) as sim:
            sim.run_steps(50)
            first = np.array(sim.data[probes[0]])
            sim.reset()
            sim.run_steps(50)
            assert np.array_equal(sim.data[probes[0]], first)
            fired.append(first > 0)
            assert np.ptp(sim.data[probes[1]]) > 0
    assert np.array_equal(*fired)
    assert fired[0].any()
    unwritten = run(network, 50, learning="array", learn_every=1000)
    assert not np.array_equal(unwritten.data[probes[0]] > 0, fired[0])


def test_reset_and_pickle_repeat_a_run() -> None:
    with nengo.Network(seed=8) as network:
        ensemble = nengo.Ensemble(30, 1)
        nengo.Connection(nengo.Node([0.7]), ensemble)
        nengo.Connection(ensemble, ensemble)
        spikes = nengo.Probe(ensemble.neurons)
    with spikeloom.nengo.Simulator(network, seed=1, progress_bar=False) as sim:
        sim.run_steps(60)
        first = np.array(sim.data[spikes])
        sim.reset()
        sim.run_steps(30)
        with pickle.loads(pickle.dumps(sim)) as copy:
            copy.run_steps(30)
            (probe,) = copy.model.probes
            copied = np.array(copy.data[probe])
        sim.run_steps(30)
        assert np.array_equal(sim.data[spikes], first)
    assert np.array_equal(copied, first)
    assert first.any()


def test_an_answer_within_the_tick_comes_one_later_and_is_told() -> None:
    with nengo.Network(seed=9) as network:
        a, b = nengo.Ensemble(30, 1, label="a"), nengo.Ensemble(30, 1, label="b")
        node = nengo.Node(lambda t, x: x, size_in=1)
        nengo.Connection(a, node, synapse=None)
        nengo.Connection(node, b, synapse=None)
    with spikeloom.nengo.Simulator(network, progress_bar=False) as sim:
        sim.run_steps(5)
        remarks = [line.remark for line in sim.report.ensembles]
    assert "one tick late" not in remarks[0]
    assert "one tick late" in remarks[1]


def test_a_board_gives_the_spikes_and_potentials_of_the_golden_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The array's model in plain Python stands for the gateware; ``make nengo`` takes the gateware."""
    monkeypatch.setattr(backend, "connect", lambda where, image: Board(ModelArray(image.config), image))
    with nengo.Network(seed=10) as network:
        stimulus = nengo.Node(lambda t: np.sin(100 * t))
        a, b = nengo.Ensemble(9, 1), nengo.Ensemble(7, 1, neuron_type=nengo.SpikingRectifiedLinear())
        nengo.Connection(stimulus, a, synapse=None)
        nengo.Connection(a, b)
        nengo.Connection(b, a, transform=-0.5)
        host = nengo.Ensemble(8, 1, neuron_type=nengo.RegularSpiking(nengo.RectifiedLinear()))
        nengo.Connection(host, b)  # its spikes are sent, several a tick among them
        probes = [nengo.Probe(a.neurons), nengo.Probe(b.neurons), nengo.Probe(a.neurons, "voltage")]
    golden, board = (run(network, 60, board=name) for name in ("golden", "sim"))
    assert "spikes from the host" in board.report.text
    for probe in probes:
        assert np.array_equal(golden.data[probe], board.data[probe])
        assert golden.data[probe].any()


def test_what_cannot_run_is_refused_before_the_run() -> None:
    with nengo.Network(seed=11) as network:
        rate = nengo.Ensemble(30, 1, neuron_type=nengo.LIFRate(), label="rate")
    with pytest.raises(nengo.exceptions.BuildError, match=r"'rate'.*neurons are LIFRate.*Give it another neuron_type"):
        spikeloom.nengo.Simulator(network, progress_bar=False, array=[rate])
    network, _, _ = sine(11, neurons=400)
    with pytest.raises(FitError, match=r"rows: the network takes 25 rows of 16 lanes.*raise rows to 25"):
        spikeloom.nengo.Simulator(network, progress_bar=False, board="sim", target="ulx3s_85f")
