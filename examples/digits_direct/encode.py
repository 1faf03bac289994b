"""Images as graded events, all in the first tick: one event a pixel that is not dark, its payload the brightness.

Nothing else is sent: the hidden neurons hold the drive for the other ticks, as their synaptic currents do not decay.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TICKS = 3
PIXEL_BITS = 4  # of the payload
WHITE = (1 << PIXEL_BITS) - 1


def encode(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Counts ``(n, TICKS, 784)`` of images ``(n, 28, 28)``: each pixel's upper bits in tick 0, then zeros."""
    counts = np.zeros((len(images), TICKS, images[0].size), np.uint8)
    counts[:, 0] = images.reshape(len(images), -1) >> 8 - PIXEL_BITS
    return counts


def main() -> None:
    """Write the samples of this example."""
    from examples.digits.encode import write_samples  # here, so that tests can load this file alone

    output, spikes = write_samples(encode, kind="graded")
    print(f"wrote {output}: {len(spikes)} samples, {np.count_nonzero(spikes) / len(spikes):.1f} events each")


if __name__ == "__main__":
    main()
