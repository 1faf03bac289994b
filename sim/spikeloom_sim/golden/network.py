"""A network on samples: batches of samples, in each the populations group by group, in each group tick by tick."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from spikeloom.contract.errors import ConfigError
from spikeloom.contract.network import Projection, QuantisedNetwork
from spikeloom.contract.samples import Samples, check_biases, check_samples

from .neuron import Parameters, State, Step, step
from .order import components
from .quick import Neurons, Updated, possible
from .result import GoldenResult, PopulationResult, per_output

MEMORY = 128 << 20
"""Bytes that the temporary arrays of a batch may take, roughly."""

CACHED = 1 << 15
"""Neurons that are updated at once at most: their arrays then stay in the processor's cache."""

SPARSE = 1 / 16
"""Below this share of sources that spike, sums are taken over spikes and not over all sources."""

STATES = ("u", "v", "r", "a")

Progress = Callable[[int, int], None]


def run(
    network: QuantisedNetwork, samples: Samples, record: Iterable[str] = (), progress: Progress | None = None
) -> GoldenResult:
    """Run a network on samples, each from zero states.

    Args:
        network: what to run.
        samples: ``(samples, ticks, *input shape)``, or a dict of such arrays by input name: spikes, counts or currents
            as the inputs' kinds say.
        record: which of ``u``, ``v`` and ``r`` to keep of every population and tick.
        progress: called after each batch with the number of samples done, and of all.

    Raises:
        SampleError: samples that the inputs cannot be, or currents that make a bias out of the state's range.
        NetworkError: projections that close a loop without delay.
    """
    record = tuple(record)
    if unknown := set(record) - {"spikes", *STATES}:
        raise ConfigError(f"record: {sorted(unknown)} are unknown, there are {', '.join(STATES)}")
    sources = check_samples(network, samples)
    model = _Model(network, sources, record)
    total = model.samples
    for first in range(0, total, model.batch):
        last = min(first + model.batch, total)
        model.run(slice(first, last))
        if progress:
            progress(last, total)
    return model.result()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Synapses:
    """A projection, its weights in a type whose sums of products are exact.

    ``weights`` are ``(source, target)`` of a plain projection, otherwise the sparse matrix ``(target, source)``.
    """

    source: str
    target: str
    delay: int
    weights: Any
    plain: bool
    fanout: np.ndarray
    reach: int
    """No sum of one tick is larger."""

    @classmethod
    def of(cls, network: QuantisedNetwork, projection: Projection, largest: int) -> _Synapses:
        """``largest`` bounds the spikes of a source neuron in one tick."""
        weights = projection.weights.astype(np.int64) if projection.plain else network.matrix(projection)
        bound = largest * int(abs(weights).sum(axis=1).max(initial=0))
        dtype = np.float32 if bound < 1 << 24 else np.float64 if bound < 1 << 53 else np.int64
        plain = projection.plain
        transposed = np.ascontiguousarray(weights.T, dtype=dtype) if plain else weights.astype(dtype)
        return cls(
            source=projection.source,
            target=projection.target,
            delay=projection.delay,
            weights=transposed,
            plain=plain,
            fanout=network.fanout(projection),
            reach=bound,
        )

    def sums(self, spikes: np.ndarray) -> np.ndarray:
        """Weighted sums ``int64 (..., target)`` of spikes or counts ``(..., source)``."""
        return self.products(spikes).astype(np.int64)

    def products(self, spikes: np.ndarray) -> np.ndarray:
        """The same in the type of the weights: few spikes as a sparse matrix, and rows without any left out."""
        flat = spikes.reshape(-1, spikes.shape[-1])
        at = np.flatnonzero(flat != 0)
        if self.plain and len(at) < SPARSE * flat.size:
            row, column = np.divmod(at, flat.shape[1])
            starts = np.concatenate([[0], np.bincount(row, minlength=len(flat)).cumsum()])
            values = flat[row, column].astype(self.weights.dtype)
            sums = sparse.csr_array((values, column, starts), shape=flat.shape) @ self.weights
        elif self.plain:
            sums = flat.astype(self.weights.dtype) @ self.weights
        else:
            rows = np.unique(at // max(1, flat.shape[1]))
            sums = np.zeros((len(flat), self.weights.shape[0]), dtype=self.weights.dtype)
            sums[rows] = (self.weights @ flat[rows].astype(self.weights.dtype).T).T
        return sums.reshape(*spikes.shape[:-1], -1)


class _Model:
    """One run: the network made ready, and the results as they grow."""

    def __init__(self, network: QuantisedNetwork, sources: dict[str, np.ndarray], record: tuple[str, ...]):
        self.network = network
        self.samples, self.ticks = next(iter(sources.values())).shape[:2]
        self.components = components(network)
        self.parameters = {p.name: Parameters.of(p) for p in network.populations}
        self.size = {p.name: p.size for p in network.populations}
        self.largest = {end.name: end.max_count for end in network.ends}
        self.graded = {end.name for end in network.ends if end.graded}
        self.synapses = [_Synapses.of(network, p, self.largest[p.source]) for p in network.projections]
        reach = dict.fromkeys(self.size, 0)
        for synapses in self.synapses:
            reach[synapses.target] += synapses.reach
        self.quick = {p.name for p in network.populations if possible(network.numerics, p, reach[p.name])}
        shown = {network.outputs[output] for output in network.states}
        self.populations = {
            p.name: PopulationResult(
                spikes=np.zeros((self.samples, self.ticks, p.size), dtype=np.uint8 if p.graded else bool),
                **{x: self._integers(p.size) for x in STATES if x in record or (x == "v" and p.name in shown)},
            )
            for p in network.populations
        }
        self.sources = sources | {name: p.spikes for name, p in self.populations.items()}
        self.saturations = {name: np.zeros(self.samples, dtype=np.int64) for name in self.size}
        self.events = np.zeros((self.samples, len(self.synapses)), dtype=np.int64)
        self.operations = np.zeros_like(self.events)
        self.batch = self._batch()

    def _integers(self, size: int) -> np.ndarray:
        return np.zeros((self.samples, self.ticks, size), dtype=np.int32)

    def _batch(self) -> int:
        """Samples at once: accumulators of a group, one source and one product over all ticks must fit the memory."""
        group = max((sum(self.size[name] for name in names) for names in self.components), default=1)
        wide = max(source.shape[2] for source in self.sources.values())
        by_memory = MEMORY // (8 * max(1, self.ticks) * max(1, 3 * group + 2 * wide))
        by_cache = CACHED // max((*self.size.values(), 1))
        return max(1, min(by_memory, max(16, by_cache)))

    def run(self, window: slice) -> None:
        """Run a batch: the samples of a window."""
        for group in self.components:
            self._run_group(group, window)
        spikes: dict[str, np.ndarray] = {}
        for n, synapses in enumerate(self.synapses):
            if synapses.source not in spikes:
                arriving = self.sources[synapses.source][window]
                arriving = (
                    arriving != 0 if synapses.source in self.graded else arriving
                )  # one event, whatever it carries
                few = self.largest[synapses.source] * self.ticks < 256  # bytes add up faster
                spikes[synapses.source] = arriving.sum(axis=1, dtype=np.uint8 if few else np.int64).astype(np.int64)
            self.events[window, n] = spikes[synapses.source].sum(axis=1)
            self.operations[window, n] = spikes[synapses.source] @ synapses.fanout

    def _run_group(self, group: list[str], window: slice) -> None:
        """Run all ticks of populations that may form loops; all other sources have run. Arrays are tick by tick."""
        samples = window.stop - window.start
        acc = {
            name: np.zeros((self.ticks, samples, self.size[name]), np.float64 if name in self.quick else np.int64)
            for name in group
        }
        inner = []
        for synapses in (s for s in self.synapses if s.target in acc):
            if synapses.source in acc:
                inner.append(synapses)
            elif (reach := self.ticks - synapses.delay) > 0:
                spikes = self.sources[synapses.source][window, :reach].swapaxes(0, 1)
                quick = synapses.target in self.quick
                acc[synapses.target][synapses.delay :] += synapses.products(spikes) if quick else synapses.sums(spikes)
        biases = {name: self._biases(name, window) for name in group}
        states = {name: State.zeros((samples, self.size[name])) for name in group if name not in self.quick}
        neurons = {
            name: Neurons(self.network.numerics, self.network.population(name), samples)
            for name in group if name in self.quick
        }  # fmt: skip
        for tick in range(self.ticks):
            for name in group:
                parameters, bias, result = self.parameters[name], biases[name], self.populations[name]
                after: Step | Updated
                if name in neurons:
                    after = neurons[name].step(acc[name][tick], None if bias is None else bias[:, tick])
                else:
                    if bias is not None:
                        parameters = parameters.with_bias(bias[:, tick])
                    stepped = step(self.network.numerics, parameters, states[name], acc[name][tick])
                    after, states[name] = stepped, stepped.state
                self.saturations[name][window] += after.saturations.sum(axis=1, dtype=np.int64)
                result.spikes[window, tick] = after.s
                for x in STATES:
                    if (array := getattr(result, x)) is not None:
                        array[window, tick] = getattr(after, x)
                for synapses in inner:
                    if synapses.source == name and tick + synapses.delay < self.ticks:
                        acc[synapses.target][tick + synapses.delay] += synapses.sums(after.s)

    def _biases(self, name: str, window: slice) -> np.ndarray | None:
        """The potential's biases ``(samples, ticks, size)`` where currents drive the population, otherwise None."""
        drives = [d for d in self.network.drives if d.target == name]
        if not drives:
            return None
        population, high = self.network.population(name), self.network.numerics.state_max
        biases = np.asarray(population.bias) + sum(d.biases(self.sources[d.source][window]) for d in drives)
        check_biases(population, -high - 1, high, biases, window.start)
        return biases

    def result(self) -> GoldenResult:
        return GoldenResult(
            **per_output(self.network, self.populations),
            populations=self.populations,
            saturations=self.saturations,
            events=self.events,
            synapses=self.operations,
        )
