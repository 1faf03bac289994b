"""The golden model a tick at a time, for hosts that decide each tick's input from the spikes of the last one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from spikeloom.contract.errors import ConfigError, SampleError
from spikeloom.contract.network import Projection, QuantisedNetwork

from .neuron import Parameters, State, step
from .order import components

STATES = ("u", "v", "r")


class Stepper:
    """One network, one tick a call; the same names as :class:`spikeloom.driver.stepper.Stepper` of a board.

    Populations that no projection without delay connects are updated as one, whatever their number.

    Attributes:
        tick: ticks since the reset.
        saturations: currents and potentials that did not fit the state, since the reset.
    """

    def __init__(self, network: QuantisedNetwork) -> None:
        self.network = network
        self.levels = [_Level(network, names) for names in _levels(network)]
        self.size = {p.name: p.size for p in network.populations}
        self._level = {name: level for level in self.levels for name in level.parts}
        self._synapses = [_Synapses(network, p) for p in network.projections]
        self._slots = 1 + max((p.delay for p in network.projections), default=0)
        self.reset()

    def reset(self) -> None:
        """Zero states, no spikes on the way, tick 0; weights stay."""
        self.tick, self.saturations = 0, 0
        for level in self.levels:
            level.reset(self._slots)

    def step(
        self, biases: Mapping[str, np.ndarray] | None = None, spikes: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Run a tick and give the spikes of every population, ``bool (size,)``, or numbers where several may come.

        ``biases`` are integers ``(size,)`` by population, which stand for its own bias from this tick on; ``spikes``
        are those of the inputs in this tick, 0, 1 or counts.
        """
        for name, bias in (biases or {}).items():
            self._level[name].set_bias(name, bias)
        for name, values in (spikes or {}).items():
            self._send(name, np.asarray(values))
        result: dict[str, np.ndarray] = {}
        slot = self.tick % self._slots
        for level in self.levels:
            self.saturations += level.step(self.network, slot)
            for name, part in level.parts.items():
                fired = level.state.s[part]
                result[name] = fired if self.network.population(name).graded else fired.astype(bool)
                self._send(name, result[name])
        self.tick += 1
        return result

    def _send(self, source: str, spikes: np.ndarray) -> None:
        """Add the weights of a source's spikes of this tick to the slots of their ticks."""
        active = np.flatnonzero(spikes)
        if not len(active):
            return
        for synapses in self._synapses:
            if synapses.source == source:
                level = self._level[synapses.target]
                slot = (self.tick + synapses.delay) % self._slots
                level.acc[slot, level.parts[synapses.target]] += synapses.sum(active, spikes)

    def state(self, name: str) -> dict[str, np.ndarray]:
        """``u``, ``v`` and ``r`` of a population after the last tick, ``int64 (size,)``."""
        level = self._level[name]
        return {x: getattr(level.state, x)[level.parts[name]].copy() for x in STATES}

    def set_state(self, name: str, **values: np.ndarray) -> None:
        """Write ``u``, ``v`` or ``r`` of a population between two ticks."""
        level = self._level[name]
        for x, array in values.items():
            if x not in STATES:
                raise ConfigError(f"population {name}: there is no state {x!r}, there are {', '.join(STATES)}")
            getattr(level.state, x)[level.parts[name]] = array

    def set_weights(self, projection: int, weights: np.ndarray) -> None:
        """Other weights, ``(target, source)``, for the projection of that number, between two ticks."""
        known = self.network.projections[projection]
        if weights.shape != known.weights.shape or not known.plain:
            raise ConfigError(f"projection {known.name}: only a matrix can be replaced, by one of the same shape")
        self._synapses[projection] = _Synapses(self.network, replace(known, weights=weights))

    def close(self) -> None:
        """Nothing to let go of: a board has a link."""


class _Synapses:
    """A projection's weights by source."""

    def __init__(self, network: QuantisedNetwork, projection: Projection) -> None:
        self.source, self.target, self.delay = projection.source, projection.target, projection.delay
        dense = projection.plain and not projection.sparse
        self.weights: Any = (
            np.ascontiguousarray(projection.weights.T, dtype=np.int64)
            if dense
            else network.matrix(projection).T.tocsr().astype(np.int64)
        )

    def sum(self, active: np.ndarray, spikes: np.ndarray) -> np.ndarray:
        """Weighted sum ``int64 (target,)`` of the spikes of the sources in ``active``."""
        rows = self.weights[active]
        counts = spikes[active].astype(np.int64)
        return np.asarray(counts @ rows).reshape(-1)


class _Level:
    """Populations that are updated together: their parameters and states as one vector."""

    def __init__(self, network: QuantisedNetwork, names: list[str]) -> None:
        populations = [network.population(name) for name in names]
        ends = np.cumsum([0, *(p.size for p in populations)]).tolist()
        self.size = ends[-1]
        self.parts = {p.name: slice(a, b) for p, a, b in zip(populations, ends, ends[1:], strict=False)}
        self.limit = network.numerics.state_min, network.numerics.state_max
        each = [Parameters.of(p) for p in populations]
        self.plain = Parameters(
            **{f.name: _joined([getattr(p, f.name) for p in each], populations) for f in fields(Parameters)}
        )
        self.plain = replace(self.plain, bias=np.concatenate([np.asarray(p.bias) for p in populations]))

    def reset(self, slots: int) -> None:
        self.bias = np.array(self.plain.bias)
        self.parameters = self.plain.with_bias(self.bias)
        self.state = State.zeros((self.size,))
        self.acc = np.zeros((slots, self.size), dtype=np.int64)

    def set_bias(self, name: str, bias: np.ndarray) -> None:
        low, high = self.limit
        if bias.min(initial=0) < low or bias.max(initial=0) > high:
            raise SampleError(f"population {name}: a bias of {bias.min()} to {bias.max()}, must be {low} to {high}")
        self.bias[self.parts[name]] = bias

    def step(self, network: QuantisedNetwork, slot: int) -> int:
        after = step(network.numerics, self.parameters, self.state, self.acc[slot])
        self.acc[slot] = 0
        self.state = after.state
        return int(after.saturations.sum())


def _joined(values: list[Any], populations: list[Any]) -> Any:
    """One parameter of several populations: an integer where all are equal, otherwise an array."""
    first = values[0]
    if all(np.ndim(v) == 0 and v == first for v in values):
        return first
    return np.concatenate([np.broadcast_to(v, (p.size,)) for v, p in zip(values, populations, strict=True)])


def _levels(network: QuantisedNetwork) -> list[list[str]]:
    """Populations by how many projections without delay lead to them one behind the other."""
    instant = [(p.source, p.target) for p in network.projections if p.delay == 0]
    order = [name for group in components(network) for name in group]
    level = dict.fromkeys(order, 0)
    for _ in order:
        for source, target in instant:
            if source in level:
                level[target] = max(level[target], level[source] + 1)
    return [[n for n in order if level[n] == number] for number in sorted(set(level.values()))]
