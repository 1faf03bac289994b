"""Q-formats and profiles of the datapath: how wide the integers are and how they are rounded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .errors import ConfigError, check_range

DECAY_BITS = 12
"""A decay factor is an unsigned integer over ``2**12``."""

DECAY_ONE = 1 << DECAY_BITS
"""The factor one: nothing decays. Both 0 and this value are legal factors."""

WEIGHT_BITS = (1, 2, 4, 8, 16)
"""Widths a weight can have: plus or minus one, ternary, and two's complement integers."""

LOIHI_SHIFT = 6
"""Loihi adds the weighted sum to the current shifted left by 6."""


class Profile(StrEnum):
    """Named numerics of one datapath generator.

    ``SPIKELOOM``: decays round half up, ``u`` and ``v`` saturate to two's complement limits.
    ``LOIHI``: Loihi 1's CUBA neuron as in lava's fixed-point model: decays round toward zero, ``u`` wraps, ``v`` is
    clipped to plus or minus ``2**(state_bits - 1) - 1``, and the weighted sum has an exponent of its own.
    """

    SPIKELOOM = "spikeloom"
    LOIHI = "loihi"


@dataclass(frozen=True, kw_only=True, slots=True)
class Numerics:
    """Widths of the integers of one build.

    Attributes:
        profile: rounding and saturation, see :class:`Profile`.
        weight_bits: 1 (plus or minus one), 2 (ternary), 4, 8 or 16.
        fraction_bits: the weighted sum enters the current shifted left by this, 0 to 8.
        accumulator_bits: width of the sum of the weights of one tick, 12 to 24. It wraps; the compiler proves
            that it never has to.
        state_bits: width of current and potential, 12 to 32.
    """

    profile: Profile = Profile.SPIKELOOM
    weight_bits: int = 8
    fraction_bits: int = 4
    accumulator_bits: int = 16
    state_bits: int = 24

    def __post_init__(self) -> None:
        if self.profile not in tuple(Profile):
            raise ConfigError(f"numerics: profile must be one of {[str(p) for p in Profile]}, not {self.profile!r}")
        object.__setattr__(self, "profile", Profile(self.profile))
        if self.weight_bits not in WEIGHT_BITS:
            raise ConfigError(f"numerics: weight_bits must be one of {WEIGHT_BITS}, not {self.weight_bits}")
        check_range("numerics", "fraction_bits", self.fraction_bits, 0, 8)
        check_range("numerics", "accumulator_bits", self.accumulator_bits, 12, 24)
        check_range("numerics", "state_bits", self.state_bits, 12, 32)
        if self.profile is Profile.LOIHI and self.fraction_bits != LOIHI_SHIFT:
            raise ConfigError(f"numerics: the loihi profile has fraction_bits {LOIHI_SHIFT}, not {self.fraction_bits}")

    @property
    def state_max(self) -> int:
        return (1 << self.state_bits - 1) - 1

    @property
    def state_min(self) -> int:
        """Least potential: two's complement, or symmetric in the loihi profile."""
        return -self.state_max - (self.profile is Profile.SPIKELOOM)

    @property
    def weight_min(self) -> int:
        return -1 if self.weight_bits <= 2 else -(1 << self.weight_bits - 1)

    @property
    def weight_max(self) -> int:
        return 1 if self.weight_bits <= 2 else (1 << self.weight_bits - 1) - 1

    @property
    def weight_limit(self) -> int:
        """Largest magnitude that both signs have: the quantiser's full scale."""
        return self.weight_max


DEFAULT = Numerics()
"""8-bit weights, 4 fraction bits, 24-bit states."""

SMALL = Numerics(fraction_bits=0, state_bits=16)
"""8-bit weights, no fraction bits, 16-bit states."""

EXACT = Numerics(weight_bits=16, fraction_bits=0, accumulator_bits=24)
"""16-bit weights, no fraction bits, 24-bit states."""

LOIHI = Numerics(profile=Profile.LOIHI, fraction_bits=LOIHI_SHIFT, accumulator_bits=18)
"""Loihi 1: 8-bit weights, 24-bit states."""
