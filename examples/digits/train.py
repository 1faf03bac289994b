"""Train 784 -> 128 -> 10 spiking neurons on MNIST and write a NIR file.

    python -m examples.digits.train DATA --output examples/digits/digits.nir

``DATA`` holds the four gzipped IDX files of MNIST. Backpropagation through time with a surrogate gradient;
the loss is the cross entropy of the output neurons' spike counts, as the class is the one that spikes most.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import torch
from examples.common import nir_files
from examples.common.network import Layer
from examples.digits.encode import PERIOD, read_idx, spike_table
from torch import Tensor, nn
from torch.nn import functional

HIDDEN, CLASSES = 128, 10
BETA_HIDDEN, BETA_OUTPUT = 0.90625, 0.9375  # decays a tick, both exact in 12 bits
COUNT_GAIN = 0.5  # logits are spike counts times this
BATCH = 256


class Lif(torch.autograd.Function):
    """Spikes of LIF neurons, ``(ticks, batch, neurons)``, threshold 1, reset by subtraction.

    Backwards, a spike counts as a smooth function of the potential with the slope ``1 / (1 + 2 |v - 1|)**2``
    (the "fast sigmoid" of Zenke and Ganguli, 2018); the reset is taken as a constant.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, beta: float) -> Tensor:
        v, before_reset, spikes = torch.zeros_like(x[0]), torch.empty_like(x), torch.empty_like(x)
        for tick in range(len(x)):
            v = beta * v + x[tick]
            before_reset[tick] = v
            spikes[tick] = v > 1
            v = v - spikes[tick]
        ctx.save_for_backward(before_reset)
        ctx.beta = beta
        return spikes

    @staticmethod
    def backward(ctx: Any, grad_spikes: Tensor) -> tuple[Tensor, None]:
        (before_reset,) = ctx.saved_tensors
        slope = 1 / (1 + 2 * (before_reset - 1).abs()) ** 2
        grad_v, grad_x = torch.zeros_like(grad_spikes[0]), torch.empty_like(grad_spikes)
        for tick in reversed(range(len(grad_spikes))):
            grad_v = grad_spikes[tick] * slope[tick] + ctx.beta * grad_v
            grad_x[tick] = grad_v
        return grad_x, None


class Digits(nn.Module):
    """The network; images ``(batch, 28, 28)`` uint8 in, spike counts ``(batch, 10)`` out."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(784, HIDDEN), nn.Linear(HIDDEN, CLASSES)
        self.register_buffer("trains", torch.tensor(spike_table()).T.float().contiguous())  # (ticks, 256)
        nn.init.normal_(self.hidden.weight, std=0.12)
        nn.init.normal_(self.output.weight, std=0.15)
        nn.init.zeros_(self.hidden.bias)
        nn.init.zeros_(self.output.bias)

    def forward(self, images: Tensor) -> Tensor:
        spikes = self.trains[:, images.flatten(1).long()]
        spikes = Lif.apply(self.hidden(spikes), BETA_HIDDEN)
        return Lif.apply(self.output(spikes), BETA_OUTPUT).sum(0)

    def layers(self) -> list[Layer]:
        """The trained layers, for :mod:`examples.common`."""
        pairs = (self.hidden, BETA_HIDDEN), (self.output, BETA_OUTPUT)
        return [
            Layer(
                weight=linear.weight.detach().numpy(),
                bias=linear.bias.detach().numpy(),
                theta=torch.ones(linear.out_features).numpy(),
                beta=beta,
            )
            for linear, beta in pairs
        ]


def distort(images: Tensor, degrees: float, stretch: float, shear: float, pixels: float) -> Tensor:
    """Each image turned, stretched, sheared and shifted a little, uniformly up to the given amounts."""

    def up_to(amount: float, *shape: int) -> Tensor:
        return (2 * torch.rand(len(images), *shape) - 1) * amount

    angle, slant, shift = up_to(math.radians(degrees)), up_to(shear), up_to(pixels / 14, 2)
    width, height = 1 + up_to(stretch), 1 + up_to(stretch)
    row_x = torch.stack([width * angle.cos(), -height * (angle.sin() + slant), shift[:, 0]], 1)
    row_y = torch.stack([width * angle.sin(), height * angle.cos(), shift[:, 1]], 1)
    maps = torch.stack([row_x, row_y], 1)
    grid = functional.affine_grid(maps, [len(images), 1, 28, 28], align_corners=False)
    moved = functional.grid_sample(images[:, None].float(), grid, align_corners=False)
    return moved[:, 0].round().clamp(0, 255).byte()


def accuracy(network: Digits, images: Tensor, labels: Tensor) -> float:
    """Share of images whose own neuron spikes most; a tie goes to the lowest class."""
    with torch.no_grad():
        counts = torch.cat([network(batch) for batch in images.split(500)])
    return float((counts.numpy().argmax(1) == labels.numpy()).mean())


def train(network: Digits, images: Tensor, labels: Tensor, test: tuple[Tensor, Tensor], epochs: int) -> None:
    """Adam, its rate one rise and one cosine fall; the test accuracy is printed, no epoch is chosen by it."""
    optimiser = torch.optim.Adam(network.parameters())
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=epochs * steps, pct_start=0.1)
    for epoch in range(epochs):
        order = torch.randperm(len(images))[: steps * BATCH]
        total = 0.0
        for step, chosen in enumerate(order.split(BATCH)):
            batch = distort(images[chosen], degrees=12, stretch=0.12, shear=0.2, pixels=2)
            loss = functional.cross_entropy(network(batch) * COUNT_GAIN, labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
            print(f"\repoch {epoch + 1}/{epochs}  {step + 1}/{steps}  loss {total / (step + 1):.4f}", end="")
        print(f"  test {accuracy(network, *test):.2%}", flush=True)


def main() -> None:
    """Parse the arguments, train, write the file."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("data", type=Path, help="folder with the four MNIST files (*-ubyte.gz)")
    parser.add_argument("--output", type=Path, default=Path("digits.nir"))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    def load(part: str) -> tuple[Tensor, Tensor]:
        images = read_idx(args.data / f"{part}-images-idx3-ubyte.gz")
        labels = read_idx(args.data / f"{part}-labels-idx1-ubyte.gz")
        return torch.tensor(images), torch.tensor(labels).long()

    print(f"one spike per {PERIOD} ticks for white, seed {args.seed}, torch {torch.__version__}")
    network = Digits()
    train(network, *load("train"), load("t10k"), args.epochs)
    nir_files.write(args.output, network.layers())
    print(f"wrote {args.output}")


if __name__ == "__main__":
    main()
