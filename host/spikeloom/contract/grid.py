"""Where the neurons of a key stand: their indices in the fabric, and their rows and lanes on a core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Grid:
    """A box of neurons out of a population of ``shape (C, H, W)``; ``y`` and ``x`` are ranges along the axes of space.

    A neuron's number is its place in the whole population, in C order. Its index is ``{channel, y, x}`` in bit fields,
    counted from the box's corner, ``x`` lowest. On a core its lane runs along channels: a row for each block of
    ``lanes`` channels, blocks side by side, then ``x``, then ``y``. A population without space is all channels.
    """

    shape: tuple[int, int, int]
    channels: Range
    y: Range
    x: Range

    @classmethod
    def whole(cls, shape: tuple[int, int, int]) -> Grid:
        return cls(shape, (0, shape[0]), (0, shape[1]), (0, shape[2]))

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Channels, positions along y, positions along x."""
        c, y, x = (last - first for first, last in (self.channels, self.y, self.x))
        return c, y, x

    @property
    def size(self) -> int:
        return int(np.prod(self.lengths))

    @property
    def field_bits(self) -> tuple[int, int]:
        """Bits of the fields of y and x; 0 where there is one position only."""
        _, y, x = self.lengths
        return (y - 1).bit_length(), (x - 1).bit_length()

    @property
    def sources(self) -> int:
        """Indices are below this."""
        return self.lengths[0] << sum(self.field_bits)

    def _corners(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Channel, y and x of each neuron of the box from its corner, in C order."""
        c, y, x = np.indices(self.lengths).reshape(3, -1)
        return c, y, x

    def neurons(self) -> np.ndarray:
        """Numbers of the box's neurons, ``int64 (size,)``, ascending."""
        c, y, x = self._corners()
        _, height, width = self.shape
        return ((self.channels[0] + c) * height + self.y[0] + y) * width + self.x[0] + x

    def indices(self) -> np.ndarray:
        """Index of each of them."""
        c, y, x = self._corners()
        y_bits, x_bits = self.field_bits
        return (c << y_bits + x_bits) | (y << x_bits) | x

    def by_index(self) -> np.ndarray:
        """Number of the neuron of each index, ``int64 (sources,)``; -1 where the fields leave a gap."""
        numbers = np.full(self.sources, -1, dtype=np.int64)
        numbers[self.indices()] = self.neurons()
        return numbers

    def blocks(self, lanes: int) -> int:
        """Rows of one position."""
        return -(-self.lengths[0] // lanes)

    def rows(self, lanes: int) -> int:
        _, y, x = self.lengths
        return y * x * self.blocks(lanes)

    def places(self, lanes: int) -> np.ndarray:
        """``row * lanes + lane`` of each neuron, from the box's first row, ``int64 (size,)``."""
        c, y, x = self._corners()
        row = (y * self.lengths[2] + x) * self.blocks(lanes) + c // lanes
        return row * lanes + c % lanes

    def first_indices(self, lanes: int) -> np.ndarray:
        """Index of lane 0 of each row, ``int64 (rows,)``; the next lane's is ``1 << sum(field_bits)`` higher."""
        _, height, width = self.lengths
        y, x, block = np.indices((height, width, self.blocks(lanes))).reshape(3, -1)
        y_bits, x_bits = self.field_bits
        return (block * lanes << y_bits + x_bits) | (y << x_bits) | x
