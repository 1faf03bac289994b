"""What the example networks are worth in real numbers, and what is left of it in integers."""

import numpy as np
from examples import all_test_images, example

import spikeloom as sl


def accuracies(name: str, samples: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Percent right, of the float network and of the golden model of its 8-bit version."""
    counts = (
        sl.reference.run(example(name).network, samples).counts,
        sl.golden.run(example(name).quantised, samples).counts,
    )
    in_float, golden = ((c.argmax(1) == labels).mean() * 100 for c in counts)
    print(f"{name}: float {in_float:.2f} %, golden {golden:.2f} %")
    return in_float, golden


def test_digits_on_all_test_images() -> None:
    spikes, labels = all_test_images()
    assert len(spikes) == 10_000
    in_float, golden = accuracies("digits", spikes, labels)
    assert golden >= 97.5
    assert abs(golden - in_float) <= 0.3


def test_speech_of_a_speaker_it_never_heard() -> None:
    data = example("speech").data
    assert data.labels is not None
    assert len(data.labels) == 500
    in_float, golden = accuracies("speech", data.samples, data.labels)
    assert golden >= 90
    assert abs(golden - in_float) <= 1


def test_samples_are_the_first_test_images() -> None:
    spikes, labels = all_test_images()
    data = example("digits").data
    assert np.array_equal(data.samples, spikes[: len(data.samples)])
    assert np.array_equal(data.labels, labels[: len(data.samples)])
