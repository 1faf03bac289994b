"""Recordings of an event camera as counts a tick: events are binned in windows of one millisecond.

This is how the network's authors made its input: the first event of a recording opens the first window, and windows
behind the last tick are left out. A pixel has more than one event in a window now and then; they are counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TICKS = 300
WINDOW = 1000  # microseconds
SHAPE = (2, 34, 34)  # polarity (0: darker, 1: brighter), y, x

ONE_A_DIGIT = (60004, 60003, 60002, 60019, 60005, 60009, 60012, 60001, 60008)
"""Test recordings by their number in the data set: the first of each digit, but for 8, of which the file has none."""


def read(
    path: Path, ids: Sequence[int] | None = None, count: int | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Counts ``(n, TICKS, 2, 34, 34)`` and labels ``(n,)`` of an ``.npz`` of events.

    All recordings, or those of some numbers, or the first ``count``.

    The file has ``x``, ``y``, ``p``, ``t`` of all events, and ``offset``, ``label``, ``id`` of the recordings.
    """
    with np.load(path) as file:
        events = dict(file)
    rows = {int(i): n for n, i in enumerate(events["id"])}
    chosen = ([rows[i] for i in ids] if ids is not None else list(rows.values()))[:count]
    counts = np.stack([_binned(events, n) for n in chosen])
    return counts, events["label"][chosen]


def _binned(events: dict[str, NDArray], n: int) -> NDArray[np.uint8]:
    window = slice(events["offset"][n], events["offset"][n + 1])
    x, y, p, t = (events[name][window].astype(np.int64) for name in ("x", "y", "p", "t"))
    tick = (t - t[0]) // WINDOW
    counts = np.zeros((TICKS, *SHAPE), np.uint8)
    kept = tick < TICKS
    np.add.at(counts, (tick[kept], p[kept], y[kept], x[kept]), 1)
    return counts


def main() -> None:
    """Bin recordings of a file of events into ``.npz`` with ``spikes`` and ``labels``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("events", type=Path, help="nmnist_test60.npz")
    parser.add_argument("--ids", type=int, nargs="*", default=list(ONE_A_DIGIT), help="numbers of the recordings")
    parser.add_argument("--output", type=Path, default=Path("samples.npz"))
    args = parser.parse_args()
    spikes, labels = read(args.events, args.ids)
    np.savez_compressed(args.output, spikes=spikes, labels=labels)


if __name__ == "__main__":
    main()
