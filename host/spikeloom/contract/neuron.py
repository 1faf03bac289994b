"""The neuron: its integer equation, its parameters and its state, as records of the core's memories.

Per neuron and tick, with ``acc`` the sum of the weights of this tick's events::

    u <- sat(rnd(alpha * u) + (acc << F) + bias_u)             rnd(x) = (x + 2**11) >> 12
    v <- max(sat(rnd(beta * v) + u + bias - (v_sub if s and reset is SUBTRACT_DELAYED else 0)), v_min)
    if r > 0:  r <- r - 1;  v <- v_reset;  s <- 0              (u goes on)
    else:      s <- v > theta
               if s:  v <- v_reset | v - v_sub | v;  r <- refractory

With the adaptive stage there is one more state, ``a``, and what it acts on is a parameter::

    theta is  theta + a (THRESHOLD)  or  theta + rnd(gamma * a) (FADED_THRESHOLD);  or  - a  joins v's sum (INPUT)
    a <- sat(rnd(gamma * a) + (step if s))

With a divider (``spike_bits``, at most those of the core) a neuron sends several spikes in a tick, as one event with
their number. Such a neuron has reset SUBTRACT, ``theta = v_sub - 1``, no refractory time and no adaptation; then::

    s <- min(v // v_sub, 2**spike_bits - 1) if v > theta else 0
    v <- v - s * v_sub                                         a larger quotient is a saturation, and v keeps the rest

In the loihi profile ``rnd`` cuts toward zero, ``acc`` is first shifted by ``weight_exponent``, ``u`` wraps.
"""

from __future__ import annotations

from enum import IntEnum

from .layout import Field, Layout
from .numerics import DECAY_BITS, Numerics, Profile

REFRACTORY_BITS = 6
LATENCY_BITS = 6
EXPONENT_BITS = 4

NEVER = (1 << LATENCY_BITS) - 1
"""The latency of a row or lane that no neuron uses: it is never updated."""


class Reset(IntEnum):
    """What a spike does to the potential."""

    VALUE = 0
    """``v <- v_reset``."""
    SUBTRACT = 1
    """``v <- v - v_sub`` in the tick of the spike."""
    SUBTRACT_DELAYED = 2
    """``v_sub`` is subtracted in the next tick, after the decay: snnTorch's default."""
    NONE = 3
    """The potential goes on."""


class Adaptation(IntEnum):
    """What the adaptation ``a`` acts on, which a neuron's own spikes raise and which decays."""

    THRESHOLD = 0
    """The threshold is ``theta + a``, ``a`` as the tick before left it: Bellec et al. 2018."""
    FADED_THRESHOLD = 1
    """The threshold is ``theta + rnd(gamma * a)``, ``a`` after this tick's decay: lava's ATRLIF, Norse's LSNN."""
    INPUT = 2
    """``a``, as the tick before left it, is subtracted from the potential's input: Nengo's AdaptiveLIF. There is no
    SUBTRACT_DELAYED beside it."""


def parameter_layout(numerics: Numerics, adaptive: bool = False, spike_bits: int = 0) -> Layout:
    """Parameters of one neuron (or, where a row shares them, of one row).

    ``latency`` is the number of ticks by which the neuron runs behind the input stream: it holds its state before
    that tick, and ``NEVER`` marks an unused one. ``spike_bits`` are those of the core: each neuron has its own, up to
    that number, and one of 0 sends one spike a tick.
    """
    state = numerics.state_bits
    fields: tuple[Field, ...] = (
        Field("alpha", DECAY_BITS + 1),
        Field("beta", DECAY_BITS + 1),
        Field("theta", state, signed=True),
        Field("v_min", state, signed=True),
        Field("v_reset", state, signed=True),
        Field("v_sub", state, signed=True),
        Field("reset", 2),
        Field("refractory", REFRACTORY_BITS),
        Field("latency", LATENCY_BITS),
    )
    if numerics.profile is Profile.LOIHI:
        fields += (Field("weight_exponent", EXPONENT_BITS, signed=True),)
    if adaptive:
        fields += (Field("gamma", DECAY_BITS + 1), Field("step", state, signed=True), Field("adaptation", 2))
    if spike_bits:
        fields += (Field("spike_bits", spike_bits.bit_length()),)
    return Layout(fields)


def bias_layout(numerics: Numerics) -> Layout:
    """Constants added each tick: ``bias`` to the potential, ``bias_u`` to the current."""
    return Layout(
        (
            Field("bias", numerics.state_bits, signed=True),
            Field("bias_u", numerics.state_bits, signed=True),
        )
    )


def state_layout(numerics: Numerics, adaptive: bool = False, spike_bits: int = 0) -> Layout:
    """State of one neuron: current, potential, refractory ticks left, spikes of the last tick; and adaptation."""
    fields: tuple[Field, ...] = (
        Field("u", numerics.state_bits, signed=True),
        Field("v", numerics.state_bits, signed=True),
        Field("r", REFRACTORY_BITS),
        Field("s", max(1, spike_bits)),
    )
    return Layout(fields + ((Field("a", numerics.state_bits, signed=True),) if adaptive else ()))
