"""Sums and products that a chip can do with less, or faster, than synthesis finds."""

from collections.abc import Callable
from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from . import memories

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
                    ports[f"o_S{half}"] = self.total[bit]
            if low + 2 < width:  # Yosys' abc9 stumbles over outputs that lead nowhere
                carry = ports["o_COUT"] = Signal(name=f"carry{low}")
            m.submodules[f"bits{low}"] = Instance("CCU2C", **ports)
        return m


FACTOR_BITS = 18
"""Of ECP5's multiplier, with the sign."""

Multiply = Callable[[str, Value, Value], Value]
"""Name and two factors: their product, a cycle later."""


def multiply_of(m: Module, platform: Any) -> Multiply:
    """Builds products into a module, with the register of a multiplier's own where the chip's has one."""
    own = memories.family_of(platform) == "ecp5"

    def multiply(name: str, a: Value, b: Value) -> Value:
        shape = (a * b).shape()
        product = Signal(shape, name=name)
        widest = max(len(value) + (not value.shape().signed) for value in (a, b))
        if not own or widest > FACTOR_BITS or len(b) == 0:
            m.d.sync += product.eq(a * b)
            return product
        wide = [Signal(signed(FACTOR_BITS), name=f"{name}_factor{n}") for n in (0, 1)]
        result = Signal(2 * FACTOR_BITS, name=f"{name}_wide")
        m.d.comb += [wide[0].eq(a), wide[1].eq(b), product.eq(result)]
        ports: dict[str, Any] = {f"p_REG_{part}_CLK": "NONE" for part in ("INPUTA", "INPUTB", "INPUTC", "PIPELINE")}
        ports |= {"p_REG_OUTPUT_CLK": "CLK0", "p_REG_OUTPUT_CE": "CE0", "p_REG_OUTPUT_RST": "RST0"}
        ports |= {"i_CLK0": ClockSignal(), "i_CE0": Const(1), "i_RST0": Const(0)}
        ports |= {f"i_SIGNED{name}": Const(1) for name in "AB"} | {f"i_SOURCE{name}": Const(0) for name in "AB"}
        for bit in range(FACTOR_BITS):
            ports |= {f"i_A{bit}": wide[0][bit], f"i_B{bit}": wide[1][bit]}
        ports |= {f"o_P{bit}": result[bit] for bit in range(len(product))}
        m.submodules[f"{name}_multiplier"] = Instance("MULT18X18D", **ports)
        return product

    return multiply
