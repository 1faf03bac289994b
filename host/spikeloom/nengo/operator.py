"""The operators that stand for the array in Nengo's graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal

from .backend import Backend
from .neurons import COUNT_MAX
from .quantise import Scaled


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Member:
    """One ensemble as the operator sees it.

    Attributes:
        scaled: its population.
        current, output, states: the signals of its current, spikes and states.
        clamp: negative currents count as none.
        shown: somebody reads the states.
    """

    scaled: Scaled
    current: Signal
    output: Signal
    states: dict[str, Signal]
    clamp: bool
    shown: bool


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Learned:
    """A connection whose weights the host changes: its projection's number, their signal, and their integers."""

    projection: int
    weights: Signal
    integers: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Source:
    """Spikes of the host: the input's name, the neurons' output of the tick before, and what a spike is worth."""

    name: str
    output: Signal
    worth: float


class Latch(Operator):
    """Keeps a signal for the next tick."""

    def __init__(self, source: Signal, target: Signal, tag: str | None = None) -> None:
        super().__init__(tag=tag)
        self.reads, self.updates = [source], [target]
        self.sets: list[Signal] = []
        self.incs: list[Signal] = []

    def make_step(self, signals: Any, dt: float, rng: Any) -> Callable[[], None]:
        source, target = signals[self.reads[0]], signals[self.updates[0]]

        def step_latch() -> None:
            target[...] = source

        return step_latch


class StepArray(Operator):
    """One tick of the array: currents of the host become biases, spikes become outputs.

    Signals are kept by their place in ``reads`` and ``sets``, since Nengo's optimiser exchanges them there.
    """

    def __init__(
        self,
        backend: Backend,
        members: list[Member],
        learned: list[Learned],
        sources: list[Source],
        tag: str | None = "array",
    ) -> None:
        super().__init__(tag=tag)
        self.backend = backend
        self.scaled = [m.scaled for m in members]
        self.clamp = np.concatenate([np.full(len(m.scaled.scale), m.clamp) for m in members])
        self.shown = [n for n, m in enumerate(members) if m.shown or backend.shows_states]
        self.learned = [(c.projection, c.integers) for c in learned]
        self.sources = [(s.name, s.worth) for s in sources]
        self.reads = [m.current for m in members] + [s.output for s in sources] + [c.weights for c in learned]
        self.sets = [m.output for m in members]
        self.incs: list[Signal] = []
        self.updates: list[Signal] = []
        self.states: list[dict[str, int]] = []
        for member in members:
            self.states.append({name: len(self.sets) + n for n, name in enumerate(member.states)})
            self.sets.extend(member.states.values())

    def make_step(self, signals: Any, dt: float, rng: Any) -> Callable[[], None]:
        """Reset the array to the states that the signals begin with, and give the function that steps it."""
        backend, names = self.backend, [s.name for s in self.scaled]
        ends = np.cumsum([0, *(len(s.scale) for s in self.scaled)]).tolist()
        parts = [slice(a, b) for a, b in pairwise(ends)]
        factor = np.concatenate([s.current for s in self.scaled])
        currents = [signals[s] for s in self.reads[: len(names)]]
        arriving = [signals[s] for s in self.reads[len(names) : len(names) + len(self.sources)]]
        weights = [signals[s] for s in self.reads[len(names) + len(self.sources) :]]
        outputs = [signals[self.sets[n]] for n in range(len(names))]
        states = [{name: signals[self.sets[at]] for name, at in each.items()} for each in self.states]
        gathered = np.empty(ends[-1])
        low, high = backend.numerics.state_min, backend.numerics.state_max
        sent = np.full(ends[-1], np.iinfo(np.int64).min)
        backend.reset()
        for scaled, initial in zip(self.scaled, states, strict=True):
            backend.stepper.set_state(scaled.name, **_integers(scaled, initial, dt))

        def step_array() -> None:
            np.concatenate(currents, out=gathered, casting="same_kind")
            np.maximum(gathered, 0.0, out=gathered, where=self.clamp)
            exact = np.rint(gathered * factor)
            bias = np.clip(exact, low, high).astype(np.int64)
            backend.clipped += int(np.count_nonzero(bias != exact))
            changed = bias != sent
            biases = {name: bias[part] for name, part in zip(names, parts, strict=True) if changed[part].any()}
            sent[:] = bias
            if self.learned and backend.stepper.tick % backend.learn_every == 0:
                pairs = zip(self.learned, weights, strict=True)
                backend.set_weights({number: integers(array) for (number, integers), array in pairs})
            sending = {name: _counts(array, worth) for (name, worth), array in zip(self.sources, arriving, strict=True)}
            spikes = backend.stepper.step(biases, sending)
            for name, output, scaled in zip(names, outputs, self.scaled, strict=True):
                output[...] = spikes[name] * scaled.output
            for n in self.shown:
                _show(self.scaled[n], backend.stepper.state(names[n]), states[n], dt)

        return step_array


def _counts(output: np.ndarray, worth: float) -> np.ndarray:
    """Spikes of each neuron of the host."""
    return np.minimum(np.rint(output / worth), COUNT_MAX).astype(np.int64)


def _integers(scaled: Scaled, initial: dict[str, np.ndarray], dt: float) -> dict[str, np.ndarray]:
    """Nengo's initial states as the array's."""
    values = {"v": np.rint(initial["voltage"] * scaled.scale).astype(np.int64)}
    if "refractory_time" in initial:
        values["r"] = np.rint(np.maximum(initial["refractory_time"], 0) / dt).astype(np.int64)
    if "adaptation" in initial:
        values["u"] = np.rint(-initial["adaptation"] * scaled.current).astype(np.int64)
    return values


def _show(scaled: Scaled, now: dict[str, np.ndarray], states: dict[str, np.ndarray], dt: float) -> None:
    """The array's states in Nengo's units."""
    states["voltage"][...] = now["v"] / scaled.scale
    if "refractory_time" in states:
        states["refractory_time"][...] = now["r"] * dt
    if "adaptation" in states:
        states["adaptation"][...] = -now["u"] / scaled.current
