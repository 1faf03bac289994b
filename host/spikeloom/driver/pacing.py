"""Sending to a board that cannot say "wait": never more words on the way than it has room for.

A board takes words in order, so an answer says that everything up to the word it answers has been taken. Words are cut
into pieces that each end with an answered word; where a stretch has none, a QUERY is put in: it changes nothing.
"""

from __future__ import annotations

import numpy as np

from ..contract.layout import COLUMN_BITS
from ..contract.stream import (
    ACCESS_LAYOUT,
    CONTROL_LAYOUT,
    KIND_BITS,
    TICK_LAYOUT,
    Command,
    Operation,
    control_word,
)

WINDOW_MIN = 16
"""Smallest window that any stream can be cut for."""


class Pacer:
    """Words for the board, handed out as far as the answers allow.

    Parameters:
        words: commands for the board, ``uint32 (n,)``, whole ones.
        window: words that may be under way without an answer; ``None``: the link itself holds the sender up.

    Attributes:
        extra: which of the DATA, counted from 0, answer a QUERY that was put in.
    """

    def __init__(self, words: np.ndarray, window: int | None) -> None:
        self.extra: set[int] = set()
        self._window = window
        self._pieces: list[tuple[np.ndarray, int, int]] = []  # words; DONE and DATA there have been when they are taken
        self._next = self._taken = self._under_way = 0
        self._parts: list[np.ndarray] = []
        self._size = self._dones = self._datas = 0
        if window is None:
            self._add(words)
        else:
            if window < WINDOW_MIN:
                raise ValueError(f"window must be at least {WINDOW_MIN}, not {window}")
            self._cut(words, window // 2)
        self._close()

    @property
    def finished(self) -> bool:
        """All words have been handed out."""
        return self._next == len(self._pieces)

    def take(self, dones: int, datas: int) -> np.ndarray:
        """Words that may be sent now that so many DONE and DATA have come."""
        while self._taken < self._next:
            piece, due_dones, due_datas = self._pieces[self._taken]
            if dones < due_dones or datas < due_datas:
                break
            self._under_way -= len(piece)
            self._taken += 1
        parts = [np.zeros(0, dtype=np.uint32)]
        while not self.finished:
            words = self._pieces[self._next][0]
            if self._window is not None and self._under_way + len(words) > self._window:
                break
            parts.append(words)
            self._under_way += len(words)
            self._next += 1
        return np.concatenate(parts)

    def _cut(self, words: np.ndarray, room: int) -> None:
        """Cut the stream into pieces of ``room`` words at most."""
        heads = np.flatnonzero(words >> np.uint32(COLUMN_BITS - KIND_BITS) != Command.SPIKE)
        at, end = 0, len(words)
        while at < end:
            n = int(np.searchsorted(heads, at))
            head = int(heads[n]) if n < len(heads) else end
            while at < head:
                stop = min(head, at + max(1, room - 1 - self._size))
                self._add(words[at:stop], room)
                at = stop
            if at < end:
                at += self._command(words[at:], room)

    def _command(self, words: np.ndarray, room: int) -> int:
        """Add the command that the words begin with; returns its length."""
        kind = int(words[0]) >> COLUMN_BITS - KIND_BITS
        if kind == Command.TICK:
            self._add(words[:1], room, dones=int(TICK_LAYOUT.unpack(words[:1])["count"]))
            return 1
        if kind == Command.CONTROL:
            query = CONTROL_LAYOUT.unpack(words[:1])["operation"] == Operation.QUERY
            self._add(words[:1], room, datas=int(query))
            return 1
        access = {name: int(value) for name, value in ACCESS_LAYOUT.unpack(words[:1]).items()}
        if not access["write"]:
            self._add(words[:2], room, datas=1)
            return 2
        address, data = int(words[1]), words[2 : 2 + access["count"]]
        most = room - 3  # a header, an address, and a QUERY behind the data
        for start in range(0, len(data), most):
            part = data[start : start + most]
            header = ACCESS_LAYOUT.pack({**access, "count": len(part)})
            self._add(np.concatenate([header, np.array([address + start], dtype=np.uint32), part]), room)
        return 2 + access["count"]

    def _add(self, words: np.ndarray, room: int | None = None, dones: int = 0, datas: int = 0) -> None:
        """Add words to the piece, behind a QUERY that ends the one before where there is no more room for one."""
        if room is not None and self._size + len(words) > room - 1:
            self._parts.append(control_word(Operation.QUERY))
            self.extra.add(self._datas)
            self._datas += 1
            self._close()
        self._parts.append(words)
        self._size += len(words)
        self._dones += dones
        self._datas += datas
        if dones or datas:
            self._close()

    def _close(self) -> None:
        if self._parts:
            self._pieces.append((np.concatenate(self._parts), self._dones, self._datas))
            self._parts, self._size = [], 0
