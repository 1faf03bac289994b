"""Currents, counts and integrator outputs, from a NIR graph to the gateware."""

import nir
import numpy as np
import pytest

import spikeloom as sl
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.network import InputKind

SIZE, HIDDEN, OUT, TICKS = 6, 20, 3, 12
ARRAY = ArrayConfig(
    width=2,
    height=1,
    key_bits=3,
    index_bits=6,
    payload_bits=2,
    core=CoreConfig(lanes=4, rows=4, words=512, projections=8),
)
"""One array for all networks here: 4 lanes, 2 cores."""


def graph(rng: np.random.Generator) -> nir.NIRGraph:
    """input -> LIF -> LI: the potential of the integrator is the result."""

    def full(value: float, size: int) -> np.ndarray:
        return np.full(size, value, np.float32)

    return nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([SIZE])),
            "fc1": nir.Affine(rng.normal(0, 0.5, (HIDDEN, SIZE)), rng.normal(0, 0.05, HIDDEN)),
            "lif": nir.LIF(full(8e-3, HIDDEN), full(8, HIDDEN), full(0, HIDDEN), full(1, HIDDEN), full(0, HIDDEN)),
            "fc2": nir.Affine(rng.normal(0, 0.3, (OUT, HIDDEN)), np.zeros(OUT)),
            "li": nir.LI(full(1.6e-2, OUT), full(16, OUT), full(0, OUT)),
            "output": nir.Output(np.array([OUT])),
        },
        edges=[("input", "fc1"), ("fc1", "lif"), ("lif", "fc2"), ("fc2", "li"), ("li", "output")],
    )


@pytest.fixture(scope="module")
def network():
    return sl.load(graph(np.random.default_rng(3)), dt=1e-3, decay="euler", reset="subtract", fire=">")


def samples_of(kind: InputKind) -> np.ndarray:
    rng = np.random.default_rng(4)
    shape = (4, TICKS, SIZE)
    if kind is InputKind.CURRENTS:  # the same in all ticks of some samples, new ones in each tick of others
        values = rng.normal(0, 1, shape)
        values[:2] = values[:2, :1]
        return values
    return rng.integers(0, 2 if kind is InputKind.SPIKES else 4, shape)


@pytest.mark.parametrize("kind", list(InputKind))
@pytest.mark.xdist_group("inputs")
def test_every_kind_of_input_equals_golden(network, kind: InputKind) -> None:
    samples = samples_of(kind)
    told = InputKind.GRADED if kind is InputKind.GRADED else None
    quantised = sl.quantise(network, samples, input_kind=told)
    assert quantised.inputs[0].kind is kind
    image = sl.compile(quantised, ARRAY)
    found = sl.verify(image, samples)
    assert found.count == 0, found.first
    golden, in_float = sl.golden.run(quantised, samples), sl.reference.run(network, samples)
    assert np.array_equal(np.concatenate(found.outputs), golden.v)
    assert golden.populations["lif"].spikes.any()
    spread = in_float.v.std()
    assert np.abs(golden.v - in_float.v).mean() < 0.1 * spread


@pytest.mark.xdist_group("inputs")
def test_biases_are_back_after_currents(network) -> None:
    samples = samples_of(InputKind.CURRENTS)
    image = sl.compile(sl.quantise(network, samples), ARRAY)
    with sl.connect("sim", image) as board:
        first = board.run(samples)
        silent = board.run(samples * 0)
        again = board.run(samples)
    assert np.array_equal(first.v, again.v)
    assert np.array_equal(silent.v, sl.golden.run(image.network, samples * 0).v)
