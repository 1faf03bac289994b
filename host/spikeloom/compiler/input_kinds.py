"""What an input carries: spikes, counts or currents; told, or seen in samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from spikeloom.contract.errors import NetworkError
from spikeloom.contract.network import InputKind, InputPopulation

from .graph import FloatInput

Kinds = str | InputKind | Mapping[str, str | InputKind] | None


def input_populations(
    inputs: Sequence[FloatInput], samples: dict[str, np.ndarray] | None, kinds: Kinds
) -> list[InputPopulation]:
    """The inputs with kind and ``max_count``.

    Args:
        samples: ``(n, ticks, size)`` by name: all 0 or 1 are spikes, other natural numbers counts, the rest currents.
            Graded inputs must be told.
        kinds: one kind for all inputs, or by name; wins over what samples show.
    """
    if isinstance(kinds, Mapping) and (unknown := set(kinds) - {i.name for i in inputs}):
        raise NetworkError(f"input_kind: there is no input {', '.join(sorted(unknown))}")
    return [_population(i, None if samples is None else samples[i.name], kinds) for i in inputs]


def _population(source: FloatInput, array: np.ndarray | None, kinds: Kinds) -> InputPopulation:
    told = kinds.get(source.name) if isinstance(kinds, Mapping) else kinds
    seen, largest = (InputKind.SPIKES, 1) if array is None else _seen(array)
    try:
        kind = seen if told is None else InputKind(told)
    except ValueError:
        raise NetworkError(
            f"input {source.name}: input_kind must be one of {', '.join(InputKind)}, not {told!r}"
        ) from None
    counted = kind in (InputKind.COUNTS, InputKind.GRADED)
    if counted and (array is None or seen is InputKind.CURRENTS):
        raise NetworkError(
            f"input {source.name}: {kind} need samples of natural numbers, the largest of which bounds the sums"
        )
    if kind is InputKind.SPIKES and seen is not InputKind.SPIKES:
        raise NetworkError(
            f"input {source.name}: samples hold {seen} (up to {largest}), and input_kind says spikes: 0 and 1"
        )
    most = max(1, int(largest)) if counted else 1
    return InputPopulation(name=source.name, shape=source.shape, kind=kind, max_count=most)


def _seen(array: np.ndarray) -> tuple[InputKind, float]:
    if not array.size:
        return InputKind.SPIKES, 1
    low, high = array.min(), array.max()
    if low < 0 or (array.dtype.kind == "f" and (array != np.rint(array)).any()):
        return InputKind.CURRENTS, float(np.abs(array).max())
    return (InputKind.SPIKES if high <= 1 else InputKind.COUNTS), int(high)
