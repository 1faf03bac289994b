"""One network gives the same outputs on whatever array it runs: lanes, neurons a cycle, cores, memories, schedule."""

from typing import Any

import numpy as np
import pytest
from random_networks import in_space_network, random_samples

import spikeloom as sl
from spikeloom.contract.numerics import Numerics, Profile

CHOICES: dict[str, tuple[str, dict[str, Any]]] = {
    "auto:1x1:8:1": ("pipelined", {}),
    "auto:1x1:1:1": ("pipelined", {}),
    "auto:1x1:32:8": ("pipelined", {"sums_latency": 0}),
    "auto:1x1:8:8": ("layered", {"sums_latency": 1}),
    "auto:2x1:6:3": ("layered", {"event_fifo": 2, "spike_fifo": 2}),
    "auto:2x2:4:4": ("pipelined", {"sums_latency": 0, "event_fifo": 2}),
    "auto:1x1:8:2": ("pipelined", {"sums_latency": 1, "short": True}),
}
"""Cores, lanes and neurons a cycle; the schedule; the sums' memory, queues, pipelines."""
SEED = 41
"""Of a network with convolutions, a pool and delays of 1 and 8 ticks that both schedules allow."""


@pytest.mark.full
def test_every_choice_gives_the_same() -> None:
    network = in_space_network(SEED, Profile.SPIKELOOM, 8, Numerics(fraction_bits=3, state_bits=16), tight=False)
    samples = random_samples(network, SEED, samples=2, ticks=12)
    outputs = []
    for target, (schedule, core) in CHOICES.items():
        config = sl.compile(network, target, schedule).config.with_core(**core)
        found = sl.verify(sl.compile(network, config, schedule), samples)
        assert found.count == 0, (target, found.first)
        outputs.append(np.concatenate([o.reshape(-1) for o in found.outputs]))
    assert outputs[0].any(), "the network gives nothing"
    for target, output in zip(CHOICES, outputs, strict=True):
        assert np.array_equal(outputs[0], output), target
