"""How many state units one unit of the source network becomes, neuron by neuron."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeloom.contract.errors import NetworkError
from spikeloom.contract.numerics import Numerics

from .calibration import Calibration
from .graph import FloatPopulation
from .weights import Sharing


@dataclass(frozen=True, kw_only=True, eq=False)
class Scales:
    """The scales of one population, ``(size,)`` each.

    Attributes:
        state: state units per unit of the source network's potential.
        weight: weight units per the same: ``state / 2**fraction_bits``.
        capped: neurons whose weights do not use their full range, because threshold, bias or reset would not fit.
        peak: the largest parameter (or, for a potential that is read, the largest value seen) that has to fit.
    """

    state: np.ndarray
    weight: np.ndarray
    capped: np.ndarray
    peak: np.ndarray


def choose(
    population: FloatPopulation,
    shared: Sharing,
    seen: np.ndarray,
    numerics: Numerics,
    bits: int,
    calibration: Calibration,
) -> Scales:
    """Scales of a population.

    Args:
        shared: all real weights into it; those of current inputs take no part.
        seen: magnitudes that the state has to hold beside the parameters, ``(size,)``.
        bits: of this population's weights; at most those of ``numerics``, in whose words they are stored.
    """
    fraction = 1 << numerics.fraction_bits
    limit = 1 << numerics.state_bits - 2  # a quarter of the range: the other half of the positive side is headroom
    peak = np.maximum(peak_parameter(population), seen)
    scale = calibration.scale(shared, bits)[shared.group]
    most = np.divide(limit, peak, out=np.full(population.size, np.inf), where=peak > 0)
    state = scale * fraction
    capped = state > most
    for at in np.flatnonzero(capped & (bits <= 2))[:1]:
        raise NetworkError(
            f"population {population.name}: neuron {at}: its threshold, bias or reset ({peak[at]:g}) is {peak[at]:g} "
            f"* {state[at]:g} state units, more than {limit}, and weights of {bits} bits cannot be "
            "scaled down: use 4 bits or more, or wider states"
        )
    state = np.where(capped, most, state)
    least = np.full(shared.count, np.inf)
    np.minimum.at(least, shared.group[state > 0], state[state > 0])
    state = np.where(np.isfinite(least), least, 0.0)[shared.group]
    capped = (np.bincount(shared.group, weights=capped, minlength=shared.count) > 0)[shared.group]

    # No weights, no scale: the parameters may then be fine, but need no more than a sixteenth of the range.
    idle = state == 0
    fine = np.divide(1 << numerics.state_bits - 4, peak, out=np.zeros(population.size), where=peak > 0)
    others = np.median(state[~idle]) if (~idle).any() else float(fraction * ((1 << max(2, bits) - 1) - 1))
    state = np.where(idle, np.where(fine > 0, fine, others), state)
    return Scales(state=state, weight=state / fraction, capped=capped, peak=peak)


def peak_parameter(population: FloatPopulation) -> np.ndarray:
    """The largest magnitude of a neuron's parameters that are potentials, ``(size,)``."""
    peak = np.zeros(population.size)
    for name in ("theta", "v_reset", "v_sub", "v_min", "bias", "bias_u"):
        value = np.abs(np.asarray(getattr(population, name)))
        peak = np.maximum(peak, np.where(np.isfinite(value), value, 0.0))
    return peak
