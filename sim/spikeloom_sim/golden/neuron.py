"""One tick of a population: the equation of :mod:`spikeloom.contract.neuron` on arrays of any shape."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np

from spikeloom.contract.network import Population
from spikeloom.contract.neuron import Adaptation, Reset
from spikeloom.contract.numerics import DECAY_BITS, DECAY_ONE, Numerics, Profile

Integers: TypeAlias = np.ndarray | int


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """Parameters of the neurons of one step, by the names of the contract's records; integers or arrays of them.

    Unlike a population's, ``reset``, ``weight_exponent``, ``adaptation`` and ``spike_bits`` may differ from neuron to
    neuron, as they may on a core.
    """

    alpha: Integers = 0
    beta: Integers = DECAY_ONE
    theta: Integers
    v_min: Integers
    v_reset: Integers = 0
    v_sub: Integers = 0
    reset: Integers = Reset.VALUE
    refractory: Integers = 0
    bias: Integers = 0
    bias_u: Integers = 0
    weight_exponent: Integers = 0
    gamma: Integers = 0
    step: Integers = 0
    adaptation: Integers = Adaptation.THRESHOLD
    spike_bits: Integers = 0

    @classmethod
    def of(cls, population: Population) -> Parameters:
        arrays = {name: _plain(getattr(population, name)) for name in Population.ARRAYS}
        return cls(
            **arrays, reset=int(population.reset), weight_exponent=population.weight_exponent,
            adaptation=int(population.adaptation), spike_bits=population.spike_bits,
        )  # fmt: skip

    def with_bias(self, bias: np.ndarray) -> Parameters:
        return replace(self, bias=bias)


class State(NamedTuple):
    """Current, potential, refractory ticks left, spikes of the last tick, adaptation."""

    u: np.ndarray
    v: np.ndarray
    r: np.ndarray
    s: np.ndarray
    a: Integers = 0

    @classmethod
    def zeros(cls, shape: tuple[int, ...]) -> State:
        u, v, r = np.zeros((3, *shape), dtype=np.int64)
        return cls(u, v, r, np.zeros(shape, dtype=bool))


class Step(NamedTuple):
    """A state after a step, and how many of the neuron's numbers did not fit: of its sums (0 to 3) and of its spikes.

    ``s`` is bool, or of neurons that may send several spikes a tick their number, uint8.
    """

    u: np.ndarray
    v: np.ndarray
    r: np.ndarray
    s: np.ndarray
    saturations: np.ndarray
    a: Integers = 0

    @property
    def state(self) -> State:
        return State(*self[:4], self.a)


def step(numerics: Numerics, parameters: Parameters, state: State, acc: np.ndarray) -> Step:
    """One update: ``acc`` is the sum of the weights of this tick's events, before any wrap or shift.

    A saturation is a current that was clipped (or, in the loihi profile, wrapped), or a potential that was clipped;
    ``v_min`` is a floor and no saturation, and the potential of a refractory neuron is held, so it counts none. With
    ``spike_bits`` it is one more where there are more spikes than these can tell: they stay in the potential.
    """
    p = parameters
    u, v, r = (np.asarray(x, dtype=np.int64) for x in state[:3])
    fired = np.asarray(state.s, dtype=bool)

    current_sum = decayed(numerics, p.alpha, u) + weighted(numerics, p.weight_exponent, acc) + p.bias_u
    u = limit_current(numerics, current_sum)

    adapts = np.any(p.step) or np.any(state.a)  # otherwise there is nothing that decays
    delayed = np.where(fired & (p.reset == Reset.SUBTRACT_DELAYED), p.v_sub, 0)
    theta: Integers = p.theta
    faded: Integers = 0
    if adapts:
        faded = decayed(numerics, p.gamma, np.asarray(state.a, dtype=np.int64))
        delayed = np.where(p.adaptation == Adaptation.INPUT, state.a, delayed)
        raised = np.where(p.adaptation == Adaptation.THRESHOLD, state.a, faded)
        theta = theta + np.where(p.adaptation == Adaptation.INPUT, 0, raised)
    potential_sum = decayed(numerics, p.beta, v) + u + p.bias - delayed
    v, clipped = limit_potential(numerics, potential_sum, p.v_min)

    refractory = r > 0
    spikes = fires(v, theta) & ~refractory
    after = np.where(p.reset == Reset.VALUE, p.v_reset, np.where(p.reset == Reset.SUBTRACT, v - p.v_sub, v))
    saturations = (u != current_sum).astype(np.uint8) + (clipped & ~refractory)
    sent = spikes
    if np.any(p.spike_bits):
        counts, left = several(v, p.v_sub, p.spike_bits)
        counted = spikes & (np.asarray(p.spike_bits) > 0)
        sent = np.where(counted, counts, spikes).astype(np.uint8)
        after = np.where(counted, left, after)
        saturations = saturations + (counted & (left >= p.v_sub))
    a: Integers = 0
    if adapts:
        grown = faded + np.where(spikes, p.step, 0)
        a = np.clip(grown, numerics.state_min, numerics.state_max)
        saturations = saturations + (a != grown)
    return Step(
        u=u,
        v=np.where(refractory, p.v_reset, np.where(spikes, after, v)),
        r=np.where(refractory, r - 1, np.where(spikes, p.refractory, 0)),
        s=sent,
        saturations=saturations,
        a=a,
    )


def decayed(numerics: Numerics, factor: Integers, x: np.ndarray) -> np.ndarray:
    """``x`` times a decay factor, rounded: half up, or toward zero in the loihi profile."""
    product: np.ndarray = x * factor
    if numerics.profile is Profile.LOIHI:
        return (product + (product < 0) * (DECAY_ONE - 1)) >> DECAY_BITS
    return (product + (1 << DECAY_BITS - 1)) >> DECAY_BITS


def weighted(numerics: Numerics, exponent: Integers, acc: np.ndarray) -> np.ndarray:
    """The weighted sum as it enters the current: wrapped to the accumulator, then shifted."""
    acc = wrap(np.asarray(acc, dtype=np.int64), numerics.accumulator_bits)
    if numerics.profile is Profile.LOIHI:
        exponent = np.asarray(exponent, dtype=np.int64)
        acc = (acc << np.maximum(exponent, 0)) >> np.maximum(-exponent, 0)
    return acc << numerics.fraction_bits


def wrap(x: np.ndarray, bits: int) -> np.ndarray:
    """Two's complement of ``bits``."""
    half = 1 << bits - 1
    return ((x + half) & (2 * half - 1)) - half


def limit_current(numerics: Numerics, total: np.ndarray) -> np.ndarray:
    if numerics.profile is Profile.LOIHI:
        return wrap(total, numerics.state_bits)
    return np.clip(total, numerics.state_min, numerics.state_max)


def limit_potential(numerics: Numerics, total: np.ndarray, v_min: Integers) -> tuple[np.ndarray, np.ndarray]:
    """The potential, clipped to the state and then to its floor; and where the state's range clipped it."""
    inside = np.clip(total, numerics.state_min, numerics.state_max)
    return np.maximum(inside, v_min), inside != total


def fires(v: np.ndarray, theta: Integers) -> np.ndarray:
    return v > theta


def several(v: np.ndarray, v_sub: Integers, spike_bits: Integers) -> tuple[np.ndarray, np.ndarray]:
    """How often ``v_sub`` goes into a potential, as far as the bits can tell, and what that leaves of it."""
    counts = np.minimum(v // np.maximum(v_sub, 1), (1 << np.asarray(spike_bits)) - 1)
    return counts, v - counts * v_sub


def _plain(values: np.ndarray) -> Integers:
    """One integer where all are equal: NumPy is faster with it."""
    return int(values[0]) if values.size and (values == values[0]).all() else values
