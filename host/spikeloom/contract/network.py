"""The quantised network: populations and projections in integers, as the golden model runs it.

It knows nothing of cores, lanes or keys. The compiler maps it on an array, the golden model runs it as it stands.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from math import prod
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from scipy import sparse

from .config import PAYLOAD_BITS_MAX
from .errors import ImageError, NetworkError
from .geometry import Convolution, Pool, matrix, weights_shape
from .neuron import EXPONENT_BITS, REFRACTORY_BITS, Adaptation, Reset
from .numerics import DECAY_ONE, Numerics, Profile

NETWORK_VERSION = 4


class InputKind(StrEnum):
    """What one sample of an input is."""

    SPIKES = "spikes"
    """0 or 1 a tick and neuron."""
    COUNTS = "counts"
    """0 to ``max_count`` spikes a tick and neuron, an event each."""
    GRADED = "graded"
    """0 to ``max_count`` a tick and neuron as one event, whose weights are multiplied with the value."""
    CURRENTS = "currents"
    """Real numbers; their weighted sums become biases of the target, rounded once on the host."""


@dataclass(frozen=True, kw_only=True, eq=False)
class InputPopulation:
    """Where samples enter. ``max_count`` bounds the spikes (or the value) of one neuron in one tick: the overflow proof
    needs it."""

    name: str
    shape: tuple[int, ...]
    kind: InputKind = InputKind.SPIKES
    max_count: int = 1

    def __post_init__(self) -> None:
        if self.kind not in tuple(InputKind):
            kinds = ", ".join(InputKind)
            raise NetworkError(f"input {self.name}: kind must be one of {kinds}, not {self.kind!r}")
        object.__setattr__(self, "kind", InputKind(self.kind))
        if self.max_count < 1:
            raise NetworkError(f"input {self.name}: max_count must be at least 1, not {self.max_count}")

    @property
    def graded(self) -> bool:
        """Whether an event carries a value."""
        return self.kind is InputKind.GRADED

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """Neurons of one model. Parameters are integers (see :mod:`.neuron`), scalars or arrays of ``size``, in C order.

    Where ``step`` is not zero, the neurons adapt, and need a core that is ``adaptive``. With ``spike_bits``, 1 to 8, a
    neuron sends up to ``2**spike_bits - 1`` spikes in a tick as one event, and needs a core with at least as many.
    ``latency`` of the mapping is not here: results are in the source framework's ticks.
    """

    name: str
    shape: tuple[int, ...]
    alpha: np.ndarray | int = 0
    beta: np.ndarray | int = DECAY_ONE
    theta: np.ndarray | int
    v_min: np.ndarray | int
    v_reset: np.ndarray | int = 0
    v_sub: np.ndarray | int = 0
    reset: Reset = Reset.VALUE
    refractory: np.ndarray | int = 0
    bias: np.ndarray | int = 0
    bias_u: np.ndarray | int = 0
    weight_exponent: int = 0
    gamma: np.ndarray | int = 0
    step: np.ndarray | int = 0
    adaptation: Adaptation = Adaptation.THRESHOLD
    spike_bits: int = 0

    ARRAYS = (
        "alpha", "beta", "theta", "v_min", "v_reset", "v_sub", "refractory", "bias", "bias_u", "gamma", "step",
    )  # fmt: skip

    @property
    def adapts(self) -> bool:
        """Whether its spikes leave anything: otherwise there is no adaptation to decay."""
        return bool(np.any(self.step))

    @property
    def max_count(self) -> int:
        """Spikes of one neuron in one tick, at most."""
        return (1 << self.spike_bits) - 1 if self.spike_bits else 1

    @property
    def graded(self) -> bool:
        """Whether an event carries a number of spikes."""
        return self.spike_bits > 0

    @property
    def size(self) -> int:
        return prod(self.shape)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reset", Reset(self.reset))
        object.__setattr__(self, "adaptation", Adaptation(self.adaptation))
        for name in self.ARRAYS:
            value = np.asarray(getattr(self, name))
            if value.dtype.kind not in "iu":
                raise NetworkError(f"population {self.name}: {name} must be integers, not {value.dtype}")
            if value.size not in (1, self.size):
                raise NetworkError(f"population {self.name}: {name} has {value.size} values for {self.size} neurons")
            full = np.broadcast_to(value.reshape(-1).astype(np.int64), (self.size,))
            object.__setattr__(self, name, full)

    def check(self, numerics: Numerics) -> None:
        """Raise :class:`NetworkError` for a parameter that the datapath cannot hold."""
        low, high = -numerics.state_max - 1, numerics.state_max
        refractory_max = (1 << REFRACTORY_BITS) - 1
        for name in self.ARRAYS:
            first, last = {
                "alpha": (0, DECAY_ONE), "beta": (0, DECAY_ONE), "v_sub": (0, high), "refractory": (0, refractory_max),
                "gamma": (0, DECAY_ONE),
            }.get(name, (low, high))  # fmt: skip
            values = getattr(self, name)
            for at in np.flatnonzero((values < first) | (values > last))[:1]:
                raise NetworkError(
                    f"population {self.name}: {name} of neuron {at} is {values[at]}, must be {first} to {last}"
                )
        if self.reset is Reset.SUBTRACT and np.any(self.theta < -1):
            raise NetworkError(f"population {self.name}: reset SUBTRACT needs theta >= -1, so that v cannot overflow")
        self._check_adaptation()
        self._check_several()
        exponent = 1 << EXPONENT_BITS - 1
        if not -exponent <= self.weight_exponent < exponent:
            raise NetworkError(
                f"population {self.name}: weight_exponent must be {-exponent} to {exponent - 1}, "
                f"not {self.weight_exponent}"
            )
        if self.weight_exponent and numerics.profile is not Profile.LOIHI:
            raise NetworkError(f"population {self.name}: weight_exponent exists in the loihi profile only")

    def _check_several(self) -> None:
        if not 0 <= self.spike_bits <= PAYLOAD_BITS_MAX:
            raise NetworkError(
                f"population {self.name}: spike_bits must be 0 to {PAYLOAD_BITS_MAX}, not {self.spike_bits}"
            )
        if not self.graded:
            return
        where = f"population {self.name}: several spikes a tick (spike_bits = {self.spike_bits})"
        if self.reset is not Reset.SUBTRACT:
            raise NetworkError(f"{where} need reset SUBTRACT, not {self.reset.name}")
        for at in np.flatnonzero((self.v_sub < 1) | (self.theta != np.asarray(self.v_sub) - 1))[:1]:
            raise NetworkError(
                f"{where} need theta = v_sub - 1 and v_sub >= 1, so that each takes a threshold from the potential; "
                f"theta of neuron {at} is {self.theta[at]}, v_sub {self.v_sub[at]}"  # type: ignore[index]
            )
        if np.any(self.refractory):
            raise NetworkError(f"{where} and a refractory time exclude each other")
        if self.adapts:
            raise NetworkError(f"{where} and an adaptation exclude each other: the threshold must stand still")

    def _check_adaptation(self) -> None:
        if not self.adapts:
            return
        if self.adaptation is Adaptation.INPUT:
            if self.reset is Reset.SUBTRACT_DELAYED:
                raise NetworkError(
                    f"population {self.name}: adaptation INPUT takes the place of what reset SUBTRACT_DELAYED "
                    "subtracts: use another reset, or adapt the threshold"
                )
        elif self.reset is Reset.SUBTRACT and np.any(self.step < 0):
            raise NetworkError(
                f"population {self.name}: reset SUBTRACT needs step >= 0, so that v cannot overflow at a threshold "
                "that falls"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """Synapses from all neurons of one population to those of another.

    Attributes:
        weights: integers: a matrix ``(target.size, source.size)``, or of a convolution the kernel
            ``(target channels, source channels / groups, height, width)``.
        delay: ticks in the source framework's sense; 0 reaches the target in the same tick and closes no loop.
        sparse: only the weights that are not zero are synapses; otherwise all are. A matrix only.
        convolution: how the kernel moves.
        pool: what sums the source's spikes first; the matrix or kernel then has the pool's positions as its sources.
    """

    source: str
    target: str
    weights: np.ndarray
    delay: int = 0
    sparse: bool = False
    convolution: Convolution | None = None
    pool: Pool | None = None

    @property
    def name(self) -> str:
        return f"{self.source} -> {self.target}"

    @property
    def plain(self) -> bool:
        """Whether the weights are the synapses' matrix as they stand."""
        return self.convolution is None and self.pool is None


@dataclass(frozen=True, kw_only=True, eq=False)
class Drive:
    """A current input: per sample and tick, ``round(scale * (weights @ x))`` is added to the target's ``bias``.

    ``weights`` are real, ``(target.size, source.size)``, dense or sparse; ``scale`` is state units per unit of
    current, a target neuron. The last bits of a matrix product depend on how many samples are multiplied at once, and
    near one half they decide: so the product is first rounded to ``2**-16``.
    """

    source: str
    target: str
    weights: np.ndarray | sparse.csr_array
    scale: np.ndarray

    def biases(self, samples: np.ndarray) -> np.ndarray:
        """``int64 (..., target.size)`` for real samples ``(..., source.size)``: what golden and board both add."""
        *outer, size = samples.shape
        flat = np.asarray(samples, dtype=np.float64).reshape(prod(outer), size)  # sparse matrices know two axes only
        exact = (flat @ self.weights.T).reshape(*outer, self.weights.shape[0]) * self.scale
        steady = np.rint(np.rint(exact * 2.0**16) * 2.0**-16)
        return np.clip(steady, -(2.0**48), 2.0**48).astype(np.int64)  # far beyond any state, and still an integer


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantisedNetwork:
    """Integers all through: what is compiled, and what the golden model runs.

    Attributes:
        outputs: names of the results, each with the population that it shows.
        states: names of those outputs that show the potential ``v`` instead of spikes.
        state_scale: state units per unit of the source network, a neuron, for outputs that show ``v``.
        report: lines about what the quantiser did; nothing is re-scaled or clipped without one.
    """

    numerics: Numerics = field(default_factory=Numerics)
    inputs: Sequence[InputPopulation]
    populations: Sequence[Population]
    projections: Sequence[Projection]
    drives: Sequence[Drive] = ()
    outputs: Mapping[str, str]
    states: Sequence[str] = ()
    state_scale: Mapping[str, np.ndarray] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    _matrices: dict[Projection, sparse.csr_array] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        names = [p.name for p in self.inputs] + [p.name for p in self.populations]
        if len(set(names)) != len(names):
            raise NetworkError(f"network: population names repeat: {sorted(n for n in names if names.count(n) > 1)}")
        for population in self.populations:
            population.check(self.numerics)
        for projection in self.projections:
            self._check_projection(projection)
        for drive in self.drives:
            self._check_ends(drive)
            if drive.source not in self._currents:
                raise NetworkError(f"drive {drive.source} -> {drive.target}: the source is no input of currents")
        for output, name in self.outputs.items():
            if name not in {p.name for p in self.populations}:
                raise NetworkError(f"output {output}: there is no population {name}")
        for output in (*self.states, *self.state_scale):
            if output not in self.outputs:
                raise NetworkError(f"network: states or state_scale name {output}, which is no output")

    def _check_ends(self, edge: Projection | Drive) -> None:
        where = f"{edge.source} -> {edge.target}"
        sizes = {p.name: p.size for p in self.inputs} | {p.name: p.size for p in self.populations}
        for end in (edge.source, edge.target):
            if end not in sizes:
                raise NetworkError(f"projection {where}: there is no population {end}")
        if edge.target not in {p.name for p in self.populations}:
            raise NetworkError(f"projection {where}: the target is an input")
        convolution, pool = getattr(edge, "convolution", None), getattr(edge, "pool", None)
        try:
            want = weights_shape(self.shape(edge.source), self.shape(edge.target), convolution, pool)
        except NetworkError as error:
            raise NetworkError(f"projection {where}: {error}") from error
        have = edge.weights.shape
        if len(have) != len(want) or any(w not in (-1, h) for h, w in zip(have, want, strict=True)):
            meaning = "(target, source)" if convolution is None else "(channels, channels / groups, height, width)"
            wanted = ", ".join("any" if w < 0 else str(w) for w in want)
            raise NetworkError(f"projection {where}: weights have shape {have}, must be {meaning} = ({wanted})")

    def _check_projection(self, projection: Projection) -> None:
        self._check_ends(projection)
        where, weights, numerics = f"projection {projection.name}", projection.weights, self.numerics
        if projection.source in self._currents:
            raise NetworkError(f"{where}: the source is an input of currents, which enters by a drive")
        if weights.dtype.kind not in "iu":
            raise NetworkError(f"{where}: weights must be integers, not {weights.dtype}")
        if weights.size and not (numerics.weight_min <= weights.min() and weights.max() <= numerics.weight_max):
            raise NetworkError(
                f"{where}: weights are {weights.min()} to {weights.max()}, "
                f"must be {numerics.weight_min} to {numerics.weight_max} ({numerics.weight_bits} bits)"
            )
        if projection.sparse and projection.convolution:
            raise NetworkError(f"{where}: a convolution cannot be sparse")
        if numerics.weight_bits == 1 and not projection.sparse and (weights == 0).any():
            raise NetworkError(f"{where}: a weight is 0, and 1-bit weights are plus or minus one")
        if projection.delay < 0:
            raise NetworkError(f"{where}: delay must be at least 0, not {projection.delay}")

    @property
    def _currents(self) -> set[str]:
        return {i.name for i in self.inputs if i.kind is InputKind.CURRENTS}

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an input or a population."""
        return next(p.shape for p in self.ends if p.name == name)

    @property
    def ends(self) -> list[InputPopulation | Population]:
        """All that a projection can come from."""
        return [*self.inputs, *self.populations]

    def matrix(self, projection: Projection) -> sparse.csr_array:
        """The synapses of a projection, ``(target.size, source.size)``: an entry that is stored is one."""
        known = self._matrices
        if projection not in known:
            ends = self.shape(projection.source), self.shape(projection.target)
            known[projection] = matrix(projection.weights, *ends, projection.convolution, projection.pool)
            if projection.sparse:
                known[projection].eliminate_zeros()
        return known[projection]

    def fanout(self, projection: Projection) -> np.ndarray:
        """Synapses of each source neuron, ``int64 (source.size,)``."""
        if not projection.plain:
            counts = np.diff(self.matrix(projection).tocsc().indptr)
            return counts.astype(np.int64)
        if projection.sparse:
            return np.count_nonzero(projection.weights, axis=0).astype(np.int64)
        return np.full(projection.weights.shape[1], projection.weights.shape[0], dtype=np.int64)

    def input(self, name: str) -> InputPopulation:
        return next(p for p in self.inputs if p.name == name)

    def population(self, name: str) -> Population:
        return next(p for p in self.populations if p.name == name)

    def save(self, path: str | Path) -> None:
        """Write the network to one ``.npz`` file: a manifest in JSON and arrays."""
        with open(path, "wb") as file:
            np.savez_compressed(file, **self.to_arrays())  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> QuantisedNetwork:
        """Read a file of :meth:`save`. Raises :class:`ImageError` where it is none."""
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls.from_arrays(dict(arrays))
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, zlib.error) as error:
            raise ImageError(f"{path}: not a quantised network of format {NETWORK_VERSION}: {error}") from error

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The network as named arrays; ``network`` is the manifest."""
        arrays: dict[str, np.ndarray] = {}
        populations = []
        for p in self.populations:
            for name in Population.ARRAYS:
                arrays[f"population/{p.name}/{name}"] = getattr(p, name)
            populations.append({
                "name": p.name, "shape": p.shape, "reset": int(p.reset), "weight_exponent": p.weight_exponent,
                "adaptation": int(p.adaptation), "spike_bits": int(p.spike_bits),
            })  # fmt: skip
        projections, drives = [], []
        for n, e in enumerate(self.projections):
            arrays[f"projection/{n}"] = e.weights.astype(np.int16)
            projections.append({
                "source": e.source, "target": e.target, "delay": e.delay, "sparse": e.sparse,
                "convolution": e.convolution and asdict(e.convolution), "pool": e.pool and asdict(e.pool),
            })  # fmt: skip
        for n, d in enumerate(self.drives):
            arrays |= {f"drive/{n}/{name}": array for name, array in _parts(d.weights).items()}
            arrays[f"drive/{n}/scale"] = d.scale
            drives.append({"source": d.source, "target": d.target})
        for name, scale in self.state_scale.items():
            arrays[f"state_scale/{name}"] = scale
        manifest = {
            "version": NETWORK_VERSION, "numerics": asdict(self.numerics), "inputs": [asdict(i) for i in self.inputs],
            "populations": populations, "projections": projections, "drives": drives, "outputs": dict(self.outputs),
            "states": list(self.states), "state_scale": list(self.state_scale), "report": dict(self.report),
        }  # fmt: skip
        arrays["network"] = np.frombuffer(json.dumps(manifest, default=_plain).encode(), dtype=np.uint8)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> QuantisedNetwork:
        """The inverse of :meth:`to_arrays`."""
        manifest = json.load(io.BytesIO(np.asarray(arrays["network"], dtype=np.uint8).tobytes()))
        if manifest["version"] != NETWORK_VERSION:
            raise ImageError(f"network of format {manifest['version']}, this program reads {NETWORK_VERSION}")
        return cls(
            numerics=Numerics(**manifest["numerics"]),
            inputs=[
                InputPopulation(**{**i, "shape": tuple(i["shape"]), "kind": InputKind(i["kind"])})
                for i in manifest["inputs"]
            ],
            populations=[
                Population(
                    **{**p, "shape": tuple(p["shape"])},
                    **{name: arrays[f"population/{p['name']}/{name}"] for name in Population.ARRAYS},  # type: ignore[arg-type]
                )
                for p in manifest["populations"]
            ],
            projections=[
                _projection(e, arrays[f"projection/{n}"].astype(np.int64))
                for n, e in enumerate(manifest["projections"])
            ],
            drives=[
                Drive(**d, weights=_whole(arrays, f"drive/{n}/"), scale=arrays[f"drive/{n}/scale"])
                for n, d in enumerate(manifest["drives"])
            ],
            outputs=manifest["outputs"],
            states=manifest["states"],
            state_scale={name: arrays[f"state_scale/{name}"] for name in manifest["state_scale"]},
            report=manifest["report"],
        )


def _projection(entry: Mapping[str, Any], weights: np.ndarray) -> Projection:
    """A projection of the manifest; JSON has made lists of pairs."""

    def restore(kind: type, values: Mapping[str, Any] | None) -> Any:
        return values and kind(**{n: tuple(v) if isinstance(v, list) else v for n, v in values.items()})

    convolution, pool = restore(Convolution, entry["convolution"]), restore(Pool, entry["pool"])
    return Projection(**{**entry, "convolution": convolution, "pool": pool}, weights=weights)


def _parts(weights: np.ndarray | sparse.csr_array) -> dict[str, np.ndarray]:
    """A matrix as arrays: as it is, or the three of a sparse one and its shape."""
    if isinstance(weights, np.ndarray):
        return {"weights": weights}
    parts = {name: getattr(weights, name) for name in ("data", "indices", "indptr")}
    return parts | {"shape": np.array(weights.shape)}


def _whole(arrays: Mapping[str, np.ndarray], prefix: str) -> np.ndarray | sparse.csr_array:
    """The inverse of :func:`_parts`."""
    if f"{prefix}weights" in arrays:
        return arrays[f"{prefix}weights"]
    data, indices, indptr, shape = (arrays[prefix + name] for name in ("data", "indices", "indptr", "shape"))
    return sparse.csr_array((data, indices, indptr), shape=tuple(shape.tolist()))


def _plain(value: Any) -> Any:
    """NumPy's scalars and arrays as JSON has them: shapes and reports are often computed."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be saved: {value!r}")
