"""Registers with the same content, each near what it leads to, where one would drive all of a wide core."""

from typing import Any

from amaranth import *

from . import memories


def copied(m: Module, value: Value, users: int, share: int, platform: Any, name: str) -> list[Value]:
    """A register of a value for each user, of whom ``share`` at a time have the same one.

    Synthesis does not make them one: Yosys merges registers with the same input, whatever their names, so on an ECP5
    they are cells that it does not know.
    """
    copies = -(-users // share)
    registers = [Signal(len(value), name=f"{name}{n}", reset_less=True) for n in range(copies)]
    cells = memories.family_of(platform) == "ecp5" and not getattr(platform, "models", False)
    if copies == 1 or not cells:
        m.d.sync += [register.eq(value) for register in registers]
    else:
        source = Signal(len(value), name=f"{name}_next")
        m.d.comb += source.eq(value)
        for register in registers:
            for bit, driver in zip(register, source, strict=True):
                m.submodules += Instance(
                    "TRELLIS_FF", p_GSR="AUTO", p_CEMUX="1", p_CLKMUX="CLK", p_LSRMUX="LSR", p_REGSET="RESET",
                    i_CLK=ClockSignal(), i_LSR=Const(0), i_DI=driver, o_Q=bit,
                )  # fmt: skip
    return [registers[user // share] for user in range(users)]
