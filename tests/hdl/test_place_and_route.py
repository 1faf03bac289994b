"""The benches of place and route: a design whose registers can be counted, and the file of finished points."""

from pathlib import Path
from typing import Any

import pytest
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloom_hdl import pnr, pnr_bench, resources_bench
from spikeloom_hdl.boards.build import SlowToolError
from spikeloom_hdl.flows import FLOWS

WIDTH = 16
REGISTERS = 2 * WIDTH + WIDTH + WIDTH // 4 + 1
"""Of the harness around a sum: a bit of the shift register for each input, one for each output, and the tree."""


class Sum(wiring.Component):
    a: In(WIDTH)
    b: In(WIDTH)
    o: Out(WIDTH)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(self.a + self.b)
        return m


@pytest.fixture(scope="module")
def source() -> str:
    return pnr.netlist(Sum())


@pytest.mark.parametrize("family", ["ecp5", "ice40"])
def test_counts_of_a_sum(family: str, source: str, tmp_path: Path) -> None:
    flow = FLOWS[family]
    design = pnr.synthesise(source, tmp_path, flow.fast_synthesis)
    placed = pnr.place(flow, design, 1, freq=50.0)
    assert 50.0 < placed.fmax_mhz < 1000.0
    assert placed.path, "a sum has a critical path"
    assert placed.used == resources_bench.pack(family, source, tmp_path)
    cells = placed.used["FF" if family == "ecp5" else "LC"]
    assert cells == REGISTERS if family == "ecp5" else cells >= REGISTERS


def test_a_tool_that_is_too_slow_is_told(source: str, tmp_path: Path) -> None:
    flow = FLOWS["ecp5"]
    with pytest.raises(SlowToolError, match="nextpnr-ecp5"):
        pnr.place(flow, pnr.synthesise(source, tmp_path, flow.synthesis), 1, freq=50.0, patience=0.01)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """``pnr_bench.run`` with tools that take no time: what they were asked, and what they are to answer."""

    class Bench:
        netlist = "a"
        slow = 0
        asked: list[tuple[int, float]]

        def run(self, *points: pnr_bench.Point) -> dict[str, Any]:
            self.asked = []
            return pnr_bench.run(points, tmp_path / "pnr.json", tmp_path, "test", lambda _: None)

    it = Bench()

    def place(flow: Any, design: Path, seed: int, *, freq: float, patience: float) -> pnr.Placed:
        it.asked.append((seed, freq))
        if it.slow:
            it.slow -= 1
            raise SlowToolError("not done")
        return pnr.Placed(used={"COMB": 1000, "FF": 1, "RAM": 1, "DSP": 1}, fmax_mhz=90.0 + seed, path=[], seconds=1)

    monkeypatch.setattr(pnr_bench.Point, "component", None)
    monkeypatch.setattr(pnr, "netlist", lambda component, platform: it.netlist)
    monkeypatch.setattr(pnr, "synthesise", lambda source, folder, command: Path(source))
    monkeypatch.setattr(pnr, "place", place)
    return it


def test_finished_points_are_kept_until_the_netlist_changes(bench: Any) -> None:
    points = [pnr_bench.Point(lanes=8, seed=seed) for seed in (1, 2)]
    bench.run(points[0])
    record = bench.run(*points)
    assert [seed for seed, _ in bench.asked] == [2]
    assert pnr_bench.summary(record)[0]["fmax"] == [91.0, 92.0]
    assert pnr_bench.summary(record)[0]["worst_mhz"] == 91.0
    bench.netlist = "b"
    record = bench.run(*points)
    assert [seed for seed, _ in bench.asked] == [1, 2]
    assert len(record["points"]) == 2, "those of the older netlist are history"


def test_another_array_of_a_part_replaces_all_seeds(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [pnr_bench.Point(part="LFE5U-25F", seed=seed) for seed in (1, 2)]
    bench.run(*points, pnr_bench.Point(part="LFE5U-85F", seed=1))
    narrower = pnr_bench.Part(
        device="25k", chip=pnr_bench.PARTS["LFE5U-25F"].chip, config=pnr_bench.PARTS["LFE5U-85F"].config, freq=70.0
    )
    monkeypatch.setitem(pnr_bench.PARTS, "LFE5U-25F", narrower)
    bench.netlist = "b"
    record = bench.run(points[0])
    assert bench.asked == [(1, 70.0)]
    assert sorted((p["part"], p["seed"]) for p in record["points"].values()) == [("LFE5U-25F", 1), ("LFE5U-85F", 1)]


def test_a_core_that_takes_too_long_is_asked_for_less(bench: Any) -> None:
    bench.slow = 2
    point = pnr_bench.Point(lanes=8, seed=1)
    record = bench.run(point)
    clocks = [freq for _, freq in bench.asked]
    assert clocks == pytest.approx([point.asked * pnr_bench.LESS**n for n in range(3)])
    (figures,) = record["points"].values()
    assert figures["freq"] == clocks[-1], "the clock that was asked for in the end is kept"


def test_a_whole_chip_that_takes_too_long_is_an_error(bench: Any) -> None:
    bench.slow = 1
    with pytest.raises(SlowToolError):
        bench.run(pnr_bench.Point(part="UP5K", seed=1))
