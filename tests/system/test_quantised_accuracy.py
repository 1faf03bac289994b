"""What quantising costs: the golden model in integers against the float reference, on networks that were published."""

from pathlib import Path

import nir
import numpy as np
import pytest

from spikeloom import reference
from spikeloom.compiler.nir_import import load
from spikeloom.compiler.quantise import quantise
from spikeloom.contract.numerics import Numerics
from spikeloom_sim import golden

DATA = Path(__file__).parents[1] / "host" / "data" / "nir"


def mismatches(network: str, reset: str, **options: object) -> dict[str, int]:
    """Spikes of the published sample that differ, by population."""
    samples = np.load(DATA / "braille_test0_input.npy")[None]
    source = load(DATA / f"braille_noDelay_{network}.nir", reset=reset)
    want = reference.run(source, samples)
    got = golden.run(quantise(source, samples, **options), samples)  # type: ignore[arg-type]
    assert all(p.spikes.any() for p in want.populations.values())
    return {name: int((p.spikes != got.populations[name].spikes).sum()) for name, p in want.populations.items()}


@pytest.mark.parametrize("network", ["bias_zero", "noBias_subtract"])
def test_16_bits_are_exact(network: str) -> None:
    assert mismatches(network, "value", weight_bits=16) == {"lif1.lif": 0, "lif2": 0}


@pytest.mark.parametrize("reset", ["subtract", "subtract_delayed"])
def test_16_bits_with_other_resets(reset: str) -> None:
    found = mismatches("noBias_subtract", reset, weight_bits=16)
    assert found["lif1.lif"] <= 0.002 * 256 * 40


def test_published_activity_in_integers() -> None:
    """The chain as users see it: file, import, 16 bits, integers; and snnTorch's spikes, all of them."""
    samples = np.load(DATA / "braille_test0_input.npy")[None]
    quantised = quantise(load(DATA / "braille_noDelay_bias_zero.nir", reset="value"), samples, weight_bits=16)
    spikes = golden.run(quantised, samples).populations["lif1.lif"].spikes[0]
    assert np.count_nonzero(spikes != np.load(DATA / "snntorch_activity_noDelay_bias_zero.npy")) == 0


def test_8_bits_a_scale_each_neuron_helps() -> None:
    a_neuron = mismatches("bias_zero", "value", weight_bits=8)["lif1.lif"]
    a_layer = mismatches("bias_zero", "value", weight_bits=8, scale="layer")["lif1.lif"]
    assert a_neuron < a_layer <= 0.02 * 256 * 38


def test_integrator_comes_back_in_source_units() -> None:
    """LI behind LIF: the read-out potential, to a thousandth of its range."""
    rng = np.random.default_rng(6)
    graph = nir.NIRGraph.from_list(
        nir.Linear(rng.normal(size=(20, 10))),
        nir.IF(r=np.ones(20), v_threshold=np.ones(20), v_reset=np.zeros(20)),
        nir.Linear(rng.normal(size=(3, 20))),
        nir.LI(tau=np.full(3, 0.01), r=np.ones(3), v_leak=np.full(3, 0.2)),
    )
    network, samples = load(graph, dt=1e-3), rng.integers(0, 2, (4, 50, 10))
    want = reference.run(network, samples).v
    got = golden.run(quantise(network, samples, weight_bits=16), samples).v
    assert np.abs(want).max() > 0.1
    assert np.abs(want - got).max() < 1e-3 * np.abs(want).max()


def test_currents_in_integers() -> None:
    """Real input: the drive's rounding costs no spike of the published trace."""
    x, _, spikes = np.loadtxt(DATA / "lif_norse.csv", delimiter=",").T
    samples = x[None, :, None] * 0.999  # no natural numbers: currents
    network = load(DATA / "lif_norse.nir", dt=1e-4)
    quantised = quantise(network, samples)
    assert len(quantised.drives) == 1
    want = reference.run(network, samples).spikes
    assert want.sum() == pytest.approx(spikes.sum(), abs=2)
    assert (golden.run(quantised, samples).spikes == want).all()


def test_counts_in_integers() -> None:
    rng = np.random.default_rng(5)
    samples = rng.integers(0, 4, (10, 100, 12)) * (rng.random((10, 100, 12)) < 0.1)
    network = load(DATA / "braille_noDelay_bias_zero.nir")
    numerics = Numerics(weight_bits=16, fraction_bits=4, accumulator_bits=24, state_bits=28)
    want = reference.run(network, samples)
    got = golden.run(quantise(network, samples, numerics=numerics), samples)
    differ = (want.populations["lif1.lif"].spikes != got.populations["lif1.lif"].spikes).mean()
    assert want.populations["lif1.lif"].spikes.sum() > 100
    assert differ < 0.002
