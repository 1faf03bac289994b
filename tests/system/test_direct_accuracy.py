"""Digits in three ticks from pixels that are sent once: what the network is worth, in real numbers and in integers."""

import numpy as np
from examples import all_test_images, example

import spikeloom as sl
from spikeloom.contract.network import InputKind
from spikeloom.contract.numerics import DECAY_ONE

NAME = "digits_direct"


def accuracies(samples: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Percent right, of the float network and of the golden model of its 8-bit version: the largest last potential."""
    potentials = (
        sl.reference.run(example(NAME).network, samples).v[:, -1],
        sl.golden.run(example(NAME).quantised, samples).v[:, -1],
    )
    in_float, golden = ((v.argmax(1) == labels).mean() * 100 for v in potentials)
    print(f"{NAME}: {len(samples)} images, float {in_float:.2f} %, golden {golden:.2f} %")
    return in_float, golden


def test_committed_samples() -> None:
    data = example(NAME).data
    assert data.labels is not None
    assert len(data.labels) == 300
    in_float, golden = accuracies(data.samples, data.labels)
    assert golden >= 97.5
    assert abs(golden - in_float) <= 1


def test_all_test_images() -> None:
    samples, labels = all_test_images(NAME)
    assert len(samples) == 10_000
    in_float, golden = accuracies(samples, labels)
    assert golden >= 98
    assert abs(golden - in_float) <= 0.2


def test_samples_are_the_first_test_images() -> None:
    samples, labels = all_test_images(NAME)
    data = example(NAME).data
    assert np.array_equal(data.samples, samples[: len(data.samples)])
    assert np.array_equal(data.labels, labels[: len(data.samples)])


def test_pixels_come_once_and_the_drive_is_held() -> None:
    quantised, samples = example(NAME).quantised, example(NAME).data.samples
    assert samples[:, 0].any()
    assert not samples[:, 1:].any()
    (source,) = quantised.inputs
    assert (source.kind, source.max_count) == (InputKind.COUNTS, 15)
    hidden = quantised.populations[0]
    assert (hidden.alpha == DECAY_ONE).all()
    assert (hidden.beta == DECAY_ONE).all()
    u = sl.golden.run(quantised, samples[:20], record=("u",)).populations["hidden"].u
    assert u is not None
    assert u.any()
    assert (u == u[:, :1]).all()


def test_few_events() -> None:
    """What an image costs on the hardware, nearly: a cycle an event, an update of the neurons a tick."""
    quantised, samples = example(NAME).quantised, example(NAME).data.samples
    result = sl.golden.run(quantised, samples)
    pixels = np.count_nonzero(samples) / len(samples)
    spikes = result.populations["hidden"].spikes.sum() / len(samples)
    print(f"{NAME}: {samples.shape[1]} ticks, {pixels:.1f} events and {spikes:.1f} hidden spikes an image")
    assert samples.shape[1] == 3
    assert 50 < pixels < 150
    assert 10 < spikes < 60
    assert not any(counts.any() for counts in result.saturations.values())
    assert quantised.numerics.accumulator_bits <= 20
