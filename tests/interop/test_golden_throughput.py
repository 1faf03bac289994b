"""The golden model handles at least as many samples a second as snnTorch on the CPU, with one thread each."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "golden_throughput.py"


def test_at_least_that_of_snntorch(tmp_path: Path) -> None:
    """In a process of its own, as the number of threads is set before NumPy and PyTorch are loaded."""
    path = tmp_path / "figures.json"
    subprocess.run([sys.executable, str(SCRIPT), "--batch", "256", "--output", str(path)], check=True)
    figures = json.loads(path.read_text())
    assert figures["accuracy golden (8 bits)"] > 0.97
    assert figures["golden / snntorch"] >= 1, figures
