"""Place and route of a component by itself: how big it is and how fast, as nextpnr counts.

All ports of the component end in registers, and those hang on shift registers behind a few pins: what is measured is
the component, not the way to the pads.
"""

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth import *
from amaranth.back import rtlil
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .boards.build import run_tool, run_yosys

SYNTHESIS = ("-abc9",)
"""Options of ``synth_ecp5``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """The tools of a family.

    Attributes:
        synthesis: Yosys' command.
        placement: nextpnr's, without what all of them have.
        resources: by nextpnr's names.
        pins: text of ``pins.cst``, where all pins must have a place.
    """

    synthesis: str
    placement: tuple[str, ...]
    resources: dict[str, str]
    pins: str = ""


FLOWS = {
    "ice40": Flow(
        synthesis="synth_ice40 -device u -dsp",
        placement=("nextpnr-ice40", "--up5k", "--package", "sg48", "--pcf-allow-unconstrained"),
        resources={"LC": "ICESTORM_LC", "EBR": "ICESTORM_RAM", "SPRAM": "ICESTORM_SPRAM", "DSP": "ICESTORM_DSP"},
    ),
    "gowin": Flow(
        synthesis="synth_gowin -family gw2a",
        placement=(
            "nextpnr-himbaechel",
            "--device",
            "GW2AR-LV18QN88C8/I7",
            "--vopt",
            "family=GW2A-18C",
            "--vopt",
            "cst=pins.cst",
        ),
        resources={"COMB": "LUT4", "FF": "DFF", "RAM": "BSRAM", "DSP": "MULT18X18"},
        pins="".join(f'IO_LOC "{pin}" {place};\n' for pin, place in (("clk", 4), ("rst", 88), ("i", 25), ("o", 26))),
    ),
}
"""Families other than ECP5."""

CLOCK_PIN = 'LOCATE COMP "clk" SITE "G2";\n'
"""A pad of the CABGA381 with a way to the clock network; nextpnr may choose one without."""

TIME_LIMIT = 1800.0
"""Seconds that one tool may run."""

RESOURCES = {"COMB": "TRELLIS_COMB", "FF": "TRELLIS_FF", "RAM": "DP16KD", "DSP": "MULT18X18D"}
"""Resources by nextpnr's names."""


class Harness(wiring.Component):
    """A component between registers: inputs come from a shift register, outputs end in an exclusive or.

    Parameters
    ----------
    component :
        What is measured.

    Members
    -------
    i : ``In(1)``, o : ``Out(1)``
    """

    i: In(1)
    o: Out(1)

    def __init__(self, component: wiring.Component):
        self.component = component
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.component
        inputs, outputs = [], []
        for _, member, value in dut.signature.flatten(dut):
            (inputs if member.flow is In else outputs).append(Value.cast(value))
        shift = Signal(sum(len(value) for value in inputs))
        m.d.sync += shift.eq(Cat(self.i, shift))
        m.d.comb += Cat(inputs).eq(shift)
        # A register behind each output, then a tree with a register a level.
        level = Signal(sum(len(value) for value in outputs), name="seen")
        m.d.sync += level.eq(Cat(outputs))
        while len(level) > 1:
            bits = [level[n : n + 4].xor() for n in range(0, len(level), 4)]
            level = Signal(len(bits), name="folded")
            m.d.sync += level.eq(Cat(bits))
        m.d.comb += self.o.eq(level)
        return m


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """One finished run.

    Attributes:
        used: number of each resource, by the names of :data:`RESOURCES`.
        fmax_mhz: the fastest clock, as nextpnr estimates it.
        path: the critical path, a line a step.
        seconds: what nextpnr took.
    """

    used: dict[str, int]
    fmax_mhz: float
    path: list[str]
    seconds: float


def netlist(component: wiring.Component, platform: Any = None) -> str:
    """The component in its harness, as RTLIL."""
    top = Harness(component)
    return rtlil.convert(top, name="top", platform=platform, emit_src=False)


def synthesise(source: str, folder: Path, options: tuple[str, ...] = SYNTHESIS, command: str = "synth_ecp5") -> Path:
    """Yosys' netlist of a source; taken from the folder where it has been made from the same source before."""
    digest = hashlib.sha256(repr((source, options, command)).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / f"{digest}.json"
    if not result.exists():
        (folder / f"{digest}.il").write_text(source)
        script = f"read_rtlil {digest}.il; {command} -top top {' '.join(options)} -json {digest}.part.json"
        command_line = ["yosys", "-q", "-l", f"{digest}.log", "-p", script]
        run_yosys(command_line, folder, folder / f"{digest}.il", TIME_LIMIT, f"{digest}.")
        (folder / f"{digest}.part.json").rename(result)
    return result


def place(
    design: Path, seed: int, *, freq: float = 130.0, device: str = "85k", speed: int = 6,
    placer: str = "static", router: str = "router2", ripup: bool = True, patience: float = TIME_LIMIT,
) -> Placed:  # fmt: skip
    """Place and route on an ECP5.

    With ``ripup`` router2 goes on until all ways are as fast as asked: where that cannot be, it does not end, and
    :class:`.boards.build.SlowToolError` is raised after ``patience`` seconds.
    """
    pins = design.with_name("pins.lpf")
    pins.write_text(CLOCK_PIN)
    report = f"{design.stem}.{seed}.report.json"
    command = [
        "nextpnr-ecp5", f"--{device}", "--package", "CABGA381", "--speed", str(speed), "--json", design.name,
        "--freq", f"{freq:g}", "--timing-allow-fail", "--lpf-allow-unconstrained", "--seed", str(seed),
        "--report", report, "--placer", placer, "--router", router, "--lpf", pins.name,
    ]  # fmt: skip
    if ripup and router == "router2":
        command.append("--tmg-ripup")
    return run_nextpnr(command, design, seed, RESOURCES, patience)


def place_on(flow: Flow, design: Path, seed: int, *, freq: float, patience: float = TIME_LIMIT) -> Placed:
    """Place and route on the chip of a flow; raises :class:`.boards.build.SlowToolError` after ``patience`` seconds."""
    if flow.pins:
        design.with_name("pins.cst").write_text(flow.pins)
    command = [
        *flow.placement, "--json", design.name, "--freq", f"{freq:g}", "--timing-allow-fail", "--seed", str(seed),
        "--report", f"{design.stem}.{seed}.report.json",
    ]  # fmt: skip
    return run_nextpnr(command, design, seed, flow.resources, patience)


def run_nextpnr(
    command: list[str], design: Path, seed: int, resources: dict[str, str], limit: float = TIME_LIMIT
) -> Placed:
    """Run it, and read the report that the command asks for."""
    before = time.monotonic()
    run_tool(command, design.parent, limit, f"{design.stem}.{seed}.")
    found = json.loads((design.parent / command[command.index("--report") + 1]).read_text())
    use = found["utilization"]
    return Placed(
        used={name: int(use[key]["used"]) if key in use else 0 for name, key in resources.items()},
        fmax_mhz=round(min(float(clock["achieved"]) for clock in found["fmax"].values()), 2),
        path=critical_path(found),
        seconds=round(time.monotonic() - before, 1),
    )


def critical_path(report: dict[str, Any]) -> list[str]:
    """The slowest path within a clock: where it begins, and each step with its nanoseconds."""
    paths = [p["path"] for p in report["critical_paths"] if p["from"] == p["to"] and p["from"].startswith("posedge")]
    if not paths:
        return []
    path = max(paths, key=lambda steps: sum(step["delay"] for step in steps))
    lines = []
    for step in path:
        if step["delay"] < 0.1:  # the links of a carry chain
            continue
        place = f"{step['from']['cell']}.{step['from']['port']} -> {step['to']['cell']}.{step['to']['port']}"
        lines.append(f"{step['type']:<10} {step['delay']:6.2f} {step.get('net', '')} {place}")
    return lines
