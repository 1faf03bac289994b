"""Experiment 02: the convolutional network on N-MNIST recordings; examples/nmnist holds the network and recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import spikeloom as sl

FOLDER = Path(__file__).parents[1] / "nmnist"
BITS = (8, 4)


def rows(data: Any) -> list[dict[str, Any]]:
    """Accuracy of every platform on all 10,000 test recordings, and ours on the 60 that are to be had."""
    found = [
        {"platform": platform, "recordings": 10_000, "accuracy": float(data[f"02/accuracy/{platform}"])}
        for platform in sorted(n.rsplit("/", 1)[1] for n in data if n.startswith("02/accuracy/"))
    ]
    with np.load(FOLDER / "samples60.npz") as file:
        spikes, labels = file["spikes"], file["labels"]
    network = sl.load(FOLDER / "cnn_sinabs.nir")
    runs = {"spikeloom, float": sl.reference.run(network, spikes)}
    for bits in BITS:
        runs[f"spikeloom, {bits} bit"] = sl.golden.run(sl.quantise(network, spikes, weight_bits=bits), spikes)
    decided = {name: run.counts.argmax(axis=1) for name, run in runs.items()}
    for name, run in runs.items():
        ordered = np.sort(run.counts, axis=1)
        found.append(
            {
                "platform": name,
                "recordings": len(labels),
                "accuracy": float((decided[name] == labels).mean()),
                "decides as float": float((decided[name] == decided["spikeloom, float"]).mean()),
                "ties": int((ordered[:, -1] == ordered[:, -2]).sum()),
                "cosine with Speck": _speck(data, run, labels),
            }
        )
    return found


def _speck(data: Any, run: Any, labels: np.ndarray) -> float:
    """Cosine of the first layer's spike counts with those of the Speck chip, over the first recording of each digit.

    There is no recording of an 8 among the 60, so Speck's is left out too.
    """
    digits = sorted(set(labels.tolist()))
    first = [int(np.flatnonzero(labels == digit)[0]) for digit in digits]
    ours = run.populations["1"].spikes[first].sum(axis=1).astype(float).reshape(-1)
    theirs = data["02/speck"][digits].astype(float).reshape(-1)
    return float(ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs))
