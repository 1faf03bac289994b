"""The local bus by which a ring node reaches the memories and registers of its core."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.layout import COLUMN_BITS
from spikeloom.contract.ring import ADDRESS_BITS, SPACE_BITS

from . import memories

READ_LATENCY, SHARED_READ_LATENCY = 4, 3
"""Cycles from ``valid`` to the word on ``read_data``, the same for every space: of chips whose memories have registers
of their own, and of those whose memories share them."""


def read_latency(platform: Any) -> int:
    """That of a platform's chip."""
    return SHARED_READ_LATENCY if memories.shares_registers(platform) else READ_LATENCY


class BusSignature(wiring.Signature):
    """One access a cycle, while the array is at rest.

    Members
    -------
    valid, write : ``Out(1)``
        An access in this cycle; a write takes effect within two.
    space, address, data : ``Out(...)``
        As on the ring: :mod:`spikeloom.contract.ring`.
    read_data : ``In(32)``
        The answer to a read, :func:`read_latency` cycles later, zero when nobody answers: answers are ored together.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "write": Out(1),
                "space": Out(SPACE_BITS),
                "address": Out(ADDRESS_BITS),
                "data": Out(COLUMN_BITS),
                "read_data": In(COLUMN_BITS),
            }
        )


def share(m: Module, bus: wiring.PureInterface, targets: list[wiring.PureInterface]) -> None:
    """Put several targets on one bus: each sees all accesses, their answers are ored."""
    answer = Const(0)
    for target in targets:
        m.d.comb += [
            getattr(target, name).eq(getattr(bus, name)) for name in ("valid", "write", "space", "address", "data")
        ]
        answer |= target.read_data
    m.d.comb += bus.read_data.eq(answer)
