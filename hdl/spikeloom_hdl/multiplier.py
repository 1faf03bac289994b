"""A multiplier between registers: those of the chip's own multiplier where it has them."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from . import memories
from .memories.wires import single

MULT18X18D_BITS = 18
"""Of a factor of ECP5's multiplier, with its sign."""


class Multiplier(wiring.Component):
    """``product`` is that of the factors of two cycles ago, or of one.

    On an ECP5 it is one MULT18X18D with its input and output registers: without them, its 3.9 ns (speed 6, says
    nextpnr) and the ways to it and from it are one path.

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
        fits = all(len(factor) + (not factor.shape().signed) <= MULT18X18D_BITS for factor in (self.a, self.b))
        if fits and memories.family_of(platform) == "ecp5" and not getattr(platform, "models", False):
            return self._mult18x18d()
        m = Module()
        a, b = Signal.like(self.a, name="factor_a"), Signal.like(self.b, name="factor_b")
        if self.registers == 1:
            m.d.comb += [a.eq(self.a), b.eq(self.b)]
        with m.If(self.enable):
            if self.registers == 2:
                m.d.sync += [a.eq(self.a), b.eq(self.b)]
            m.d.sync += self.product.eq(a * b)
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
