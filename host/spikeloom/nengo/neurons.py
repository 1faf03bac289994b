"""Nengo's spiking neurons as the array runs them: whole ticks, integer decays."""

from __future__ import annotations

from dataclasses import dataclass

import nengo
import numpy as np

from ..contract.neuron import REFRACTORY_BITS, Reset
from ..contract.numerics import DECAY_ONE

ON_ARRAY = (nengo.LIF, nengo.AdaptiveLIF, nengo.SpikingRectifiedLinear)
"""Exactly these types: a subclass may step differently."""

HOST_SPIKES = (*ON_ARRAY, nengo.Izhikevich, nengo.RegularSpiking, nengo.StochasticSpiking, nengo.PoissonSpiking)
"""Types whose output is a count of spikes times a constant, so that the host can send it as spikes."""

COUNT_MAX = 15
"""Spikes of one neuron in one tick that the host sends at most; types that can fire more often are cut there."""

DECAY_ERROR = 0.1
"""Largest relative error of a time constant by its 12-bit factor; a neuron or synapse beyond stays on the host."""

REFRACTORY_MAX = (1 << REFRACTORY_BITS) - 1


class UnsuitableError(Exception):
    """Why an object cannot be on the array; the text completes "on the host: ..."."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayNeuron:
    """One neuron type at one time step; potentials in units of the threshold.

    Attributes:
        beta: the potential's decay factor over 4096.
        drive: what a current of one adds to the potential in a tick.
        refractory: whole ticks in which the potential is held after a spike.
        reset: to zero (LIF), or by subtracting the threshold (rectified linear).
        floor: least potential.
        strict: fires above the threshold, otherwise at it.
        output: what a spike is worth, amplitude over dt.
        adapt: of an adaptive neuron the decay factor of its adaptation and what a spike adds to it, as a current.
    """

    beta: int
    drive: float
    refractory: int
    reset: Reset
    floor: float
    strict: bool
    output: float
    adapt: tuple[int, float] | None = None

    def rates(self, current: np.ndarray) -> np.ndarray:
        """Output, spikes a second times the amplitude, under constant currents: the closed form in whole ticks.

        From rest the potential of a LIF is ``J (1 - b^n)`` after ``n`` ticks, so it fires in the first whole one in
        which that exceeds 1, and then stands still for the refractory ticks.
        """
        J = np.asarray(current, dtype=float)
        if self.reset is Reset.SUBTRACT:
            return self.output * np.clip(J * self.drive, 0.0, 1.0)
        ticks = np.full(J.shape, np.inf)
        firing = self.drive * J > 1
        ticks[firing] = 1.0
        slow = (J > 1) & ~firing
        decay = np.log(self.beta / DECAY_ONE) if self.beta else -np.inf
        ticks[slow] = np.floor(np.log1p(-1 / J[slow]) / decay) + 1
        return self.output / (self.refractory + ticks)


def array_neuron(neuron: nengo.neurons.NeuronType, dt: float) -> ArrayNeuron:
    """The array's form of a neuron type. Raises :class:`UnsuitableError`."""
    if type(neuron) not in ON_ARRAY:
        names = ", ".join(t.__name__ for t in ON_ARRAY)
        raise UnsuitableError(f"neurons are {type(neuron).__name__}, the array has {names}")
    output = float(neuron.amplitude) / dt
    if isinstance(neuron, nengo.SpikingRectifiedLinear):
        return ArrayNeuron(
            beta=DECAY_ONE, drive=dt, refractory=0, reset=Reset.SUBTRACT, floor=0.0, strict=False, output=output
        )
    beta = decay(neuron.tau_rc, dt, "tau_rc")
    refractory = round(neuron.tau_ref / dt)
    if refractory > REFRACTORY_MAX:
        raise UnsuitableError(f"tau_ref is {refractory} ticks, the array counts to {REFRACTORY_MAX}")
    adapt = None
    if isinstance(neuron, nengo.AdaptiveLIF):
        factor = decay(neuron.tau_n, dt, "tau_n")
        adapt = factor, (1 - factor / DECAY_ONE) * float(neuron.inc_n) * output
    return ArrayNeuron(
        beta=beta,
        drive=1 - beta / DECAY_ONE,
        refractory=refractory,
        reset=Reset.VALUE,
        floor=float(neuron.min_voltage),
        strict=True,
        output=output,
        adapt=adapt,
    )


def spike_worth(neuron: nengo.neurons.NeuronType, dt: float) -> float:
    """Output of one spike of a neuron on the host. Raises :class:`UnsuitableError` where its output is no spikes."""
    if type(neuron) not in HOST_SPIKES:
        raise UnsuitableError(f"does not spike: {type(neuron).__name__}")
    return float(getattr(neuron, "amplitude", 1.0)) / dt


def decay(tau: float, dt: float, name: str) -> int:
    """``exp(-dt / tau)`` over 4096. Raises :class:`UnsuitableError` where that says another time constant."""
    exact = float(np.exp(-dt / tau)) if tau > 0 else 0.0
    factor = round(exact * DECAY_ONE)
    if factor == DECAY_ONE or abs((DECAY_ONE - factor) / (DECAY_ONE * (1 - exact)) - 1) > DECAY_ERROR:
        raise UnsuitableError(f"{name} = {tau:g} s is too long for a decay of 12 bits at dt = {dt:g} s")
    return factor
