"""The same update, faster, for the neurons that most networks have: no refractory time, sums that cannot wrap.

In double precision and in place: every number is an integer (or a product of one and a decay) of less than 53 bits, so
nothing is rounded that :func:`.neuron.step` does not round, and half of NumPy's work on 64-bit integers is saved.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np

from spikeloom.contract.network import Population
from spikeloom.contract.neuron import Reset
from spikeloom.contract.numerics import DECAY_ONE, Numerics, Profile

Numbers: TypeAlias = "np.ndarray | float"

KNOWN = ("alpha", "beta", "theta", "v_min", "v_reset", "v_sub", "refractory", "bias", "bias_u")


class Updated(NamedTuple):
    """As :class:`.neuron.Step`; ``u``, ``v`` and ``s`` are overwritten by the next update."""

    u: np.ndarray
    v: np.ndarray
    r: int
    s: np.ndarray
    saturations: np.ndarray
    a: int = 0
    """Neurons that adapt are not updated here."""


def possible(numerics: Numerics, population: Population, largest: int) -> bool:
    """Whether :class:`Neurons` can stand for a population; ``largest`` bounds the weighted sum of one tick."""
    others = [name for name in Population.ARRAYS if name not in KNOWN]
    return (
        numerics.profile is Profile.SPIKELOOM
        and largest < 1 << numerics.accumulator_bits - 1
        and not np.any(population.refractory)
        and not any(np.any(getattr(population, name)) for name in others)
    )


class Neurons:
    """A population for a batch, ``(samples, size)``."""

    def __init__(self, numerics: Numerics, population: Population, samples: int):
        p = population
        self.low, self.high = float(numerics.state_min), float(numerics.state_max)
        self.unit = float(1 << numerics.fraction_bits)
        self.reset = Reset(p.reset)
        self.alpha, self.beta = (_plain(x / DECAY_ONE) for x in (np.asarray(p.alpha), np.asarray(p.beta)))
        self.theta, self.v_reset, self.v_sub = (_plain(np.asarray(x)) for x in (p.theta, p.v_reset, p.v_sub))
        self.bias, self.bias_u = _plain(np.asarray(p.bias)), _plain(np.asarray(p.bias_u))
        self.v_min = _plain(np.asarray(p.v_min)) if np.any(np.asarray(p.v_min) > numerics.state_min) else None
        shape = samples, p.size
        self.u, self.v, self.taken = np.zeros((3, *shape))
        self.s = np.zeros(shape, dtype=bool)
        self.most = p.max_count if p.graded else 0
        self.none = np.zeros((samples, 1), dtype=np.uint8)

    def step(self, acc: np.ndarray, bias: np.ndarray | None = None) -> Updated:
        """One tick; ``acc (samples, size)`` in float64 is used up. ``bias`` stands in for the population's."""
        acc *= self.unit
        if np.any(self.alpha):
            _decay(self.u, self.alpha)
            self.u += acc
        else:
            self.u = acc
        _add(self.u, self.bias_u)
        saturations = self._clip(self.u)
        v = self.v
        _decay(v, self.beta)
        v += self.u
        _add(v, self.bias if bias is None else bias)
        if self.reset is Reset.SUBTRACT_DELAYED:
            v -= np.multiply(self.s, self.v_sub, out=self.taken)
        saturations = saturations + self._clip(v)
        if self.v_min is not None:
            np.maximum(v, self.v_min, out=v)
        if self.most:
            return self._several(v, saturations)
        np.greater(v, self.theta, out=self.s)
        if self.reset is Reset.SUBTRACT:
            v -= np.multiply(self.s, self.v_sub, out=self.taken)
        elif self.reset is Reset.VALUE:
            np.copyto(v, self.v_reset, where=self.s)
        return Updated(self.u, v, 0, self.s, saturations)

    def _several(self, v: np.ndarray, saturations: np.ndarray) -> Updated:
        """The rest of a tick in which a neuron may send several spikes: a quotient that is no integer is further from
        the next one than double precision rounds."""
        counts = np.maximum(np.floor(np.divide(v, self.v_sub, out=self.taken), out=self.taken), 0.0)
        np.minimum(counts, self.most, out=counts)
        v -= counts * self.v_sub
        more = (v >= self.v_sub).sum(axis=1, keepdims=True)
        return Updated(self.u, v, 0, counts.astype(np.uint8), saturations + more)

    def _clip(self, x: np.ndarray) -> np.ndarray:
        """Clip to the state; how many values of each sample that changed, ``(samples, 1)``."""
        if x.min(initial=0.0) >= self.low and x.max(initial=0.0) <= self.high:
            return self.none
        outside = (x < self.low) | (x > self.high)
        np.clip(x, self.low, self.high, out=x)
        return outside.sum(axis=1, keepdims=True)


def _decay(x: np.ndarray, factor: Numbers) -> None:
    """``x`` times a factor, rounded half up: a product of an integer and a number of 12 binary places is exact."""
    if isinstance(factor, float) and factor == 1.0:
        return
    x *= factor
    x += 0.5
    np.floor(x, out=x)


def _add(x: np.ndarray, constant: Numbers) -> None:
    if not isinstance(constant, float) or constant:
        x += constant


def _plain(values: np.ndarray) -> Numbers:
    """One number where all are equal, otherwise float64."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    return float(flat[0]) if flat.size and (flat == flat[0]).all() else flat
