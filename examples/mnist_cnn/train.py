"""Train a small convolutional network on MNIST, as frames and not as spikes, and write it as ONNX.

    python -m examples.mnist_cnn.train DATA --output examples/mnist_cnn/mnist_cnn.onnx

``DATA`` holds the training images and labels of MNIST, gzipped IDX files; the last 10,000 are kept for validation.

The activation is a staircase of ``LEVELS`` steps from 0 to a bound that is trained with the weights (QCFS: Bu et al.,
"Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking neural networks", ICLR 2022): what a neuron
that starts at half its threshold does in as many ticks. The file has the smooth version of it, ``Clip(0, bound)``:
an ordinary network, in which no spike is mentioned.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from examples.digits.encode import read_idx
from examples.digits.train import distort
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 12, 24
LEVELS = 8
BATCH, EPOCHS = 128, 30
VALIDATION = 10_000  # the last of the training images


class Round(torch.autograd.Function):
    """To the nearest integer, half up; the gradient passes as if nothing was rounded."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.floor(x + 0.5)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


class Bounded(nn.Module):
    """``min(max(x, 0), bound)``, while it is trained in steps."""

    def __init__(self) -> None:
        super().__init__()
        self.bound = nn.Parameter(torch.tensor(2.0))
        self.steps = True

    def forward(self, x: Tensor) -> Tensor:
        if not self.steps:
            return torch.clamp(x, 0.0, self.bound.item())
        part = torch.clamp(x / self.bound, 0, 1)
        return Round.apply(part * LEVELS) / LEVELS * self.bound


def network(plain: bool = False) -> nn.Sequential:
    """Pixels ``(batch, 1, 28, 28)`` from 0 to 1 in, logits ``(batch, 10)`` out; ``plain``: with ReLUs."""
    first, second = CHANNELS
    activation = nn.ReLU if plain else Bounded
    return nn.Sequential(
        nn.Conv2d(1, first, 5, stride=2, padding=2), nn.BatchNorm2d(first), activation(),
        nn.Conv2d(first, second, 5, stride=2, padding=2), nn.BatchNorm2d(second), activation(),
        nn.Flatten(), nn.Linear(second * 7 * 7, 10),
    )  # fmt: skip


def steps(model: nn.Sequential, on: bool) -> None:
    """Activations in steps, as trained, or smooth, as exported."""
    for part in model:
        if isinstance(part, Bounded):
            part.steps = on


def accuracy(model: nn.Sequential, images: Tensor, labels: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(batch[:, None] / 255) for batch in images.split(500)])
    return float((logits.argmax(1) == labels).float().mean())


def train(model: nn.Sequential, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Adam, its rate one rise and one cosine fall; the network of the last epoch is taken."""
    kept = (images[-VALIDATION:], labels[-VALIDATION:])
    images, labels = images[:-VALIDATION], labels[:-VALIDATION]
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-3)
    batches = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=epochs * batches, pct_start=0.1)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for chosen in torch.randperm(len(images))[: batches * BATCH].split(BATCH):
            batch = distort(images[chosen], degrees=10, stretch=0.1, shear=0.15, pixels=1.5)
            loss = functional.cross_entropy(model(batch[:, None] / 255), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        in_steps = accuracy(model, *kept)
        steps(model, on=False)
        smooth = accuracy(model, *kept)
        steps(model, on=True)
        line = f"validation {in_steps:.2%} in steps, {smooth:.2%} smooth"
        print(f"epoch {epoch + 1}/{epochs}  loss {total / batches:.4f}  {line}", flush=True)


def export(model: nn.Sequential, path: Path) -> None:
    """Write the smooth network as ONNX, for any number of images."""
    steps(model, on=False)
    model.eval()
    torch.onnx.export(
        model, (torch.zeros(1, 1, 28, 28),), str(path), input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}}, opset_version=17, dynamo=False,
    )  # fmt: skip


def main() -> None:
    """Parse the arguments, train, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the MNIST training files (train-*-ubyte.gz)")
    parser.add_argument("--output", type=Path, default=Path("mnist_cnn.onnx"))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--plain", action="store_true", help="ReLUs, as if no spike was ever meant")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    images = torch.tensor(read_idx(args.data / "train-images-idx3-ubyte.gz"))
    labels = torch.tensor(read_idx(args.data / "train-labels-idx1-ubyte.gz")).long()
    print(f"seed {args.seed}, torch {torch.__version__}")
    model = network(args.plain)
    train(model, images, labels, args.epochs)
    export(model, args.output)
    print(f"wrote {args.output}")


if __name__ == "__main__":
    main()
