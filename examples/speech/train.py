"""Train a recurrent spiking network on spoken digits, test it on a speaker it never heard, write a NIR file.

    python -m examples.speech.train DATA --test george --output examples/speech/speech.nir

``DATA`` holds one ``fsdd_NAME.npz`` per speaker. 60 channels -> 128 CUBA-LIF neurons with recurrent weights
-> 10 CUBA-LIF neurons; the class is the neuron that spikes most. The last third of the epochs trains with
weights rounded as the hardware will round them.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from examples.common import nir_files
from examples.common.measure import measure
from examples.common.network import Layer
from examples.speech.distort import distorted
from examples.speech.encode import CHANNELS, encode, power_frames, read_speaker, spikes
from torch import Tensor, nn
from torch.nn import functional

HIDDEN, CLASSES = 128, 10
ALPHA, BETA_HIDDEN, BETA_OUTPUT = 0.75, 0.90625, 0.953125  # decays a tick, exact in 12 bits
COUNT_GAIN = 0.5  # logits are spike counts times this
DROPOUT = 0.2  # share of hidden neurons that a training sample does without
BATCH = 100


class Fire(torch.autograd.Function):
    """1 where the potential is above 1; backwards with the slope ``1 / (1 + 10 |v - 1|)**2``.

    Narrower than for the feed-forward digits: with 2 in place of 10, silent neurons pass so much gradient
    back through the recurrent ticks that nothing is learned.
    """

    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        ctx.save_for_backward(v)
        return (v > 1).float()

    @staticmethod
    def backward(ctx: Any, grad_spikes: Tensor) -> Tensor:
        (v,) = ctx.saved_tensors
        return grad_spikes / (1 + 10 * (v - 1).abs()) ** 2


class Population(nn.Module):
    """CUBA-LIF neurons and the weights into them, ``(ticks, batch, inputs)`` to ``(ticks, batch, neurons)``.

    The parameters are larger than the weights used by ``1 / gain``, roughly how much the two decays amplify a
    steady input, so that they are near 1 and one learning rate suits all.
    """

    def __init__(self, inputs: int, neurons: int, beta: float, *, std: float, bias: float, recurrent: bool) -> None:
        super().__init__()
        self.gain, self.beta = (1 - ALPHA) * math.sqrt(1 - beta), beta
        self.weight = nn.Parameter(std * torch.randn(neurons, inputs))
        self.bias = nn.Parameter(torch.full((neurons,), bias))
        self.recurrent = nn.Parameter(0.08 * torch.randn(neurons, neurons)) if recurrent else None
        self.rounding = False

    def forward(self, inputs: Tensor, keep: Tensor | float = 1.0) -> Tensor:
        weight, recurrent = self._weights()
        x = inputs @ weight.T + self.gain * self.bias
        u = v = fired = torch.zeros_like(x[0])
        fires = []
        for tick in range(len(x)):
            u = ALPHA * u + x[tick]
            if recurrent is not None:
                u = u + (fired * keep) @ recurrent.T
            v = self.beta * v + u
            fired = Fire.apply(v)
            v = v - fired
            fires.append(fired)
        return torch.stack(fires)

    def layer(self) -> Layer:
        """The trained layer, for :mod:`examples.common`."""
        scaled = [None if w is None else (self.gain * w).detach().numpy() for w in (self.weight, self.recurrent)]
        return Layer(
            weight=scaled[0],
            recurrent=scaled[1],
            bias=(self.gain * self.bias).detach().numpy(),
            theta=np.ones(len(self.bias)),
            alpha=ALPHA,
            beta=self.beta,
        )

    def _weights(self) -> tuple[Tensor, Tensor | None]:
        """Weights as used; while ``rounding``, on each neuron's 8-bit grid, which gradients ignore."""
        both = self.weight if self.recurrent is None else torch.cat([self.weight, self.recurrent], 1)
        if self.rounding:
            step = both.detach().abs().amax(1, keepdim=True) / 127
            both = both + ((both / step).round() * step - both).detach()
        weight, recurrent = (self.gain * both).tensor_split([self.weight.shape[1]], 1)
        return weight, None if self.recurrent is None else recurrent


class Speech(nn.Module):
    """The network; spikes ``(batch, ticks, CHANNELS)`` in, spike counts ``(batch, 10)`` out."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = Population(CHANNELS, HIDDEN, BETA_HIDDEN, std=0.12, bias=0.0, recurrent=True)
        self.output = Population(HIDDEN, CLASSES, BETA_OUTPUT, std=0.1, bias=0.4, recurrent=False)

    def forward(self, trains: Tensor) -> Tensor:
        keep = 1.0
        if self.training:
            keep = functional.dropout(torch.ones(len(trains), HIDDEN), DROPOUT)
        fired = self.hidden(trains.transpose(0, 1).float(), keep)
        return self.output(fired * keep).sum(0)

    def round_weights(self) -> None:
        """From now on, compute with 8-bit weights."""
        self.hidden.rounding = self.output.rounding = True


def train(network: Speech, frames: list[np.ndarray], digits: np.ndarray, epochs: int, seed: int) -> None:
    """Adam, its rate one rise and one cosine fall; every epoch distorts all words anew."""
    rng = np.random.default_rng(seed)
    labels = torch.tensor(digits).long()
    steps = math.ceil(len(labels) / BATCH)
    optimiser = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=epochs * steps, pct_start=0.1)
    for epoch in range(epochs):
        if epoch == epochs * 2 // 3:
            network.round_weights()
        trains = torch.tensor(np.stack([spikes(distorted(power, rng)) for power in frames]))
        total = right = 0.0
        for step, chosen in enumerate(torch.randperm(len(labels)).split(BATCH)):
            counts = network(trains[chosen])
            loss = functional.cross_entropy(counts * COUNT_GAIN, labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
            right += (counts.argmax(1) == labels[chosen]).sum().item()
            print(f"\repoch {epoch + 1}/{epochs}  {step + 1}/{steps}  loss {total / (step + 1):.3f}", end="")
        print(f"  distorted training words {right / len(labels):.1%}", flush=True)


def main() -> None:
    """Parse the arguments, train, measure, write the file."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("data", type=Path, help="folder with fsdd_NAME.npz files")
    parser.add_argument("--test", default="george", help="the speaker kept for the final test")
    parser.add_argument("--validate", help="a speaker left out too, to judge changes by")
    parser.add_argument("--output", type=Path, help="the NIR file to write")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)  # gradients fade over the ticks; denormal numbers are slow
    torch.manual_seed(args.seed)

    speakers = {path.stem.removeprefix("fsdd_"): read_speaker(path) for path in sorted(args.data.glob("fsdd_*.npz"))}
    heard = [speaker for name, speaker in speakers.items() if name not in (args.test, args.validate)]
    frames = [power_frames(audio) for speaker in heard for audio in speaker.recordings]
    network = Speech()
    train(network, frames, np.concatenate([speaker.digits for speaker in heard]), args.epochs, args.seed)

    layers = [network.hidden.layer(), network.output.layer()]
    for name, speaker in speakers.items():
        if args.validate and name == args.test:
            continue  # looked at once, when nothing is left to choose
        role = "tested" if name == args.test else "validated" if name == args.validate else "heard"
        for result in measure(layers, encode(speaker.recordings), speaker.digits):
            print(f"{name:9} {role:9} {result}")
    if args.output:
        nir_files.write(args.output, layers)
        print(f"wrote {args.output}")


if __name__ == "__main__":
    main()
