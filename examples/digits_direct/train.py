"""Train 784 -> 128 -> 10 neurons on MNIST pixels that are sent once, and write a NIR file.

    python -m examples.digits_direct.train DATA --output examples/digits_direct/digits_direct.nir

``DATA`` holds the training images and labels of MNIST, gzipped IDX files; the last 10,000 are kept for validation.

A hidden neuron with the constant drive ``d``, threshold 1 and reset by subtraction spikes about ``TICKS * d`` times in
``TICKS`` ticks, at least never and at most always. So its gradient is that of this ramp, and no time is unrolled.
The class is the output neuron whose potential, the sum of all that arrived, is largest after the last tick.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from examples.common.nir_files import METADATA
from examples.digits.encode import read_idx
from examples.digits.train import distort
from examples.digits_direct.encode import PIXEL_BITS, TICKS, WHITE
from torch import Tensor, nn
from torch.nn import functional

HIDDEN, CLASSES = 128, 10
BATCH, EPOCHS = 256, 100
PENALTY = 5e-4  # what a hidden spike adds to the loss
VALIDATION = 10_000  # the last of the training images
FOREVER = 2.0**60  # a time constant in ticks: so long that nothing decays in double precision either


class Staircase(torch.autograd.Function):
    """Spikes in ``TICKS`` ticks of neurons with a constant drive; the gradient is that of the ramp along the steps."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor) -> Tensor:
        ctx.save_for_backward(drive)
        v, counts = torch.zeros_like(drive), torch.zeros_like(drive)
        for _ in range(TICKS):
            v = v + drive
            spikes = (v > 1).float()
            v = v - spikes
            counts += spikes
        return counts

    @staticmethod
    def backward(ctx: Any, grad_counts: Tensor) -> Tensor:
        (drive,) = ctx.saved_tensors
        on_the_ramp = (drive > 0) & (drive < 1 + 1 / TICKS)
        return grad_counts * TICKS * on_the_ramp


class Digits(nn.Module):
    """The network; images ``(batch, 28, 28)`` uint8 in, potentials ``(batch, 10)`` and hidden spike counts out."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(784, HIDDEN), nn.Linear(HIDDEN, CLASSES)
        nn.init.normal_(self.hidden.weight, std=0.06)
        nn.init.normal_(self.output.weight, std=0.15)
        nn.init.constant_(self.hidden.bias, 0.2)
        nn.init.zeros_(self.output.bias)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pixels = images.flatten(1) >> 8 - PIXEL_BITS
        counts = Staircase.apply(self.hidden(pixels / WHITE))
        return self.output(counts), counts

    def graph(self) -> nir.NIRGraph:
        """As NIR: the bias of a hidden neuron is its leak, as one into a current without decay would add up."""
        hidden, output = ((n.weight.detach().numpy(), n.bias.detach().numpy()) for n in (self.hidden, self.output))
        one = np.ones(HIDDEN, np.float32)
        long = one * np.float32(FOREVER)
        nodes = {
            "input": nir.Input({"input": np.array([784])}),
            "fc1": nir.Linear(hidden[0] / np.float32(WHITE)),
            "hidden": nir.CubaLIF(
                tau_syn=long, w_in=long, tau_mem=long, r=long, v_leak=hidden[1] * long, v_threshold=one, v_reset=0 * one
            ),
            "fc2": nir.Affine(output[0], output[1] / np.float32(TICKS)),
            "sum": nir.I(np.ones(CLASSES, np.float32)),
            "output": nir.Output({"output": np.array([CLASSES])}),
        }  # fmt: skip
        return nir.NIRGraph(nodes, list(pairwise(nodes)), metadata=METADATA | {"spikeloom.dt": 1.0})


def validate(network: Digits, images: Tensor, labels: Tensor) -> str:
    """Share of images whose own neuron has the largest potential, and hidden spikes an image."""
    with torch.no_grad():
        potentials, counts = (torch.cat(part) for part in zip(*map(network, images.split(500)), strict=True))
    right = (potentials.argmax(1) == labels).float().mean()
    return f"validation {right:.2%}, {counts.sum(1).mean():.1f} hidden spikes"


def train(network: Digits, images: Tensor, labels: Tensor, epochs: int, penalty: float) -> None:
    """Adam, its rate one rise and one cosine fall; the network of the last epoch is taken."""
    kept = (images[-VALIDATION:], labels[-VALIDATION:])
    images, labels = images[:-VALIDATION], labels[:-VALIDATION]
    optimiser = torch.optim.Adam(network.parameters())
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=epochs * steps, pct_start=0.1)
    for epoch in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(images))[: steps * BATCH].split(BATCH):
            potentials, counts = network(distort(images[chosen], degrees=12, stretch=0.12, shear=0.2, pixels=2))
            loss = functional.cross_entropy(potentials, labels[chosen]) + penalty * counts.sum(1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs}  loss {total / steps:.4f}  {validate(network, *kept)}", flush=True)


def main() -> None:
    """Parse the arguments, train, write the file."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("data", type=Path, help="folder with the MNIST training files (train-*-ubyte.gz)")
    parser.add_argument("--output", type=Path, default=Path("digits_direct.nir"))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--penalty", type=float, default=PENALTY, help="what a hidden spike adds to the loss")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    images = torch.tensor(read_idx(args.data / "train-images-idx3-ubyte.gz"))
    labels = torch.tensor(read_idx(args.data / "train-labels-idx1-ubyte.gz")).long()
    network = Digits()
    train(network, images, labels, args.epochs, args.penalty)
    nir.write(str(args.output), network.graph())
    print(f"{args.output}: {TICKS} ticks, {PIXEL_BITS} bits a pixel, seed {args.seed}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
