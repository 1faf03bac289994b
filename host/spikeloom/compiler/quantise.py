"""From real numbers to integers: weights to full scale, and every potential in the same unit.

A weight unit is ``2**fraction_bits`` state units. Scaling all that a neuron adds up, its threshold, bias and reset by
one number changes no spike; so each neuron has the scale at which its largest weight is the largest integer. The
neurons of a channel that hear one kernel have one scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from spikeloom.contract.config import PAYLOAD_BITS_MAX
from spikeloom.contract.errors import NetworkError
from spikeloom.contract.geometry import matrix
from spikeloom.contract.network import Drive, InputKind, InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.neuron import Reset
from spikeloom.contract.numerics import DECAY_ONE, DEFAULT, EXACT, WEIGHT_BITS, Numerics, Profile

from .calibration import Calibration, source_powers, worth
from .graph import FloatPopulation, FloatProjection, Matrix, Network
from .input_kinds import Kinds, input_populations
from .overflow import accumulator_bits_needed, accumulator_bounds
from .quantise_report import layer_report, warnings_of
from .samples import Samples, by_input
from .scales import Scales, choose
from .simulate import Statistics, statistics
from .weights import Sharing, rounded

ACCUMULATOR_BITS = range(16, 25)
CALIBRATION_SAMPLES = 100
"""Samples of which the float reference takes rates and extremes, at most."""

SCALES = ("neuron", "layer")

SPIKE_BITS = 4
"""Of the number of spikes of one tick, where no samples tell it."""

LAYER_BITS = range(1, 17)
"""Widths of the weights of one layer; what is narrower than the word is stored in it as it is."""

Bits = int | Mapping[str, int] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """One population on its way: real, scaled, integer."""

    source: FloatPopulation
    scales: Scales
    result: Population
    edges: list[tuple[FloatProjection, Matrix]]
    """Projections with their integer weights."""
    bits: int
    calibration: Calibration
    statistics: Statistics | None


def quantise(
    network: Network,
    samples: Samples | None = None,
    weight_bits: Bits = None,
    scale: str = "neuron",
    numerics: Numerics | None = None,
    input_kind: Kinds = None,
    calibration: str | Calibration = "max",
    spike_bits: int | None = None,
) -> QuantisedNetwork:
    """Integers for a network.

    Args:
        samples: ``(n, ticks, *input shape)``, or by input name: they tell what the inputs carry, how high potentials
            that are read go, and how often neurons fire. Without them inputs are spikes.
        weight_bits: 1, 2, 4, 8 or 16; 8 unless ``numerics`` says. Or 1 to 16 by population: all weights are stored in
            the least word that holds the widest, and those of a narrower layer keep to what its bits hold.
        scale: ``neuron`` (a channel where it hears a convolution) or ``layer``: what shares a scale.
        numerics: widths of the build; by default of the named builds, with the least accumulator that cannot overflow.
        input_kind: ``spikes``, ``counts`` or ``currents``, or a dict by input name.
        calibration: ``max``, ``percentile``, ``percentile:99.5``, ``mse`` or ``mse:STEPS``, see
            :class:`.calibration.Calibration`; how often spikes meet a weight is taken from the samples.
        spike_bits: where neurons may send several spikes in a tick, they send up to ``2**spike_bits - 1``, 1 to 8; by
            default what the samples need, and 4 without them.

    Returns:
        The network; its ``report`` has a ``layers`` list, and a line in ``warnings`` for all that was cut or lost.

    Raises:
        NetworkError: it cannot be done without an overflow or a loss that no one asked for.
    """
    return layers_of(network, samples, weight_bits, scale, numerics, input_kind, calibration, spike_bits)[0]


def layers_of(
    network: Network,
    samples: Samples | None = None,
    weight_bits: Bits = None,
    scale: str = "neuron",
    numerics: Numerics | None = None,
    input_kind: Kinds = None,
    calibration: str | Calibration = "max",
    spike_bits: int | None = None,
) -> tuple[QuantisedNetwork, list[Layer]]:
    """As :func:`quantise`, and the layers as they were on their way."""
    if scale not in SCALES:
        raise NetworkError(f"scale must be one of {', '.join(SCALES)}, not {scale!r}")
    if spike_bits is not None and not 1 <= spike_bits <= PAYLOAD_BITS_MAX:
        raise NetworkError(f"spike_bits must be 1 to {PAYLOAD_BITS_MAX}, not {spike_bits}")
    how = Calibration.of(calibration)
    chosen = _numerics(weight_bits, numerics)
    bits = _bits(network, weight_bits, chosen)
    given = None if samples is None else by_input(network.inputs, samples)
    inputs = input_populations(network.inputs, given, input_kind)
    currents = {i.name for i in inputs if i.kind is InputKind.CURRENTS}
    _check_currents(network, currents)
    seen = None
    if given is not None and all(array.size for array in given.values()):
        seen = statistics(network, {name: array[:CALIBRATION_SAMPLES] for name, array in given.items()})

    powers = source_powers(seen, given)
    layers = [
        _layer(network, p, given, currents, None if seen is None else seen[p.name], scale, chosen, bits[p.name], how,
               powers, spike_bits)
        for p in network.populations
    ]  # fmt: skip
    scales = {layer.source.name: layer.scales for layer in layers}
    draft = QuantisedNetwork(
        numerics=chosen,
        inputs=inputs,
        populations=[layer.result for layer in layers],
        projections=[_projection(network, edge, weights, chosen) for layer in layers for edge, weights in layer.edges],
        drives=[
            Drive(source=e.source, target=e.target, weights=network.matrix(e), scale=scales[e.target].state)
            for e in network.projections
            if e.source in currents
        ],
        outputs=dict(network.outputs),
        states=list(network.states),
        state_scale={output: scales[network.outputs[output]].state for output in network.states},
    )
    final = replace(chosen, accumulator_bits=_accumulator_bits(draft, fixed=numerics is not None))
    report = _report(network, draft, final, layers, scale, samples is not None) | {"calibration": str(how)}
    return replace(draft, numerics=final, report=report), layers


def _numerics(weight_bits: Bits, numerics: Numerics | None) -> Numerics:
    if numerics is not None:
        if isinstance(weight_bits, int) and weight_bits != numerics.weight_bits:
            raise NetworkError(
                f"weight_bits {weight_bits} contradicts numerics, whose weight_bits are {numerics.weight_bits}"
            )
        if numerics.profile is not Profile.SPIKELOOM:
            raise NetworkError(
                f"numerics: networks for the {numerics.profile} profile are not quantised from real ones; "
                "write them in integers as a QuantisedNetwork"
            )
        return numerics
    if isinstance(weight_bits, Mapping):
        widest = max(weight_bits.values(), default=DEFAULT.weight_bits)
        weight_bits = next((word for word in WEIGHT_BITS if word >= widest), WEIGHT_BITS[-1])
    base = EXACT if weight_bits == 16 else DEFAULT
    return replace(base, weight_bits=8 if weight_bits is None else weight_bits, accumulator_bits=ACCUMULATOR_BITS[-1])


def _bits(network: Network, told: Bits, numerics: Numerics) -> dict[str, int]:
    """The width of each population's weights; that of the word where it is not told."""
    names = [p.name for p in network.populations]
    if not isinstance(told, Mapping):
        return dict.fromkeys(names, numerics.weight_bits)
    if unknown := set(told) - set(names):
        raise NetworkError(
            f"weight_bits: there is no population {', '.join(sorted(unknown))}; there are {', '.join(names)}"
        )
    for name, bits in told.items():
        if bits not in LAYER_BITS or bits > numerics.weight_bits:
            raise NetworkError(
                f"weight_bits of {name} must be 1 to {min(LAYER_BITS[-1], numerics.weight_bits)}, not {bits}"
            )
    return dict.fromkeys(names, numerics.weight_bits) | {name: int(bits) for name, bits in told.items()}


def _check_currents(network: Network, currents: set[str]) -> None:
    """A current is added to the potential: a target with a synaptic current of its own would need it a step before."""
    for e in network.projections:
        if e.source in currents and np.any(network.population(e.target).alpha):
            raise NetworkError(
                f"input {e.source}: it carries currents, and {e.target} ({network.population(e.target).kind}) has a "
                "synaptic current, into which only spikes can go: encode the input as spikes or counts"
            )
        if e.source in currents and e.delay:
            raise NetworkError(
                f"input {e.source}: it carries currents, and they reach {e.target} {e.delay} ticks late: biases cannot "
                "wait: encode the input as spikes or counts, or shift the samples"
            )


def _layer(
    network: Network,
    p: FloatPopulation,
    given: Mapping[str, np.ndarray] | None,
    currents: set[str],
    seen: Statistics | None,
    per: str,
    numerics: Numerics,
    bits: int,
    calibration: Calibration,
    powers: Mapping[str, np.ndarray] | None,
    spike_bits: int | None,
) -> Layer:
    edges = [e for e in network.into(p.name) if e.source not in currents]
    must_hold = np.zeros(p.size)
    if seen is not None and not p.spiking and bits > 2:
        must_hold = np.maximum(must_hold, np.maximum(seen.v_high, -seen.v_low))
    if seen is not None and p.multi and bits > 2:  # several thresholds high
        must_hold = np.maximum(must_hold, seen.v_high)
    into = network.into(p.name)
    driven = [(given[e.source], network.matrix(e)) for e in into if e.source in currents and given is not None]
    if driven:
        must_hold = np.maximum(must_hold, sum(_peak(samples, weights) for samples, weights in driven))
    shared = Sharing.of(p, edges, per, worth(network, edges, powers))
    scales = choose(p, shared, must_hold, numerics, bits, calibration)
    return Layer(
        source=p,
        scales=scales,
        result=_population(p, scales.state, numerics, _spike_bits(p, seen, spike_bits)),
        edges=[(e, rounded(e, shared, scales.weight, bits)) for e in edges],
        bits=bits,
        calibration=calibration,
        statistics=seen,
    )


def _dense(weights: Matrix) -> np.ndarray:
    return weights if isinstance(weights, np.ndarray) else weights.toarray()


def _peak(samples: np.ndarray, weights: Matrix) -> np.ndarray:
    """Largest magnitude of ``weights @ x`` over all samples and ticks, a target neuron."""
    peak = np.zeros(weights.shape[0])
    for sample in samples:
        peak = np.maximum(peak, np.abs(sample.astype(np.float64) @ weights.T).max(axis=0, initial=0.0))
    return peak


def _spike_bits(p: FloatPopulation, seen: Statistics | None, told: int | None) -> int:
    """Bits of the number of spikes that a neuron sends in one tick; 0 where it is one at most."""
    if not p.multi:
        return 0
    if told is not None or seen is None:
        return SPIKE_BITS if told is None else told
    return min(max(1, int(seen.count.max(initial=0)).bit_length()), PAYLOAD_BITS_MAX)


def _population(p: FloatPopulation, state: np.ndarray, numerics: Numerics, spike_bits: int) -> Population:
    """A population's parameters in state units."""
    return Population(
        name=p.name,
        shape=p.shape,
        alpha=_integer(p.alpha, DECAY_ONE),
        beta=_integer(p.beta, DECAY_ONE),
        theta=_theta(p, state, numerics),
        v_min=np.where(np.isfinite(p.v_min), np.rint(_finite(p.v_min) * state), numerics.state_min).astype(np.int64),
        v_reset=_integer(p.v_reset, state),
        v_sub=_integer(p.v_sub, state),
        reset=p.reset if p.spiking else Reset.NONE,
        refractory=p.refractory,
        bias=_integer(p.bias, state),
        bias_u=_integer(p.bias_u, state),
        spike_bits=spike_bits,
    )


def _theta(p: FloatPopulation, state: np.ndarray, numerics: Numerics) -> np.ndarray:
    """The largest potential that does not fire.

    ``v > x`` becomes the nearest integer. ``v >= x`` must fire at ``v = x`` if that is an integer: the largest integer
    below ``x``, where a scale's rounding error does not count. With several spikes a tick the one below what each of
    them subtracts.
    """
    if p.multi:
        return _integer(p.v_sub, state) - 1
    exact = _finite(p.theta) * state
    whole = np.abs(exact - np.rint(exact)) <= 1e-9 * np.maximum(1, np.abs(exact))
    below = np.where(whole, np.rint(exact), np.ceil(exact)) - 1
    theta = np.rint(exact) if p.fire == ">" else below
    return np.where(np.isfinite(p.theta), theta, numerics.state_max).astype(np.int64)


def _finite(values: np.ndarray | float) -> np.ndarray:
    return np.where(np.isfinite(values), values, 0.0)


def _integer(values: np.ndarray | float, scale: np.ndarray | int) -> np.ndarray:
    return np.rint(np.asarray(values) * scale).astype(np.int64)


def _projection(network: Network, edge: FloatProjection, weights: Matrix, numerics: Numerics) -> Projection:
    """The projection in integers; 1-bit weights know no 0, so a kernel that has one becomes a sparse matrix."""
    result = Projection(
        source=edge.source, target=edge.target, weights=_dense(weights), delay=edge.delay,
        convolution=edge.convolution, pool=edge.pool,
    )  # fmt: skip
    zeros = np.count_nonzero(result.weights == 0)
    lacking = numerics.weight_bits == 1 and zeros > 0
    if edge.convolution is None:
        return replace(result, sparse=bool(sparse.issparse(weights) or zeros > result.weights.size / 2 or lacking))
    if not lacking:
        return result
    ends = network.shape(edge.source), network.shape(edge.target)
    full = _dense(matrix(result.weights, *ends, edge.convolution, edge.pool))
    return replace(result, weights=full, convolution=None, pool=None, sparse=True)


def _accumulator_bits(draft: QuantisedNetwork, fixed: bool) -> int:
    """The least width that cannot overflow, or the given one where it is enough."""
    needed = accumulator_bits_needed(draft)
    most = draft.numerics.accumulator_bits
    if needed > most:
        name, at, low, high = _worst(draft)
        raise NetworkError(
            f"population {name}: neuron {at}: its weights can add up to {low} or {high} in one tick, which needs "
            f"{needed} accumulator bits, and there are {most}: use fewer weight_bits than "
            f"{draft.numerics.weight_bits}" + (", a wider accumulator" if fixed and most < 24 else "")
            + (", samples with smaller counts" if any(i.max_count > 1 for i in draft.inputs) else "")
            + (", fewer spike_bits" if any(p.graded for p in draft.populations) else "")
            + ", or fewer inputs"
        )  # fmt: skip
    return most if fixed else max(ACCUMULATOR_BITS[0], needed)


def _worst(draft: QuantisedNetwork) -> tuple[str, int, int, int]:
    bounds = accumulator_bounds(draft)
    peaks = {name: np.maximum(-b[0], b[1] + 1) for name, b in bounds.items() if b.size}
    name = max(peaks, key=lambda key: int(peaks[key].max()))
    at = int(peaks[name].argmax())
    return name, at, int(bounds[name][0, at]), int(bounds[name][1, at])


def _report(
    network: Network, draft: QuantisedNetwork, numerics: Numerics, layers: list[Layer], scale: str, calibrated: bool
) -> dict[str, Any]:  # fmt: skip
    bounds = accumulator_bounds(draft)
    return {
        "scale": scale,
        "numerics": {
            "profile": str(numerics.profile), "weight_bits": numerics.weight_bits,
            "fraction_bits": numerics.fraction_bits, "accumulator_bits": numerics.accumulator_bits,
            "state_bits": numerics.state_bits,
        },
        "accumulator_bits_needed": accumulator_bits_needed(draft),
        "inputs": [_input_report(i, calibrated) for i in draft.inputs],
        "layers": [layer_report(network, layer, bounds[layer.source.name], numerics) for layer in layers],
        "warnings": [line for layer in layers for line in warnings_of(layer, numerics)],
        "assumptions": [str(assumption) for assumption in network.assumptions],
    }  # fmt: skip


def _input_report(source: InputPopulation, calibrated: bool) -> dict[str, Any]:
    return {
        "name": source.name, "kind": str(source.kind), "max_count": source.max_count,
        "from": "samples or argument" if calibrated else "assumed or argument: no samples were given",
    }  # fmt: skip
