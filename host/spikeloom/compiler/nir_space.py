"""Convolutions and pools of NIR: their numbers, checked, and the shapes that they give."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import nir
import numpy as np

from spikeloom.contract.errors import NetworkError
from spikeloom.contract.geometry import Convolution, Pool

from .nir_nodes import kind, number

Shape = tuple[int, ...]

AXES = {"Conv1d": 1, "Conv2d": 2, "SumPool2d": 2, "AvgPool2d": 2}
"""Nodes that move over axes of space, and how many; channels stand in front."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """One convolution, with two axes of space: that of a Conv1d is x.

    Attributes:
        kernel: ``(channels, channels in / groups, height, width)``.
        bias: ``(channels,)``.
        given, target: shapes of what it takes and gives, with the node's own axes.
    """

    kernel: np.ndarray
    convolution: Convolution
    bias: np.ndarray
    given: Shape
    target: Shape


def is_convolution(node: nir.NIRNode) -> bool:
    return kind(node) in ("Conv1d", "Conv2d")


def is_pool(node: nir.NIRNode) -> bool:
    return kind(node) in ("SumPool2d", "AvgPool2d")


def convolution_input(name: str, node: nir.NIRNode, incoming: Shape | None) -> Shape | None:
    """``(channels, *space)`` that a convolution takes: ``input_shape`` tells the space, or else what arrives."""
    axes = AXES[kind(node)]
    channels = _kernel(name, node).shape[1] * _groups(name, node)
    if node.input_shape is not None:
        return (channels, *_numbers(name, node, "input_shape", 1))
    if incoming is None:
        return None
    if len(incoming) < axes or prod(incoming[: -axes - 1]) != 1:
        raise NetworkError(
            f"{_where(name, node)}: it takes (channels, {', '.join(('y', 'x')[-axes:])}) "
            f"and gets {incoming}; give it an input_shape, or leave out axes of time and batch"
        )
    return (channels, *incoming[-axes:])


def convolution(name: str, node: nir.NIRNode, given: Shape) -> Layer:
    """A convolution whose input has the shape ``given``, of :func:`convolution_input`."""
    kernel, groups, axes = _kernel(name, node), _groups(name, node), AXES[kind(node)]
    if kernel.shape[0] % groups:
        raise NetworkError(f"{_where(name, node)}: groups {groups} must divide its {kernel.shape[0]} channels")
    stride, dilation = _numbers(name, node, "stride", 1), _numbers(name, node, "dilation", 1)
    reach = tuple(d * (k - 1) for d, k in zip(dilation, kernel.shape[2:], strict=True))
    padding = _padding(name, node, stride, reach)
    space = tuple(
        (length + front + back - reach - 1) // stride + 1
        for length, (front, back), reach, stride in zip(given[1:], padding, reach, stride, strict=True)
    )
    if min(space) < 1:
        raise NetworkError(f"{_where(name, node)}: its kernel {kernel.shape[2:]} is larger than its input {given[1:]}")
    bias = np.zeros(1) if node.bias is None else number(name, node, "bias").reshape(-1)
    if bias.size not in (1, kernel.shape[0]):
        raise NetworkError(f"{_where(name, node)}: bias has {bias.size} values for {kernel.shape[0]} channels")
    front = tuple(f for f, _ in padding)
    return Layer(
        kernel=kernel.reshape(*kernel.shape[:2], *(1,) * (2 - axes), *kernel.shape[2:]),
        convolution=Convolution(
            stride=_pair(stride, 1), padding=_pair(front, 0), dilation=_pair(dilation, 1), groups=groups
        ),
        bias=np.broadcast_to(bias, (kernel.shape[0],)),
        given=given,
        target=(kernel.shape[0], *space),
    )


def pool_input(name: str, node: nir.NIRNode, given: Shape) -> Shape:
    """``(channels, y, x)`` that a pool takes of what arrives: all but axes of length 1 in front, such as a batch's."""
    if len(given) < 3 or prod(given[:-3]) != 1:
        raise NetworkError(f"{_where(name, node)}: it takes (channels, y, x) and gets {given}")
    return given[-3:]


def pool(name: str, node: nir.NIRNode, given: Shape) -> tuple[Pool, Shape, float]:
    """A pool of an input ``(channels, y, x)``, the shape that it gives, and what its sums are multiplied by."""
    given = pool_input(name, node, given)
    size, stride, padding = (
        _pair(_numbers(name, node, field, low), 1) for field, low in (("kernel_size", 1), ("stride", 1), ("padding", 0))
    )
    result = Pool(size=size, stride=stride, padding=padding)
    shape = result.shape(given)
    if min(shape) < 1:
        raise NetworkError(f"{_where(name, node)}: its windows {size} are larger than its input {given[1:]}")
    return result, shape, 1 / prod(size) if kind(node) == "AvgPool2d" else 1.0


def _kernel(name: str, node: nir.NIRNode) -> np.ndarray:
    kernel, axes = number(name, node, "weight"), AXES[kind(node)]
    if kernel.ndim != axes + 2 or not kernel.size:
        want = ", ".join(("channels", "channels in / groups", "height", "width")[: axes + 2])
        raise NetworkError(f"{_where(name, node)}: weight has shape {kernel.shape}, must be ({want})")
    return kernel


def _groups(name: str, node: nir.NIRNode) -> int:
    return _numbers(name, node, "groups", 1, axes=1)[0]


def _padding(name: str, node: nir.NIRNode, stride: Shape, reach: Shape) -> list[tuple[int, int]]:
    """Positions added in front and behind, an axis of space each."""
    told = node.padding.decode() if isinstance(node.padding, bytes) else node.padding
    if not isinstance(told, str):
        return [(p, p) for p in _numbers(name, node, "padding", 0)]
    if told == "valid":
        return [(0, 0)] * len(reach)
    if told != "same":
        raise NetworkError(f"{_where(name, node)}: padding must be numbers, 'same' or 'valid', not {told!r}")
    if max(stride) > 1:
        raise NetworkError(
            f"{_where(name, node)}: padding 'same' with stride {stride} has no agreed meaning: give it in numbers"
        )
    return [(r // 2, r - r // 2) for r in reach]


def _numbers(name: str, node: nir.NIRNode, field: str, low: int, axes: int | None = None) -> Shape:
    """A field that is one whole number for all axes of space, or one for each."""
    axes = AXES[kind(node)] if axes is None else axes
    values = number(name, node, field).reshape(-1)
    if values.size not in (1, axes) or (values != np.rint(values)).any() or values.min() < low:
        want = "a whole number" if axes == 1 else f"one or {axes} whole numbers"
        raise NetworkError(
            f"{_where(name, node)}: {field} must be {want} of at least {low}, not {getattr(node, field)}"
        )
    return tuple(int(v) for v in np.broadcast_to(values, (axes,)))


def _pair(numbers: Shape, missing: int) -> tuple[int, int]:
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (missing, numbers[0])


def _where(name: str, node: nir.NIRNode) -> str:
    return f"node {name} ({kind(node)})"
