"""Golden model and boards a tick at a time: the same as whole runs, and as each other."""

import numpy as np
import pytest

from spikeloom.compiler.compile import compile
from spikeloom.contract.errors import ConfigError, SampleError
from spikeloom.contract.network import InputKind, Population, Projection, QuantisedNetwork
from spikeloom.contract.neuron import Reset
from spikeloom.contract.numerics import Profile
from spikeloom.driver.board import Board
from spikeloom.driver.stepper import Stepper
from spikeloom_sim import golden

from .model_array import ModelArray
from .random_networks import random_network, random_samples


def whole_and_stepped(network: QuantisedNetwork, samples: dict[str, np.ndarray]) -> int:
    """Spikes and states of a whole run against those tick by tick; gives how many spikes were compared."""
    whole = golden.run(network, samples, record=("u", "v", "r"))
    stepper = golden.Stepper(network)
    kinds = {i.name: i.kind for i in network.inputs}
    for n in range(len(next(iter(samples.values())))):
        stepper.reset()
        for tick in range(next(iter(samples.values())).shape[1]):
            now = {name: array[n, tick].reshape(-1) for name, array in samples.items()}
            biases = {p.name: np.array(p.bias) for p in network.populations}
            for drive in network.drives:
                biases[drive.target] += drive.biases(now[drive.source])
            spikes = stepper.step(biases, {k: v for k, v in now.items() if kinds[k] is not InputKind.CURRENTS})
            for name, expected in whole.populations.items():
                assert np.array_equal(spikes[name], expected.spikes[n, tick]), (name, n, tick)
                for state, values in stepper.state(name).items():
                    assert np.array_equal(values, getattr(expected, state)[n, tick]), (name, state, n, tick)
    return int(sum(p.spikes.sum() for p in whole.populations.values()))


def test_stepping_is_running() -> None:
    total = 0
    for seed in range(12):
        network = random_network(seed, Profile.SPIKELOOM)
        total += whole_and_stepped(network, random_samples(network, seed))
    assert total > 100


def test_a_late_spike_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = golden.Stepper._send

    def late(self, source, spikes):
        self.tick += 1
        honest(self, source, spikes)
        self.tick -= 1

    monkeypatch.setattr(golden.Stepper, "_send", late)
    with pytest.raises(AssertionError):
        test_stepping_is_running()


def loop(delay: int = 1) -> QuantisedNetwork:
    """Two populations on two cores, one behind the other and back."""
    rng = np.random.default_rng(5)
    shared = {"v_min": 0, "refractory": 1, "beta": 3900, "alpha": 2000}
    return QuantisedNetwork(
        inputs=[],
        populations=[
            Population(name="a", shape=(21,), theta=800, bias=rng.integers(20, 90, 21), **shared),
            Population(name="b", shape=(9,), theta=900, v_sub=700, reset=Reset.SUBTRACT, **shared),
        ],
        projections=[
            Projection(source="a", target="b", weights=rng.integers(-9, 60, (9, 21)), delay=delay),
            Projection(source="b", target="a", weights=rng.integers(-60, 60, (21, 9)), delay=1),
        ],
        outputs={"a": "a", "b": "b"},
    )


@pytest.mark.parametrize(("delay", "schedule"), [(1, "pipelined"), (0, "layered")])
def test_a_board_steps_as_the_golden_model(delay: int, schedule: str) -> None:
    network = loop(delay)
    image = compile(network, "auto:2x1:4", schedule)
    board, model = Stepper(Board(ModelArray(image.config), image)), golden.Stepper(network)
    rng = np.random.default_rng(8)
    fired = 0
    for run in range(2):
        for stepper in (board, model):
            stepper.reset()
            stepper.set_state("a", v=np.arange(21) * 30, r=np.arange(21) % 3)
        for tick in range(30):
            biases = {"a": rng.integers(-50, 150, 21)} if tick % 3 == 0 else {}
            got, want = board.step(biases), model.step(biases)
            for name in ("a", "b"):
                assert np.array_equal(got[name], want[name]), (run, tick, name)
                fired += int(want[name].sum())
                for state, values in model.state(name).items():
                    assert np.array_equal(board.state(name)[state], values), (run, tick, name, state)
    assert fired > 50
    assert len(board.cycles) == 29
    board.close()


def test_what_cannot_be_stepped_is_refused() -> None:
    network = loop(0)
    forward = {"projections": network.projections[:1], "outputs": {"b": "b"}}
    chain = QuantisedNetwork(inputs=[], populations=network.populations, **forward)
    image = compile(chain, "auto:1x1:4", "pipelined")
    board = Board(ModelArray(image.config), image)
    with pytest.raises(ConfigError, match="ticks behind its input"):
        Stepper(board)
    stepper = golden.Stepper(network)
    with pytest.raises(SampleError, match="population a: a bias of"):
        stepper.step({"a": np.full(21, 1 << 30)})
    with pytest.raises(ConfigError, match="no state 'w'"):
        stepper.set_state("a", w=np.zeros(21))
