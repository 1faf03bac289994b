"""Measure ``digits.nir`` on the MNIST test images: ``python -m examples.digits.check``."""

from __future__ import annotations

from pathlib import Path

from examples.common import nir_files
from examples.common.measure import measure
from examples.digits.encode import encode, read_idx

HERE = Path(__file__).parent


def main() -> None:
    """Print the accuracy and the activity, in float and in 8 bits."""
    images = read_idx(HERE / "t10k-images-idx3-ubyte.gz")
    labels = read_idx(HERE / "t10k-labels-idx1-ubyte.gz")
    for result in measure(nir_files.read(HERE / "digits.nir"), encode(images), labels):
        print(result)


if __name__ == "__main__":
    main()
