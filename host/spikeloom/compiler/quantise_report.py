"""What quantising did to a population: figures for the report, and a line for everything that was cut or lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spikeloom.contract.geometry import matrix
from spikeloom.contract.neuron import Reset
from spikeloom.contract.numerics import DECAY_ONE, Numerics

from .graph import FloatProjection, Matrix, Network
from .weights import by_row, by_value, clipped, with_values

if TYPE_CHECKING:
    from .quantise import Layer

CARRIED = ("theta", "v_reset", "v_sub", "bias", "bias_u")
"""Parameters in state units."""


def layer_report(network: Network, layer: Layer, bounds: np.ndarray, numerics: Numerics) -> dict[str, Any]:
    """Figures of one population, for JSON. ``bounds``: least and largest sum of a tick, ``(2, size)``."""
    p, scales = layer.source, layer.scales
    errors = [_error(e, w, scales.weight) for e, w in layer.edges]
    weights, exact, error = (
        np.concatenate([np.zeros(0), *values])
        for values in ([_stored(w) for _, w in layer.edges], [e.values for e, _ in layer.edges], errors)
    )
    size = float(np.sqrt((exact**2).mean())) if exact.size else 0.0
    cut = sum(int(clipped(e, scales.weight, layer.bits).sum()) for e, _ in layer.edges)
    report: dict[str, Any] = {
        "name": p.name,
        "kind": p.kind,
        "neurons": p.size,
        "bits": layer.bits,
        "weights": exact.size,
        "memory_bits": exact.size * layer.bits,
        "stored_bits": exact.size * numerics.weight_bits,
        "scale_min": float(scales.weight.min()),
        "scale_max": float(scales.weight.max()),
        "weight_error_rms": float(np.sqrt((error**2).mean())) / size if size else 0.0,
        "weight_error_max": float(np.abs(error).max()) / size if size else 0.0,
        "weights_clipped": cut,
        "weights_zero": float((weights == 0).mean()) if weights.size else 0.0,
        "spike_bits": layer.result.spike_bits,
        "theta_min": int(np.min(layer.result.theta)),
        "theta_max": int(np.max(layer.result.theta)),
        "capped": np.flatnonzero(scales.capped).tolist(),
        "accumulator_min": int(bounds[0].min()),
        "accumulator_max": int(bounds[1].max()),
        "input_error": _input_error(network, layer, errors),
    }
    if layer.statistics is not None:
        report["rate"] = float(layer.statistics.rate.mean())
        report["rate_max"] = float(layer.statistics.rate.max())
        if layer.result.graded:
            report["spikes_max"] = int(layer.statistics.count.max())
        report["v_high"] = float((layer.statistics.v_high * scales.state).max()) / numerics.state_max
        report["v_low"] = float((layer.statistics.v_low * scales.state).min()) / numerics.state_max
    return report


def _stored(weights: Matrix) -> np.ndarray:
    return weights.reshape(-1) if isinstance(weights, np.ndarray) else weights.data


def _error(edge: FloatProjection, weights: Matrix, scale: np.ndarray) -> np.ndarray:
    """What rounding added to each stored weight, ``(n,)``."""
    return _stored(weights) / by_value(weights, by_row(edge, scale)) - edge.values


def _input_error(network: Network, layer: Layer, errors: list[np.ndarray]) -> float | None:
    """Predicted effect: rms error of a tick's input over the threshold, if half of the sources fired."""
    theta = np.asarray(layer.source.theta)
    if not layer.source.spiking or not any(e.size for e in errors) or not (np.abs(theta) > 0).all():
        return None
    power = np.zeros(layer.source.size)
    for (edge, _), error in zip(layer.edges, errors, strict=True):
        power += _sums(network, edge, with_values(edge.weights, error**2))
    return float(np.mean(np.sqrt(power / 2) / np.abs(theta)))


def _sums(network: Network, edge: FloatProjection, weights: Matrix) -> np.ndarray:
    """Sum of the weights of all synapses of each target neuron, ``(size,)``."""
    if edge.convolution or edge.pool:
        ends = network.shape(edge.source), network.shape(edge.target)
        weights = matrix(weights, *ends, edge.convolution, edge.pool)
    return np.asarray(weights.sum(axis=1))


def warnings_of(layer: Layer, numerics: Numerics) -> list[str]:
    """Lines about all that was capped, rounded to nothing, or may saturate."""
    p, result, scales = layer.source, layer.result, layer.scales
    lines = []

    def tell(what: np.ndarray, text: str) -> None:
        at = np.flatnonzero(what)
        if at.size:
            more = f" and {at.size - 1} more" if at.size > 1 else ""
            lines.append(f"population {p.name}: neuron {at[0]}{more}: {text}")

    tell(scales.capped, "scale capped, so that threshold, bias, reset and what is read fit; its weights are coarser")
    for name in CARRIED:
        exact, integer = np.asarray(getattr(p, name)), np.asarray(getattr(result, name))
        if name == "theta":
            integer = integer + (p.fire != ">")
        tell((exact != 0) & (integer == 0) & np.isfinite(exact), f"{name} rounded to 0")
    for name in ("alpha", "beta"):
        exact, integer = np.asarray(getattr(p, name)), np.asarray(getattr(result, name))
        tell((exact < 1) & (integer == DECAY_ONE), f"{name} rounded to 1: it no longer decays")
        tell((exact > 0) & (integer == 0), f"{name} rounded to 0: it decays at once")
    tell(_stuck(layer), "decay is so slow that rounding stops it above a sixteenth of the threshold")
    cut = sum(int(clipped(e, scales.weight, layer.bits).sum()) for e, _ in layer.edges)
    if cut:
        count = sum(len(e.values) for e, _ in layer.edges)
        lines.append(
            f"population {p.name}: {cut} of {count} weights are clipped to {layer.bits} bits, calibration "
            f"{layer.calibration}"
        )
    nonzero, left = (np.zeros(p.size, dtype=bool) for _ in range(2))
    for edge, weights in layer.edges:
        nonzero |= _any(edge, edge.values != 0, p.size)
        left |= _any(edge, _stored(weights) != 0, p.size)
    tell(nonzero & ~left, "all of its weights rounded to 0")
    if layer.statistics is not None:
        low, high = numerics.state_min, numerics.state_max
        tell(layer.statistics.v_high * scales.state > high, "the potential saturates on these samples")
        tell(layer.statistics.v_low * scales.state < low, "the potential saturates at its low end on these samples")
        tell(layer.statistics.u_peak * scales.state > high, "the current saturates on these samples")
        tell(
            layer.statistics.count > result.max_count,
            f"more than {result.max_count} spikes in a tick on these samples: the others come in later ones; raise "
            "spike_bits",
        )
    return lines


def _any(edge: FloatProjection, stored: np.ndarray, size: int) -> np.ndarray:
    """Whether any stored weight of a neuron, or of its channel's kernel, is marked, ``bool (size,)``."""
    rows = edge.weights.shape[0]
    marked = np.bincount(by_value(edge.weights, np.arange(rows)), weights=stored, minlength=rows) > 0
    return np.repeat(marked, size // rows)


def _stuck(layer: Layer) -> np.ndarray:
    """Where rounding to nearest holds a decaying potential at more than a sixteenth of the threshold."""
    leak = DECAY_ONE - np.asarray(layer.result.beta)
    held = np.divide(DECAY_ONE / 2, leak, out=np.zeros(layer.source.size), where=leak > 0)
    memory = layer.result.reset is not Reset.NONE
    return memory & (held > np.abs(np.asarray(layer.result.theta)) / 16)
