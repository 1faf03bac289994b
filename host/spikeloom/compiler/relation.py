"""Which targets a source reaches along one axis of space: a run of positions and of the kernel's places for them."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np

from ..contract.geometry import Convolution, Pool
from ..contract.grid import Grid
from ..contract.network import Projection, QuantisedNetwork

ONE = Pool(size=(1, 1), stride=(1, 1))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Relation:
    """Along one axis: source ``i`` of a box reaches ``count[i]`` targets of another, the first one ``target[i]``
    through the kernel's place ``tap[i]``; from one to the next, both move by their step.

    Targets count from their box's first position; where ``count`` is 0, the others are 0, too.
    """

    count: np.ndarray
    target: np.ndarray
    tap: np.ndarray
    target_step: int
    tap_step: int


def behind(network: QuantisedNetwork, edge: Projection) -> tuple[int, int, int]:
    """Shape that the kernel moves over: the source's, or what its pool makes of it."""
    return (edge.pool or ONE).shape(network.shape(edge.source))


def pooled(edge: Projection, axis: int, source: Grid, length: int) -> np.ndarray:
    """Position behind the pool of each source of a box along an axis; -1 where no window has it.

    The pool's windows must not overlap.
    """
    pool = edge.pool or ONE
    at = np.arange(*(source.y, source.x)[axis]) + pool.padding[axis]
    window, within = np.divmod(at, pool.stride[axis])
    return np.where((within < pool.size[axis]) & (window < length), window, -1)


def relation(edge: Projection, axis: int, source: Grid, target: Grid, shape: tuple[int, int, int]) -> Relation:
    """The relation of a convolution along axis 0 (y) or 1 (x); ``shape`` is what the kernel moves over.

    Target ``o`` hears position ``o * stride - padding + k * dilation``. So a position's targets are ``dilation / g``
    apart and their places in the kernel ``-stride / g``, with ``g`` the two's greatest common divisor.
    """
    convolution = edge.convolution
    assert convolution is not None
    stride, dilation = convolution.stride[axis], convolution.dilation[axis]
    taps = edge.weights.shape[2 + axis]
    first, last = (target.y, target.x)[axis]
    common = gcd(stride, dilation)
    positions = pooled(edge, axis, source, shape[1 + axis])
    targets = np.arange(first, last)
    place, rest = np.divmod(positions[:, None] + convolution.padding[axis] - targets * stride, dilation)
    heard = (positions[:, None] >= 0) & (rest == 0) & (place >= 0) & (place < taps)  # (positions, targets)
    count = heard.sum(axis=1)
    start = heard.argmax(axis=1) if len(targets) else count
    tap = np.where(count > 0, np.take_along_axis(place, start[:, None], axis=1)[:, 0], 0) if len(targets) else count
    return Relation(count=count, target=start, tap=tap, target_step=dilation // common, tap_step=-stride // common)


def channel_range(edge: Projection, channel: int, target: Grid) -> range:
    """Channels of a target box, from its first one, that hear a source's channel."""
    convolution = edge.convolution
    assert isinstance(convolution, Convolution)
    per_group = edge.weights.shape[0] // convolution.groups
    group = channel // edge.weights.shape[1]
    first, last = target.channels
    return range(max(group * per_group, first) - first, max(min((group + 1) * per_group, last), first) - first)
