"""Ways to a board: 32-bit words in order, both ways."""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np

from ..contract.errors import LinkError
from ..contract.stream import LINK_WINDOW

CHUNK_BYTES = 1024
"""Bytes written at a time: between two chunks the answers are taken off the port, so that neither side waits."""


class Transport(Protocol):
    """What :class:`~spikeloom.driver.board.Board` needs of a link. One thread uses it at a time.

    Over a link that cannot hold the sender up, it has an attribute ``window``: words that may be under way to the
    board without an answer.
    """

    def send(self, words: np.ndarray) -> None:
        """Send ``uint32 (n,)``, all of them, whatever comes back meanwhile. Raises :class:`LinkError`."""

    def receive(self, at_least: int, timeout: float) -> np.ndarray:
        """Words that have come, ``uint32 (n,)``: at least this many, or what there is after ``timeout`` seconds.

        Returns as soon as ``at_least`` words are there; more may be returned, and ``at_least = 0`` never waits. A
        simulated board may run as long as its work takes: the timeout is for silence.
        """

    def close(self) -> None:
        """Let go of the link; more than once does no harm."""


class SerialTransport:
    """A serial port, or anything pyserial opens by an URL: words as four bytes, least significant first.

    Parameters:
        port: ``/dev/ttyUSB0``, ``COM3``, ``loop://``, a pseudo-terminal.
        baud: bits a second.
        write_timeout: seconds after which a port that takes nothing is given up.
    """

    window = LINK_WINDOW

    def __init__(self, port: str, baud: int = 1_000_000, write_timeout: float = 5.0) -> None:
        import serial  # only those who have a board need the package's time

        self._error: type[Exception] = serial.SerialException
        self._bytes = bytearray()
        self._port: Any = None
        self.name = port
        try:
            self._port = serial.serial_for_url(port, baudrate=baud, timeout=0, write_timeout=write_timeout)
        except (self._error, OSError, ValueError) as error:
            raise LinkError(f"{port}: cannot be opened: {error}; is it the right port, and free?") from error

    def send(self, words: np.ndarray) -> None:
        payload = memoryview(np.ascontiguousarray(words, dtype="<u4").tobytes())
        try:
            for start in range(0, len(payload), CHUNK_BYTES):
                self._open.write(payload[start : start + CHUNK_BYTES])
                self._collect()
        except (self._error, OSError) as error:
            raise LinkError(f"{self.name}: sending failed: {error}") from error

    def receive(self, at_least: int, timeout: float) -> np.ndarray:
        end = time.monotonic() + timeout
        try:
            self._collect()
            while len(self._bytes) < 4 * at_least and (left := end - time.monotonic()) > 0:
                self._open.timeout = left
                self._bytes += self._open.read(1)
                self._collect()
        except (self._error, OSError) as error:
            raise LinkError(f"{self.name}: receiving failed: {error}") from error
        whole = len(self._bytes) // 4 * 4
        words = np.frombuffer(bytes(self._bytes[:whole]), dtype="<u4").astype(np.uint32)
        del self._bytes[:whole]
        return words

    def close(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None

    @property
    def _open(self) -> Any:
        if self._port is None:
            raise LinkError(f"{self.name}: the link is closed")
        return self._port

    def _collect(self) -> None:
        if waiting := self._open.in_waiting:
            self._bytes += self._open.read(waiting)
