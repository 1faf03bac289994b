"""A compiled array as a transport: what a link and a board would be, in this process."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

import numpy as np

from spikeloom.contract.errors import LinkError

BATCH = 1 << 20
"""Cycles that run between two looks at the clock on the wall."""

ROOM = 1 << 18
"""Items that one batch can give."""


class NativeBoard:
    """The library of :func:`spikeloom_sim.native.build`, as a :class:`spikeloom.driver.transport.Transport` of words.

    Time stands still while nobody asks: the board runs inside :meth:`send` and :meth:`receive`. With ``PINS`` in the
    library the items are bytes in place of words.
    """

    def __init__(self, library: Path):
        self._library = ctypes.CDLL(str(library))
        self._library.board_new.restype = ctypes.c_void_p
        self._library.board_cycles.restype = ctypes.c_uint64
        self._board: int | None = self._library.board_new()
        self._out = np.empty(ROOM, dtype=np.uint32)
        self._waiting: list[np.ndarray] = []

    @property
    def cycles(self) -> int:
        """Cycles since power-up."""
        return self._library.board_cycles(self._handle)

    def send(self, words: np.ndarray) -> None:
        """Feed words, ``uint32 (n,)``, one a cycle where the board takes them."""
        data = np.ascontiguousarray(words, dtype=np.uint32)
        quiet = 0
        while len(data):
            taken, given = self.step(data, want=0, budget=BATCH)
            data = data[taken:]
            quiet = 0 if taken or given else quiet + 1
            if quiet > 64:
                raise LinkError(f"the simulated board took no word for {quiet * BATCH} cycles")

    def receive(self, at_least: int, timeout: float) -> np.ndarray:
        """Words that have come, ``uint32 (n,)``: so many at least, or after ``timeout`` seconds of silence fewer."""
        end = time.monotonic() + timeout
        while sum(map(len, self._waiting)) < at_least and time.monotonic() < end:
            _, given = self.step(np.empty(0, np.uint32), want=at_least, budget=BATCH)
            if given:
                end = time.monotonic() + timeout
        words = np.concatenate(self._waiting) if self._waiting else np.empty(0, dtype=np.uint32)
        self._waiting.clear()
        return words

    def step(self, data: np.ndarray, want: int, budget: int) -> tuple[int, int]:
        """Run until all of ``data`` is taken and ``want`` items are out, or ``budget`` cycles: (taken, given)."""
        taken, given = ctypes.c_size_t(), ctypes.c_size_t()
        pointer = ctypes.POINTER(ctypes.c_uint32)
        self._library.board_run(
            self._handle,
            data.ctypes.data_as(pointer),
            ctypes.c_size_t(len(data)),
            ctypes.byref(taken),
            self._out.ctypes.data_as(pointer),
            ctypes.c_size_t(ROOM),
            ctypes.c_size_t(want),
            ctypes.byref(given),
            ctypes.c_uint64(budget),
        )
        if given.value:
            self._waiting.append(self._out[: given.value].copy())
        return taken.value, given.value

    def close(self) -> None:
        if self._board is not None:
            self._library.board_delete(ctypes.c_void_p(self._board))
            self._board = None

    @property
    def _handle(self) -> ctypes.c_void_p:
        if self._board is None:
            raise LinkError("the simulated board is closed")
        return ctypes.c_void_p(self._board)
