"""How few bits each layer's weights need: greedy, from the layer that loses least for what it saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .assessment import add_figures, decisions, measured
from .compiler.graph import Network
from .compiler.predict import Behaviour, behaviour
from .compiler.quantise import Layer, layers_of
from .compiler.samples import Samples
from .contract.errors import NetworkError
from .contract.network import QuantisedNetwork

CHOICES = (16, 8, 4, 2, 1)


@dataclass(frozen=True, kw_only=True)
class Found:
    """The result of a search.

    Attributes:
        quantised: the network, its report as :func:`spikeloom.assess` makes it, and the path in ``bits_path``.
        bits: by population.
        path: the steps taken, the first one the start: ``layer``, ``bits``, ``memory_bits``, ``accuracy`` (percent of
            labels, or of the float network's decisions), ``loss`` in points, ``output_error``.
        refused: steps tried last that lost too much or could not be built: ``layer``, ``bits``, ``why``.
    """

    quantised: QuantisedNetwork
    bits: dict[str, int]
    path: list[dict[str, Any]]
    refused: list[dict[str, Any]] = field(default_factory=list)


def search_bits(
    network: Network,
    samples: Samples,
    labels: np.ndarray | None = None,
    memory_bits: int | None = None,
    max_loss: float | None = None,
    choices: Sequence[int] = CHOICES,
    calibration_samples: Samples | None = None,
    **options: Any,
) -> Found:
    """Find bits per layer under a budget.

    All layers start with the most bits of ``choices``. In each step every layer is tried with its next fewer ones on
    the golden model, and the one that loses least for each bit of memory that it saves is taken: loss in points of
    accuracy, and where that is equal in the rms change of the outputs.

    Args:
        samples, labels: what is measured; without labels the float network's decisions stand for them.
        memory_bits: go on until the weights take no more than this, each layer with its own width.
        max_loss: go on as long as no more than this many points of accuracy are lost against the float network.
        choices: widths, 1 to 16.
        options: as for ``quantise``, but for ``weight_bits``.

    Raises:
        NetworkError: no budget, or one that cannot be met; says what was reached.
    """
    widths = sorted(set(choices), reverse=True)
    if memory_bits is None and max_loss is None:
        raise NetworkError("search: give memory_bits or max_loss, or both")
    if not widths or not set(widths) <= set(range(1, 17)):
        raise NetworkError(f"search: choices must be 1 to 16 bits, not {list(choices)}")
    search = _Search(network, samples, labels, samples if calibration_samples is None else calibration_samples, options)
    bits = {p.name: widths[0] for p in network.populations if any(e.values.size for e in network.into(p.name))}
    now = search.measure(bits)
    path: list[dict[str, Any]] = [now.line(None)]
    refused: list[dict[str, Any]] = []
    limit = np.inf if max_loss is None else max_loss
    while memory_bits is None or now.memory > memory_bits:
        tried, refused = search.candidates(bits, widths, limit)
        if not tried:
            break
        layer, now = min(tried, key=lambda item: item[1].price(now))
        bits = now.bits
        path.append(now.line(layer))
    if memory_bits is not None and now.memory > memory_bits:
        why = "; ".join(f"{r['layer']} to {r['bits']} bits: {r['why']}" for r in refused) or "all have the fewest"
        raise NetworkError(
            f"search: the weights still take {now.memory} bits, more than {memory_bits}, with "
            f"{', '.join(f'{name} {b}' for name, b in bits.items())} ({why}): allow more loss, memory or fewer bits"
        )
    final = add_figures(network, now.quantised, now.layers, samples, labels, search.before, alone=True)
    steps = {"bits_path": path, "bits_refused": refused, "bits": bits}
    return Found(quantised=_with_report(final, steps), bits=bits, path=path, refused=refused)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Point:
    """One choice of bits, measured."""

    bits: dict[str, int]
    quantised: QuantisedNetwork
    layers: list[Layer]
    memory: int
    accuracy: float
    loss: float
    output_error: float

    def line(self, layer: str | None) -> dict[str, Any]:
        return {
            "layer": layer, "bits": dict(self.bits), "memory_bits": self.memory, "accuracy": self.accuracy,
            "loss": self.loss, "output_error": self.output_error,
        }  # fmt: skip

    def price(self, before: _Point) -> tuple[float, float]:
        """Points, then output error, lost for each bit saved."""
        saved = before.memory - self.memory
        return max(0.0, self.loss - before.loss) / saved, (self.output_error - before.output_error) / saved


class _Search:
    def __init__(
        self, network: Network, samples: Samples, labels: np.ndarray | None, calibration: Samples, options: dict
    ):
        self.network, self.samples, self.labels = network, samples, labels
        self.calibration, self.options = calibration, options
        self.before: Behaviour = behaviour(network, samples)
        figures = decisions(self.before, self.before, labels)
        self.key = "agreement" if labels is None else "accuracy"
        self.best = figures[self.key]

    def measure(self, bits: dict[str, int]) -> _Point:
        quantised, layers = layers_of(self.network, self.calibration, weight_bits=bits, **self.options)
        figures = decisions(self.before, measured(quantised, self.samples), self.labels)
        memory = sum(line["memory_bits"] for line in quantised.report["layers"])
        accuracy = figures[self.key]
        return _Point(
            bits=bits, quantised=quantised, layers=layers, memory=memory, accuracy=accuracy,
            loss=self.best - accuracy, output_error=figures["output_error"],
        )  # fmt: skip

    def candidates(
        self, bits: dict[str, int], widths: list[int], limit: float
    ) -> tuple[list[tuple[str, _Point]], list[dict[str, Any]]]:
        """Every layer with its next fewer bits: those within the limit, and why the others are not."""
        tried, refused = [], []
        for layer, own in bits.items():
            fewer = next((w for w in widths if w < own), None)
            if fewer is None:
                continue
            try:
                point = self.measure(bits | {layer: fewer})
            except NetworkError as error:
                refused.append({"layer": layer, "bits": fewer, "why": str(error)})
                continue
            if point.loss > limit:
                refused.append({"layer": layer, "bits": fewer, "why": f"{point.loss:.2f} points lost"})
            else:
                tried.append((layer, point))
        return tried, refused


def _with_report(network: QuantisedNetwork, more: dict[str, Any]) -> QuantisedNetwork:
    return replace(network, report={**network.report, **more})
