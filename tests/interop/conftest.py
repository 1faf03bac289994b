"""Other simulators as oracles. They bring torch along, so they have an environment of their own: `make interop`."""

from __future__ import annotations

import json
import platform
import sys
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

NEEDED = ("norse", "sinabs", "snntorch", "torch")
VERSIONS = (*NEEDED, "nir", "nirtorch", "numpy")
MISSING = [package for package in NEEDED if find_spec(package) is None]

collect_ignore_glob = ["test_*.py"] if MISSING else []
outcomes: dict[str, str] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", type=Path, help="a file for the outcome of each test, with date and versions")


def pytest_report_header() -> str:
    if MISSING:
        return f"interop: not collected, {', '.join(MISSING)} are not installed here; run make interop"
    return "interop: all simulators are installed"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        outcomes[report.nodeid.split("/")[-1]] = f"{report.outcome} in {report.duration:.0f} s"


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--record", default=None)
    if path is None or MISSING:
        return
    result = {
        "date": date.today().isoformat(),
        "command": f"python -m pytest {' '.join(session.config.invocation_params.args)}",
        "machine": f"{platform.machine()}, Python {sys.version.split()[0]}",
        "versions": {package: version(package) for package in VERSIONS},
        "tests": outcomes,
    }
    path.write_text(json.dumps(result, indent=2) + "\n")
