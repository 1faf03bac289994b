"""Sums of weighted signals: how chains of linear nodes fold into one matrix a source."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Combination:
    """``constant + sum over sources of matrix @ signal``, ``size`` values.

    Attributes:
        size: number of values.
        terms: a source's name to ``(size, source size)``, or to ``(size,)`` for a diagonal matrix.
        constant: ``(size,)``.
    """

    size: int
    terms: dict[str, np.ndarray] = field(default_factory=dict)
    constant: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if self.constant.size != self.size:
            object.__setattr__(self, "constant", np.zeros(self.size))

    @classmethod
    def signal(cls, name: str, size: int) -> Combination:
        """The signal of one source as it is."""
        return cls(size, {name: np.ones(size)})

    def __add__(self, other: Combination) -> Combination:
        terms = dict(self.terms)
        for name, term in other.terms.items():
            terms[name] = _add(terms[name], term) if name in terms else term
        return Combination(self.size, terms, self.constant + other.constant)

    def through(self, matrix: np.ndarray) -> Combination:
        """``matrix @ self`` for ``(out, size)``."""
        terms = {name: matrix * t if t.ndim == 1 else matrix @ t for name, t in self.terms.items()}
        return Combination(matrix.shape[0], terms, matrix @ self.constant)

    def scaled(self, factor: np.ndarray) -> Combination:
        """``factor * self`` for ``(size,)``."""
        terms = {name: factor * t if t.ndim == 1 else factor[:, None] * t for name, t in self.terms.items()}
        return Combination(self.size, terms, factor * self.constant)

    def plus(self, constant: np.ndarray) -> Combination:
        return Combination(self.size, self.terms, self.constant + constant)

    def matrix(self, name: str) -> np.ndarray:
        """The matrix of one source, in full."""
        term = self.terms[name]
        return np.diag(term) if term.ndim == 1 else term

    def identity(self) -> str | None:
        """The source whose signal this is, unchanged; None if it is anything else."""
        if len(self.terms) != 1 or self.constant.any():
            return None
        ((name, term),) = self.terms.items()
        return name if term.ndim == 1 and (term == 1).all() else None


def _add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.ndim == b.ndim:
        return a + b
    return (np.diag(a) if a.ndim == 1 else a) + (np.diag(b) if b.ndim == 1 else b)
