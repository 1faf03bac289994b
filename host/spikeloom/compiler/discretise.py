"""One NIR neuron node a tick at a time: time constants become decays, gains and biases.

=========  =====================================  ==========================================
node       equation                               a tick, ``x`` the sum of its inputs
=========  =====================================  ==========================================
I, IF      ``v' = r x``                           ``v += r x``: every simulator drops the dt
LI, LIF    ``tau v' = v_leak - v + r x``          ``v = k v + g (v_leak + r x)``
CubaLI(F)  ``tau_syn i' = -i + w_in x``,          ``i = ks i + gs w_in x``,
           ``tau_mem v' = v_leak - v + r i``      ``v = km v + gm (v_leak + r i)`` with the new i
Threshold  ``x > threshold``                      the same
=========  =====================================  ==========================================

``k`` and ``g``: see :data:`.readings.DECAYS`. The current is kept as ``u = gm r i``, so that ``v = km v + u``.
"""

from __future__ import annotations

from dataclasses import dataclass

import nir
import numpy as np

from spikeloom.contract.errors import NetworkError
from spikeloom.contract.neuron import Reset

from .graph import FloatPopulation
from .nir_nodes import NEURONS, kind, number
from .readings import Readings

TIME_CONSTANTS = {"LI": "tau", "LIF": "tau", "CubaLI": "tau_mem", "CubaLIF": "tau_mem"}
RESETS = {
    "value": Reset.VALUE,
    "subtract": Reset.SUBTRACT,
    "subtract_delayed": Reset.SUBTRACT_DELAYED,
    "none": Reset.NONE,
}
TOLERANCE = 1e-4
"""Relative: files hold time constants in single precision."""


@dataclass(frozen=True, eq=False)
class Neurons:
    """A population and what its input is multiplied by, ``(size,)``.

    A constant input adds to ``bias_u`` where ``current``, else to ``bias``.
    """

    population: FloatPopulation
    gain: np.ndarray
    current: bool


def ratio(name: str, node: nir.NIRNode, dt: float) -> np.ndarray:
    """``r * dt / tau`` of a node with a time constant."""
    tau = _positive_tau(name, node, TIME_CONSTANTS[kind(node)])
    return number(name, node, "r") * dt / tau


def discretise(name: str, node: nir.NIRNode, shape: tuple[int, ...], readings: Readings) -> Neurons:
    """The population of a neuron node."""
    size = int(np.prod(shape))
    p = {field: np.broadcast_to(number(name, node, field).reshape(-1), (size,)) for field in NEURONS[kind(node)]}
    alpha, beta, gain, bias = np.zeros(size), np.ones(size), np.ones(size), np.zeros(size)
    if kind(node) in ("I", "IF"):
        gain = p["r"]
        readings.note("gain", "v += r x a tick", "assumed: simulators drop the dt of I and IF", name)
    elif kind(node) == "Threshold":
        beta = np.zeros(size)
    else:
        beta, step = _decay(name, node, TIME_CONSTANTS[kind(node)], p, readings)
        gain, bias = step * p["r"], step * p["v_leak"]
        if "tau_syn" in p:
            alpha, step_syn = _decay(name, node, "tau_syn", p, readings)
            gain = gain * step_syn * p["w_in"]

    threshold = p.get("v_threshold", p.get("threshold"))
    fire, reset = ">", Reset.NONE
    v_reset, v_sub = np.zeros(size), np.zeros(size)
    if threshold is not None:
        fire = readings.choice("fire", name)
    if fire == "multi":
        _check_multi(name, node, readings)
    if threshold is not None and kind(node) != "Threshold":
        reset = RESETS[readings.choice("reset", name)]
        v_reset = p["v_reset"]
        if reset in (Reset.SUBTRACT, Reset.SUBTRACT_DELAYED):
            v_sub = np.where(np.isnan(sub := readings.numbers("v_sub", name, np.nan, size)), threshold, sub)
            if (threshold < 0).any():
                raise NetworkError(f"node {name} ({kind(node)}): reset by subtraction of a negative v_threshold")
        if reset is not Reset.VALUE and v_reset.any():
            readings.note("reset", "v_reset has no effect", "the reset is not to a value", name)
    population = FloatPopulation(
        name=name, shape=shape, kind=kind(node), alpha=alpha, beta=beta, bias=bias, reset=reset, v_reset=v_reset,
        v_sub=v_sub, theta=np.inf if threshold is None else threshold, fire=fire,
        v_min=readings.numbers("v_min", name, -np.inf, size),
        refractory=_whole(name, readings.numbers("refractory", name, 0, size)),
    )  # fmt: skip
    return Neurons(population, gain, current="tau_syn" in p)


def _check_multi(name: str, node: nir.NIRNode, readings: Readings) -> None:
    """Several spikes a tick take several thresholds from the potential: refuse what has none, or another reset."""
    if kind(node) == "Threshold":
        raise NetworkError(
            f"node {name} (Threshold): fire multi, and it has no potential that spikes subtract from: give the other "
            "nodes metadata spikeloom.fire in place of the argument"
        )
    if (reset := readings.choice("reset", name)) != "subtract":
        raise NetworkError(
            f'node {name} ({kind(node)}): fire multi, whose spikes each take a threshold: give reset="subtract", not '
            f"{reset!r}"
        )


def _whole(name: str, values: np.ndarray) -> np.ndarray:
    for value in values[(values < 0) | (values != np.rint(values))][:1]:
        raise NetworkError(f"node {name}: metadata spikeloom.refractory is {value:g}, must be a whole number of ticks")
    return values.astype(np.int64)


def _decay(
    name: str, node: nir.NIRNode, field: str, p: dict[str, np.ndarray], readings: Readings
) -> tuple[np.ndarray, np.ndarray]:
    """Decay and gain a tick for one time constant."""
    tau, dt, how = p[field], readings.dt(name), readings.choice("decay", name)
    _positive_tau(name, node, field)
    for at in np.flatnonzero(tau < dt * (1 - TOLERANCE))[:1]:
        raise NetworkError(
            f"node {name} ({kind(node)}): {field} {tau[at]:g} is less than a tick of {dt:g}: wrong dt, or a file of "
            "Norse 1.1.0, which exports dt / tau_inv in place of 1 / tau_inv (Norse issue 411): multiply tau by 1 / dt"
        )
    step = np.minimum(dt / tau, 1.0)
    if how == "euler":
        return 1 - step, step
    decay = np.exp(-dt / tau)
    return decay, 1 - decay if how == "exact" else step


def _positive_tau(name: str, node: nir.NIRNode, field: str) -> np.ndarray:
    tau = number(name, node, field)
    for value in tau[tau <= 0].reshape(-1)[:1]:
        raise NetworkError(f"node {name} ({kind(node)}): {field} is {value:g}, must be positive")
    return tau
