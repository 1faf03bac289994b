"""Images as spike trains: a phase accumulator per pixel, no random numbers.

A pixel of brightness ``p`` adds ``p / (255 * PERIOD)`` to its phase every tick, starting from one half, and
spikes whenever the phase passes a whole number. White spikes every ``PERIOD`` ticks; a pixel too dim to gain
half a turn within ``TICKS`` ticks stays silent. All in integers, so the trains are the same everywhere.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TICKS = 25
PERIOD = 8  # ticks between two spikes of a white pixel


def encode(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Spikes ``(n, TICKS, 784)``, 0 or 1, of images ``(n, 28, 28)`` with brightness 0 to 255."""
    return spike_table()[images.reshape(len(images), -1)].transpose(0, 2, 1)


def spike_table() -> NDArray[np.uint8]:
    """The train of every brightness: ``(256, TICKS)``, 0 or 1."""
    brightness = np.arange(256)[:, None]
    ticks = np.arange(TICKS + 1)[None, :]
    turn = 2 * 255 * PERIOD  # in half steps, so that the initial half turn is a whole number
    turns = (2 * ticks * brightness + turn // 2) // turn
    return np.diff(turns, axis=1).astype(np.uint8)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array in a gzipped IDX file: big-endian header ``0, 0, type 8, dimensions``, then bytes."""
    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"{path}: header {raw[:4].hex()} is not IDX of unsigned bytes (00 00 08 ..)")
    shape = np.frombuffer(raw, ">u4", count=raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def write_samples(
    encode: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], **more: str
) -> tuple[Path, NDArray[np.uint8]]:
    """Encode the first images of two IDX files, as the command line says, into ``.npz`` with ``spikes`` and ``labels``.

    Returns where they are and the spikes; ``more`` is kept beside them.
    """
    parser = argparse.ArgumentParser(
        description="Encode the first images of two IDX files into .npz with spikes and labels."
    )
    parser.add_argument("images", type=Path, help="t10k-images-idx3-ubyte.gz")
    parser.add_argument("labels", type=Path, help="t10k-labels-idx1-ubyte.gz")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--output", type=Path, default=Path("samples.npz"))
    args = parser.parse_args()
    spikes = encode(read_idx(args.images)[: args.count])
    np.savez_compressed(args.output, spikes=spikes, labels=read_idx(args.labels)[: args.count], **more)
    return args.output, spikes


def main() -> None:
    """Write the samples of this example."""
    output, spikes = write_samples(encode)
    print(f"wrote {output}: {len(spikes)} samples, {spikes.sum() / len(spikes):.1f} spikes each")


if __name__ == "__main__":
    main()
