"""What a run of the golden model gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from spikeloom.contract.network import QuantisedNetwork

PerOutput: TypeAlias = Any
"""An array where the network has one output, otherwise a dict of arrays by the output's name."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PopulationResult:
    """One population, after each tick: ``(samples, ticks, size)``.

    Attributes:
        spikes: bool, or uint8 where a neuron may send several a tick.
        u, v, r, a: int32 where recorded, otherwise None.
    """

    spikes: np.ndarray
    u: np.ndarray | None = None
    v: np.ndarray | None = None
    r: np.ndarray | None = None
    a: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GoldenResult:
    """A run of a network.

    ``spikes``, ``counts`` and ``v`` are arrays where the network has one output, dicts by output name where it has
    several. An output of ``network.states`` is in ``v``, the others are in ``spikes`` and ``counts``; a single output
    leaves the other fields None.

    Attributes:
        spikes: bool ``(samples, ticks, *shape)``, or uint8 where a neuron may send several a tick.
        counts: int64 ``(samples, *shape)``, the spikes of all ticks.
        v: float64 ``(samples, ticks, *shape)``, the potential after each tick, in the source network's units where
            the network knows their scale.
        populations: every population by name.
        saturations: int64 ``(samples,)`` by population: currents and potentials that did not fit the state.
        events: int64 ``(samples, projections)``, in the network's order: spikes of the source of each projection;
            several spikes of a neuron in one tick are one event.
        synapses: int64 ``(samples, projections)``: synaptic operations, the synapses of each of those events, be it
            that a delay carries them beyond the last tick.
    """

    spikes: PerOutput
    counts: PerOutput
    v: PerOutput
    populations: dict[str, PopulationResult]
    saturations: dict[str, np.ndarray]
    events: np.ndarray
    synapses: np.ndarray


def per_output(network: QuantisedNetwork, populations: dict[str, PopulationResult]) -> dict[str, PerOutput]:
    """The fields ``spikes``, ``counts`` and ``v`` of a result."""
    spikes, counts, potentials = {}, {}, {}
    for output, name in network.outputs.items():
        population, shape = populations[name], tuple(network.population(name).shape)
        samples_ticks = population.spikes.shape[:2]
        if output in network.states:
            scale = np.asarray(network.state_scale.get(output, 1.0), dtype=np.float64).reshape(-1)
            assert population.v is not None
            potentials[output] = (population.v / scale).reshape(*samples_ticks, *shape)
        else:
            spikes[output] = population.spikes.reshape(*samples_ticks, *shape)
            counts[output] = spikes[output].sum(axis=1, dtype=np.int64)
    fields: dict[str, dict[str, np.ndarray]] = {"spikes": spikes, "counts": counts, "v": potentials}
    if len(network.outputs) != 1:
        return dict(fields)
    return {field: next(iter(by_name.values()), None) for field, by_name in fields.items()}
