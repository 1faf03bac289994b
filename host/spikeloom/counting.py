"""Footprint, sparsities and operations of a network, as NeuroBench defines them (Yik et al., 2025; version 2.1).

From the golden model, or from what a board counted and recorded. See ``docs/mapping.md`` for the definitions and where
ours say more than NeuroBench's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .contract.network import Projection, QuantisedNetwork
from .contract.neuron import bias_layout, parameter_layout, state_layout
from .contract.samples import check_samples
from .driver.result import Result


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What a network is and does; operations and updates are averages of a sample.

    Attributes:
        footprint: bytes of weights, neuron parameters, biases and states, as wide as they are stored.
        connection_sparsity: share of the weights that are 0.
        activation_sparsity: share of neurons and ticks without a spike, inputs left out.
        dense: synaptic operations if every source fired in every tick.
        effective_acs: synapses of weight not 0 that a spike went through: additions.
        effective_macs: the same of graded events (of inputs, and of neurons that may send several spikes a tick) and of
            currents, which are multiplied.
        performed: additions that the array did: also those of weights that are 0, where it stores them.
        membrane_updates: neurons times ticks.
        spikes: of the populations.
    """

    footprint: int
    connection_sparsity: float
    activation_sparsity: float
    dense: float
    effective_acs: float
    effective_macs: float
    performed: float
    membrane_updates: float
    spikes: float

    def figures(self) -> dict[str, Any]:
        return asdict(self)


def count(network: QuantisedNetwork, samples: Any) -> Counts:
    """Counts of the golden model on samples."""
    from spikeloom_sim import golden

    result = golden.run(network, samples)
    fired = {name: population.spikes for name, population in result.populations.items()}
    spikes = sum(int(s.sum()) for s in fired.values())
    return _counts(network, check_samples(network, samples), fired, int(result.synapses.sum()), spikes)


def count_result(network: QuantisedNetwork, samples: Any, result: Result) -> Counts:
    """Counts of a board's run with ``record=("spikes",)``: its counters of synapses and spikes, and who fired."""
    fired = {name: population.spikes for name, population in result.populations.items()}
    performed, spikes = (int(result.counters[name].sum()) for name in ("synapses", "spikes"))
    return _counts(network, check_samples(network, samples), fired, performed, spikes)


def _counts(
    network: QuantisedNetwork,
    given: Mapping[str, np.ndarray],
    fired: Mapping[str, np.ndarray],
    performed: int,
    spikes: int,
) -> Counts:
    samples, ticks = next(iter(given.values())).shape[:2]
    neurons = sum(p.size for p in network.populations)
    activations = max(1, neurons * ticks * samples)
    weights = [e.weights for e in network.projections] + [d.weights for d in network.drives]
    nonzero = sum(int(np.count_nonzero(w) if isinstance(w, np.ndarray) else w.count_nonzero()) for w in weights)
    total = sum(int(np.prod(w.shape)) for w in weights)
    carries = {end.name: end.graded for end in network.ends}
    dense, acs, macs = 0, 0, 0
    for edge in network.projections:
        every, effective = network.fanout(edge), nonzero_fanout(network, edge)
        source = given[edge.source] if edge.source in given else fired[edge.source]
        graded = carries[edge.source]
        events = (source != 0 if graded else source).sum(axis=(0, 1), dtype=np.int64)
        dense += int(every.sum()) * ticks * samples
        if graded:
            macs += int(events @ effective)
        else:
            acs += int(events @ effective)
    for drive in network.drives:
        dense += int(np.prod(drive.weights.shape)) * ticks * samples
        present = np.asarray((drive.weights != 0).sum(axis=0)).reshape(-1)
        macs += int((given[drive.source] != 0).sum(axis=(0, 1)) @ present)
    return Counts(
        footprint=footprint(network),
        connection_sparsity=1 - nonzero / max(1, total),
        activation_sparsity=1 - sum(int(np.count_nonzero(s)) for s in fired.values()) / activations,
        dense=dense / samples,
        effective_acs=acs / samples,
        effective_macs=macs / samples,
        performed=performed / samples,
        membrane_updates=float(neurons * ticks),
        spikes=spikes / samples,
    )


def nonzero_fanout(network: QuantisedNetwork, edge: Projection) -> np.ndarray:
    """Synapses of each source neuron whose weight is not 0, ``int64 (source.size,)``."""
    if edge.plain:
        return np.count_nonzero(edge.weights, axis=0).astype(np.int64)
    matrix = network.matrix(edge).tocoo()
    return np.bincount(matrix.col[matrix.data != 0], minlength=matrix.shape[1]).astype(np.int64)


def footprint(network: QuantisedNetwork) -> int:
    """Bytes of weights, neuron parameters, biases and states."""
    numerics = network.numerics
    records = [layout(numerics).width for layout in (parameter_layout, bias_layout, state_layout)]
    bits = numerics.weight_bits * sum(e.weights.size for e in network.projections)
    bits += sum(records) * sum(p.size for p in network.populations)
    return -(-bits // 8)
