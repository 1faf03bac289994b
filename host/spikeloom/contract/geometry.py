"""Synapses between populations in space: convolutions and the pooling in front of them, and the matrix they stand for.

A population of shape ``(C, H, W)`` has channels and two axes of space; ``(C, L)`` has one, ``(n,)`` none. A neuron's
number is its place in C order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from .errors import NetworkError

Pair = tuple[int, int]


def in_space(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """``(C, H, W)`` of any shape: missing axes have length 1, axes beyond three are none of space."""
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    if len(shape) == 2:
        return shape[0], 1, shape[1]
    return int(np.prod(shape)), 1, 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """Sums over windows, channel by channel: position ``p`` sums ``p * stride - padding + k`` for ``k < size``.

    Attributes:
        size, stride, padding: along y and x. Padding stands on both sides and adds nothing.
    """

    size: Pair
    stride: Pair
    padding: Pair = (0, 0)

    def __post_init__(self) -> None:
        _check_pairs("pool", size=(self.size, 1), stride=(self.stride, 1), padding=(self.padding, 0))

    @property
    def overlaps(self) -> bool:
        """Whether a position may belong to several windows."""
        return self.size[0] > self.stride[0] or self.size[1] > self.stride[1]

    def shape(self, source: tuple[int, ...]) -> tuple[int, int, int]:
        """Shape behind the pool of a source of any shape."""
        channels, *space = in_space(source)
        y, x = (
            (length + 2 * pad - size) // stride + 1
            for length, size, stride, pad in zip(space, self.size, self.stride, self.padding, strict=True)
        )
        return channels, y, x


@dataclass(frozen=True, kw_only=True, slots=True)
class Convolution:
    """Target ``o`` hears, through the kernel's ``k``, source ``o * stride - padding + k * dilation``, along y and x.

    Attributes:
        padding: positions in front of the source that add nothing; as many stand behind it as the target needs.
        groups: channels are cut into this many groups that do not hear each other.
    """

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        _check_pairs("convolution", stride=(self.stride, 1), padding=(self.padding, 0), dilation=(self.dilation, 1))
        if self.groups < 1:
            raise NetworkError(f"convolution: groups must be at least 1, not {self.groups}")


def _check_pairs(what: str, **pairs: tuple[Pair, int]) -> None:
    for name, (pair, low) in pairs.items():
        if len(pair) != 2 or min(pair) < low:
            raise NetworkError(f"{what}: {name} must be two numbers of at least {low}, not {pair}")


def weights_shape(
    source: tuple[int, ...], target: tuple[int, ...], convolution: Convolution | None, pool: Pool | None
) -> tuple[int, ...]:
    """The shape that a projection's weights must have; -1 where any length will do.

    Raises :class:`NetworkError` for channels that do not divide into groups.
    """
    behind = pool.shape(source) if pool else in_space(source)
    if min(behind) < 1:
        raise NetworkError(f"pool: its windows are larger than the source {source}")
    if convolution is None:
        return int(np.prod(target)), int(np.prod(behind))
    channels, groups = in_space(target)[0], convolution.groups
    if channels % groups or behind[0] % groups:
        raise NetworkError(f"convolution: groups = {groups} must divide the channels, {behind[0]} and {channels}")
    return channels, behind[0] // groups, -1, -1


def matrix(
    weights: np.ndarray,
    source: tuple[int, ...],
    target: tuple[int, ...],
    convolution: Convolution | None,
    pool: Pool | None,
) -> sparse.csr_array:
    """The synapses as a matrix ``(target size, source size)``; an entry that is stored is a synapse, even if it is 0.

    This is what convolution and pool mean, written from the target's side: each target adds what its kernel covers.
    """
    behind = pool.shape(source) if pool else in_space(source)
    if convolution is None:
        rows, columns = np.indices(weights.shape).reshape(2, -1)
        values = weights.reshape(-1)
    else:
        rows, columns, values = _taps(weights, behind, in_space(target), convolution)
    size = int(np.prod(target)), int(np.prod(behind))
    result = sparse.csr_array((values, (rows, columns)), shape=size)
    return _stored(result, _windows(source, pool)) if pool else result


def _stored(left: sparse.csr_array, right: sparse.csr_array) -> sparse.csr_array:
    """The product, with every entry stored that a path of stored entries makes, even where the sum is 0."""
    product = sparse.coo_array(left @ right)
    ones = sparse.csr_array((np.ones(left.nnz, dtype=np.int64), left.indices, left.indptr), shape=left.shape)
    paths = sparse.coo_array(ones @ right)
    values = np.concatenate([product.data, np.zeros(paths.nnz, dtype=product.data.dtype)])
    at = tuple(np.concatenate(pair) for pair in zip(product.coords, paths.coords, strict=True))
    return sparse.csr_array((values, at), shape=product.shape)


def _taps(
    kernel: np.ndarray, behind: tuple[int, int, int], target: tuple[int, int, int], conv: Convolution
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, source and weight of every tap that meets the source."""
    shape = (*target, *kernel.shape[1:])
    out, y, x, within, ky, kx = np.indices(shape, sparse=True)
    group = out // (target[0] // conv.groups)
    channel = group * kernel.shape[1] + within
    at_y = y * conv.stride[0] - conv.padding[0] + ky * conv.dilation[0]
    at_x = x * conv.stride[1] - conv.padding[1] + kx * conv.dilation[1]
    met = np.broadcast_to((at_y >= 0) & (at_y < behind[1]) & (at_x >= 0) & (at_x < behind[2]), shape)
    rows = np.broadcast_to((out * target[1] + y) * target[2] + x, shape)[met]
    columns = np.broadcast_to((channel * behind[1] + at_y) * behind[2] + at_x, shape)[met]
    values = np.broadcast_to(kernel[:, None, None], shape)[met]
    return rows, columns, values


def _windows(source: tuple[int, ...], pool: Pool) -> sparse.csr_array:
    """The pool as a matrix of ones ``(pooled size, source size)``."""
    channels, height, width = in_space(source)
    _, pooled_y, pooled_x = pool.shape(source)
    shape = (channels, pooled_y, pooled_x, *pool.size)
    c, y, x, ky, kx = np.indices(shape, sparse=True)
    at_y = y * pool.stride[0] - pool.padding[0] + ky
    at_x = x * pool.stride[1] - pool.padding[1] + kx
    met = np.broadcast_to((at_y >= 0) & (at_y < height) & (at_x >= 0) & (at_x < width), shape)
    rows = np.broadcast_to((c * pooled_y + y) * pooled_x + x, shape)[met]
    columns = np.broadcast_to((c * height + at_y) * width + at_x, shape)[met]
    ones = np.ones(len(rows), dtype=np.int64)
    return sparse.csr_array((ones, (rows, columns)), shape=(channels * pooled_y * pooled_x, channels * height * width))
