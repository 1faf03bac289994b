"""Convert ``mnist_cnn.onnx`` and measure it on the 10,000 MNIST test images: ANN, spiking in float, 8-bit golden model.

    python -m examples.mnist_cnn.check [--gateware 300] [--output docs/results/conversion.json]

The ANN is run by the reference implementation of the ``onnx`` package, which knows nothing of Spikeloom. With
``--gateware`` every state of every neuron at every tick of the first images is compared with simulated gateware, in 8
ticks, on one core of 16 lanes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from examples.digits.encode import read_idx
from numpy.typing import NDArray

import spikeloom as sl
from spikeloom.compiler.ann.convert import Converted
from spikeloom.compiler.sizing import size_array

HERE = Path(__file__).parent
DIGITS = HERE.parent / "digits"  # has the test files
LEVELS = 15  # a pixel is an event with a payload of 4 bits
TICKS = 8, 32


def images(first: int | None = None) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Test images ``(n, 1, 28, 28)`` from 0 to 1 as the ANN takes them, and labels."""
    pixels = read_idx(DIGITS / "t10k-images-idx3-ubyte.gz")[:first, None]
    return pixels.astype(np.float32) / 255, read_idx(DIGITS / "t10k-labels-idx1-ubyte.gz")[:first]


def converted() -> Converted:
    """The spiking network. Thresholds are the network's own bounds; the images tell the range of pixels only."""
    return sl.convert(HERE / "mnist_cnn.onnx", images(100)[0], levels=LEVELS)


def quantised(network: Converted, ticks: int, weight_bits: int = 8) -> sl.QuantisedNetwork:
    """In integers, the outputs' potentials with room for that many ticks."""
    samples = network.encode(images(100)[0], ticks)
    return sl.quantise(network.network, samples, weight_bits=weight_bits, input_kind=network.input_kind)


def reference_accuracy(pixels: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Percent right of the ANN, by the ``onnx`` package."""
    from onnx.reference import ReferenceEvaluator

    ann = ReferenceEvaluator(str(HERE / "mnist_cnn.onnx"))
    decisions = [ann.run(None, {"image": pixels[at : at + 100]})[0].argmax(1) for at in range(0, len(pixels), 100)]
    return _percent(np.concatenate(decisions), labels)


def gateware(network: Converted, pixels: NDArray[np.float32], labels: NDArray[np.uint8]) -> dict[str, float]:
    """Figures of a comparison of gateware and golden model."""
    integers, samples = quantised(network, TICKS[0]), network.encode(pixels, TICKS[0])
    image = sl.compile(integers, size_array(integers, 1, 1, 16))
    with sl.connect("sim", image) as board:
        result = board.run(samples)
    found = sl.verify(image, samples)
    return {
        "images": len(labels), "ticks": TICKS[0], "states compared": found.compared, "differences": found.count,
        "accuracy": _percent(result.v[:, -1].argmax(1), labels), "cycles an image": float(result.cycles.mean()),
    }  # fmt: skip


def _percent(decisions: NDArray[np.integer], labels: NDArray[np.uint8]) -> float:
    return round(float((decisions == labels).mean()) * 100, 4)


def main() -> None:
    """Print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--gateware", type=int, default=0, help="images to compare with gateware, 8 seconds each")
    args = parser.parse_args()
    pixels, labels = images(args.images)
    network = converted()
    ann = reference_accuracy(pixels, labels)
    figures = {
        "network": "examples/mnist_cnn/mnist_cnn.onnx", "images": len(labels), "ann": ann, "levels": LEVELS,
        "command": " ".join(["python -m examples.mnist_cnn.check", *sys.argv[1:]]), "ticks": {},
    }  # fmt: skip
    print(f"ANN (onnx's reference): {ann:.2f} %")
    for ticks in TICKS:
        samples, integers = network.encode(pixels, ticks), quantised(network, ticks)
        result = sl.golden.run(integers, samples)
        golden = _percent(result.v[:, -1].argmax(1), labels)
        spikes = sum(int(p.spikes.sum()) for p in result.populations.values()) / len(labels)
        saturated = sum(int(counts.sum()) for counts in result.saturations.values())
        figures["ticks"][ticks] = {
            "golden": golden, "loss": round(ann - golden, 4), "spikes an image": spikes, "saturations": saturated,
            "events an image": float(np.count_nonzero(samples)) / len(labels),
            "synaptic operations an image": float(result.synapses.sum()) / len(labels),
        }  # fmt: skip
        print(f"{ticks} ticks: 8-bit golden {golden:.2f} %, {ann - golden:.2f} lost, {spikes:.0f} spikes an image")
    if args.gateware:
        figures["gateware"] = gateware(network, *images(args.gateware))
        print(f"gateware: {figures['gateware']}")
    if args.output:
        args.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
