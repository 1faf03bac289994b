"""Memories of the chips: one interface, :class:`~.access.Access`, and a file a family that builds what is behind it.

The family is the platform's, and the generic one where nobody says: for simulation and for generated Verilog.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth import Module, Value

from . import ecp5, generic, ice40
from .access import Access, Piece, Shape, pieces

__all__ = [
    "FAMILIES",
    "Access",
    "Chip",
    "Piece",
    "Shape",
    "build",
    "delay_of",
    "dual",
    "family_of",
    "pieces",
    "shares_registers",
]

FAMILIES: dict[str, Callable[[Module, Shape, Access, Any], None]] = {
    "generic": generic.build,
    "ecp5": ecp5.build,
    "ice40": ice40.build,
    "gowin": generic.build,
}

DEVICES = {"LFE5U": "ecp5", "ICE40UP": "ice40", "GW": "gowin"}
"""How the names of a family's devices begin."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A platform that knows its family and nothing else.

    Attributes:
        family: a name of :data:`FAMILIES`.
        models: build the family's cells from what simulators understand.
    """

    family: str
    models: bool = False


def family_of(platform: Any) -> str:
    """The family of a platform of amaranth-boards, of a :class:`Chip`, or of none."""
    if isinstance(platform, Chip):
        return platform.family
    device = str(getattr(platform, "device", "")).upper()
    return next((family for start, family in DEVICES.items() if device.startswith(start)), "generic")


def build(m: Module, shape: Shape, access: Access, platform: Any) -> None:
    """Build a memory into a module, out of what the platform's chip has."""
    FAMILIES[family_of(platform)](m, shape, access, platform)


def dual(shape: Shape, platform: Any) -> bool:
    """Whether bus and core each have a port of their own to read by."""
    return family_of(platform) == "ecp5" and ecp5.dual(shape)


def shares_registers(platform: Any) -> bool:
    """Whether registers between the bus and the memories are few and shared, in place of one set a memory."""
    return family_of(platform) == "ice40"


def delay_of(m: Module, platform: Any, longest: int) -> Callable[[str, Value, int], Value] | None:
    """Builds delays of up to so many cycles into a module out of RAM, for chips that have more of it than of
    flip-flops; None for others."""
    return ice40.Delays(m, longest) if family_of(platform) == "ice40" else None
