"""Sums that a chip can do with less than synthesis finds."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from . import memories
from .memories.wires import single

OR_ADD = 0x555A
"""A half of ECP5's CCU2C, as propagate: A xor (C or D). Where that is 0, A is the carry, which is what the cell's other
table makes of A and B: its four bits are the lowest four of this one."""


class OrAdd(wiring.Component):
    """``total = (a | b) + c``, modulo its width, in the same cycle.

    On an ECP5 the gate is part of the carry chain, half a cell a bit; synthesis takes another one for it.

    Members
    -------
    a, b : ``In(width)``
    c : ``In(signed(addend))``
        No wider.
    total : ``Out(width)``
    """

    def __init__(self, width: int, addend: int):
        assert addend <= width
        super().__init__({"a": In(width), "b": In(width), "c": In(signed(addend)), "total": Out(width)})

    def elaborate(self, platform):
        m = Module()
        if memories.family_of(platform) != "ecp5":
            m.d.comb += self.total.eq((self.a | self.b) + self.c)
            return m
        width = len(self.a)
        c = Cat(self.c, self.c[-1].replicate(width))[:width]
        total = single("total", width)
        m.d.comb += self.total.eq(total)
        carry: Value = Const(0, 1)
        for low in range(0, width, 2):
            ports: dict[str, Any] = {"i_CIN": carry}
            for half in (0, 1):
                bit = low + half
                for pin, value in (("A", c), ("C", self.a), ("D", self.b)):
                    ports[f"i_{pin}{half}"] = value[bit] if bit < width else Const(0, 1)
                ports[f"i_B{half}"] = Const(0, 1)
                ports[f"p_INIT{half}"] = Const(OR_ADD, 16)
                ports[f"p_INJECT1_{half}"] = "NO"
                if bit < width:
                    ports[f"o_S{half}"] = total[bit]
            if low + 2 < width:
                carry = ports["o_COUT"] = Signal(name=f"carry{low}")
            m.submodules[f"bits{low}"] = Instance("CCU2C", **ports)
        return m
