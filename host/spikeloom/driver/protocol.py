"""The stream's answers, taken apart: arbitrary pieces of words in, spikes, ends of ticks, data and errors out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contract.errors import LinkError
from ..contract.layout import COLUMN_BITS
from ..contract.stream import DATA_LAYOUT, ERROR_LAYOUT, KIND_BITS, SPIKE_LAYOUT, Error, Reply

ADVICE = {
    Error.OPERATION: "the board's bitstream is of another version: rebuild it",
    Error.CORE: "the core or the space does not exist on this board",
    Error.SPIKE: "the spike's key or index is too wide for the board's fabric: compile for its configuration",
    Error.LOST: "spikes met no route or no projection: the memories do not fit the spikes, load the image again",
    Error.TICK: "a TICK must run at least one tick",
    Error.LINK: "words were lost on the way to the board; the image will be loaded again",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class BoardMessage:
    """An ERROR word: its code, its argument, and the number of ticks that had ended before it."""

    code: Error
    argument: int
    after: int

    def __str__(self) -> str:
        return f"{self.code.name} (argument {self.argument}, after {self.after} ticks): {ADVICE[self.code]}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Replies:
    """What came between two calls of :meth:`Parser.take`.

    Attributes:
        keys, indices: of each spike, ``int64 (spikes,)``.
        spike_ticks: number of ticks that had ended before each spike, ``int64 (spikes,)``: the spike's own tick.
        ticks, cycles: tick number of each DONE, and busy cycles since power-up modulo ``2**32``, ``int64 (dones,)``.
        data: words of each DATA, ``uint32`` each.
        errors: what the board complained about.
    """

    keys: np.ndarray
    indices: np.ndarray
    spike_ticks: np.ndarray
    ticks: np.ndarray
    cycles: np.ndarray
    data: list[np.ndarray]
    errors: list[BoardMessage]


class Parser:
    """Takes words in pieces of any size. Work in Python is per DONE, DATA and ERROR, never per spike."""

    def __init__(self) -> None:
        self._clear()
        self._pieces: list[np.ndarray] = []  # words not yet understood: they begin with a DONE or DATA
        self._waiting = 0
        self._needed = 1

    def _clear(self) -> None:
        self._spikes: list[np.ndarray] = []
        self._spike_ticks: list[int] = []
        self._done: list[tuple[int, int]] = []
        self._data: list[np.ndarray] = []
        self._errors: list[BoardMessage] = []

    @property
    def dones(self) -> int:
        return len(self._done)

    @property
    def datas(self) -> int:
        return len(self._data)

    @property
    def link_error(self) -> BoardMessage | None:
        """The board's complaint that words were lost: what was asked will not all be answered."""
        return next((e for e in self._errors if e.code is Error.LINK), None)

    def feed(self, words: np.ndarray) -> None:
        """Take the next words, ``uint32 (n,)``. Raises :class:`LinkError` for what no board sends."""
        self._pieces.append(np.asarray(words, dtype=np.uint32))
        self._waiting += len(words)
        if self._waiting < self._needed:
            return
        stream = np.concatenate(self._pieces)
        at = self._parse(stream)
        self._pieces = [stream[at:]]
        self._waiting = len(stream) - at

    def _parse(self, stream: np.ndarray) -> int:
        """Understand what is complete; return how many words that was."""
        kinds = stream >> np.uint32(COLUMN_BITS - KIND_BITS)
        heads = np.flatnonzero(kinds != Reply.SPIKE)
        at, end, next_head = 0, len(stream), 0
        self._needed = 1
        while at < end:
            while next_head < len(heads) and heads[next_head] < at:
                next_head = int(np.searchsorted(heads, at))
            head = int(heads[next_head]) if next_head < len(heads) else end
            if head > at:
                self._spikes.append(stream[at:head])
                self._spike_ticks.append(len(self._done))
                at = head
                continue
            length = self._length(stream[at])
            if at + length > end:
                self._needed = length
                break
            self._understand(stream[at : at + length])
            at += length
        return at

    @staticmethod
    def _length(word: np.uint32) -> int:
        kind = int(word) >> COLUMN_BITS - KIND_BITS
        if kind == Reply.DATA:
            head = DATA_LAYOUT.unpack(np.array([word]))
            if head["zero"]:
                raise LinkError(f"the board's answer {int(word):#010x} is no part of the protocol")
            return 1 + int(head["count"])
        return 2 if kind == Reply.DONE else 1

    def _understand(self, words: np.ndarray) -> None:
        kind = int(words[0]) >> COLUMN_BITS - KIND_BITS
        if kind == Reply.DONE:
            self._done.append((int(words[0]) & (1 << COLUMN_BITS - KIND_BITS) - 1, int(words[1])))
        elif kind == Reply.DATA:
            self._data.append(words[1:].copy())
        else:
            error = ERROR_LAYOUT.unpack(words)
            try:
                code = Error(int(error["code"]))
            except ValueError:
                raise LinkError(f"the board's answer {int(words[0]):#010x} is no part of the protocol") from None
            self._errors.append(BoardMessage(code=code, argument=int(error["argument"]), after=len(self._done)))

    def take(self) -> Replies:
        """Everything understood since the last call."""
        words = np.concatenate([np.zeros(0, dtype=np.uint32), *self._spikes])
        spikes = SPIKE_LAYOUT.unpack(words[:, None])
        done = np.array(self._done, dtype=np.int64).reshape(-1, 2)
        replies = Replies(
            keys=spikes["key"],
            indices=spikes["index"],
            spike_ticks=np.repeat(np.array(self._spike_ticks, dtype=np.int64), [len(s) for s in self._spikes]),
            ticks=done[:, 0],
            cycles=done[:, 1],
            data=self._data,
            errors=self._errors,
        )
        self._clear()
        return replies
