"""The NIR paper's experiments: published traces and spikes are ours, on the float reference and on gateware."""

import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikeloom as sl
from spikeloom.compiler.sizing import size_array

FOLDER = Path(__file__).parents[2] / "examples" / "nir_paper"


def script(name: str) -> Any:
    """A module of the example."""
    spec = spec_from_file_location(f"nir_paper_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[spec.name] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


single, nmnist, braille = script("single"), script("nmnist"), script("braille")


@cache
def data() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "data.npz") as file:
        return dict(file)


def by_platform(rows: list[dict[str, Any]], network: str | None = None) -> dict[str, dict[str, Any]]:
    return {row["platform"]: row for row in rows if network is None or row["network"] == network}


@pytest.mark.parametrize("widths", [(), pytest.param((8, 16), marks=pytest.mark.full)])
def test_one_neuron_has_every_platforms_trace(widths: tuple[int, ...]) -> None:
    rows = by_platform(single.rows(data(), widths))
    assert len(rows) == 11
    for row in rows.values():
        assert row["spikes"] == 4
        assert row["float, spikes differ"] == 0
        assert [row[f"{bits} bit, spikes differ"] for bits in widths] == [0] * len(widths)
    for platform in ("norse", "snntorch", "sinabs", "rockpool", "nengo", "spinnaker2", "spyx", "lava_cpu_float"):
        assert rows[platform]["float, largest v error"] < 1e-5, platform
        for bits in widths:
            assert rows[platform][f"{bits} bit, largest v error"] < 3e-3, platform


def test_another_reading_is_not_the_trace() -> None:
    """The comparison can fail: sinabs with forward Euler, a neuron with a tick more."""
    x, v, spikes = data()["01/sinabs"].T
    run = sl.reference.run(sl.load(single.FILE, dt=single.DT), x[None, :, None] * 25, record=("v",))
    assert np.count_nonzero(run.spikes[0, :, 0] != spikes) == 4
    assert np.abs(run.populations[single.NEURON].v[0, :, 0] - v).max() > 1e-3


@pytest.mark.parametrize("widths", [(), pytest.param((16,), marks=pytest.mark.full)])
def test_braille_spike_for_spike(widths: tuple[int, ...]) -> None:
    rows = braille.rows(data(), widths)
    for network, platforms in {
        "bias_zero": ("snntorch", "norse", "spyx"),
        "noBias_subtract": ("norse", "spyx"),
    }.items():
        found = by_platform(rows, network)
        for platform in platforms:
            assert found[platform]["spikes"] > 100
            assert found[platform]["float, spikes differ"] == 0, (network, platform)
            for bits in widths:
                assert found[platform][f"{bits} bit, spikes differ"] == 0, (network, platform)
    assert by_platform(rows, "bias_zero")["nengo"]["float, spikes differ"] > 100


@pytest.mark.full
def test_nmnist_on_60_recordings() -> None:
    rows = by_platform(nmnist.rows(data()))
    ours, eight = rows["spikeloom, float"], rows["spikeloom, 8 bit"]
    assert ours["recordings"] == 60
    assert ours["accuracy"] == 1
    assert abs(ours["accuracy"] - eight["accuracy"]) <= 0.01
    assert ours["cosine with Speck"] > 0.83


@pytest.mark.full
@pytest.mark.parametrize(("network", "bits"), [("bias_zero", 8), ("bias_zero", 16), ("noBias_subtract", 8)])
def test_braille_on_gateware(network: str, bits: int) -> None:
    readings = {"reset": "value" if network == "bias_zero" else "subtract"}
    samples = data()["03/input"][None]
    loaded = sl.load(FOLDER / f"braille_noDelay_{network}.nir", **readings)
    found = sl.verify(sl.compile(sl.quantise(loaded, samples, weight_bits=bits), "auto:1x1"), samples)
    assert found.count == 0, found.first


@pytest.mark.full
def test_nmnist_on_gateware_decides_as_in_float() -> None:
    """All 60 recordings, 18,000 ticks on one core: long."""
    with np.load(FOLDER.parent / "nmnist" / "samples60.npz") as file:
        samples, labels = file["spikes"], file["labels"]
    quantised = sl.quantise(sl.load(FOLDER.parent / "nmnist" / "cnn_sinabs.nir"), samples, weight_bits=8)
    golden = sl.golden.run(quantised, samples)
    decided = []
    with sl.connect("sim", sl.compile(quantised, size_array(quantised, 1, 1, 8))) as board:
        for n in range(len(samples)):
            result = board.run(samples[n : n + 1])
            assert (result.spikes == golden.spikes[n : n + 1]).all(), f"recording {n}"
            decided.append(int(result.counts.argmax()))
            print(f"recording {n}: {labels[n]}, decided {decided[-1]}, {int(result.cycles.sum())} cycles", flush=True)
    assert (np.array(decided) == labels).mean() >= 0.99
