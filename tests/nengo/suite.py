"""Nengo's own tests on a backend: ``python suite.py reference | golden | gateware [tests ...]``.

Keeps the counts, and every test that does not pass with its reason, in ``docs/results/nengo_suite_<backend>.json``.
Exits with 1 where a test fails that the backend's ini file does not name.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).parent
KINDS = ("failure", "error", "skipped")
RESULTS = HERE.parents[1] / "docs" / "results"


def main(backend: str, tests: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        report, names = Path(folder) / "report.xml", Path(folder) / "array"
        names.touch()
        command = ["-m", "pytest", "-c", f"{backend}.ini", "-q", "-p", "no:cacheprovider", "--junitxml", str(report)]
        subprocess.run(
            [sys.executable, *command, "--pyargs", *(tests or ["nengo"])],
            cwd=HERE,
            env=os.environ | {"SPIKELOOM_ARRAY_TESTS": str(names)},
            check=False,
        )
        cases = ElementTree.parse(report).getroot().iter("testcase")
        outcomes = [(f"{c.get('classname')}::{c.get('name')}", c) for c in cases]
        on_array = {_name(line) for line in names.read_text().splitlines()}
    passed = [name for name, case in outcomes if not any(case.find(kind) is not None for kind in KINDS)]
    wrong = {n: _message(c) for n, c in outcomes if c.find("failure") is not None or c.find("error") is not None}
    skipped = {n: _message(c) for n, c in outcomes if c.find("skipped") is not None}
    result = {
        "date": date.today().isoformat(),
        "command": f"python tests/nengo/suite.py {' '.join([backend, *tests])}",
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "tools": {tool: version(tool) for tool in ("nengo", "numpy", "pytest")},
        "applied": len(outcomes),
        "passed": len(passed),
        "passed with neurons on the array": sum(_short(name) in on_array for name in passed),
        "failed": wrong,
        "skipped": skipped,
    }
    (RESULTS / f"nengo_suite_{backend}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    return int(bool(wrong))


def _message(case: ElementTree.Element) -> str:
    """First line of what pytest says of a test that did not pass."""
    text = next((part.get("message") or "" for part in case if part.tag in KINDS), "")
    return text.splitlines()[0] if text else ""


def _name(line: str) -> str:
    """``file::test`` of a node's name, whatever folder it is seen from."""
    path, _, test = line.partition("::")
    return f"{Path(path).stem}::{test.rpartition('::')[2]}"


def _short(name: str) -> str:
    """The same of a name in the report, ``package.file[.Class]::test``."""
    classes, _, test = name.partition("::")
    parts = [part for part in classes.split(".") if part.startswith("test_")]
    return f"{parts[-1] if parts else ''}::{test}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
