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
from .flows import Flow

TIME_LIMIT = 1800.0
"""Seconds that one tool may run."""


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
        used: number of each resource, by the names of its flow.
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


def synthesise(source: str, folder: Path, command: str) -> Path:
    """Yosys' netlist of a source; taken from the folder where it has been made from the same source before.

    ``command`` is a flow's ``synthesis`` or ``fast_synthesis``.
    """
    digest = hashlib.sha256(repr((source, command)).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / f"{digest}.json"
    if not result.exists():
        (folder / f"{digest}.il").write_text(source)
        script = f"read_rtlil {digest}.il; {command} -top top -json {digest}.part.json"
        command_line = ["yosys", "-q", "-l", f"{digest}.log", "-p", script]
        run_yosys(command_line, folder, folder / f"{digest}.il", TIME_LIMIT, f"{digest}.")
        (folder / f"{digest}.part.json").rename(result)
    return result


def place(flow: Flow, design: Path, seed: int, *, freq: float, patience: float = TIME_LIMIT) -> Placed:
    """Place and route, asking for ``freq`` MHz.

    Raises :class:`.boards.build.SlowToolError` after ``patience`` seconds, :class:`.boards.build.BitstreamError` where
    there is no placement or no route.
    """
    for name, text in flow.constraints.items():
        design.with_name(name).write_text(text)
    prefix = f"{design.stem}.{seed}."
    report = design.with_name(f"{prefix}report.json")
    command = [
        flow.nextpnr, *flow.chip, *flow.placement, "--json", design.name, "--freq", f"{freq:g}",
        "--timing-allow-fail", "--seed", str(seed), "--report", report.name,
    ]  # fmt: skip
    before = time.monotonic()
    run_tool(command, design.parent, patience, prefix)
    found = json.loads(report.read_text())
    use = found["utilization"]
    return Placed(
        used={name: int(use[key]["used"]) if key in use else 0 for name, key in flow.resources.items()},
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
