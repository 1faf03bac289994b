"""Operators of ONNX as weighted sums of signals; the batch, the first axis of every tensor, is not kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import TypeAlias

import numpy as np

from spikeloom.contract.errors import NetworkError
from spikeloom.contract.geometry import Convolution, Pool

from ..linear import Combination, Shape
from .onnx_file import Node
from .signal import Signal

REMEDIES = {
    "MaxPool": "the largest of several spike rates is no sum of spikes: train with AveragePool, or with a stride in "
    "the convolution in front",
    "GlobalMaxPool": "train with GlobalAveragePool",
    "LeakyRelu": "a spike rate is never negative: train with Relu or Clip",
    "PRelu": "a spike rate is never negative: train with Relu or Clip",
    "Elu": "a spike rate is never negative: train with Relu or Clip",
    "Sigmoid": "train with Relu or Clip, and leave it out at the end",
    "Tanh": "a spike rate is never negative: train with Relu or Clip",
    "Softmax": "it can stand at the output only, where it changes no decision",
    "LogSoftmax": "it can stand at the output only, where it changes no decision",
    "Concat": "add the branches, or give each its own convolution",
    "QuantizeLinear": "export the network in float: Spikeloom quantises it",
    "DequantizeLinear": "export the network in float: Spikeloom quantises it",
}


Argument: TypeAlias = "Signal | np.ndarray | None"


def convolution(node: Node, args: Sequence[Argument]) -> Signal:
    x, kernel, bias = _any(node, args, 0).in_order(), _constant(node, args, 1), _optional(node, args, 2)
    axes = kernel.ndim - 2
    if axes not in (1, 2) or len(x.shape) != axes + 1:
        raise NetworkError(f"{node}: a kernel {kernel.shape} on {x.shape}: convolutions have one or two axes of space")
    groups = int(node.attributes.get("group", 1))
    if x.shape[0] != kernel.shape[1] * groups:
        raise NetworkError(f"{node}: a kernel {kernel.shape} in {groups} groups on {x.shape[0]} channels")
    stride, dilation = (_numbers(node, name, axes, 1) for name in ("strides", "dilations"))
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel.shape[2:], strict=True))
    front, back = _padding(node, x.whole[1:], reach, stride)
    if x.pads is not None:
        front, back = (
            tuple(own + pad[side] for own, pad in zip(pads, x.pads[1:], strict=True))
            for side, pads in enumerate((front, back))
        )
    space = tuple(
        (n + a + b - r) // s + 1 for n, a, b, r, s in zip(x.shape[1:], front, back, reach, stride, strict=True)
    )
    if min(space) < 1:
        raise NetworkError(f"{node}: its kernel {kernel.shape[2:]} is larger than its input {x.shape[1:]}")
    target = (kernel.shape[0], *space)
    moves = Convolution(stride=_pair(stride, 1), padding=_pair(front, 0), dilation=_pair(dilation, 1), groups=groups)
    full = kernel.astype(np.float64).reshape(*kernel.shape[:2], *(1,) * (2 - axes), *kernel.shape[2:])
    value = x.value.convolved(full, moves, x.shape, target)
    return Signal(value=value if bias is None else value.plus(_by_channel(node, bias, target)), shape=target)


def gemm(node: Node, args: Sequence[Argument]) -> Signal:
    x, weights, bias = _signal(node, args, 0), _constant(node, args, 1), _optional(node, args, 2)
    if node.attributes.get("transA", 0):
        raise NetworkError(f"{node}: transA would mix the samples of a batch")
    weights = weights if node.attributes.get("transB", 0) else weights.T
    result = _product(node, x, weights * float(node.attributes.get("alpha", 1.0)))
    if bias is None:
        return result
    bias = bias.astype(np.float64) * float(node.attributes.get("beta", 1.0))
    return replace(result, value=result.value.plus(_broadcast(node, bias, result.shape)))


def matmul(node: Node, args: Sequence[Argument]) -> Signal:
    return _product(node, _signal(node, args, 0), _constant(node, args, 1).T)


def _product(node: Node, x: Signal, weights: np.ndarray) -> Signal:
    if weights.ndim != 2 or x.shape != weights.shape[1:]:
        raise NetworkError(f"{node}: a matrix {weights.T.shape} on {x.shape}: put a Flatten in front of it")
    return Signal(value=x.value.through(weights.astype(np.float64)), shape=(weights.shape[0],))


def batch_normalization(node: Node, args: Sequence[Argument]) -> Signal:
    x = _signal(node, args, 0)
    scale, shift, mean, variance = (_constant(node, args, n).astype(np.float64) for n in range(1, 5))
    if node.attributes.get("training_mode", 0):
        raise NetworkError(f"{node}: it is in training mode: export the network in evaluation mode")
    factor = scale / np.sqrt(variance + float(node.attributes.get("epsilon", 1e-5)))
    value = x.value.scaled(_by_channel(node, factor, x.shape))
    return Signal(value=value.plus(_by_channel(node, shift - mean * factor, x.shape)), shape=x.shape)


def add(node: Node, args: Sequence[Argument]) -> Signal:
    return _sum(node, args, 1.0)


def subtract(node: Node, args: Sequence[Argument]) -> Signal:
    return _sum(node, args, -1.0)


def _sum(node: Node, args: Sequence[Argument], sign: float) -> Signal:
    a, b = args[:2]
    if isinstance(a, Signal) and isinstance(b, Signal):
        if a.whole != b.whole:
            raise NetworkError(f"{node}: branches of shapes {a.whole} and {b.whole}: both must have the same")
        if a.order != b.order or a.pads or b.pads:
            a, b = a.plain(), b.plain()
        return replace(a, value=a.value + _times(b, sign).value, activation=None)
    if isinstance(a, Signal):
        x = _turned(node, args, 0)
        constant = _broadcast(node, sign * _constant(node, args, 1).astype(np.float64), x.shape)
        return replace(x, value=x.value.plus(x.as_stored(constant)), activation=None)
    x = _turned(node, args, 1)
    constant = _broadcast(node, _constant(node, args, 0).astype(np.float64), x.shape)
    return replace(x, value=_times(x, sign).value.plus(x.as_stored(constant)), activation=None)


def _times(x: Signal, factor: float) -> Signal:
    return x if factor == 1 else replace(x, value=x.value.scaled(np.full(x.value.size, factor)), activation=None)


def multiply(node: Node, args: Sequence[Argument]) -> Signal:
    a, b = (args[1], args[0]) if isinstance(args[1], Signal) else (args[0], args[1])
    x, factor = _turned(node, [a], 0), _constant(node, [None, b], 1)
    values = x.as_stored(_broadcast(node, factor.astype(np.float64), x.shape))
    return replace(x, value=x.value.scaled(values), activation=None)


def divide(node: Node, args: Sequence[Argument]) -> Signal:
    return multiply(node, [_any(node, args, 0), 1.0 / _constant(node, args, 1).astype(np.float64)])


def average_pool(node: Node, args: Sequence[Argument]) -> Signal:
    x = _signal(node, args, 0)
    axes = len(x.shape) - 1
    size = tuple(node.attributes["kernel_shape"])
    if axes not in (1, 2) or len(size) != axes:
        raise NetworkError(f"{node}: windows {size} on {x.shape}: pools have one or two axes of space")
    if max(_numbers(node, "dilations", axes, 1)) > 1:
        raise NetworkError(f"{node}: windows with dilation are not known")
    stride = _numbers(node, "strides", axes, 1)
    front, back = _padding(node, x.shape[1:], size, stride)
    rest = [(n + a + b - k) % s for n, a, b, k, s in zip(x.shape[1:], front, back, size, stride, strict=True)]
    if front != back or (node.attributes.get("ceil_mode", 0) and any(rest)):
        raise NetworkError(f"{node}: padding differs front and back ({front}, {back}), or ceil_mode adds windows")
    return _mean(x, Pool(size=_pair(size, 1), stride=_pair(stride, 1), padding=_pair(front, 0)), node)


def global_average_pool(node: Node, args: Sequence[Argument]) -> Signal:
    x = _signal(node, args, 0)
    if len(x.shape) not in (2, 3):
        raise NetworkError(f"{node}: it takes (channels, space) and gets {x.shape}")
    size = _pair(x.shape[1:], 1)
    return _mean(x, Pool(size=size, stride=size), node)


def reduce_mean(node: Node, args: Sequence[Argument]) -> Signal:
    """Over all axes of space: a global average."""
    x, given = _signal(node, args, 0), _optional(node, args, 1)
    axes = node.attributes.get("axes") if given is None else given.tolist()
    space = list(range(2, len(x.shape) + 1))
    if axes is None or sorted(a % (len(x.shape) + 1) for a in axes) != space:
        raise NetworkError(f"{node}: a mean over axes {axes} of {x.shape}: it must be over all axes of space, {space}")
    result = global_average_pool(node, [x])
    return result if node.attributes.get("keepdims", 1) else replace(result, shape=x.shape[:1])


def _mean(x: Signal, pool: Pool, node: Node) -> Signal:
    """Windows that reach over the edge: divided by their own number of positions, unless told otherwise."""
    behind = pool.shape(x.shape)
    if min(behind) < 1:
        raise NetworkError(f"{node}: its windows {pool.size} are larger than its input {x.shape[1:]}")
    target = (x.shape[0], *behind[3 - len(x.shape[1:]) :])
    if any(pool.padding) and not node.attributes.get("count_include_pad", 0):
        ones = Combination.signal("", x.shape).plus(np.ones(prod(x.shape)))
        count = ones.pooled(pool, x.shape).constant
    else:
        count = np.full(prod(target), float(prod(pool.size)))
    return Signal(value=x.value.pooled(pool, x.shape).scaled(1 / count), shape=target)


def unchanged(node: Node, args: Sequence[Argument]) -> Signal:
    return _any(node, args, 0)


def flatten(node: Node, args: Sequence[Argument]) -> Signal:
    x = _signal(node, args, 0)
    if node.attributes.get("axis", 1) % (len(x.shape) + 1) != 1:
        raise NetworkError(f"{node}: axis {node.attributes['axis']}: it must be 1, behind the batch")
    return replace(x, shape=(prod(x.shape),))


def reshape(node: Node, args: Sequence[Argument]) -> Signal:
    x, wanted = _signal(node, args, 0), [int(n) for n in _constant(node, args, 1)]
    full = (1, *x.shape)
    if not node.attributes.get("allowzero", 0):
        wanted = [full[at] if n == 0 and at < len(full) else n for at, n in enumerate(wanted)]
    shape = tuple(wanted[1:])
    if wanted[0] not in (-1, 1) or (wanted[0] == -1 and -1 in shape):
        raise NetworkError(f"{node}: a shape {tuple(wanted)} for {full}: the first axis must stay the batch")
    known = prod(n for n in shape if n != -1)
    if shape.count(-1) > 1 or known < 1 or prod(x.shape) % known or (-1 not in shape and known != prod(x.shape)):
        raise NetworkError(f"{node}: {x.shape} cannot become {shape}")
    return replace(x, shape=tuple(prod(x.shape) // known if n == -1 else n for n in shape))


def squeeze(node: Node, args: Sequence[Argument]) -> Signal:
    x, axes = _signal(node, args, 0), _axes(node, args)
    full = (1, *x.shape)
    gone = {a % len(full) for a in axes} if axes is not None else {n for n in range(1, len(full)) if full[n] == 1}
    if 0 in gone or any(full[a] != 1 for a in gone):
        raise NetworkError(f"{node}: axes {sorted(gone)} of {full} cannot be left out")
    return replace(x, shape=tuple(n for at, n in enumerate(full) if at not in gone and at))


def unsqueeze(node: Node, args: Sequence[Argument]) -> Signal:
    x, axes = _signal(node, args, 0), _axes(node, args) or []
    full = np.expand_dims(np.broadcast_to(0, (2, *x.shape)), tuple(axes)).shape  # 2: the batch, told from a new axis
    if full[0] != 2:
        raise NetworkError(f"{node}: axes {axes}: the first axis must stay the batch")
    return replace(x, shape=full[1:])


def transpose(node: Node, args: Sequence[Argument]) -> Signal:
    x = _any(node, args, 0)
    order = list(node.attributes.get("perm", range(len(x.shape), -1, -1)))
    if order[0] != 0:
        raise NetworkError(f"{node}: perm {order}: the first axis must stay the batch")
    return x.turned(tuple(n - 1 for n in order[1:]))


def pad(node: Node, args: Sequence[Argument]) -> Signal:
    """Zeros around the axes of space; a convolution takes them as its own."""
    x = _turned(node, args, 0)
    given, value = _optional(node, args, 1), _optional(node, args, 2)
    pads = [int(n) for n in (node.attributes["pads"] if given is None else given)]
    axes = _optional(node, args, 3)
    at = list(range(len(x.shape) + 1)) if axes is None else [int(a) % (len(x.shape) + 1) for a in axes]
    full = [(0, 0)] * (len(x.shape) + 1)
    for n, axis in enumerate(at):
        full[axis] = (pads[n], pads[n + len(at)])
    filled = float(node.attributes.get("value", 0.0)) if value is None else float(np.sum(value))
    if node.attributes.get("mode", b"constant") != b"constant" or filled:
        raise NetworkError(f"{node}: only zeros can be added around a signal")
    if full[0] != (0, 0) or min(min(pair) for pair in full) < 0:
        raise NetworkError(f"{node}: pads {pads} cut the input or add samples to the batch")
    padded = replace(x, pads=tuple(full[1:]), activation=None)
    return padded if len(x.shape) > 1 and full[1] == (0, 0) else padded.plain()


OPERATORS: dict[str, Callable[[Node, Sequence[Argument]], Signal]] = {
    "Add": add,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": unchanged,
    "Conv": convolution,
    "Div": divide,
    "Dropout": unchanged,
    "Flatten": flatten,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "Identity": unchanged,
    "MatMul": matmul,
    "Mul": multiply,
    "Pad": pad,
    "ReduceMean": reduce_mean,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Sub": subtract,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}


def apply(node: Node, args: Sequence[Argument]) -> Signal:
    """The signal that a linear node gives. Raises :class:`NetworkError` for any other."""
    if node.op not in OPERATORS:
        known = ", ".join(sorted([*OPERATORS, "Clip", "Constant", "Relu"]))
        raise NetworkError(f"{node}: not supported: {REMEDIES.get(node.op, f'the operators are {known}')}")
    return OPERATORS[node.op](node, args)


def _signal(node: Node, args: Sequence[Argument], at: int) -> Signal:
    """An input with its values in order."""
    return _any(node, args, at).plain()


def _turned(node: Node, args: Sequence[Argument], at: int) -> Signal:
    """An input whose axes may stand in any order, without pads."""
    x = _any(node, args, at)
    return x.plain() if x.pads else x


def _any(node: Node, args: Sequence[Argument], at: int) -> Signal:
    value = args[at] if at < len(args) else None
    if not isinstance(value, Signal):
        raise NetworkError(f"{node}: its input {at} must depend on the network's input, and is a constant")
    return value


def _constant(node: Node, args: Sequence[Argument], at: int) -> np.ndarray:
    value = _optional(node, args, at)
    if value is None:
        raise NetworkError(f"{node}: its input {at} is missing")
    return value


def _optional(node: Node, args: Sequence[Argument], at: int) -> np.ndarray | None:
    value = args[at] if at < len(args) else None
    if isinstance(value, Signal):
        raise NetworkError(f"{node}: its input {at} must be a constant: products of two signals are not supported")
    return value


def _axes(node: Node, args: Sequence[Argument]) -> list[int] | None:
    given = _optional(node, args, 1)
    return node.attributes.get("axes") if given is None else [int(n) for n in given]


def _numbers(node: Node, name: str, axes: int, default: int) -> Shape:
    return tuple(int(n) for n in node.attributes.get(name, (default,) * axes))


def _padding(node: Node, space: Shape, reach: Shape, stride: Shape) -> tuple[Shape, Shape]:
    """Positions in front and behind, an axis each."""
    how = node.attributes.get("auto_pad", b"NOTSET").decode()
    if how == "NOTSET":
        pads = _numbers(node, "pads", 2 * len(space), 0)
        if min(pads) < 0:
            raise NetworkError(f"{node}: pads {pads} cut the input, which is not supported")
        return pads[: len(space)], pads[len(space) :]
    if how == "VALID":
        return (0,) * len(space), (0,) * len(space)
    total = [max(0, (-(-n // s) - 1) * s + r - n) for n, r, s in zip(space, reach, stride, strict=True)]
    less, more = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    return (less, more) if how == "SAME_UPPER" else (more, less)


def _pair(numbers: Shape, missing: int) -> tuple[int, int]:
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (missing, numbers[0])


def _by_channel(node: Node, values: np.ndarray, shape: Shape) -> np.ndarray:
    values = values.astype(np.float64).reshape(-1)
    if values.size != shape[0]:
        raise NetworkError(f"{node}: {values.size} values for {shape[0]} channels")
    return np.repeat(values, prod(shape[1:]))


def _broadcast(node: Node, values: np.ndarray, shape: Shape) -> np.ndarray:
    try:
        return np.broadcast_to(values, (1, *shape)).reshape(-1)
    except ValueError:
        raise NetworkError(f"{node}: a constant {values.shape} for {shape}: it must have the same shape") from None
