# amaranth: UnusedElaboratable=no
"""The compiled board behind a pseudo-terminal: to the host a serial port, to the gateware the pins of a UART."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import tty
from collections.abc import Callable
from pathlib import Path

import numpy as np

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.errors import LinkError
from spikeloom.driver.transport import SerialTransport
from spikeloom_hdl.boards.uart_top import SILENCE_BITS, UartTop

from .native import Engine, NativeBoard, build

DIVISOR = 4
"""Cycles a bit: the least that the UART can do, for speed."""

STEP = 1 << 14
"""Cycles between two looks at the host."""

NAP_MIN, NAP_MAX = 0.002, 0.5
"""Seconds between two steps of a board that is at rest; longer and longer ones."""


class PinsTransport(SerialTransport):
    """A serial port of this machine with the compiled board at its other end, in a thread of its own.

    The board's time passes while bytes come or go, and until long after. A board that has been quiet for longer than
    its link needs to find a broken stream's end runs only now and then: it costs no time while nobody asks, and comes
    to an end with whatever it does in silence.

    Parameters:
        library: from :func:`spikeloom_sim.native.build`, with ``PINS`` and ``DIVISOR``.
        divisor: cycles a bit.
    """

    def __init__(self, library: Path, divisor: int = DIVISOR) -> None:
        self._quiet_cycles = 2 * divisor * SILENCE_BITS
        self._board = NativeBoard(library)
        self._failure: Exception | None = None
        self._ours, self._theirs = pty.openpty()
        self._wake_read, self._wake_write = os.pipe()
        tty.setraw(self._theirs)  # held open, so that a host may come and go
        os.set_blocking(self._ours, False)
        self._thread: threading.Thread | None = threading.Thread(target=self._serve, name="pins", daemon=True)
        self._thread.start()
        try:
            super().__init__(os.ttyname(self._theirs))
        except BaseException:
            self.close()
            raise

    def receive(self, at_least: int, timeout: float) -> np.ndarray:
        if self._failure is not None:
            raise LinkError(f"the simulated board has stopped: {self._failure}") from self._failure
        return super().receive(at_least, timeout)

    def close(self) -> None:
        """Close the port and end the board."""
        with contextlib.suppress(AttributeError):  # the port was never opened
            super().close()
        thread, self._thread = self._thread, None
        if thread is not None:
            os.write(self._wake_write, b"\0")
            thread.join()
            self._board.close()
            for end in (self._ours, self._theirs, self._wake_read, self._wake_write):
                os.close(end)

    def _serve(self) -> None:
        try:
            self._run()
        except Exception as error:
            self._failure = error

    def _run(self) -> None:
        """Take what the host has written, let the board run, hand out what it says: until woken for the end."""
        none, incoming, outgoing = np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.uint32), bytearray()
        quiet, nap = 0, NAP_MIN
        while True:
            resting = not len(incoming) and not outgoing and quiet > self._quiet_cycles
            nap = min(2 * nap, NAP_MAX) if resting else NAP_MIN
            readable, writable, _ = select.select(
                [self._wake_read, *([] if len(incoming) else [self._ours])],
                [self._ours] if outgoing else [],
                [],
                nap if resting else 0,
            )
            if self._wake_read in readable:
                return
            if self._ours in readable:
                incoming = np.frombuffer(os.read(self._ours, 4096), dtype=np.uint8).astype(np.uint32)
            if writable:
                with contextlib.suppress(BlockingIOError):
                    del outgoing[: os.write(self._ours, outgoing)]
            before = self._board.cycles
            if len(incoming):
                taken, given = self._board.step(incoming, want=0, budget=STEP)
                incoming = incoming[taken:]
            else:
                taken, given = 0, self._board.step(none, want=1, budget=STEP)[1]
            quiet = 0 if taken or given else quiet + self._board.cycles - before
            outgoing += self._board.receive(0, 0.0).astype(np.uint8).tobytes()


def open_pins(
    config: ArrayConfig,
    progress: Callable[[str], None] | None = None,
    *,
    divisor: int = DIVISOR,
    engine: Engine = Engine.VERILATOR,
) -> PinsTransport:
    """A board with this array behind a pseudo-terminal; the first time, its gateware is compiled."""
    library = build(UartTop(config, divisor), engine, defines=["PINS", f"DIVISOR={divisor}"], progress=progress)
    return PinsTransport(library, divisor)
