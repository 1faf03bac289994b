"""From samples to the stream: what the host sends for a run, and what it expects to hear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..contract.network import InputKind
from ..contract.ring import Space, spaces
from ..contract.samples import check_biases
from ..contract.stream import Operation, control_word, read_words, spike_words, tick_word, write_words
from ..image import NO_KEY, Image, Slice


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Records of the states of one core, read after every tick; ``pieces`` are the DATA that answer."""

    core: int
    first: int
    count: int
    words: np.ndarray
    pieces: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Stimulus:
    """Builds the words of each sample.

    Parameters:
        image: the image that the board holds.
        samples: checked samples of each input, ``(samples, ticks, size)``.
        windows: states to read after every tick.
    """

    image: Image
    samples: Mapping[str, np.ndarray]
    windows: Sequence[Window] = ()
    drives: Mapping[str, np.ndarray] = field(init=False)
    indices: Mapping[str, np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "drives", driven_biases(self.image, self.samples))
        grids = self.image.input_grids
        object.__setattr__(self, "indices", {name: grid.indices() for name, grid in grids.items()})

    @property
    def count(self) -> int:
        return int(next(iter(self.samples.values())).shape[0])

    @property
    def ticks(self) -> int:
        """Ticks of a sample, the source framework's."""
        return int(next(iter(self.samples.values())).shape[1])

    @property
    def board_ticks(self) -> int:
        """Ticks that the board runs for a sample, flush ticks included."""
        return self.ticks + self.image.latency

    def words(self, n: int) -> np.ndarray:
        """All that the board must hear for sample ``n``, ``uint32 (words,)``."""
        spikes, ends = self._spikes(n)
        biases = self._biases(n)
        reads = [w.words for w in self.windows]
        ticks = [tick_word(flush=flush) for flush in range(self.image.latency + 1)]
        parts = [control_word(Operation.RESET_STATE)]
        start = 0
        for tick in range(self.board_ticks):
            parts += biases.get(tick, [])
            if tick < self.ticks:
                parts.append(spikes[start : ends[tick]])
                start = ends[tick]
            parts += [ticks[max(0, tick - self.ticks + 1)], *reads]
        return np.concatenate(parts)

    def apart(self, n: int) -> set[int]:
        """Ticks of the board in front of which memories are read or written: their spikes wait for the tick before."""
        return set(range(1, self.board_ticks + 1)) if self.windows else set(self._biases(n))

    def _spikes(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Spike words of a sample in the order of the ticks, and where those of each tick end."""
        words, ticks = [np.zeros(0, dtype=np.uint32)], [np.zeros(0, dtype=np.int64)]
        for i in self.image.network.inputs:
            key = self.image.input_keys[i.name]
            if key == NO_KEY or i.kind is InputKind.CURRENTS:
                continue
            counts = self.samples[i.name][n]
            tick, neuron = np.nonzero(counts)
            value = counts[tick, neuron].astype(np.int64)
            index = self.indices[i.name][neuron]
            graded = i.kind is InputKind.GRADED
            repeat, payload = (np.ones_like(value), value) if graded else (value, np.ones_like(value))
            bits = self.image.config.payload_bits
            payload = np.repeat(payload if bits else payload * 0, repeat)
            words.append(spike_words(key, np.repeat(index, repeat), payload, bits))
            ticks.append(np.repeat(tick, repeat))
        at = np.concatenate(ticks)
        order = np.argsort(at, kind="stable")
        return np.concatenate(words)[order], np.searchsorted(at[order], np.arange(self.ticks), side="right")

    def _biases(self, n: int) -> dict[int, list[np.ndarray]]:
        """Writes of the biases in front of each tick of the board in which they change."""
        writes: dict[int, list[np.ndarray]] = {}
        for name, biases in self.drives.items():
            for s in self.image.slices_of(name):
                values = biases[n][:, s.grid.neurons()]
                changed = np.flatnonzero(np.r_[True, (values[1:] != values[:-1]).any(axis=1)][: self.ticks])
                records = bias_records(self.image, s, values[changed])
                for tick, data in zip(changed.tolist(), records, strict=True):
                    writes.setdefault(tick + s.latency, []).append(_bias_write(self.image, s, data))
        return writes

    def restore(self) -> np.ndarray:
        """Words that bring the plain biases back."""
        parts = [np.zeros(0, dtype=np.uint32)]
        for name in self.drives:
            plain = np.asarray(self.image.network.population(name).bias)
            for s in self.image.slices_of(name):
                (data,) = bias_records(self.image, s, plain[None, s.grid.neurons()])
                parts.append(_bias_write(self.image, s, data))
        return np.concatenate(parts)


def driven_biases(image: Image, samples: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Biases of each driven population, ``int64 (samples, ticks, size)``.

    Raises :class:`~spikeloom.contract.errors.SampleError` where a current drives one out of its range.
    """
    result: dict[str, np.ndarray] = {}
    for drive in image.network.drives:
        plain = np.asarray(image.network.population(drive.target).bias)
        result[drive.target] = result.get(drive.target, plain) + drive.biases(samples[drive.source])
    limits = image.config.core.bias_layout["bias"]
    for name, biases in result.items():
        check_biases(image.network.population(name), limits.low, limits.high, biases, 0)
    return result


def bias_records(image: Image, s: Slice, values: np.ndarray) -> np.ndarray:
    """Words of the bias records of a slice, ``uint32 (n, words)``, for biases ``(n, slice.size)``."""
    core = image.config.core
    rows = s.rows(core.lanes)
    bias = np.zeros((len(values), rows * core.lanes), dtype=np.int64)
    bias_u = np.zeros(rows * core.lanes, dtype=np.int64)
    places = s.grid.places(core.lanes)
    bias[:, places] = values
    bias_u[places] = np.asarray(image.network.population(s.population).bias_u)[s.grid.neurons()]
    grouped = (rows * core.groups, core.group)
    packed = core.bias_layout.pack({"bias": bias.reshape(-1, *grouped), "bias_u": bias_u.reshape(grouped)})
    stride = spaces(image.config)[Space.BIAS].stride
    words = np.zeros((len(values), rows * core.groups, stride), dtype=np.uint32)
    words[..., : packed.shape[-1]] = packed
    return words.reshape(len(values), rows * core.groups * stride)


def _bias_write(image: Image, s: Slice, data: np.ndarray) -> np.ndarray:
    stride = spaces(image.config)[Space.BIAS].stride
    return write_words(s.core, Space.BIAS, s.row0 * image.config.core.groups * stride, data)


def windows(image: Image, populations: Sequence[str]) -> list[Window]:
    """Runs of state records that hold the given populations: one a core, from its first to its last row of them."""
    core, stride = image.config.core, spaces(image.config)[Space.STATE].stride
    result = []
    for number in range(image.config.cores):
        here = [s for s in image.slices if s.core == number and s.population in populations]
        if here:
            first = min(s.row0 for s in here) * core.groups
            count = max(s.row0 + s.rows(core.lanes) for s in here) * core.groups - first
            words = read_words(number, Space.STATE, first * stride, count * stride)
            result.append(Window(core=number, first=first, count=count, words=words, pieces=len(words) // 2))
    return result
