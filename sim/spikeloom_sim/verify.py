"""Gateware against the golden model: every state of every neuron at every tick, every spike, every count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeloom.connection import connect
from spikeloom.driver.board import Board
from spikeloom.image import Image

from . import golden


@dataclass(kw_only=True)
class Differences:
    """What :func:`verify` has compared and found.

    Attributes:
        count: values that differ, of states, spikes and counters together; 0 is the only good number.
        states: of these, states and spikes; ``counters``: totals of synapses, spikes, saturations, losses.
        compared: values compared.
        first: where the first differences are, a line each.
        outputs: spikes (or potentials) of the outputs of each sample as the gateware gave them, by name where there are
            several.
    """

    states: int = 0
    counters: int = 0
    compared: int = 0
    first: list[str] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.states + self.counters


def verify(
    image: Image,
    samples: Any,
    board: str | Board = "sim",
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Differences:
    """Run samples on a board and on the golden model and compare all that there is to compare.

    ``samples`` are ``(samples, ticks, *input shape)`` (a dict of such arrays where there are several inputs);
    ``board`` is a name for :func:`spikeloom.connect` or an open board; ``progress(done, samples)``.
    """
    if isinstance(board, str):
        with connect(board, image, **options) as opened:
            return verify(image, samples, opened, progress)
    found = Differences()
    states = ("u", "v", "r", "a") if image.config.core.adaptive else ("u", "v", "r")
    total = len(next(iter(samples.values())) if isinstance(samples, dict) else samples)
    for n in range(total):  # one at a time: states of many samples are large
        one = {name: array[n : n + 1] for name, array in samples.items()} if isinstance(samples, dict) else None
        part = samples[n : n + 1] if one is None else one
        want = golden.run(image.network, part, record=states)
        got = board.run(part, record=states)
        for name, expected in want.populations.items():
            for state in (*states, "spikes"):
                _compare(found, n, name, state, getattr(expected, state), getattr(got.populations[name], state))
        totals = {
            "synapses": want.synapses.sum(),
            "spikes": sum(p.spikes.sum() for p in want.populations.values()),
            "saturations": sum(s.sum() for s in want.saturations.values()),
            "refused": 0,
            "unrouted": 0,
        }
        for name, expected_total in totals.items():
            counted = int(got.counters[name].sum())
            found.compared += 1
            if counted != expected_total:
                found.counters += 1
                _note(found, f"sample {n}: {name} {counted}, golden {expected_total}")
        found.outputs.append(_outputs(got.spikes, got.v))
        if progress:
            progress(n + 1, total)
    return found


def _outputs(spikes: Any, v: Any) -> Any:
    """What each output shows, a dict where there are several."""
    if isinstance(spikes, dict) or isinstance(v, dict):
        return {**(spikes or {}), **(v or {})}
    return v if spikes is None else spikes


def _compare(found: Differences, sample: int, population: str, state: str, want: np.ndarray, got: np.ndarray) -> None:
    found.compared += want.size
    differing = np.argwhere(want[0] != got[0])
    found.states += len(differing)
    for tick, neuron in differing[:1]:
        _note(
            found,
            f"sample {sample}, tick {tick}: {state} of neuron {neuron} of {population} is "
            f"{got[0, tick, neuron]}, golden {want[0, tick, neuron]}",
        )


def _note(found: Differences, line: str) -> None:
    if len(found.first) < 10:
        found.first.append(line)
