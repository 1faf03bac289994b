"""What NIR's linear nodes do to one array, in loops as the definitions have them; and random chains of them."""

import itertools

import nir
import numpy as np


def evaluate(node: nir.NIRNode, x: np.ndarray) -> np.ndarray:
    """What a node gives for ``x``, with the axes that its definition says."""
    match node:
        case nir.Conv1d():
            axes = [np.atleast_1d(v) for v in (node.stride, node.dilation)]
            y = convolve(x[:, None], node.weight[:, :, None], (1, *axes[0]), pads(node, 1), (1, *axes[1]), node.groups)
            return y[:, 0] + node.bias[:, None]
        case nir.Conv2d():
            y = convolve(x, node.weight, node.stride, pads(node, 2), node.dilation, node.groups)
            return y + node.bias[:, None, None]
        case nir.SumPool2d() | nir.AvgPool2d():
            size, stride, padding = (np.broadcast_to(v, 2) for v in (node.kernel_size, node.stride, node.padding))
            ones = np.ones((len(x), 1, *size))
            sums = convolve(x, ones, stride, [(p, p) for p in padding], (1, 1), len(x))
            return sums / (size[0] * size[1]) if isinstance(node, nir.AvgPool2d) else sums
        case nir.Scale():
            return node.scale * x
        case nir.Flatten():
            return x.reshape(-1)
        case nir.Affine():
            return node.weight @ x + node.bias
        case nir.Linear():
            return node.weight @ x
    raise TypeError(type(node))


def pads(node: nir.NIRNode, axes: int) -> list[tuple[int, int]]:
    """Positions in front and behind, along y and x; of 'same' the odd one stands behind, as in torch."""
    kernel = node.weight.shape[2:]
    if isinstance(node.padding, str):
        reach = np.broadcast_to(node.dilation, axes) * (np.array(kernel) - 1) * (node.padding == "same")
        found = [(r // 2, r - r // 2) for r in reach]
    else:
        found = [(p, p) for p in np.broadcast_to(node.padding, axes)]
    return [(0, 0)] * (2 - axes) + found


def convolve(
    x: np.ndarray, kernel: np.ndarray, stride: tuple, padding: list[tuple[int, int]], dilation: tuple, groups: int
) -> np.ndarray:
    """Cross-correlation of ``x (C, H, W)``, weight by weight."""
    x = np.pad(x, [(0, 0), *padding])
    channels, within, height, width = kernel.shape
    shape = [
        (n - d * (k - 1) - 1) // s + 1
        for n, d, k, s in zip(x.shape[1:], dilation, (height, width), stride, strict=True)
    ]
    y = np.zeros((channels, *shape))
    for at in itertools.product(*map(range, y.shape)):
        for c, ky, kx in itertools.product(range(within), range(height), range(width)):
            source = at[0] // (channels // groups) * within + c
            y[at] += (
                kernel[at[0], c, ky, kx]
                * x[source, at[1] * stride[0] + ky * dilation[0], at[2] * stride[1] + kx * dilation[1]]
            )
    return y


def random_convolution(rng: np.random.Generator, channels: int, axes: int = 2, stated: tuple | None = None):
    """A convolution of ``channels``; its result may be empty where the input is small."""
    groups = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    kernel = rng.normal(size=(groups * rng.integers(1, 3), channels // groups, *rng.integers(1, 4, axes)))
    padding = rng.choice(["same", "valid", "numbers"])
    stride = rng.integers(1, 3, axes) if padding != "same" else np.ones(axes, dtype=int)
    if padding == "numbers":
        padding = tuple(rng.integers(0, 3, axes).tolist())
    cls = nir.Conv2d if axes == 2 else nir.Conv1d
    return cls(
        input_shape=stated, weight=kernel, stride=tuple(stride.tolist()),
        padding=str(padding) if isinstance(padding, str) else padding,
        dilation=tuple(rng.integers(1, 3, axes).tolist()), groups=groups, bias=rng.normal(size=len(kernel)),
    )  # fmt: skip


def random_pool(rng: np.random.Generator) -> nir.NIRNode:
    size = rng.integers(1, 4, 2)
    stride = size if rng.random() < 0.7 else rng.integers(1, 4, 2)
    return [nir.SumPool2d, nir.AvgPool2d][rng.integers(2)](size, stride, rng.integers(0, 2, 2))


def random_scale(rng: np.random.Generator, shape: tuple[int, ...], a_channel: bool) -> nir.Scale:
    """One factor a channel, or a position."""
    if a_channel:
        factors = rng.normal(size=(shape[0], *(1,) * (len(shape) - 1)))
        return nir.Scale(factors if rng.random() < 0.5 else np.broadcast_to(factors, shape).copy())
    return nir.Scale(rng.normal(size=shape))
