"""A board that holds an image: load it, run samples on it, look into it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from ..contract.config import FORMAT_VERSION
from ..contract.errors import BoardError, BusyError, ConfigError, ImageError, LinkError
from ..contract.ring import Counter, Space, spaces
from ..contract.samples import check_samples
from ..contract.stream import (
    ACCESS_MAX,
    MAGIC,
    Info,
    Operation,
    control_word,
    digest_words,
    read_words,
    write_words,
)
from ..image import Image
from .pacing import Pacer
from .protocol import Parser, Replies
from .result import STATES, Collector, Result
from .stimulus import Stimulus, windows
from .transport import Transport

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is: samples of a run, words of a load."""

BATCH_WORDS = 1 << 16
"""Words sent before the answers are waited for, about: a batch is at least one sample."""
BATCH_STATES = 1 << 20
"""Words of recorded states in one batch, about."""
LOAD_WORDS = 1 << 14
DRAIN_SECONDS = 0.2


class Board:
    """One board, one image. One command at a time: another one meanwhile raises :class:`BusyError`.

    Parameters:
        transport: the link; the board owns it from here on.
        image: what to load.
        load: write the memories; ``False`` trusts that the board holds this image already.
        check: read the memories back after loading.
        progress: called while loading.
        timeout: seconds of silence after which the board is given up.

    Raises :class:`ImageError` where the board is built for another configuration, :class:`LinkError` where no board
    answers.
    """

    def __init__(
        self,
        transport: Transport,
        image: Image,
        *,
        load: bool = True,
        check: bool = False,
        progress: Progress | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.transport, self.image, self.timeout = transport, image, timeout
        self._parser = Parser()
        self._running = threading.Lock()
        self._stale = False
        self._closed = False
        self._reload = False  # words were lost: the memories may hold anything
        self._owed: np.ndarray | None = None  # words that bring back the plain biases
        try:
            with self._exclusive():
                self.transport.receive(0, 0.0)  # what an earlier program left on the way
                self._check_board(self._query())
                if load:
                    self._load(progress)
                if check:
                    self._check_memories()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the link; the board keeps its memories."""
        self._closed = True
        self.transport.close()

    # Running.

    def run(self, samples: Any, record: Collection[str] = (), progress: Progress | None = None) -> Result:
        """Run samples, each from reset states.

        ``samples`` are ``(samples, ticks, *input shape)``, or a dict of such arrays by input; ``record`` names states
        ("u", "v", "r", "a") to read after every tick, of every neuron. Raises
        :class:`~spikeloom.contract.errors.SampleError` before anything is sent, and :class:`BoardError` after a run
        in which the board reported errors.
        """
        if unknown := set(record) - {"spikes", *STATES}:
            raise ConfigError(f"record: {sorted(unknown)} are unknown, there are {', '.join(STATES)}")
        if "a" in record and not self.image.config.core.adaptive:
            raise ConfigError('record: "a" is a state of adaptive cores, and those of this array are not')
        with self._exclusive():
            network = self.image.network
            checked = check_samples(network, samples)
            shown = [network.outputs[o] for o in network.states if o in network.outputs]
            window = windows(self.image, [p.name for p in network.populations] if record else shown)
            stimulus = Stimulus(image=self.image, samples=checked, windows=window)
            collector = Collector(self.image, stimulus.count, stimulus.ticks, record, window)
            self._owed = stimulus.restore() if stimulus.drives else None
            try:
                errors = self._run(stimulus, collector, progress)
            finally:
                self._restore()
        if errors:
            raise BoardError("the board reported: " + "; ".join(dict.fromkeys(errors)))
        return collector.result()

    def _run(self, stimulus: Stimulus, collector: Collector, progress: Progress | None) -> list[str]:
        pieces = sum(w.pieces for w in stimulus.windows) * stimulus.board_ticks
        states = sum(w.count for w in stimulus.windows) * stimulus.board_ticks
        states *= spaces(self.image.config)[Space.STATE].stride
        cores = self.image.config.cores
        read_counters = np.concatenate([read_words(n, Space.COUNTER, 0, len(Counter)) for n in range(cores)])
        start = self._exchange(np.concatenate([read_counters, control_word(Operation.QUERY)]), datas=cores + 1)
        before = np.stack(start.data[:cores])
        collector.busy = int(start.data[cores][Info.BUSY_CYCLES])
        errors: list[str] = []
        first = 0
        while first < stimulus.count:
            batch: list[np.ndarray] = []
            size = 0
            while first + len(batch) < stimulus.count and size < BATCH_WORDS and len(batch) * states < BATCH_STATES:
                batch.append(stimulus.words(first + len(batch)))
                size += len(batch[-1])
            count = len(batch)
            replies = self._exchange(
                np.concatenate([*batch, read_counters]),
                dones=count * stimulus.board_ticks,
                datas=count * pieces + cores,
            )
            errors += [str(e) for e in replies.errors]
            after = np.stack(replies.data[-cores:])
            collector.counters += (after - before).astype(np.int64).T  # uint32: modulo 2**32
            before = after
            if not errors:
                collector.take(first, count, replies, replies.data[:-cores])
            first += count
            if progress is not None:
                progress(first, stimulus.count)
        return errors

    def _restore(self) -> None:
        """Bring the plain biases back; after an exception in mid-stream that waits until the link is found again."""
        if self._owed is not None and not self._closed and not self._stale:
            self._command(self._owed)
            self._owed = None

    # Looking into the board.

    def query(self) -> dict[Info, int]:
        """What the board says of itself."""
        with self._exclusive():
            return self._query()

    def memory_read(self, core: int, space: Space, address: int, count: int) -> np.ndarray:
        """Words from an address of the program ring on, ``uint32 (count,)``."""
        with self._exclusive():
            self._check_access(core, space, address, count)
            if not count:
                return np.zeros(0, dtype=np.uint32)
            return self._read(core, space, address, count)

    def memory_write(self, core: int, space: Space, address: int, data: np.ndarray) -> None:
        """Write ``uint32 (n,)`` from an address of the program ring on."""
        with self._exclusive():
            self._check_access(core, space, address, len(data))
            self._command(write_words(core, space, address, data))

    def load(self, progress: Progress | None = None) -> None:
        """Write the image's memories again."""
        with self._exclusive():
            self._load(progress)

    def _load(self, progress: Progress | None) -> None:
        writes = []
        for (core, space), memory in self.image.memories.items():
            data = memory[: self.image.used[core, space]].reshape(-1)
            for start in range(0, len(data), LOAD_WORDS):
                writes.append(write_words(core, space, start, data[start : start + LOAD_WORDS]))
        if self.image.config.core.phases > 1:
            writes.append(control_word(Operation.PHASES, self.image.phases))
        total, done = sum(map(len, writes)), 0
        batch: list[np.ndarray] = []
        for n, words in enumerate(writes):
            batch.append(words)
            if n + 1 == len(writes) or sum(map(len, batch)) >= LOAD_WORDS:
                self._command(np.concatenate(batch))
                done += sum(map(len, batch))
                batch = []
                if progress is not None:
                    progress(done, total)

    def _check_memories(self) -> None:
        geometry = spaces(self.image.config)
        for (core, space), memory in self.image.memories.items():
            if not (used := self.image.used[core, space]):
                continue
            shape = geometry[space]
            found = self._read(core, space, 0, used * shape.stride).reshape(used, shape.stride)
            columns = shape.layout.columns
            wrong = (found[:, :columns] != memory[:used, :columns]).any(axis=1)
            if wrong.any():
                raise LinkError(
                    f"core {core}: {space.name} reads back differently from record {int(np.argmax(wrong))} on, "
                    f"{int(wrong.sum())} records in all: the link or the board loses words"
                )

    def _check_access(self, core: int, space: Space, address: int, count: int) -> None:
        if not 0 <= core < self.image.config.cores:
            raise ConfigError(f"core must be 0 to {self.image.config.cores - 1}, not {core}")
        geometry = spaces(self.image.config)
        if space not in geometry:
            raise ConfigError(f"space: this array has none called {space!r}")
        size = geometry[space].depth * geometry[space].stride
        if address < 0 or count < 0 or address + count > size:
            raise ConfigError(
                f"{Space(space).name} has addresses 0 to {size - 1}, not {address} to {address + count - 1}"
            )

    # The link.

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        if not self._running.acquire(blocking=False):
            raise BusyError("the board is still running another command: wait for it to return")
        try:
            if self._closed:
                raise LinkError("the board is closed: connect again")
            if self._stale:
                self._recover()
            yield
        finally:
            self._running.release()

    def _query(self) -> dict[Info, int]:
        (data,) = self._exchange(control_word(Operation.QUERY), datas=1).data
        if len(data) < len(Info) or (int(data[Info.MAGIC]) ^ MAGIC) >> 8:
            self._stale = True
            raise LinkError("what answers is no Spikeloom board: is it the right port and the right baud rate?")
        return {info: int(data[info]) for info in Info}

    def _check_board(self, info: dict[Info, int]) -> None:
        if info[Info.MAGIC] != MAGIC:
            raise ImageError(
                f"the board's bitstream speaks format {info[Info.MAGIC] & 0xFF}, this program {FORMAT_VERSION}: "
                "rebuild the bitstream"
            )
        found = info[Info.DIGEST_LOW], info[Info.DIGEST_HIGH]
        if found != digest_words(self.image.config):
            raise ImageError(
                f"the image is for configuration {self.image.digest:016x}, the board has "
                f"{found[1] << 32 | found[0]:016x}: compile for the board's configuration, or build its bitstream anew"
            )

    def _read(self, core: int, space: Space, address: int, count: int) -> np.ndarray:
        replies = self._exchange(read_words(core, space, address, count), datas=-(-count // ACCESS_MAX))
        self._raise_errors(replies)
        return np.concatenate(replies.data)

    def _command(self, words: np.ndarray) -> None:
        """Send words that have no answer, and wait until the board has taken them."""
        self._raise_errors(self._exchange(np.concatenate([words, control_word(Operation.QUERY)]), datas=1))

    @staticmethod
    def _raise_errors(replies: Replies) -> None:
        if replies.errors:
            raise BoardError("the board reported: " + "; ".join(dict.fromkeys(map(str, replies.errors))))

    def _exchange(self, words: np.ndarray, dones: int = 0, datas: int = 0) -> Replies:
        """Send words and take the answers until so many DONE and DATA have come."""
        parser = self._parser
        pacer = Pacer(words, getattr(self.transport, "window", None))
        datas += len(pacer.extra)
        self._stale = True  # until all is answered: an exception on the way leaves answers behind
        while True:
            if len(ready := pacer.take(parser.dones, parser.datas)):
                self.transport.send(ready)
            if pacer.finished and parser.dones >= dones and parser.datas >= datas:
                break
            received = self.transport.receive(1, self.timeout)
            if not len(received):
                raise LinkError(
                    f"the board is silent for {self.timeout:g} s, with {dones - parser.dones} ticks and "
                    f"{datas - parser.datas} answers due: is it connected, powered and loaded with a bitstream?"
                )
            parser.feed(received)
            if (message := parser.link_error) is not None:
                self._reload = True
                raise LinkError(f"the board reported: {message}")
        if parser.dones > dones or parser.datas > datas:
            raise LinkError("the board answers more than it was asked: are two programs using it?")
        self._stale = False
        replies = parser.take()
        return replace(replies, data=[words for n, words in enumerate(replies.data) if n not in pacer.extra])

    def _recover(self) -> None:
        """After an exception in mid-stream: let old answers run out, then start afresh."""
        while len(self.transport.receive(1, DRAIN_SECONDS)):
            pass
        self._parser = Parser()
        self._check_board(self._query())
        if self._reload:
            self._load(None)
            self._reload = False
        self._restore()
