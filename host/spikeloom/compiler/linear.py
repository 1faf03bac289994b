"""Sums of weighted signals: how chains of linear nodes fold into one pool, kernel or matrix a source.

What is a convolution stays one as long as it is exactly one; everything else becomes the matrix that it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
from scipy import sparse

from spikeloom.contract.geometry import Convolution, Pool, in_space, matrix

from .graph import Matrix

Shape = tuple[int, ...]
Signal = tuple[str, int]
"""A source's name, and by how many ticks its signal is late."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Term:
    """A linear map of one source: ``pool`` sums its windows first, if there is one, then come the weights.

    Attributes:
        source: shape of the source.
        weights: over the positions behind the pool, by the number of their axes: 1: a diagonal ``(positions,)``;
            2: a matrix ``(values, positions)``, dense or sparse; 4: the kernel of ``convolution``.
        target: shape of what the convolution gives.
    """

    source: Shape
    weights: Matrix
    pool: Pool | None = None
    convolution: Convolution | None = None
    target: Shape = ()

    @property
    def behind(self) -> tuple[int, int, int]:
        """The positions behind the pool, channels first."""
        return self.pool.shape(self.source) if self.pool else in_space(self.source)

    @property
    def diagonal(self) -> bool:
        return self.weights.ndim == 1

    def scaled(self, factor: np.ndarray) -> Term:
        """``factor * self`` for ``(values,)``."""
        if self.diagonal:
            return replace(self, weights=factor * self.weights)
        if self.convolution is None:
            return replace(self, weights=_scale_rows(factor, self.weights))
        channels = per_channel(factor, in_space(self.target))
        if channels is None:
            return self._matrix(_scale_rows(factor, self.unpooled()))
        return replace(self, weights=self.weights * channels[:, None, None, None])

    def through(self, weights: np.ndarray) -> Term:
        """``weights @ self`` for ``(out, values)``."""
        return self._matrix(weights * self.weights if self.diagonal else weights @ self.unpooled())

    def convolved(self, kernel: np.ndarray, convolution: Convolution, given: Shape, target: Shape) -> Term:
        """A convolution of this, which it takes as of shape ``given``."""
        channels = per_channel(self.weights, self.behind) if self.diagonal else None
        if channels is None or self.behind != in_space(given):
            return self._matrix(matrix(kernel, given, target, convolution, None) @ self.unpooled())
        per_group = kernel.shape[0] // convolution.groups
        first = np.arange(kernel.shape[0]) // per_group * kernel.shape[1]
        heard = channels[first[:, None] + np.arange(kernel.shape[1])]
        weights = kernel * heard[:, :, None, None]
        return replace(self, weights=weights, convolution=convolution, target=target)

    def pooled(self, pool: Pool, given: Shape) -> Term:
        """The sums of this over windows, which it takes as of shape ``given``."""
        channels = per_channel(self.weights, self.behind) if self.diagonal and self.pool is None else None
        if channels is None or self.behind != in_space(given):
            return self._matrix(windows(pool, given) @ self.unpooled())
        return replace(self, pool=pool, weights=np.repeat(channels, prod(pool.shape(given)[1:])))

    def __add__(self, other: Term) -> Term:
        if self.pool != other.pool:
            return self._flat(self.full() + other.full())
        if self.diagonal and other.diagonal:
            return replace(self, weights=self.weights + other.weights)
        alike = self.convolution == other.convolution and in_space(self.target) == in_space(other.target)
        if self.convolution and alike and self.weights.shape == other.weights.shape:
            return replace(self, weights=self.weights + other.weights)
        return self._matrix(self.unpooled() + other.unpooled())

    def unpooled(self) -> Matrix:
        """The weights as a matrix ``(values, positions behind the pool)``."""
        if self.convolution:
            return matrix(self.weights, self.behind, self.target, self.convolution, None)
        return sparse.diags_array(self.weights, format="csr") if self.diagonal else self.weights

    def full(self) -> Matrix:
        """All as one matrix ``(values, source size)``."""
        return self.unpooled() @ windows(self.pool, self.source) if self.pool else self.unpooled()

    def onto(self, target: Shape) -> tuple[Matrix, Convolution | None, Pool | None]:
        """Weights, convolution and pool of a projection onto a population of shape ``target``."""
        if self.convolution and in_space(target) == in_space(self.target):
            return self.weights, self.convolution, self.pool
        if self.diagonal and in_space(target) == self.behind and (self.pool or prod(self.behind[1:]) > 1):
            channels = per_channel(self.weights, self.behind)
            if channels is not None:
                return channels.reshape(-1, 1, 1, 1), Convolution(groups=len(channels)), self.pool
        if isinstance(self.weights, np.ndarray) and self.weights.ndim == 2:
            return self.weights, None, self.pool
        return dense_if_full(self.full()), None, None

    def _matrix(self, weights: Matrix) -> Term:
        return replace(self, weights=weights, convolution=None, target=())

    def _flat(self, weights: Matrix) -> Term:
        return Term(source=self.source, weights=weights)


@dataclass(frozen=True, eq=False)
class Combination:
    """``constant + sum over signals of term(signal)``, ``size`` values.

    Attributes:
        size: number of values.
        terms: by the signal.
        constant: ``(size,)``.
    """

    size: int
    terms: dict[Signal, Term] = field(default_factory=dict)
    constant: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if self.constant.size != self.size:
            object.__setattr__(self, "constant", np.zeros(self.size))

    @classmethod
    def signal(cls, name: str, shape: Shape) -> Combination:
        """The signal of one source as it is."""
        return cls(prod(shape), {(name, 0): Term(source=shape, weights=np.ones(prod(shape)))})

    def __add__(self, other: Combination) -> Combination:
        terms = _added(self.terms, other.terms)
        return Combination(self.size, terms, self.constant + other.constant)

    def through(self, weights: np.ndarray) -> Combination:
        """``weights @ self`` for ``(out, size)``."""
        diagonal = np.diagonal(weights)
        if weights.shape[0] == weights.shape[1] and np.count_nonzero(weights) == np.count_nonzero(diagonal):
            return self.scaled(diagonal)
        terms = {signal: term.through(weights) for signal, term in self.terms.items()}
        return Combination(weights.shape[0], terms, weights @ self.constant)

    def scaled(self, factor: np.ndarray) -> Combination:
        """``factor * self`` for ``(size,)``."""
        terms = {signal: term.scaled(factor) for signal, term in self.terms.items()}
        return Combination(self.size, terms, factor * self.constant)

    def convolved(self, kernel: np.ndarray, convolution: Convolution, given: Shape, target: Shape) -> Combination:
        """A convolution of this; its own shape is ``given``, the result's ``target``."""
        terms = {s: term.convolved(kernel, convolution, given, target) for s, term in self.terms.items()}
        constant = np.zeros(prod(target))
        if self.constant.any():
            constant = matrix(kernel, given, target, convolution, None) @ self.constant
        return Combination(prod(target), terms, constant)

    def pooled(self, pool: Pool, given: Shape) -> Combination:
        """The sums of this over windows; its own shape is ``given``."""
        terms = {signal: term.pooled(pool, given) for signal, term in self.terms.items()}
        return Combination(prod(pool.shape(given)), terms, windows(pool, given) @ self.constant)

    def delayed(self, ticks: np.ndarray) -> Combination:
        """This, each value late by its own whole number of ticks ``(size,)``; the constant is there from the start."""
        terms: dict[Signal, Term] = {}
        for more in np.unique(ticks):
            here = (ticks == more).astype(np.float64)
            late = {
                (name, before + int(more)): term if here.all() else term.scaled(here)
                for (name, before), term in self.terms.items()
            }
            terms = _added(terms, late)
        return Combination(self.size, terms, self.constant)

    def plus(self, constant: np.ndarray) -> Combination:
        return Combination(self.size, self.terms, self.constant + constant)

    def identity(self) -> str | None:
        """The source whose signal this is, unchanged; None if it is anything else."""
        if len(self.terms) != 1 or self.constant.any():
            return None
        (((name, ticks), term),) = self.terms.items()
        return name if ticks == 0 and term.diagonal and term.pool is None and np.all(term.weights == 1) else None


def _added(terms: dict[Signal, Term], others: dict[Signal, Term]) -> dict[Signal, Term]:
    total = dict(terms)
    for signal, term in others.items():
        total[signal] = total[signal] + term if signal in total else term
    return total


def per_channel(values: np.ndarray, shape: Shape) -> np.ndarray | None:
    """``(channels,)`` where all positions of a channel have the same value; None where they have not."""
    rows = values.reshape(shape[0], -1)
    return rows[:, 0] if (rows == rows[:, :1]).all() else None


def windows(pool: Pool, given: Shape) -> sparse.csr_array:
    """A pool as a matrix ``(pooled size, size)`` for a signal of shape ``given``."""
    channels = in_space(given)[0]
    return matrix(np.ones((channels, 1, 1, 1)), given, pool.shape(given), Convolution(groups=channels), pool)


def dense_if_full(weights: Matrix) -> Matrix:
    """A sparse matrix as it is, without stored zeros; as a dense one where half of it or more is not zero."""
    if isinstance(weights, np.ndarray):
        return weights
    weights.eliminate_zeros()
    return weights if weights.nnz < prod(weights.shape) / 2 else weights.toarray()


def _scale_rows(factor: np.ndarray, weights: Matrix) -> Matrix:
    if isinstance(weights, np.ndarray):
        return factor[:, None] * weights
    return sparse.diags_array(factor, format="csr") @ weights
