"""What becomes of every ``.nir`` file below a folder: ``python -m examples.nir_paper.files FOLDER``.

Writes ``docs/nir_files.md``. A file that loads is also run, in float and in 8 bits.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import spikeloom as sl
from spikeloom.compiler.graph import Network

DT = 1e-4
HEAD = """# NIR files in the wild

Every file of the NIR paper's repository, with older versions out of its history and copies that other projects keep, as
they load and run here. Written by `python -m examples.nir_paper.files FOLDER`; do not edit.

"""


def main() -> None:
    """Load and run, or note why not."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=Path("docs/nir_files.md"))
    args = parser.parse_args()
    rows = [outcome(path, args.folder) for path in sorted(args.folder.rglob("*.nir"))]
    table = [
        ("file", "outcome", "neurons", "readings and repairs beyond the defaults, or the reason"),
        ("---",) * 4,
        *rows,
    ]
    text = HEAD + "".join(f"| {' | '.join(row)} |\n" for row in table)
    args.output.write_text(text)
    print(text)


def outcome(path: Path, folder: Path) -> tuple[str, str, str, str]:
    """A row: loaded and run, or refused and why."""
    name = str(path.relative_to(folder))
    try:
        network = load(path)
        rng = np.random.default_rng(0)
        x = {i.name: (rng.random((1, 8, *i.shape)) < 0.3).astype(np.uint8) for i in network.inputs}
        sl.reference.run(network, x)
        sl.golden.run(sl.quantise(network, x), x)
    except sl.SpikeloomError as error:
        return name, "refused", "", str(error).replace(f"{path}: ", "").replace("|", "/")
    notes = dict.fromkeys(
        f"{a.name}: {a.value} ({a.origin})"
        for a in network.assumptions
        if a.name in ("dt", "delay", "repair", "output")
    )
    return name, "runs", ", ".join(f"{p.size} {p.kind}" for p in network.populations), "; ".join(notes)


def load(path: Path) -> Network:
    """With the tick that the file tells, or of 0.1 ms."""
    try:
        return sl.load(path)
    except sl.SpikeloomError as error:
        if "give dt=" not in str(error):
            raise
        return sl.load(path, dt=DT)


if __name__ == "__main__":
    main()
