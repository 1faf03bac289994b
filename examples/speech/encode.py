"""Spoken words as spike trains: a mel spectrogram of fixed length, one phase accumulator per channel.

The word is cut out of the silence around it and stretched to ``TICKS`` ticks, so that slow and fast speakers
look alike. Each of ``BANDS`` mel bands drives three channels:

- ``b``: the level, from ``BELOW`` dB under a mean up to ``RANGE`` dB above that. The mean is half the band's
  own, half the whole word's, which takes away some of the colour of voice and microphone;
- ``BANDS + b``: how fast the level rises, up to ``CHANGE`` dB within four ticks;
- ``2 * BANDS + b``: how fast it falls.

A channel at full scale spikes every second tick. From the rounded levels on, all arithmetic is in integers.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 8000  # samples a second
WINDOW, HOP = 256, 80  # samples: frames of 32 ms every 10 ms
BANDS = 20
LOWEST, HIGHEST = 100.0, 3700.0  # Hz, outer edges of the mel bands
SILENCE = 35.0  # dB below the loudest frame, at either end of a recording
DEPTH = 55.0  # dB below the loudest moment of the word, where levels end
BELOW, RANGE = 15.0, 45.0  # dB, where levels begin to count, and full scale from there
CHANGE = 15.0  # dB within four ticks, full scale of rise and fall
TICKS = 64
PERIOD = 2  # ticks between two spikes of a channel at full scale
CHANNELS = 3 * BANDS

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Speaker:
    """The recordings of one speaker (int16, any length) and the digits spoken."""

    recordings: list[NDArray[np.int16]]
    digits: NDArray[np.uint8]


def read_speaker(path: Path) -> Speaker:
    """Read ``audio``, ``offset`` and ``digit`` of one speaker's ``.npz``."""
    with np.load(path) as data:
        return Speaker(np.split(data["audio"], data["offset"][1:-1]), data["digit"])


def encode(recordings: Sequence[NDArray[np.int16]]) -> NDArray[np.uint8]:
    """Spikes ``(n, TICKS, CHANNELS)``, 0 or 1."""
    bank = mel_bank()
    return np.stack([spikes(stretch(decibels(word(power_frames(audio)), bank))) for audio in recordings])


def power_frames(audio: NDArray[np.int16]) -> Floats:
    """Power spectra ``(frames, WINDOW // 2 + 1)``, treble raised by the usual pre-emphasis."""
    x = audio / 32768
    x = np.append(x[0], x[1:] - 0.97 * x[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x, WINDOW // 2), WINDOW)[::HOP]
    return np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2


def word(frames: Floats, silence: float = SILENCE) -> Floats:
    """The frames between the first and the last that are less than ``silence`` dB below the loudest."""
    loudness = to_decibels(frames.sum(axis=1))
    (loud,) = np.nonzero(loudness > loudness.max() - silence)
    return frames[loud[0] : loud[-1] + 1]


def mel_bank(warp: float = 1.0) -> Floats:
    """Triangles ``(BANDS, WINDOW // 2 + 1)`` evenly spaced in mel; ``warp`` multiplies their frequencies."""
    lowest, highest = 2595 * np.log10(1 + np.array([LOWEST, HIGHEST]) / 700)
    edges = warp * 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)
    bin_width = RATE / WINDOW
    frequency = np.arange(WINDOW // 2 + 1) * bin_width
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise = (frequency - low) / np.maximum(centre - low, bin_width)  # at least a bin wide: no empty filter
    fall = (high - frequency) / np.maximum(high - centre, bin_width)
    bank = np.clip(np.minimum(rise, fall), 0, None)
    return bank / bank.sum(axis=1, keepdims=True)


def decibels(frames: Floats, bank: Floats) -> Floats:
    """Levels ``(frames, BANDS)`` in dB, nothing more than ``DEPTH`` below the largest."""
    levels = to_decibels(frames @ bank.T)
    return np.maximum(levels, levels.max() - DEPTH)


def stretch(levels: Floats, positions: Floats | None = None) -> Floats:
    """Levels ``(TICKS, BANDS)``, interpolated at ``positions`` between 0 (begin) and 1 (end of the word)."""
    if positions is None:
        positions = np.linspace(0, 1, TICKS)
    at = positions * (len(levels) - 1)
    before = np.minimum(at.astype(int), max(len(levels) - 2, 0))
    after = np.minimum(before + 1, len(levels) - 1)
    part = (at - before)[:, None]
    return levels[before] * (1 - part) + levels[after] * part


def spikes(levels: Floats) -> NDArray[np.uint8]:
    """Spikes ``(TICKS, CHANNELS)`` of levels ``(TICKS, BANDS)`` in dB."""
    mean = (levels.mean(axis=0) + levels.mean()) / 2
    level = (levels - mean + BELOW) / RANGE
    change = np.zeros_like(levels)
    change[2:-2] = (levels[4:] - levels[:-4]) / CHANGE
    drive = np.rint(255 * np.clip(np.hstack([level, change, -change]), 0, 1)).astype(np.int64)
    turn = 255 * PERIOD
    phase = np.vstack([np.zeros((1, CHANNELS), np.int64), drive.cumsum(axis=0)]) + turn // 2
    return np.diff(phase // turn, axis=0).astype(np.uint8)


def to_decibels(power: Floats) -> Floats:
    """Ten times the logarithm of a power; silence is -90 dB."""
    return 10 * np.log10(power + 1e-9)


def main() -> None:
    """Encode one speaker's recordings into ``.npz`` with ``spikes`` and ``labels``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("speaker", type=Path, help="fsdd_NAME.npz")
    parser.add_argument("--output", type=Path, default=Path("samples.npz"))
    args = parser.parse_args()
    speaker = read_speaker(args.speaker)
    trains = encode(speaker.recordings)
    np.savez_compressed(args.output, spikes=trains, labels=speaker.digits)
    print(f"wrote {args.output}: {len(trains)} samples, {trains.sum() / len(trains):.1f} spikes each")


if __name__ == "__main__":
    main()
