"""The float reference: the network as imported, in double precision, operation for operation like the hardware.

No integers and no rounding: the difference to the golden model is what quantisation costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloom.compiler.graph import FloatPopulation, Network
from spikeloom.compiler.samples import Samples, by_input
from spikeloom.contract.errors import SampleError
from spikeloom.contract.neuron import Reset

RECORDS = ("spikes", "u", "v")
BATCH = 64
"""Samples computed at a time."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PopulationResult:
    """One population, after each tick: ``(samples, ticks, size)``.

    Attributes:
        spikes: bool.
        u, v: float64 where recorded, otherwise None.
    """

    spikes: np.ndarray
    u: np.ndarray | None = None
    v: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Result:
    """A run of a network.

    ``spikes``, ``counts`` and ``v`` are arrays where the network has one output, dicts by output name where it has
    several. An output of ``network.states`` is in ``v``, the others are in ``spikes`` and ``counts``; a single output
    leaves the other fields None.

    Attributes:
        spikes: bool ``(samples, ticks, *shape)``.
        counts: int64 ``(samples, *shape)``, the spikes of all ticks.
        v: float64 ``(samples, ticks, *shape)``, the potential after each tick.
        populations: every population by name.
    """

    spikes: Any
    counts: Any
    v: Any
    populations: dict[str, PopulationResult]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Statistics:
    """What some samples do to a population, ``(size,)`` each.

    Attributes:
        rate: spikes a tick.
        u_peak: largest magnitude of the current.
        v_high, v_low: extremes of the potential, before the reset.
    """

    rate: np.ndarray
    u_peak: np.ndarray
    v_high: np.ndarray
    v_low: np.ndarray


def run(network: Network, samples: Samples, record: Sequence[str] = ()) -> Result:
    """Simulate samples, each from zero states.

    Args:
        samples: ``(samples, ticks, *input shape)``, or a dict of such arrays by input name: spikes, counts or currents,
            which are all multiplied by the weights as they are.
        record: which of ``u`` and ``v`` to keep of every population and tick.
    """
    for name in record:
        if name not in RECORDS:
            raise SampleError(f"record: must be of {', '.join(RECORDS)}, not {name!r}")
    given = by_input(network.inputs, samples)
    n, ticks = next(iter(given.values())).shape[:2]
    shown = {network.outputs[output] for output in network.states}
    kept = {}
    for p in network.populations:
        what = {"spikes", *record} | ({"v"} if p.name in shown else set())
        kept[p.name] = {x: np.zeros((n, ticks, p.size), dtype=bool if x == "spikes" else np.float64) for x in what}
    for first in range(0, n, BATCH):
        window = slice(first, first + BATCH)
        for tick, name, state in _simulate(network, {key: array[window] for key, array in given.items()}):
            for x, array in kept[name].items():
                array[window, tick] = getattr(state, x)

    populations = {name: PopulationResult(**arrays) for name, arrays in kept.items()}
    spikes, counts, values = {}, {}, {}
    for output, name in network.outputs.items():
        shape = (n, ticks, *network.population(name).shape)
        if output in network.states:
            values[output] = kept[name]["v"].reshape(shape)
        else:
            spikes[output] = kept[name]["spikes"].reshape(shape)
            counts[output] = spikes[output].sum(axis=1, dtype=np.int64)
    if len(network.outputs) != 1:
        return Result(spikes=spikes, counts=counts, v=values, populations=populations)
    (only,) = network.outputs
    return Result(spikes=spikes.get(only), counts=counts.get(only), v=values.get(only), populations=populations)


def statistics(network: Network, samples: Samples) -> dict[str, Statistics]:
    """Rates and extremes of every population on some samples; keeps no tick."""
    given = by_input(network.inputs, samples)
    n, ticks = next(iter(given.values())).shape[:2]
    found = {
        p.name: Statistics(**{x: np.zeros(p.size) for x in ("rate", "u_peak", "v_high", "v_low")})
        for p in network.populations
    }
    for first in range(0, n, BATCH):
        part = {key: array[first : first + BATCH] for key, array in given.items()}
        for _, name, state in _simulate(network, part):
            s = found[name]
            s.rate[:] += state.spikes.sum(axis=0) / max(1, n * ticks)
            np.maximum(s.u_peak, np.abs(state.u).max(axis=0), out=s.u_peak)
            np.maximum(s.v_high, state.before.max(axis=0), out=s.v_high)
            np.minimum(s.v_low, state.before.min(axis=0), out=s.v_low)
    return found


class _State:
    """States of one population for a batch, ``(n, size)`` each; ``before`` is the potential before the reset."""

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
        v = np.where(resting, p.v_reset, v)
        if p.reset is Reset.VALUE:
            v = np.where(fires, p.v_reset, v)
        elif p.reset is Reset.SUBTRACT:
            v = np.where(fires, v - p.v_sub, v)
        self.v, self.spikes = v, fires
        self.refractory = np.where(resting, self.refractory - 1, np.where(fires, p.refractory, 0))


def _simulate(network: Network, given: dict[str, np.ndarray]) -> Iterator[tuple[int, str, _State]]:
    """Yield every population's state of every tick, for one batch ``(n, ticks, size)`` of each input."""
    n, ticks = next(iter(given.values())).shape[:2]
    order = network.ordered()
    into = {p.name: network.into(p.name) for p in order}
    states = {p.name: _State(n, p) for p in order}
    slots = 1 + max((e.delay for e in network.projections), default=0)
    spikes: list[dict[str, np.ndarray]] = [{} for _ in range(slots)]  # of the last ticks, by tick modulo slots
    for tick in range(ticks):
        for p in order:
            arriving = np.zeros((n, p.size))
            for e in into[p.name]:
                born = tick - e.delay
                if born >= 0:
                    signal = given[e.source][:, born] if e.source in given else spikes[born % slots][e.source]
                    arriving = arriving + signal.astype(np.float64) @ e.weights.T
            states[p.name].step(p, arriving)
            spikes[tick % slots][p.name] = states[p.name].spikes
            yield tick, p.name, states[p.name]
