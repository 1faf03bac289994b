"""Measure ``cnn_sinabs.nir``: ``python -m examples.nmnist.check [EVENTS]``.

On the recordings of ``samples.npz``, or on all of a file of events such as ``nmnist_test60.npz``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from examples.nmnist.encode import read

import spikeloom as sl

HERE = Path(__file__).parent


def main() -> None:
    """Print accuracy, activity and time, in float and in 8 bits, and how often both decide alike."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("events", type=Path, nargs="?", help="an .npz of events; samples.npz where not given")
    parser.add_argument("--count", type=int, help="the first so many recordings only")
    parser.add_argument("--reset", default="value", help="value as NIR says, or subtract")
    parser.add_argument("--scale", default="neuron", help="neuron (here: a channel) or layer")
    parser.add_argument("--weight-bits", type=int, default=8)
    args = parser.parse_args()
    spikes, labels = read(args.events, count=args.count) if args.events else _samples()

    network = sl.load(HERE / "cnn_sinabs.nir", reset=args.reset)
    quantised = sl.quantise(network, spikes, weight_bits=args.weight_bits, scale=args.scale)
    print(f"{len(spikes)} recordings, {spikes.sum() / len(spikes):.1f} events each, largest count {spikes.max()}")
    in_float = _run("float", sl.reference, network, spikes, labels)
    golden = _run(f"{args.weight_bits} bit", sl.golden, quantised, spikes, labels)
    print(f"equal decisions {(in_float == golden).mean():.2%}")


def _samples() -> tuple[np.ndarray, np.ndarray]:
    with np.load(HERE / "samples.npz") as file:
        return file["spikes"], file["labels"]


def _run(name: str, model: Any, network: Any, spikes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    start = time.perf_counter()
    result = model.run(network, spikes)
    seconds = time.perf_counter() - start
    decisions = result.counts.argmax(axis=1)
    active = ", ".join(f"{p.spikes.sum() / len(spikes):.1f}" for p in result.populations.values())
    ordered = np.sort(result.counts, axis=1)
    ties = (ordered[:, -1] == ordered[:, -2]).mean()
    saturated = sum(int(s.sum()) for s in getattr(result, "saturations", {}).values())
    print(
        f"{name:6} accuracy {(decisions == labels).mean():.2%}, ties {ties:.2%}, spikes/recording {active}, "
        f"saturations {saturated}, {seconds:.1f} s"
    )
    return decisions


if __name__ == "__main__":
    main()
