"""A board a tick at a time, for hosts that decide each tick's input from the spikes of the last one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..contract.config import INDEX_BITS_MAX
from ..contract.errors import BoardError, ConfigError, LinkError, SampleError
from ..contract.layout import COLUMN_BITS
from ..contract.ring import Space, spaces
from ..contract.stream import Operation, control_word, spike_words, tick_word, write_words
from ..image import NO_KEY, Slice
from .board import Board
from .protocol import Replies
from .stimulus import bias_records, windows

STATES = ("u", "v", "r")


class Stepper:
    """One board, one tick a call; the same names as :class:`spikeloom_sim.golden.Stepper`, which has weights too.

    A tick's spikes must be there when the tick is over, so the image may run no population behind the input: a network
    without delay on some projection needs the layered schedule, one with delays on all of them has no latency anyway.

    Attributes:
        tick: ticks since the reset.
        cycles: busy cycles of each of these ticks.
    """

    def __init__(self, board: Board) -> None:
        if board.image.latency:
            raise ConfigError(
                f"stepping: the image runs up to {board.image.latency} ticks behind its input: compile it with "
                'schedule="layered"'
            )
        self.board, self.image = board, board.image
        network = self.image.network
        self.size = {p.name: p.size for p in network.populations}
        self.outputs = set(network.outputs.values())
        shown = [s for s in self.image.slices if s.key != NO_KEY and s.population in self.outputs]
        self._by_key = {s.key: s for s in shown}
        self._by_index = {s.key: np.append(s.grid.by_index(), -1) for s in shown}
        self._indices = {name: grid.indices() for name, grid in self.image.input_grids.items()}
        self._changed: set[str] = set()
        self.reset()

    def reset(self) -> None:
        """Zero states, plain biases, no spikes on the way, tick 0."""
        words = [control_word(Operation.RESET_STATE)]
        words += [self._bias_words(n, np.asarray(self.image.network.population(n).bias)) for n in self._changed]
        self._changed.clear()
        self.tick = 0
        self.cycles: list[int] = []
        self._last: int | None = None
        self._command(np.concatenate(words))

    def step(
        self, biases: Mapping[str, np.ndarray] | None = None, spikes: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Run a tick and give the spikes of every population that is an output, ``bool (size,)``, or numbers where
        several may come.

        ``biases`` are integers ``(size,)`` by population, which stand for its own bias from this tick on; ``spikes``
        are those of the inputs in this tick, 0, 1 or counts.
        """
        words = [self._bias_words(name, bias) for name, bias in (biases or {}).items()]
        words += [self._spike_words(name, np.asarray(values)) for name, values in (spikes or {}).items()]
        with self.board._exclusive():
            replies = self.board._exchange(np.concatenate([*words, tick_word()]), dones=1)
        if replies.errors:
            raise BoardError("the board reported: " + "; ".join(dict.fromkeys(map(str, replies.errors))))
        now = int(replies.cycles[0])
        if self._last is not None:
            self.cycles.append((now - self._last) % (1 << COLUMN_BITS))
        self._last = now
        self.tick += 1
        return self._spikes(replies)

    def state(self, name: str) -> dict[str, np.ndarray]:
        """``u``, ``v`` and ``r`` of a population after the last tick, ``int64 (size,)``."""
        core, stride = self.image.config.core, spaces(self.image.config)[Space.STATE].stride
        result = {x: np.zeros(self.size[name], dtype=np.int64) for x in STATES}
        for window in windows(self.image, [name]):
            first, count = window.first * stride, window.count * stride
            words = self.board.memory_read(window.core, Space.STATE, first, count).reshape(window.count, stride)
            values = core.state_layout.unpack(words)
            for s in self.image.slices_of(name):
                if s.core == window.core:
                    places = s.grid.places(core.lanes) + (s.row0 * core.groups - window.first) * core.group
                    for x in STATES:
                        result[x][s.grid.neurons()] = values[x].reshape(-1)[places]
        return result

    def set_state(self, name: str, **values: np.ndarray) -> None:
        """Write ``u``, ``v`` or ``r`` of a population between two ticks; that it fired in the last one is forgotten."""
        if unknown := set(values) - set(STATES):
            raise ConfigError(f"population {name}: there are no states {sorted(unknown)}, only {', '.join(STATES)}")
        states = self.state(name) | {x: np.asarray(array) for x, array in values.items()}
        self._command(np.concatenate([self._state_words(s, states) for s in self.image.slices_of(name)]))

    def close(self) -> None:
        """Let go of the board."""
        self.board.close()

    def _command(self, words: np.ndarray) -> None:
        with self.board._exclusive():
            self.board._command(words)

    def _bias_words(self, name: str, bias: np.ndarray) -> np.ndarray:
        limits = self.image.config.core.bias_layout["bias"]
        if bias.min(initial=0) < limits.low or bias.max(initial=0) > limits.high:
            raise SampleError(
                f"population {name}: a bias of {bias.min()} to {bias.max()}, must be {limits.low} to {limits.high}"
            )
        self._changed.add(name)
        stride = spaces(self.image.config)[Space.BIAS].stride
        words = []
        for s in self.image.slices_of(name):
            (data,) = bias_records(self.image, s, bias[None, s.grid.neurons()])
            words.append(write_words(s.core, Space.BIAS, s.row0 * self.image.config.core.groups * stride, data))
        return np.concatenate(words)

    def _spike_words(self, name: str, values: np.ndarray) -> np.ndarray:
        key = self.image.input_keys[name]
        if key == NO_KEY:
            return np.zeros(0, dtype=np.uint32)
        neurons = np.flatnonzero(values)
        counts, bits = values[neurons].astype(np.int64), self.image.config.payload_bits
        graded = self.image.network.input(name).graded
        repeat, payload = (np.ones_like(counts), counts) if graded else (counts, np.ones_like(counts))
        payload = np.repeat(payload if bits else payload * 0, repeat)
        return spike_words(key, np.repeat(self._indices[name][neurons], repeat), payload, bits)

    def _state_words(self, s: Slice, states: Mapping[str, np.ndarray]) -> np.ndarray:
        core, stride = self.image.config.core, spaces(self.image.config)[Space.STATE].stride
        rows = s.rows(core.lanes)
        fields = {f.name: np.zeros(rows * core.lanes, dtype=np.int64) for f in core.state_layout.fields}
        for x in STATES:
            fields[x][s.grid.places(core.lanes)] = states[x][s.grid.neurons()]
        grouped = (rows * core.groups, core.group)
        packed = core.state_layout.pack({x: array.reshape(grouped) for x, array in fields.items()})
        words = np.zeros((rows * core.groups, stride), dtype=np.uint32)
        words[:, : packed.shape[-1]] = packed
        return write_words(s.core, Space.STATE, s.row0 * core.groups * stride, words.reshape(-1))

    def _spikes(self, replies: Replies) -> dict[str, np.ndarray]:
        network = self.image.network
        result = {
            name: np.zeros(self.size[name], dtype=np.uint8 if network.population(name).graded else bool)
            for name in self.outputs
        }
        payloads, indices = np.divmod(replies.indices, 1 << INDEX_BITS_MAX - self.image.config.payload_bits)
        taken = 0
        for key, s in self._by_key.items():
            mine = replies.keys == key
            neurons = self._by_index[key][np.minimum(indices[mine], s.grid.sources)]
            if (neurons < 0).any():
                raise LinkError(f"the board sent a spike that population {s.population} cannot have made")
            result[s.population][neurons] = np.maximum(payloads[mine], 1)
            taken += len(neurons)
        if taken != len(replies.keys):
            raise LinkError(f"the board sent {len(replies.keys) - taken} spikes of keys that no output has")
        return result
