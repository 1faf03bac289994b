"""What a run gives back, and how it is put together from the board's answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..contract.config import INDEX_BITS_MAX
from ..contract.errors import LinkError
from ..contract.layout import COLUMN_BITS
from ..contract.ring import Counter, Space, spaces
from ..image import NO_KEY, Image
from .protocol import Replies
from .stimulus import Window

STATES = ("u", "v", "r", "a")
"""States that can be recorded, ``a`` of adaptive cores only; with any of them, or with "spikes", spikes are too."""


@dataclass(kw_only=True, eq=False)
class PopulationRecord:
    """States of one population after each of its ticks, ``(samples, ticks, size)``.

    Attributes:
        spikes: bool, or uint8 where a neuron may send several a tick.
        u, v, r, a: int32 where recorded, otherwise None.
    """

    spikes: np.ndarray
    u: np.ndarray | None = None
    v: np.ndarray | None = None
    r: np.ndarray | None = None
    a: np.ndarray | None = None


@dataclass(kw_only=True, eq=False)
class Result:
    """A run, in the ticks of the source framework. With several outputs, ``spikes``, ``counts``, ``v`` are dicts.

    Attributes:
        spikes: of the output, ``bool (samples, ticks, *shape)``, or uint8 where a neuron may send several a tick;
            ``None`` where it shows potentials.
        counts: spikes of each output neuron, ``int64 (samples, *shape)``; ``None`` where it shows potentials.
        v: potential of an output that shows it, ``float64 (samples, ticks, *shape)``, in the source network's units
            where the network knows their scale; ``None`` where it shows spikes.
        populations: recorded states by population; empty where nothing was recorded.
        counters: totals of this run by the lower-case name of :class:`Counter`, ``int64 (cores,)``.
        cycles: busy cycles of each sample, from the reset of the states to rest, ``int64 (samples,)``; accesses to
            memories, such as reads of recorded states, do not count.
        tick_cycles: the same of each tick of the board, flush ticks included, ``int64 (samples, ticks + latency)``; the
            reset counts in the first one, and spikes that came while a tick ran count in that.
        ticks: ticks of a sample.
    """

    spikes: Any
    counts: Any
    v: Any
    populations: dict[str, PopulationRecord] = field(default_factory=dict)
    counters: dict[str, np.ndarray] = field(default_factory=dict)
    cycles: np.ndarray
    tick_cycles: np.ndarray
    ticks: int


class Collector:
    """Fills a :class:`Result` from the answers, sample by sample."""

    def __init__(self, image: Image, samples: int, ticks: int, record: Collection[str], windows: Sequence[Window]):
        self.image, self.samples, self.ticks, self.windows = image, samples, ticks, windows
        self.board_ticks = ticks + image.latency
        network = image.network
        self.spiking = {o: p for o, p in network.outputs.items() if o not in network.states}
        self.showing = {o: p for o, p in network.outputs.items() if o in network.states}
        self.record = record
        self.busy = 0  # the board's count of busy cycles where the next sample begins
        self.cycles = np.zeros((samples, self.board_ticks), dtype=np.int64)
        self.counters = np.zeros((len(Counter), image.config.cores), dtype=np.int64)
        sizes = {p.name: p.size for p in network.populations}
        self.types = {p.name: np.uint8 if p.graded else bool for p in network.populations}
        self.spikes = {p: np.zeros((samples, ticks, sizes[p]), dtype=np.uint8) for p in self.spiking.values()}
        self.flits = dict.fromkeys(self.spikes, 0)
        fields = {p.name: {"s", *record} - {"spikes"} if record else set() for p in network.populations}
        for population in self.showing.values():
            fields[population].add("v")
        self.states = {
            name: {
                f: np.zeros((samples, ticks, sizes[name]), dtype=self.types[name] if f == "s" else np.int32)
                for f in wanted
            }
            for name, wanted in fields.items()
            if wanted
        }
        self.by_key = {s.key: s for s in image.slices if s.key != NO_KEY and s.population in self.spikes}
        self.by_index = {key: np.append(s.grid.by_index(), -1) for key, s in self.by_key.items()}

    def take(self, first: int, count: int, replies: Replies, data: Sequence[np.ndarray]) -> None:
        """The answers of samples ``first`` to ``first + count - 1``; ``data`` are those of the windows."""
        if self.board_ticks:
            ends = replies.cycles.reshape(count * self.board_ticks)
            cycles = np.diff(ends, prepend=self.busy) % (1 << COLUMN_BITS)
            self.cycles[first : first + count] = cycles.reshape(count, self.board_ticks)
            self.busy = int(ends[-1])
        self._take_spikes(first, count, replies)
        if self.windows:
            self._take_states(first, count, data)

    def _take_spikes(self, first: int, count: int, replies: Replies) -> None:
        sample, board_tick = np.divmod(replies.spike_ticks, self.board_ticks)
        taken = 0
        for key, s in self.by_key.items():
            mine = replies.keys == key
            tick, index = board_tick[mine] - s.latency, replies.indices[mine]
            payload, index = np.divmod(index, 1 << INDEX_BITS_MAX - self.image.config.payload_bits)
            neuron = self.by_index[key][np.minimum(index, s.grid.sources)]
            if (neuron < 0).any() or (tick < 0).any() or (tick >= self.ticks).any():
                raise LinkError(f"the board sent a spike that population {s.population} cannot have made")
            self.spikes[s.population][first + sample[mine], tick, neuron] = np.maximum(payload, 1)
            self.flits[s.population] += len(index)
            taken += len(index)
        if taken != len(replies.keys):
            raise LinkError(f"the board sent {len(replies.keys) - taken} spikes of keys that no output has")

    def _take_states(self, first: int, count: int, data: Sequence[np.ndarray]) -> None:
        core, config = self.image.config.core, self.image.config
        stride = spaces(config)[Space.STATE].stride
        width = sum(w.count for w in self.windows) * stride
        stream = np.concatenate([np.zeros(0, dtype=np.uint32), *data]).reshape(count, self.board_ticks, width)
        at = 0
        for window in self.windows:
            block = stream[..., at : at + window.count * stride].reshape(count, self.board_ticks, window.count, stride)
            at += window.count * stride
            for s in self.image.slices:
                if s.core != window.core or s.population not in self.states:
                    continue
                records = slice(s.row0 * core.groups - window.first, None)
                ticks = slice(s.latency, s.latency + self.ticks)
                mine = block[:, ticks, records][:, :, : s.rows(core.lanes) * core.groups]
                values = core.state_layout.unpack(mine)
                neurons, places = s.grid.neurons(), s.grid.places(core.lanes)
                for name, array in self.states[s.population].items():
                    flat = values[name].reshape(count, self.ticks, mine.shape[2] * core.group)
                    array[first : first + count, :, neurons] = flat[..., places]

    def result(self) -> Result:
        network = self.image.network

        def shaped(population: str, array: np.ndarray) -> np.ndarray:
            return array.reshape(self.samples, self.ticks, *network.population(population).shape)

        for population, times in self.spikes.items():
            if np.count_nonzero(times) != self.flits[population]:
                raise LinkError(f"the board sent a spike of population {population} twice in one tick")
            if times.max(initial=0) > network.population(population).max_count:
                raise LinkError(f"the board sent more spikes of population {population} than that can make in one tick")
        spikes = {o: shaped(p, self.spikes[p].astype(self.types[p])) for o, p in self.spiking.items()}
        counts = {o: array.sum(axis=1, dtype=np.int64) for o, array in spikes.items()}
        potentials = {
            o: shaped(
                p, self.states[p]["v"] / np.asarray(network.state_scale.get(o, 1.0), dtype=np.float64).reshape(-1)
            )
            for o, p in self.showing.items()
        }
        single = len(network.outputs) == 1

        def simplify(values: dict[str, np.ndarray]) -> Any:
            return next(iter(values.values()), None) if single else values

        populations = {}
        if self.record:
            for name, states in self.states.items():
                wanted = {f: states[f] for f in STATES if f in self.record}
                populations[name] = PopulationRecord(spikes=states["s"], **wanted)
        return Result(
            spikes=simplify(spikes),
            counts=simplify(counts),
            v=simplify(potentials),
            populations=populations,
            counters={c.name.lower(): self.counters[c] for c in Counter},
            cycles=self.cycles.sum(axis=1),
            tick_cycles=self.cycles,
            ticks=self.ticks,
        )
