"""A multiplier between registers: those of the chip's own multiplier where it has them."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from . import memories
from .memories.wires import single

MULT18X18D_BITS, MAC16_BITS = 18, 16
"""Of a factor of ECP5's and of iCE40's multiplier, with its sign."""


class Multiplier(wiring.Component):
    """``product`` is that of the factors of two cycles ago, or of one.

    On an ECP5 it is one MULT18X18D with its input and output registers: without them, its 3.9 ns (speed 6, says
    nextpnr) and the ways to it and from it are one path. On an iCE40 it is one SB_MAC16.

    Parameters
    ----------
    a, b : shapes of the factors.
    registers : 2, or 1: only that of the product.

    Members
    -------
    a, b : ``In(...)``
    enable : ``In(1)``
        Both registers move; 1 if nobody drives it.
    product : ``Out(...)``
        As wide as ``a * b``.
    """

    def __init__(self, a: Any, b: Any, registers: int = 2):
        self.registers = registers
        a, b = Shape.cast(a), Shape.cast(b)
        product = (Signal(a) * Signal(b)).shape()
        super().__init__({"a": In(a), "b": In(b), "enable": In(1, init=1), "product": Out(product)})

    def elaborate(self, platform):
        family = "generic" if getattr(platform, "models", False) else memories.family_of(platform)
        if family == "ecp5" and self._fits(MULT18X18D_BITS):
            return self._mult18x18d()
        if family == "ice40" and self._fits(MAC16_BITS):
            return self._mac16()
        m = Module()
        a, b = Signal.like(self.a, name="factor_a"), Signal.like(self.b, name="factor_b")
        if self.registers == 1:
            m.d.comb += [a.eq(self.a), b.eq(self.b)]
        with m.If(self.enable):
            if self.registers == 2:
                m.d.sync += [a.eq(self.a), b.eq(self.b)]
            m.d.sync += self.product.eq(a * b)
        return m

    def _fits(self, bits: int) -> bool:
        return all(len(factor) + (not factor.shape().signed) <= bits for factor in (self.a, self.b))

    def _mac16(self) -> Module:
        m = Module()
        a, b = (Signal(signed(MAC16_BITS), name=name) for name in ("factor_a", "factor_b"))
        product = Signal(2 * MAC16_BITS)
        m.d.comb += [a.eq(self.a), b.eq(self.b), self.product.eq(product)]
        idle = (
            "C", "D", "AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT", "OLOADTOP",
            "OLOADBOT", "ADDSUBTOP", "ADDSUBBOT", "OHOLDTOP", "OHOLDBOT", "CI", "ACCUMCI", "SIGNEXTIN",
        )  # fmt: skip
        factors = int(self.registers == 2)
        m.submodules.mac16 = Instance(
            "SB_MAC16",
            p_A_REG=factors, p_B_REG=factors, p_PIPELINE_16x16_MULT_REG2=1, p_A_SIGNED=1, p_B_SIGNED=1,
            p_TOPOUTPUT_SELECT=3, p_BOTOUTPUT_SELECT=3,  # the product of 16 by 16 bits
            i_CLK=ClockSignal(), i_CE=self.enable, i_A=a, i_B=b, o_O=product,
            **{f"i_{pin}": Const(0, MAC16_BITS if pin in "CD" else 1) for pin in idle},
        )  # fmt: skip
        return m

    def _mult18x18d(self) -> Module:
        m = Module()
        factors = "CLK0" if self.registers == 2 else "NONE"
        arguments: dict[str, Any] = {
            "p_REG_INPUTA_CLK": factors, "p_REG_INPUTB_CLK": factors, "p_REG_OUTPUT_CLK": "CLK0",
            "i_CLK0": ClockSignal(), "i_CE0": self.enable, "i_RST0": Const(0),
            "i_SIGNEDA": Const(1), "i_SIGNEDB": Const(1), "i_SOURCEA": Const(0), "i_SOURCEB": Const(0),
        }  # fmt: skip
        for name, factor in (("A", self.a), ("B", self.b)):
            wide = Signal(signed(MULT18X18D_BITS), name=f"factor_{name.lower()}")
            m.d.comb += wide.eq(factor)
            arguments |= {f"i_{name}{n}": bit for n, bit in enumerate(wide)}
        product = single("p", 2 * MULT18X18D_BITS)
        arguments |= {f"o_P{n}": bit for n, bit in enumerate(product)}
        m.submodules.mult18x18d = Instance("MULT18X18D", **arguments)
        m.d.comb += self.product.eq(product)
        return m
