"""The gateware as SystemVerilog, for simulators and for other people's tools."""

import os

from amaranth.back import verilog
from amaranth.lib import wiring


def systemverilog(top: wiring.Component, name: str = "top") -> str:
    """The source of a component and all below it: one file, the same text for the same gateware.

    Yosys writes ``always @*``, and a block that assigns constants alone then waits for a change that never comes.
    ``always_comb`` runs once at time 0, whatever it reads (Amaranth issue 418).
    """
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"  # a yosys on the path may write other text
    return verilog.convert(top, name=name, emit_src=False).replace("always @*", "always_comb")
