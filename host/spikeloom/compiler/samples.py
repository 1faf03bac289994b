"""Samples as the programs take them: one array, or a dict of arrays by input name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from spikeloom.contract.errors import SampleError


class InputShape(Protocol):
    """What is needed of an input."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...


Samples = np.ndarray | Mapping[str, np.ndarray]


def by_input(inputs: Sequence[InputShape], samples: Samples) -> dict[str, np.ndarray]:
    """Checked samples ``(n, ticks, size)`` of each input, in C order.

    Args:
        inputs: the network's inputs.
        samples: ``(n, ticks, *shape)``, or such arrays by input name; one array will do for one input.
    """
    names = [i.name for i in inputs]
    if not names:
        raise SampleError("the network has no inputs, so that samples cannot say how many ticks to run")
    if not isinstance(samples, Mapping):
        if len(names) != 1:
            raise SampleError(f"samples: the network has inputs {', '.join(names)}: give a dict of arrays by name")
        samples = {names[0]: samples}
    if set(samples) != set(names):
        raise SampleError(f"samples: given for {', '.join(samples)}, but the inputs are {', '.join(names)}")
    result = {}
    for i in inputs:
        array = np.asarray(samples[i.name])
        if array.dtype.kind not in "biuf":
            raise SampleError(f"samples of {i.name}: must be numbers, not {array.dtype}")
        if array.shape[2:] != tuple(i.shape) or array.ndim < 2:
            want = ", ".join(["n", "ticks", *map(str, i.shape)])
            raise SampleError(f"samples of {i.name}: shape is {array.shape}, must be ({want})")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise SampleError(f"samples of {i.name}: a value is not a finite number")
        result[i.name] = array.reshape(*array.shape[:2], -1)
    sizes = {array.shape[:2] for array in result.values()}
    if len(sizes) > 1:
        raise SampleError(f"samples: numbers of samples and ticks differ among inputs: {sorted(sizes)}")
    return result
