"""What an array takes on a chip, before anything is synthesised: memories by their shapes, logic by a fitted sum.

Block RAMs follow from the configuration alone. Logic, flip-flops and multipliers are sums of :func:`features`, with
coefficients that :func:`fit` finds in a table of synthesised arrays (``spikeloom bench resources``) and that
``resources.json`` beside this file holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from math import ceil, log2
from typing import Any

import numpy as np
from scipy.optimize import nnls

from ..contract.config import ArrayConfig
from ..contract.errors import ConfigError
from ..contract.layout import COLUMN_BITS
from ..contract.ring import Space, spaces

Used = dict[str, int]

NO_MEMORY = (Space.ROUTE, Space.COUNTER, Space.REGISTER)
"""Spaces that are no memories of the ring, but logic of their own."""

DP16KD = {1024: 18, 2048: 9, 4096: 4, 8192: 2, 16384: 1}
EBR = {256: 16, 512: 8, 1024: 4, 2048: 2}
"""Width of a block RAM by the depth up to which it is taken."""
LUT_RAM_DEPTH, TABLE_DEPTH, WRITABLE_DEPTH = 64, 16, 16
"""ECP5: up to these depths fast memories that the core only reads, others of those, and what the core writes are LUT
RAM."""
WIDE_DEPTH = 512
"""ECP5: up to here such a memory is one RAM of 36 bits a column, if it is wider than the widest one with two ports."""
SPRAM_DEPTH, SPRAM_WIDTH, LARGE_DEPTH = 16384, 16, 1024
"""iCE40: deeper memories than the last one are large RAMs, where the core only reads them."""
REGISTERS_DEPTH = 2
"""iCE40: up to here such a memory is flip-flops."""

LOGIC = {"ecp5": ("COMB", "FF"), "ice40": ("LC",)}
"""Resources of a family that are fitted; the others are counted."""

LUT_RAM_COMB = 6
"""Cells of an ECP5's LUT RAM of 16 words of 4 bits: four for the bits, two for writing."""
MULTIPLIER_BITS = {"ecp5": 18, "ice40": 16}
"""Factors up to this width take one multiplier."""


@dataclass(frozen=True, slots=True)
class Memory:
    """One space of a core: its shape, and how it is used."""

    space: Space
    depth: int
    width: int
    writable: bool
    parts: int
    latency: int

    @property
    def fast(self) -> bool:
        """Its records are needed early in the next cycle."""
        return self.latency == 1 and not self.writable

    def pieces(self, widest: int) -> int:
        """RAMs of this width side by side: none has bits of two columns of the bus, or of two parts."""
        cuts = {*range(0, self.width, COLUMN_BITS), *range(0, self.width, self.width // self.parts), self.width}
        edges = sorted(cuts)
        return sum(ceil((high - low) / widest) for low, high in pairwise(edges))


def memories(config: ArrayConfig) -> list[Memory]:
    """Memories of one core."""
    return [
        Memory(space, shape.depth, shape.layout.width, shape.writable, shape.parts, shape.latency)
        for space, shape in spaces(config).items()
        if space not in NO_MEMORY
    ]


def rams(config: ArrayConfig, family: str) -> dict[str, int]:
    """Of one core: block RAMs (``RAM`` or ``EBR``, ``SPRAM``), memories in logic (``lut_ram``, ``registers``), and the
    flip-flops behind LUT RAM (``lut_ram_bits``), which a block RAM has inside."""
    return _ecp5(memories(config)) if family == "ecp5" else _ice40(memories(config))


def too_deep(config: ArrayConfig) -> str | None:
    """The memory that an iCE40's core cannot hold, as it has more records than an SPRAM; None if there is none."""
    for memory in memories(config):
        if not memory.writable and memory.depth > SPRAM_DEPTH:
            return f"{memory.space.name.lower()} takes {memory.depth} records, an SPRAM has {SPRAM_DEPTH}"
    return None


def multipliers(config: ArrayConfig, family: str) -> int:
    """Of one core: two decays a neuron of the group, the walker's product, and a product a lane where events carry
    values."""
    core = config.core
    decays = 2 * core.group * ceil(core.numerics.state_bits / MULTIPLIER_BITS[family])
    return 1 + decays + core.lanes * (config.payload_bits > 0)


def known(config: ArrayConfig, family: str) -> dict[str, int]:
    """What follows from the configuration alone, for the whole array, without what its link takes."""
    inside = rams(config, family)
    each = {name: inside[name] for name in inside if name in ("RAM", "EBR", "SPRAM")}
    each["DSP"] = multipliers(config, family)
    if family == "ecp5":
        each["COMB"] = LUT_RAM_COMB * inside["lut_ram"]
        each["FF"] = inside["lut_ram_bits"]
    return {name: value * config.cores for name, value in each.items()}


def _ecp5(every: Sequence[Memory]) -> dict[str, int]:
    found = {"RAM": 0, "lut_ram": 0, "lut_ram_bits": 0}
    for memory in every:
        # Half of the rows are zeros where the core writes and the RAM's output register is used.
        rows = memory.depth * (2 if memory.writable and memory.latency == 2 else 1)
        widest = next((width for depth, width in DP16KD.items() if rows <= depth), None)
        shallow = WRITABLE_DEPTH if memory.writable else LUT_RAM_DEPTH if memory.fast else TABLE_DEPTH
        if memory.latency == 0 or memory.depth <= shallow:
            found["lut_ram"] += ceil(memory.depth / 16) * memory.pieces(4)
            found["lut_ram_bits"] += memory.latency * memory.width
        elif memory.depth <= WIDE_DEPTH and memory.width > DP16KD[1024] and not memory.writable:
            found["RAM"] += memory.pieces(COLUMN_BITS)
        elif widest is None:  # Yosys puts RAMs one behind the other, and the rest into wider ones
            full, rest = divmod(memory.depth, max(DP16KD))
            found["RAM"] += memory.width * full
            if rest:
                found["RAM"] += memory.pieces(next(width for depth, width in DP16KD.items() if rest <= depth))
        else:
            found["RAM"] += memory.pieces(widest)
    return found


def _ice40(every: Sequence[Memory]) -> dict[str, int]:
    found = {"EBR": 0, "SPRAM": 0, "registers": 0}
    for memory in every:
        if not memory.writable and memory.depth > LARGE_DEPTH:
            found["SPRAM"] += memory.pieces(SPRAM_WIDTH) * ceil(memory.depth / SPRAM_DEPTH)
        elif not memory.writable and memory.depth <= REGISTERS_DEPTH:
            found["registers"] += memory.depth * memory.width
        elif memory.depth <= max(EBR):
            found["EBR"] += memory.pieces(next(width for depth, width in EBR.items() if memory.depth <= depth))
        else:
            found["EBR"] += memory.pieces(COLUMN_BITS) * 16 * ceil(memory.depth / max(EBR))
    return found


def features(config: ArrayConfig, family: str) -> dict[str, float]:
    """What logic is a sum of, for the whole array."""
    core, numerics = config.core, config.numerics
    inside = rams(config, family)
    flit = config.flit_layout.width
    one = {
        "core": 1,
        "address": core.word_bits + core.row_bits + core.slot_bits,
        "lanes": core.lanes,
        "sum_bits": core.lanes * numerics.accumulator_bits,
        "weight_bits": core.lanes * numerics.weight_bits,
        "product_bits": core.lanes * config.payload_bits * numerics.weight_bits,
        "group": core.group,
        "group_state_bits": core.group * numerics.state_bits,
        "multiplexers": numerics.accumulator_bits * (core.lanes - core.group),
        "entries": (core.word_bits + core.row_bits) * (core.entries > 0),
        "loops": (core.word_bits + core.row_bits) * (min(core.loops, core.coordinates) - 1),
        "sparse": core.row_bits * core.sparse,
        "spikes": core.group * core.spike_bits * numerics.state_bits,
        "phases": core.phases - 1,
        "record_bits": sum(m.width for m in memories(config) if m.space is not Space.WEIGHT),
        "registers": inside.get("registers", 0),
        "keys": config.keys,
        "flit": flit,
    }
    links = 2 * config.width * config.height - config.width - config.height
    return {name: float(value * config.cores) for name, value in one.items()} | {
        "array": 1.0,
        "links": float(links * flit),
        "depth": log2(config.cores),
    }


SUMS = {
    "COMB": ("array", "core", "address", "lanes", "sum_bits", "weight_bits", "product_bits", "group_state_bits",
             "entries", "loops", "sparse", "spikes", "phases", "record_bits", "flit", "links"),
    "FF": ("array", "core", "address", "lanes", "sum_bits", "weight_bits", "product_bits", "group_state_bits",
           "entries", "loops", "sparse", "spikes", "phases", "record_bits", "flit", "links"),
    "LC": ("array", "core", "address", "lanes", "sum_bits", "group_state_bits", "entries", "loops", "record_bits",
           "registers"),
}  # fmt: skip
"""Features that each resource may depend on."""

COUNTED = ("array", "core", "group")
"""The same of memories and multipliers, of which only those of the link, the counters and (iCE40) what waits in a
neuron's pipeline are not counted."""

Coefficients = Mapping[str, Mapping[str, float]]
"""By resource, then by feature."""


def fit(family: str, points: Sequence[tuple[ArrayConfig, Used]]) -> dict[str, dict[str, float]]:
    """Coefficients, none below zero, with the least sum of squares of relative errors."""
    found = {}
    rests = [{name: used[name] - known(config, family).get(name, 0) for name in used} for config, used in points]
    for resource in points[0][1]:
        logic = resource in LOGIC[family]  # of the others only the link's and the counters' own are left
        names = SUMS[resource] if logic else COUNTED
        have = np.array([rest[resource] for rest in rests], dtype=float)
        rows = np.array([[features(config, family)[name] for name in names] for config, _ in points])
        weights = 1 / np.maximum(have, 1) if logic else np.ones(len(have))
        values, _ = nnls(rows * weights[:, None], have * weights)
        found[resource] = {name: round(float(v), 4) for name, v in zip(names, values, strict=True) if v > 0}
    return found


def predict(config: ArrayConfig, family: str, coefficients: Coefficients | None = None) -> Used:
    """What an array and its link take, by the family's names of resources."""
    sums = _of(family)["coefficients"] if coefficients is None else coefficients
    have, fixed = features(config, family), known(config, family)
    return {
        resource: round(fixed.get(resource, 0) + sum(c * have[name] for name, c in terms.items()))
        for resource, terms in sums.items()
    }


def held_out(family: str, points: Sequence[tuple[ArrayConfig, Used]]) -> list[Used]:
    """What is predicted of each point by all others."""
    return [
        predict(config, family, fit(family, [*points[:n], *points[n + 1 :]])) for n, (config, _) in enumerate(points)
    ]


@cache
def fitted() -> dict[str, Any]:
    """The file of coefficients and clocks."""
    found: dict[str, Any] = json.loads(files(__package__).joinpath("resources.json").read_text())
    return found


def _of(family: str) -> Mapping[str, Any]:
    found: Mapping[str, Mapping[str, Any]] = fitted()["families"]
    if family not in found:
        raise ConfigError(f"resources: no array of {family} has been measured; run spikeloom bench resources")
    return found[family]


def clock_mhz(config: ArrayConfig, family: str) -> float:
    """The clock that placing and routing gave cores of as many lanes, in MHz: interpolated, slower in whole boards."""
    table = _of(family)["clock"]
    lanes = [log2(entry["lanes"]) for entry in table["cores"]]
    speeds = [entry["mhz"] for entry in table["cores"]]
    return float(np.interp(log2(config.core.lanes), lanes, speeds)) * float(table["whole"])
