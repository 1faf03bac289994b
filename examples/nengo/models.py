"""Models that Nengo and the array are compared on. Each gives a network, its probe, and what the probe should show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np

SYNAPSE = 0.005
"""Nengo's default synapse."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model; ``ideal(t)`` is what its probe shows without error, from ``start`` on."""

    network: nengo.Network
    probe: nengo.Probe
    ideal: Callable[[np.ndarray], np.ndarray]
    seconds: float
    start: float = 0.0
    spikes: Any = None

    def error(self, simulator: Callable[..., Any], **options: Any) -> float:
        """Root-mean-square error of a run."""
        with simulator(self.network, progress_bar=False, **options) as sim:
            sim.run(self.seconds)
            t, got = sim.trange(), sim.data[self.probe]
        late = t > self.start
        return float(np.sqrt(np.mean((got - self.ideal(t).reshape(got.shape))[late] ** 2)))


def filtered(values: np.ndarray, *taus: float) -> np.ndarray:
    """A signal behind lowpass filters, as Nengo computes them."""
    columns = values.reshape(len(values), -1)
    for tau in taus:
        columns = nengo.Lowpass(tau).filt(columns, dt=0.001, y0=0)
    return columns.reshape(values.shape)


def seed_model(seed: int) -> Case:
    """A sine into 100 LIF neurons, 10 s, probed behind 30 ms."""
    with nengo.Network(seed=seed) as network:
        stimulus = nengo.Node(np.sin)
        ensemble = nengo.Ensemble(100, 1)
        nengo.Connection(stimulus, ensemble)
        probe = nengo.Probe(ensemble, synapse=0.03)
        spikes = nengo.Probe(ensemble.neurons)
    return Case(
        network=network,
        probe=probe,
        ideal=lambda t: filtered(np.sin(t), SYNAPSE, 0.03),
        seconds=10.0,
        spikes=spikes,
    )


def channel(seed: int) -> Case:
    """A communication channel: one ensemble into another."""
    with nengo.Network(seed=seed) as network:
        stimulus = nengo.Node(lambda t: np.sin(2 * np.pi * t))
        a, b = nengo.Ensemble(100, 1), nengo.Ensemble(100, 1)
        nengo.Connection(stimulus, a)
        nengo.Connection(a, b)
        probe = nengo.Probe(b, synapse=0.03)
        spikes = nengo.Probe(b.neurons)
    return Case(
        network=network,
        probe=probe,
        ideal=lambda t: filtered(np.sin(2 * np.pi * t), SYNAPSE, SYNAPSE, 0.03),
        seconds=4.0,
        spikes=spikes,
    )


def product(seed: int) -> Case:
    """The product of two signals, each through an ensemble on the array first."""
    with nengo.Network(seed=seed) as network:
        x, y = nengo.Node(lambda t: np.sin(2 * np.pi * t)), nengo.Node(lambda t: np.cos(np.pi * t))
        a, b = nengo.Ensemble(100, 1), nengo.Ensemble(100, 1)
        both = nengo.networks.Product(200, 1)
        nengo.Connection(x, a)
        nengo.Connection(y, b)
        nengo.Connection(a, both.input_a)
        nengo.Connection(b, both.input_b)
        probe = nengo.Probe(both.output, synapse=0.03)

    def ideal(t: np.ndarray) -> np.ndarray:
        ends = [
            filtered(f(t), SYNAPSE, SYNAPSE) for f in (lambda t: np.sin(2 * np.pi * t), lambda t: np.cos(np.pi * t))
        ]
        return filtered(ends[0] * ends[1], 0.03)

    return Case(network=network, probe=probe, ideal=ideal, seconds=4.0)


def integrator(seed: int) -> Case:
    """A neural integrator of 200 neurons: its recurrent connection has a time constant of 100 ms."""
    with nengo.Network(seed=seed) as network:
        stimulus = nengo.Node(lambda t: 0.8 * np.pi * np.cos(2 * np.pi * t))
        ensemble = nengo.Ensemble(200, 1)
        nengo.Connection(stimulus, ensemble, transform=0.1, synapse=0.1)
        nengo.Connection(ensemble, ensemble, synapse=0.1)
        probe = nengo.Probe(ensemble, synapse=0.03)
    return Case(
        network=network,
        probe=probe,
        ideal=lambda t: filtered(0.4 * np.sin(2 * np.pi * t), 0.03),
        seconds=4.0,
    )


def oscillator(seed: int) -> Case:
    """A harmonic oscillator at 10 rad/s, kicked once: the error of its radius, since its phase is free."""
    with nengo.Network(seed=seed) as network:
        kick = nengo.Node(lambda t: 10.0 * (t < 0.1))
        ensemble = nengo.Ensemble(200, 2)
        nengo.Connection(kick, ensemble[0], transform=0.1, synapse=0.1)
        nengo.Connection(ensemble, ensemble, transform=[[1, -1], [1, 1]], synapse=0.1)
        node = nengo.Node(lambda t, x: float(np.hypot(*x)), size_in=2)
        nengo.Connection(ensemble, node, synapse=0.03)
        probe = nengo.Probe(node)
    return Case(network=network, probe=probe, ideal=np.ones_like, seconds=4.0, start=1.0)


def learned_channel(seed: int) -> Case:
    """A channel from zero decoders, taught by PES with the error of an ensemble of its own; measured after 5 s."""
    with nengo.Network(seed=seed) as network:
        stimulus = nengo.Node(lambda t: np.sin(2 * np.pi * t))
        pre, post, error = nengo.Ensemble(100, 1), nengo.Ensemble(100, 1), nengo.Ensemble(100, 1)
        nengo.Connection(stimulus, pre)
        learned = nengo.Connection(
            pre, post, function=lambda x: [0.0], learning_rule_type=nengo.PES(learning_rate=1e-4)
        )
        nengo.Connection(post, error)
        nengo.Connection(pre, error, transform=-1)
        nengo.Connection(error, learned.learning_rule)
        probe = nengo.Probe(post, synapse=0.03)
    return Case(
        network=network,
        probe=probe,
        ideal=lambda t: filtered(np.sin(2 * np.pi * t), SYNAPSE, SYNAPSE, 0.03),
        seconds=8.0,
        start=5.0,
    )


CASES = {
    "communication channel": channel,
    "product": product,
    "integrator": integrator,
    "oscillator": oscillator,
    "PES-learned channel": learned_channel,
}
