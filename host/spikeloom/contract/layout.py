"""Bit layouts: the one description from which NumPy packs and Amaranth wires the same record.

A record is a run of fields, the first one at the least significant bit. In memory images and on the program ring a
record occupies ``columns`` words of 32 bits, least significant word first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .errors import ConfigError

COLUMN_BITS = 32


@dataclass(frozen=True, slots=True)
class Field:
    """One field: ``bits`` wide (1 to 32), two's complement where ``signed``."""

    name: str
    bits: int
    signed: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= COLUMN_BITS:
            raise ConfigError(f"field {self.name}: bits must be 1 to {COLUMN_BITS}, not {self.bits}")

    @property
    def low(self) -> int:
        return -(1 << self.bits - 1) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << self.bits - self.signed) - 1

    def integers(self, values: np.ndarray | int) -> np.ndarray:
        """The values as ``int64``. Raises :class:`ConfigError` for what the field cannot hold."""
        array = np.asarray(values)
        if array.size and array.dtype.kind not in "iub":
            raise ConfigError(f"{self.name} must be integers, not {array.dtype}")
        if array.size and (array.min() < self.low or array.max() > self.high):
            bad = array.min() if array.min() < self.low else array.max()
            raise ConfigError(f"{self.name} must be {self.low} to {self.high}, not {bad}")
        return array.astype(np.int64)


@dataclass(frozen=True, slots=True)
class Layout:
    """``repeat`` equal records side by side, each a run of ``fields``.

    Packed arrays are ``uint32``, shape ``(..., columns)``. Unpacked values are ``int64``, one array a field, shape
    ``(..., repeat)``, or ``(...)`` where ``repeat`` is ``None``: a single record.
    """

    fields: tuple[Field, ...]
    repeat: int | None = None

    @property
    def record_bits(self) -> int:
        return sum(field.bits for field in self.fields)

    @property
    def width(self) -> int:
        """Bits of all the records together."""
        return self.record_bits * (self.repeat or 1)

    @property
    def columns(self) -> int:
        """Words of 32 bits that hold them."""
        return -(-self.width // COLUMN_BITS)

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    def times(self, repeat: int) -> Layout:
        """The same record, ``repeat`` times side by side."""
        return Layout(self.fields, repeat)

    def pack(self, values: Mapping[str, np.ndarray | int]) -> np.ndarray:
        """Integers to words. Raises :class:`ConfigError` where a value does not fit its field: nothing is cut."""
        if missing := {field.name for field in self.fields} ^ set(values):
            raise ConfigError(f"pack: fields {sorted(missing)} are missing or unknown")
        arrays = [field.integers(values[field.name]) for field in self.fields]
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        if self.repeat is None:
            shape = (*shape, 1)
            arrays = [a[..., None] for a in arrays]
        if shape[-1:] != (self.repeat or 1,):
            raise ConfigError(f"pack: values of shape {shape} given, the layout has {self.repeat or 1} records")
        words = np.zeros((*shape[:-1], self.columns + 1), dtype=np.uint64)
        offset = 0
        for field, array in zip(self.fields, arrays, strict=True):
            bits = np.broadcast_to(array & ((1 << field.bits) - 1), shape).astype(np.uint64)
            for n in range(shape[-1]):
                column, shift = divmod(offset + n * self.record_bits, COLUMN_BITS)
                shifted = bits[..., n] << np.uint64(shift)
                words[..., column] |= shifted & np.uint64(0xFFFF_FFFF)
                words[..., column + 1] |= shifted >> np.uint64(COLUMN_BITS)
            offset += field.bits
        return words[..., : self.columns].astype(np.uint32)

    def unpack(self, words: np.ndarray) -> dict[str, np.ndarray]:
        """Words to integers: the inverse of :meth:`pack`."""
        words = np.asarray(words, dtype=np.uint64)
        if words.shape[-1] < self.columns:
            raise ConfigError(f"unpack: {words.shape[-1]} words given, the layout has {self.columns}")
        padded = np.concatenate([words, np.zeros_like(words[..., :1])], axis=-1)
        result = {}
        offset = 0
        for field in self.fields:
            parts = []
            for n in range(self.repeat or 1):
                column, shift = divmod(offset + n * self.record_bits, COLUMN_BITS)
                pair = padded[..., column] | padded[..., column + 1] << np.uint64(COLUMN_BITS)
                value = (pair >> np.uint64(shift)).astype(np.int64) & ((1 << field.bits) - 1)
                if field.signed:
                    value -= (value >> field.bits - 1) << field.bits
                parts.append(value)
            result[field.name] = parts[0] if self.repeat is None else np.stack(parts, axis=-1)
            offset += field.bits
        return result
