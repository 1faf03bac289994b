"""Quantise, and say what it did: rates and decisions before, predicted and measured on the golden model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .compiler.graph import Network
from .compiler.predict import Behaviour, behaviour, with_rounded_weights
from .compiler.quantise import Layer, layers_of
from .compiler.samples import Samples
from .contract.errors import SampleError
from .contract.network import QuantisedNetwork


def assess(
    network: Network,
    samples: Samples,
    labels: np.ndarray | None = None,
    calibration_samples: Samples | None = None,
    alone: bool = False,
    **options: Any,
) -> QuantisedNetwork:
    """Quantise a network and measure it.

    Args:
        samples: what it is measured on, ``(n, ticks, *shape)`` or by input name.
        labels: ``(n,)`` classes of the samples; without them decisions are compared with the float network's only.
        calibration_samples: what scales are taken from; ``samples`` unless given.
        alone: measure too, layer by layer, what happens where only this layer's weights are rounded.
        options: as for ``quantise``.

    Returns:
        The network. Its ``report`` has in ``decisions``: ``accuracy`` (percent of labels) and ``agreement`` (percent of
        the float network's decisions), each ``float``, ``predicted`` (rounded weights, all else in real numbers) and
        ``measured`` (the golden model), and ``output_error``, the rms change of outputs over their rms. Each layer has
        ``rate_float``, ``rate_predicted``, ``rate_measured``, ``rate_change`` (relative, measured), and where asked for
        ``alone``.
    """
    base = samples if calibration_samples is None else calibration_samples
    quantised, layers = layers_of(network, base, **options)
    before = behaviour(network, samples)
    return add_figures(network, quantised, layers, samples, labels, before, alone)


def add_figures(
    network: Network,
    quantised: QuantisedNetwork,
    layers: list[Layer],
    samples: Samples,
    labels: np.ndarray | None,
    before: Behaviour,
    alone: bool = False,
) -> QuantisedNetwork:
    """The quantised network with figures in its report; ``before``: what the float network does."""
    predicted = behaviour(with_rounded_weights(network, layers), samples)
    after = measured(quantised, samples)
    found = []
    for line in quantised.report["layers"]:
        name = line["name"]
        rates = {
            "rate_float": before.rates[name], "rate_predicted": predicted.rates[name],
            "rate_measured": after.rates[name],
        }  # fmt: skip
        change = after.rates[name] / before.rates[name] - 1 if before.rates[name] else 0.0
        more: dict[str, Any] = {**rates, "rate_change": change}
        if alone:
            only = behaviour(with_rounded_weights(network, layers, [name]), samples)
            more["alone"] = decisions(before, only, labels)
        found.append({**line, **more})
    kinds = {"float": before, "predicted": predicted, "measured": after}
    figures = {kind: decisions(before, result, labels) for kind, result in kinds.items()}
    number = len(next(iter(before.scores.values())))
    report = {**quantised.report, "layers": found, "decisions": figures, "decided_on": number}
    return replace(quantised, report=report)


def measured(quantised: QuantisedNetwork, samples: Samples) -> Behaviour:
    """What the golden model does with samples."""
    from spikeloom_sim import golden

    result = golden.run(quantised, samples)
    n = len(next(iter(result.populations.values())).spikes)
    scores = {}
    for output in quantised.outputs:
        kind = result.v if output in quantised.states else result.counts
        array = kind[output] if isinstance(kind, Mapping) else kind
        last = array[:, -1] if output in quantised.states else array
        scores[output] = np.asarray(last, dtype=np.float64).reshape(n, -1)
    return Behaviour(rates={name: float(p.spikes.mean()) for name, p in result.populations.items()}, scores=scores)


def decisions(before: Behaviour, after: Behaviour, labels: np.ndarray | None) -> dict[str, float]:
    """Percent of right decisions and of those that stayed, over all outputs; and how far the outputs moved."""
    same, right, moved, size = [], [], 0.0, 0.0
    for output, scores in after.scores.items():
        classes, old = scores.argmax(axis=1), before.scores[output]
        same.append(classes == old.argmax(axis=1))
        moved, size = moved + float(((scores - old) ** 2).sum()), size + float((old**2).sum())
        if labels is not None:
            if np.shape(labels) != classes.shape:
                raise SampleError(f"labels: {np.shape(labels)} for {len(classes)} samples: one class each")
            right.append(classes == np.asarray(labels))
    figures = {"agreement": float(np.mean(same)) * 100, "output_error": float(np.sqrt(moved / size)) if size else 0.0}
    return {"accuracy": float(np.mean(right)) * 100} | figures if right else figures
