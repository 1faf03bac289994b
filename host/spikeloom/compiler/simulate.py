"""The network in real numbers, tick by tick: what the float reference shows and the quantiser calibrates on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spikeloom.contract.neuron import Reset

from .graph import FloatPopulation, Network

BATCH = 64
"""Samples computed at a time."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Statistics:
    """What some samples do to a population, ``(size,)`` each.

    Attributes:
        rate: spikes a tick; ``power``: the mean of their square; ``count``: the most of them.
        u_peak: largest magnitude of the current.
        v_high, v_low: extremes of the potential, before the reset.
    """

    rate: np.ndarray
    power: np.ndarray
    count: np.ndarray
    u_peak: np.ndarray
    v_high: np.ndarray
    v_low: np.ndarray


def statistics(network: Network, given: dict[str, np.ndarray]) -> dict[str, Statistics]:
    """Rates and extremes of every population on samples ``(n, ticks, size)`` of each input; keeps no tick."""
    n, ticks = next(iter(given.values())).shape[:2]
    found = {
        p.name: Statistics(**{x: np.zeros(p.size) for x in ("rate", "power", "count", "u_peak", "v_high", "v_low")})
        for p in network.populations
    }
    for first in range(0, n, BATCH):
        part = {key: array[first : first + BATCH] for key, array in given.items()}
        for _, name, state in simulate(network, part):
            s = found[name]
            s.rate[:] += state.spikes.sum(axis=0) / max(1, n * ticks)
            s.power[:] += np.square(state.spikes, dtype=np.float64).sum(axis=0) / max(1, n * ticks)
            np.maximum(s.count, state.spikes.max(axis=0), out=s.count)
            np.maximum(s.u_peak, np.abs(state.u).max(axis=0), out=s.u_peak)
            np.maximum(s.v_high, state.before.max(axis=0), out=s.v_high)
            np.minimum(s.v_low, state.before.min(axis=0), out=s.v_low)
    return found


class State:
    """States of one population for a batch, ``(n, size)`` each.

    ``before`` is the potential before the reset; ``spikes`` are bool, or numbers where several may come in a tick.
    """

    def __init__(self, n: int, population: FloatPopulation):
        self.u = np.zeros((n, population.size))
        self.v = np.zeros((n, population.size))
        self.before = self.v
        self.spikes = np.zeros((n, population.size), dtype=bool)
        self.refractory = np.zeros((n, population.size), dtype=np.int64)

    def step(self, p: FloatPopulation, arriving: np.ndarray) -> None:
        """One tick; the order of :mod:`spikeloom.contract.neuron`."""
        self.u = p.alpha * self.u + arriving + p.bias_u
        v = p.beta * self.v + self.u + p.bias
        if p.reset is Reset.SUBTRACT_DELAYED:
            v = v - np.where(self.spikes, p.v_sub, 0.0)
        v = np.maximum(v, p.v_min)
        resting = self.refractory > 0
        fires = (v > p.theta if p.fire == ">" else v >= p.theta) & ~resting
        self.before = v
        if p.multi:  # never rests, and always subtracts
            counts = np.where(fires, np.trunc(v / p.theta), 0.0)
            self.v, self.spikes = v - counts * p.v_sub, counts.astype(np.int64)
            return
        v = np.where(resting, p.v_reset, v)
        if p.reset is Reset.VALUE:
            v = np.where(fires, p.v_reset, v)
        elif p.reset is Reset.SUBTRACT:
            v = np.where(fires, v - p.v_sub, v)
        self.v, self.spikes = v, fires
        self.refractory = np.where(resting, self.refractory - 1, np.where(fires, p.refractory, 0))


def simulate(network: Network, given: dict[str, np.ndarray]) -> Iterator[tuple[int, str, State]]:
    """Yield every population's state of every tick, for one batch ``(n, ticks, size)`` of each input."""
    n, ticks = next(iter(given.values())).shape[:2]
    order = network.ordered()
    into = {p.name: [(e, network.matrix(e).T) for e in network.into(p.name)] for p in order}
    states = {p.name: State(n, p) for p in order}
    slots = 1 + max((e.delay for e in network.projections), default=0)
    spikes: list[dict[str, np.ndarray]] = [{} for _ in range(slots)]  # of the last ticks, by tick modulo slots
    for tick in range(ticks):
        for p in order:
            arriving = np.zeros((n, p.size))
            for e, weights in into[p.name]:
                born = tick - e.delay
                if born >= 0:
                    signal = given[e.source][:, born] if e.source in given else spikes[born % slots][e.source]
                    arriving = arriving + signal.astype(np.float64) @ weights
            states[p.name].step(p, arriving)
            spikes[tick % slots][p.name] = states[p.name].spikes
            yield tick, p.name, states[p.name]
