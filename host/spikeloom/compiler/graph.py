"""The network as imported: populations and projections in real numbers, one step a tick.

It is what was trained, after the readings that a NIR file leaves open have been chosen. The float reference runs it,
the quantiser turns it into integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from spikeloom.contract.errors import NetworkError
from spikeloom.contract.geometry import Convolution, Pool, matrix, weights_shape
from spikeloom.contract.neuron import Reset

Matrix: TypeAlias = "np.ndarray | sparse.csr_array"

FIRES = (">", ">=", "multi")
"""Comparisons of the potential with the threshold. ``multi``: a spike for each threshold in the potential, as sinabs
does: ``trunc(v / theta)`` of them where ``v >= theta``, each of which takes one."""


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """One reading of the network that its source leaves open, or one repair.

    Attributes:
        name: ``dt``, ``decay``, ``reset``, ``fire``, ``gain``, ``delay``, ``output`` or ``repair``.
        value: what was chosen.
        origin: why: an argument, metadata, or a rule.
        nodes: the nodes concerned; empty for all.
    """

    name: str
    value: str
    origin: str
    nodes: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f" [{', '.join(self.nodes)}]" if self.nodes else ""
        return f"{self.name}: {self.value} ({self.origin}){where}"


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatInput:
    """Where samples enter."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatPopulation:
    """Neurons of one model, in the order of operations of :mod:`spikeloom.contract.neuron`, in real numbers.

    Parameters are scalars or arrays of ``size``, in C order; afterwards all are ``float64 (size,)``.

    Attributes:
        kind: the node's type in the source, such as ``LIF``.
        alpha: decay of the current a tick, 0 to 1; 0: there is no current.
        beta: decay of the potential a tick, 0 to 1.
        theta: threshold; infinite: the neuron never fires, its potential is the result.
        v_reset: potential after a spike, for ``Reset.VALUE``.
        v_sub: what a spike subtracts, for ``Reset.SUBTRACT`` and ``Reset.SUBTRACT_DELAYED``.
        v_min: floor of the potential.
        bias: added to the potential each tick; ``bias_u``: to the current.
        refractory: ticks of silence after a spike.
        fire: ``>``, ``>=`` or ``multi``, see :data:`FIRES`.
    """

    name: str
    shape: tuple[int, ...]
    kind: str = "LIF"
    alpha: np.ndarray | float = 0.0
    beta: np.ndarray | float = 1.0
    theta: np.ndarray | float = np.inf
    v_reset: np.ndarray | float = 0.0
    v_sub: np.ndarray | float = 0.0
    v_min: np.ndarray | float = -np.inf
    bias: np.ndarray | float = 0.0
    bias_u: np.ndarray | float = 0.0
    refractory: np.ndarray | int = 0
    reset: Reset = Reset.VALUE
    fire: str = ">"

    ARRAYS = ("alpha", "beta", "theta", "v_reset", "v_sub", "v_min", "bias", "bias_u")
    LIMITS = ("theta", "v_min")

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def spiking(self) -> bool:
        """Whether any neuron can fire."""
        return bool(np.isfinite(self.theta).any())

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "reset", Reset(self.reset))
        for name in (*self.ARRAYS, "refractory"):
            dtype = np.int64 if name == "refractory" else np.float64
            value = np.asarray(getattr(self, name), dtype=dtype)
            if value.size not in (1, self.size):
                raise NetworkError(f"population {self.name}: {name} has {value.size} values for {self.size} neurons")
            object.__setattr__(self, name, np.broadcast_to(value.reshape(-1), (self.size,)))
        for name in self.ARRAYS:
            value = getattr(self, name)
            wrong = np.isnan(value) if name in self.LIMITS else ~np.isfinite(value)
            for at in np.flatnonzero(wrong)[:1]:
                raise NetworkError(f"population {self.name}: {name} of neuron {at} is {value[at]}")
        for name in ("alpha", "beta"):
            value = np.asarray(getattr(self, name))
            for at in np.flatnonzero((value < 0) | (value > 1))[:1]:
                raise NetworkError(f"population {self.name}: {name} of neuron {at} is {value[at]}, must be 0 to 1")
        if self.fire not in FIRES:
            raise NetworkError(f"population {self.name}: fire must be one of {FIRES}, not {self.fire!r}")
        if self.multi:
            self._check_multi()

    @property
    def multi(self) -> bool:
        """Whether a neuron may send several spikes in a tick."""
        return self.fire == "multi"

    def _check_multi(self) -> None:
        where = f"population {self.name}: fire multi"
        if self.reset is not Reset.SUBTRACT:
            raise NetworkError(f"{where}: each spike takes a threshold from the potential: it needs reset subtract")
        theta, v_sub = np.asarray(self.theta), np.asarray(self.v_sub)
        for at in np.flatnonzero(~((theta > 0) & np.isfinite(theta)))[:1]:
            raise NetworkError(f"{where}: theta of neuron {at} is {theta[at]:g}, must be positive")
        for at in np.flatnonzero(v_sub != theta)[:1]:
            raise NetworkError(
                f"{where}: a spike of neuron {at} subtracts {v_sub[at]:g}, and must subtract its theta, {theta[at]:g}"
            )
        if np.any(self.refractory):
            raise NetworkError(f"{where}: a neuron that sends several spikes in a tick has no refractory time")


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatProjection:
    """Synapses in real numbers, as :class:`spikeloom.contract.network.Projection` has them in integers.

    Attributes:
        weights: gains of the target included: a matrix ``(target.size, source.size)``, or of a convolution the kernel
            ``(target channels, source channels / groups, height, width)``. Of a matrix with scipy's type only what is
            not zero is a synapse.
        delay: 0 for spikes that count in the tick of their birth, 1 for those that close a loop.
        convolution: how the kernel moves.
        pool: what sums the source's spikes first; the matrix or kernel then has the pool's positions as its sources.
    """

    source: str
    target: str
    weights: Matrix
    delay: int = 0
    convolution: Convolution | None = None
    pool: Pool | None = None

    @property
    def name(self) -> str:
        return f"{self.source} -> {self.target}"

    @property
    def values(self) -> np.ndarray:
        """The weights that are stored, ``(n,)``: all, or of a sparse matrix those that are not zero."""
        return self.weights.reshape(-1) if isinstance(self.weights, np.ndarray) else self.weights.data

    def __str__(self) -> str:
        what = "kernel" if self.convolution else "sparse" if sparse.issparse(self.weights) else "matrix"
        text = f"{self.name}: {what} {' x '.join(map(str, self.weights.shape))}"
        if self.convolution:
            c = self.convolution
            text += f", stride {c.stride}, padding {c.padding}, dilation {c.dilation}, groups {c.groups}"
        if self.pool:
            text += f", behind sums of {self.pool.size[0]} x {self.pool.size[1]}, stride {self.pool.stride}"
        return f"{text}, delay {self.delay}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A network in real numbers.

    Attributes:
        outputs: names of the results, each with the population that it shows.
        states: names of those outputs that show the potential in place of spikes.
        assumptions: the readings chosen and the repairs made while importing.
    """

    inputs: Sequence[FloatInput]
    populations: Sequence[FloatPopulation]
    projections: Sequence[FloatProjection]
    outputs: Mapping[str, str]
    states: Sequence[str] = ()
    assumptions: Sequence[Assumption] = field(default_factory=tuple)
    _matrices: dict[int, Matrix] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        names = [p.name for p in self.inputs] + [p.name for p in self.populations]
        if len(set(names)) != len(names):
            raise NetworkError(f"network: population names repeat: {sorted({n for n in names if names.count(n) > 1})}")
        sizes = {p.name: p.size for p in self.inputs} | {p.name: p.size for p in self.populations}
        targets = {p.name for p in self.populations}
        for projection in self.projections:
            where = f"projection {projection.name}"
            for end in (projection.source, projection.target):
                if end not in sizes:
                    raise NetworkError(f"{where}: there is no population {end}")
            if projection.target not in targets:
                raise NetworkError(f"{where}: the target is an input")
            want, have = self._weights_shape(projection), projection.weights.shape
            if len(have) != len(want) or any(w not in (-1, h) for h, w in zip(have, want, strict=True)):
                raise NetworkError(f"{where}: weights have shape {have}, must be {want} (-1: any length)")
            if sparse.issparse(projection.weights) and (projection.convolution or projection.pool):
                raise NetworkError(f"{where}: a sparse matrix stands for itself: no convolution, no pool")
            if not np.isfinite(projection.values).all():
                raise NetworkError(f"{where}: a weight is not a finite number")
            if projection.delay < 0:
                raise NetworkError(f"{where}: delay must be at least 0, not {projection.delay}")
        for output, name in self.outputs.items():
            if name not in targets:
                raise NetworkError(f"output {output}: there is no population {name}")
        for output in self.states:
            if output not in self.outputs:
                raise NetworkError(f"states: there is no output {output}")

    def _weights_shape(self, projection: FloatProjection) -> tuple[int, ...]:
        ends = self.shape(projection.source), self.shape(projection.target)
        try:
            return weights_shape(*ends, projection.convolution, projection.pool)
        except NetworkError as error:
            raise NetworkError(f"projection {projection.name}: {error}") from error

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an input or a population."""
        ends: tuple[Any, ...] = (*self.inputs, *self.populations)
        return next(p.shape for p in ends if p.name == name)

    def matrix(self, projection: FloatProjection) -> Matrix:
        """The synapses of a projection, ``(target.size, source.size)``; dense if it is a dense matrix and no more."""
        if projection.convolution is None and projection.pool is None:
            return projection.weights
        if id(projection) not in self._matrices:
            ends = self.shape(projection.source), self.shape(projection.target)
            self._matrices[id(projection)] = matrix(projection.weights, *ends, projection.convolution, projection.pool)
        return self._matrices[id(projection)]

    def input(self, name: str) -> FloatInput:
        return next(p for p in self.inputs if p.name == name)

    def population(self, name: str) -> FloatPopulation:
        return next(p for p in self.populations if p.name == name)

    def into(self, name: str) -> list[FloatProjection]:
        """The projections onto a population."""
        return [p for p in self.projections if p.target == name]

    def ordered(self) -> list[FloatPopulation]:
        """The populations so that every projection of delay 0 goes forward."""
        waiting = list(self.populations)
        done = {p.name for p in self.inputs}
        order: list[FloatPopulation] = []
        while waiting:
            ready = [p for p in waiting if all(e.source in done for e in self.into(p.name) if e.delay == 0)]
            if not ready:
                names = ", ".join(p.name for p in waiting)
                raise NetworkError(f"network: projections of delay 0 close a loop among {names}; give one a delay of 1")
            order += ready
            done |= {p.name for p in ready}
            waiting = [p for p in waiting if p.name not in done]
        return order

    def summary(self) -> str:
        """Lines for people: populations, projections, and what was assumed."""
        lines = [f"input {p.name} {p.shape}" for p in self.inputs]
        lines += [f"{p.kind} {p.name} {p.shape}" for p in self.populations]
        lines += [str(e) for e in self.projections]
        lines += [f"output {name} <- {p}{' (v)' if name in self.states else ''}" for name, p in self.outputs.items()]
        return "\n".join(lines + [f"assumed {assumption}" for assumption in self.assumptions])
