"""What a network does on test data, in float and in 8-bit integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from examples.common.network import Layer, Trace, quantise, run_float, run_integer
from numpy.typing import NDArray

BATCH = 500  # samples simulated at once, to bound memory


@dataclass(frozen=True)
class Result:
    """Figures of one run; ``spikes`` are means per sample, layer by layer, the input first."""

    name: str
    counts: NDArray[np.int64]
    accuracy: float
    ties: float
    spikes: list[float]
    peak_sums: list[float]
    saturations: int

    def __str__(self) -> str:
        spikes = ", ".join(f"{n:.1f}" for n in self.spikes)
        peaks = ", ".join(f"{n:.6g}" for n in self.peak_sums)
        return (
            f"{self.name:7} accuracy {self.accuracy:7.2%}, ties {self.ties:.2%}, spikes/sample {spikes}, "
            f"largest |sum| {peaks}, saturations {self.saturations}"
        )


def measure(layers: Sequence[Layer], spikes: NDArray[np.uint8], labels: NDArray[np.uint8]) -> tuple[Result, Result]:
    """Float and 8-bit results for ``spikes (n, ticks, inputs)``; of equal counts the lowest class wins."""
    integers = [quantise(layer) for layer in layers]
    as_float = _result("float", _batches(run_float, layers, spikes), spikes, labels)
    as_8_bit = _result("8 bit", _batches(run_integer, integers, spikes), spikes, labels)
    return as_float, as_8_bit


def _batches(
    run: Callable[[Sequence[Layer], NDArray[np.uint8]], list[Trace]],
    layers: Sequence[Layer],
    spikes: NDArray[np.uint8],
) -> Iterator[list[Trace]]:
    for start in range(0, len(spikes), BATCH):
        yield run(layers, spikes[start : start + BATCH])


def _result(name: str, batches: Iterator[list[Trace]], spikes: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Result:
    by_layer = list(zip(*batches, strict=True))
    counts = np.concatenate([trace.counts for trace in by_layer[-1]])
    best = np.sort(counts, axis=1)
    return Result(
        name=name,
        counts=counts,
        accuracy=float((counts.argmax(axis=1) == labels).mean()),
        ties=float((best[:, -1] == best[:, -2]).mean()),
        spikes=[spikes.sum() / len(spikes)]
        + [float(sum(t.spikes.sum() for t in traces)) / len(spikes) for traces in by_layer],
        peak_sums=[max(t.peak_sum for t in traces) for traces in by_layer],
        saturations=sum(t.saturations for traces in by_layer for t in traces),
    )
