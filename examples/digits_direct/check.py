"""Measure ``digits_direct.nir`` on the MNIST test images, and on the validation images where they are.

    python -m examples.digits_direct.check [DATA]

``DATA`` is a folder with MNIST's training images and labels; the last 10,000 were not trained on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from examples.digits.encode import read_idx
from examples.digits_direct.encode import encode

import spikeloom as sl

HERE = Path(__file__).parent
DIGITS = HERE.parent / "digits"  # has the test files


def measure(name: str, folder: Path, part: str, last: int) -> None:
    """Print what the network does with the ``last`` images of a part, in float and in 8 bits."""
    samples = encode(read_idx(folder / f"{part}-images-idx3-ubyte.gz")[-last:])
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz")[-last:]
    network = sl.load(HERE / "digits_direct.nir")
    quantised = sl.quantise(network, np.load(HERE / "samples.npz")["spikes"][:100], weight_bits=8)
    print(f"{name}: {len(labels)} images, {np.count_nonzero(samples) / len(labels):.1f} events each")
    for kind, result in ("float", sl.reference.run(network, samples)), ("8 bit", sl.golden.run(quantised, samples)):
        last_potentials, hidden = result.v[:, -1], result.populations["hidden"].spikes.sum((1, 2))
        print(
            f"  {kind}: {np.mean(last_potentials.argmax(1) == labels):.2%} right, "
            f"{hidden.mean():.1f} hidden spikes, at most {hidden.max()}"
        )
    saturated = sum(int(counts.sum()) for counts in result.saturations.values())
    print(f"  accumulator {quantised.numerics.accumulator_bits} bits, saturated states {saturated}")


def main() -> None:
    """Test images, then the validation images of the folder that was named."""
    measure("test", DIGITS, "t10k", 10_000)
    for folder in sys.argv[1:]:
        measure("validation", Path(folder), "train", 10_000)


if __name__ == "__main__":
    main()
