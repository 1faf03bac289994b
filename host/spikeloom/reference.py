"""The float reference: the network as imported, in double precision, operation for operation like the hardware.

No integers and no rounding: the difference to the golden model is what quantisation costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloom.compiler.graph import Network
from spikeloom.compiler.samples import Samples, by_input
from spikeloom.compiler.simulate import BATCH, simulate
from spikeloom.contract.errors import SampleError

RECORDS = ("spikes", "u", "v")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PopulationResult:
    """One population, after each tick: ``(samples, ticks, size)``.

    Attributes:
        spikes: bool, or int64 where a neuron may send several a tick.
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
        spikes: bool ``(samples, ticks, *shape)``, or int64 where a neuron may send several a tick.
        counts: int64 ``(samples, *shape)``, the spikes of all ticks.
        v: float64 ``(samples, ticks, *shape)``, the potential after each tick.
        populations: every population by name.
    """

    spikes: Any
    counts: Any
    v: Any
    populations: dict[str, PopulationResult]


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
        numbers = np.int64 if p.multi else bool
        kept[p.name] = {x: np.zeros((n, ticks, p.size), dtype=numbers if x == "spikes" else np.float64) for x in what}
    for first in range(0, n, BATCH):
        window = slice(first, first + BATCH)
        for tick, name, state in simulate(network, {key: array[window] for key, array in given.items()}):
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
