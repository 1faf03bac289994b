"""The adder made of a chip's cells is the gate and the sum, for all inputs; Yosys' own solver, models of the cells."""

from pathlib import Path

import pytest
from amaranth import *
from amaranth.back import rtlil
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloom_hdl import arithmetic
from spikeloom_hdl.boards.build import BitstreamError, run_tool
from spikeloom_hdl.memories import Chip


class Comparison(wiring.Component):
    """``equal`` while both ways give one sum."""

    def __init__(self, width: int, addend: int):
        super().__init__({"a": In(width), "b": In(width), "c": In(signed(addend)), "equal": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = arithmetic.OrAdd(len(self.a), len(self.c))
        m.d.comb += [dut.a.eq(self.a), dut.b.eq(self.b), dut.c.eq(self.c)]
        m.d.comb += self.equal.eq(dut.total == ((self.a | self.b) + self.c)[: len(self.a)])
        return m


def prove(width: int, addend: int, folder: Path) -> None:
    """Raises :class:`BitstreamError` where an input refutes it."""
    source = rtlil.convert(Comparison(width, addend), name="top", platform=Chip("ecp5"), emit_src=False)
    assert "CCU2C" in source
    (folder / "top.il").write_text(source)
    script = (
        "read_rtlil top.il; read_verilog -overwrite +/ecp5/cells_sim.v; hierarchy -top top; proc; flatten; opt_clean; "
    )
    run_tool(["yosys", "-q", "-p", script + "sat -verify -prove equal 1 top"], folder, 300, "top.")


@pytest.mark.parametrize(("width", "addend"), [(16, 9), (13, 13), (2, 1)])
def test_sum(width: int, addend: int, tmp_path: Path) -> None:
    prove(width, addend, tmp_path)


@pytest.mark.parametrize("wrong", [0x555B, 0x5AAA, 0x5559])
def test_sum_catches(wrong: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "OR_ADD", wrong)
    with pytest.raises(BitstreamError, match="yosys"):
        prove(4, 4, tmp_path)
