"""Measure ``speech.nir`` on the words of a speaker it never heard: ``python -m examples.speech.check``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from examples.common import nir_files
from examples.common.measure import measure

HERE = Path(__file__).parent


def main() -> None:
    """Print the accuracy and the activity, in float and in 8 bits."""
    with np.load(HERE / "samples.npz") as samples:
        spikes, labels = samples["spikes"], samples["labels"]
    for result in measure(nir_files.read(HERE / "speech.nir"), spikes, labels):
        print(result)


if __name__ == "__main__":
    main()
