"""Collect what the NIR paper's authors published into ``data.npz``: ``python -m examples.nir_paper.collect FOLDER``.

``FOLDER`` is ``paper/`` of the repository neuromorphs/NIR, or a copy of its ``01_lif``, ``02_cnn`` and ``03_rnn``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def main() -> None:
    """Traces of 01 as they are, activities as bits or small counts, accuracies as fractions."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    arrays: dict[str, np.ndarray] = {}
    for path in sorted((folder / "01_lif").glob("lif_*.csv")):
        arrays[f"01/{path.stem.removeprefix('lif_')}"] = np.loadtxt(path, delimiter=",")
    for path in sorted((folder / "02_cnn").glob("*_accuracy.npy")):
        arrays[f"02/accuracy/{path.stem.removesuffix('_accuracy')}"] = np.load(path)
    arrays["02/speck"] = np.load(folder / "02_cnn" / "speck_activity.npy").astype(np.uint8)[0]
    for path in sorted((folder / "03_rnn").glob("*_accuracy_*.npy")):
        platform, network = path.stem.split("_accuracy_noDelay_")
        accuracy = np.load(path)
        arrays[f"03/accuracy/{network}/{platform}"] = accuracy / 100 if accuracy > 1 else accuracy
    for path in sorted((folder / "03_rnn").glob("*_activity_*.npy")):
        platform, network = path.stem.split("_activity_noDelay_")
        activity = np.load(path).astype(np.uint8)
        arrays[f"03/activity/{network}/{platform}"] = activity if len(activity) == 256 else activity.T
    arrays["03/input"] = np.load(folder / "03_rnn" / "braille_test0_input.npy")
    np.savez_compressed(HERE / "data.npz", **arrays)


if __name__ == "__main__":
    main()
