"""Words as other speakers in other rooms might have said them: random distortions for training."""

from __future__ import annotations

import numpy as np
from examples.speech.encode import (
    BANDS,
    DEPTH,
    SILENCE,
    TICKS,
    Floats,
    mel_bank,
    stretch,
    to_decibels,
    word,
)

WARPS = [mel_bank(warp) for warp in np.linspace(0.85, 1.15, 31)]  # shorter and longer vocal tracts


def distorted(frames: Floats, rng: np.random.Generator) -> Floats:
    """Levels ``(TICKS, BANDS)`` in dB of a recording's power spectra, each time different."""
    frames = word(frames, SILENCE + rng.uniform(-6, 10))
    power = frames @ WARPS[rng.integers(len(WARPS))].T
    noise = 10 ** rng.uniform(-6, -3) * power.max()  # 30 to 60 dB below the loudest moment
    levels = to_decibels(power + noise * rng.exponential(size=power.shape)) + _colour(rng)
    return stretch(np.maximum(levels, levels.max() - DEPTH), _rhythm(rng))


def _colour(rng: np.random.Generator) -> Floats:
    """A smooth frequency response ``(BANDS,)`` in dB: a slope and a ripple."""
    x = np.linspace(-1, 1, BANDS)
    ripple = np.cos(np.pi * x * rng.uniform(0.5, 1.5) + rng.uniform(0, 2 * np.pi))
    return rng.normal(0, 4) * x + rng.normal(0, 2.5) * ripple


def _rhythm(rng: np.random.Generator) -> Floats:
    """Positions ``(TICKS,)`` in the word, 0 to 1: its parts faster or slower, its ends cut or held."""
    knots = np.append(0, np.exp(rng.normal(0, 0.25, 5)).cumsum())
    positions = np.interp(np.linspace(0, 1, TICKS), np.linspace(0, 1, 6), knots / knots[-1])
    first, last = rng.uniform(-0.04, 0.04, 2)
    return np.clip(first + positions * (1 + last - first), 0, 1)
