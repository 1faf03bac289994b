"""The list of planted bugs fits the gateware as it is, and planting works."""

import re
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).with_name("run.py")


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, RUN, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_bug_can_be_planted() -> None:
    assert int(run("--check").split()[0]) >= 14


def test_two_quick_ones_are_caught(tmp_path: Path) -> None:
    """And the same tests pass on an unchanged copy, which the command sees to first."""
    report = tmp_path / "mutations.md"
    printed = run("--only", "barrier-any", "--only", "spike-fifo-of-2", "--report", str(report))
    assert "2 of 2 caught" in printed
    assert re.search(r"^\*\*2 of \d+ caught", report.read_text(), re.MULTILINE)
