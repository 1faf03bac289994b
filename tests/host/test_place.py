"""Placement and sizing: shares of the cores, and what does not fit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.compiler.compile import compile, resolve
from spikeloom.compiler.overflow import accumulator_bits_needed
from spikeloom.compiler.sizing import AUTO_GROUP, AUTO_UPDATE, size_array
from spikeloom.contract.boards import BOARDS, board
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.errors import ConfigError, FitError
from spikeloom.contract.network import InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.numerics import EXACT, Numerics, Profile
from spikeloom.contract.ring import Space
from spikeloom.image import NO_KEY, Image

from .random_networks import random_network, seeds


def layers(*sizes: int, density: float = 1.0) -> QuantisedNetwork:
    """Layers one after the other; ``density < 1`` makes the projections sparse."""
    rng = np.random.default_rng(5)
    names = ["in", *(f"p{n}" for n in range(1, len(sizes)))]

    def weights(n: int) -> np.ndarray:
        shape = sizes[n + 1], sizes[n]
        return rng.integers(1, 9, shape) * (rng.random(shape) < density)

    return QuantisedNetwork(
        inputs=[InputPopulation(name="in", shape=sizes[:1])],
        populations=[Population(name=f"p{n}", shape=(sizes[n],), theta=9, v_min=-9) for n in range(1, len(sizes))],
        projections=[
            Projection(source=names[n], target=names[n + 1], weights=weights(n), sparse=density < 1)
            for n in range(len(sizes) - 1)
        ],
        outputs={"out": names[-1]},
    )


def check(image: Image) -> None:
    """Every neuron has one place, and no place has two neurons."""
    lanes = image.config.core.lanes
    places: set[tuple[int, int]] = set()
    for population in image.network.populations:
        slices = image.slices_of(population.name)
        numbers = np.concatenate([s.grid.neurons() for s in slices])
        assert sorted(numbers.tolist()) == list(range(population.size))
        assert all(s.grid.channels[0] % lanes == 0 for s in slices)
        rows = {(s.core, s.row0 + n) for s in slices for n in range(s.rows(lanes))}
        assert len(rows) == sum(s.rows(lanes) for s in slices)
        assert not rows & places
        places |= rows
    assert max(row for _, row in places) < image.config.core.rows
    keys = [k for k in [*image.input_keys.values(), *(s.key for s in image.slices)] if k != NO_KEY]
    assert sorted(keys) == list(range(len(keys)))


def test_large_populations_are_spread_and_small_ones_are_not() -> None:
    image = compile(layers(100, 128, 10), "auto:2x2:8")
    check(image)
    assert [(s.core, s.size) for s in image.slices_of("p1")] == [(0, 32), (1, 32), (2, 32), (3, 32)]
    assert len(image.slices_of("p2")) == 2  # two rows of eight lanes
    words = image.report["resources"]["words"]["per_core"]
    assert max(words) - min(words) <= 128


@settings(deadline=None, max_examples=40)
@given(seeds, st.sampled_from(((1, 1), (2, 2), (4, 1))), st.sampled_from((1, 3, 4)))
def test_sized_arrays_hold_random_networks(seed: int, grid: tuple[int, int], lanes: int) -> None:
    network = random_network(seed, Profile.SPIKELOOM)
    check(compile(network, size_array(network, *grid, lanes)))


def test_sparse_rows_are_cut_where_their_words_end() -> None:
    rng = np.random.default_rng(1)
    weights = np.ones((64, 40), dtype=np.int64)
    weights[16:] *= rng.random((48, 40)) < 0.02  # four heavy rows, twelve light ones
    network = QuantisedNetwork(
        inputs=[InputPopulation(name="in", shape=(40,))],
        populations=[Population(name="a", shape=(64,), theta=9, v_min=-9)],
        projections=[Projection(source="in", target="a", weights=weights, sparse=True)],
        outputs={"out": "a"},
    )
    total = compile(network, size_array(network, 1, 1, 4)).used[0, Space.WEIGHT]
    core = CoreConfig(lanes=4, rows=16, words=-(-total // 2) + 40, entries=64, sparse=True)
    image = compile(network, ArrayConfig(width=2, core=core))
    check(image)
    assert max(image.report["resources"]["words"]["per_core"]) <= core.words


def test_wide_slices_give_way_where_keys_or_projections_are_few() -> None:
    core = CoreConfig(lanes=4, rows=32, words=4096, projections=3)
    image = compile(layers(16, 32, 32), ArrayConfig(width=2, height=2, core=core))
    check(image)
    assert len(image.slices_of("p1")) == 2
    image = compile(layers(16, 32, 32), ArrayConfig(width=2, height=2, key_bits=2, core=core))
    assert len(image.slices_of("p1")) == 1


ARRAY = ArrayConfig(width=2, key_bits=3, index_bits=6, core=CoreConfig(lanes=4, rows=8, words=256, projections=4))


@pytest.mark.parametrize(
    ("network", "array", "message"),
    [
        (layers(4, 80), ARRAY, r"rows: the network takes 20 rows .* 16, 4 too few: raise rows to 10"),
        (layers(64, 48), ARRAY, r"words: .* 768 words .* 512, 256 too few: raise words to 384"),
        (layers(100, 4), ARRAY, r"input in: has indices up to 99, index_bits = 6 hold 64: raise index_bits to 7"),
        (layers(*[2] * 9), ARRAY, r"keys: .* 9 keys, key_bits = 3 give 8, 1 too few: raise key_bits to 4"),
        (layers(*[2] * 7), ARRAY.with_core(projections=2), r"projections: core . takes 3 of its 2, 1 too few"),
        (layers(64, 20, 4), ARRAY.with_core(words=170), r"p1: 1 of its 5 pieces find no core: .* raise words"),
        (layers(60, 8, density=0.5), ARRAY.with_core(entries=50, sparse=True), r"no core has 60 entries left.*by 10"),
        (layers(60, 8, density=0.5), ARRAY, r"sparse.*set sparse, and entries"),
    ],
)
def test_what_does_not_fit(network: QuantisedNetwork, array: ArrayConfig, message: str) -> None:
    with pytest.raises(FitError, match=message):
        compile(network, array)


def test_targets() -> None:
    network = layers(100, 64, 10)
    assert compile(network, "ulx3s_85f").config == BOARDS["ulx3s_85f"].config
    exact = QuantisedNetwork(
        numerics=EXACT, inputs=network.inputs, populations=network.populations, projections=network.projections,
        outputs=network.outputs,
    )  # fmt: skip
    assert compile(exact, "ulx3s_85f").config.numerics == EXACT
    assert compile(network, "auto:3x2:4").config.cores == 6
    assert compile(layers(2000, 1000), "auto").config.cores > 8
    auto = resolve(network, "auto")
    assert (auto.cores, auto.core.lanes, auto.core.rows) == (1, 16, 5)
    for text in ("auto:2", "auto:axb", "auto:2x2:3:1:4", "auto:"):
        with pytest.raises(FitError, match="must be auto"):
            compile(network, text)
    with pytest.raises(ConfigError, match="ulx3s_85f"):
        compile(network, "nexys")
    with pytest.raises(ConfigError, match="ulx3s_85f"):
        board("nexys")


def test_wide_cores_update_several_neurons_a_cycle() -> None:
    """So many that all neurons take no longer than :data:`AUTO_UPDATE` cycles, as far as there are such groups."""
    small, large = layers(10, 40, 10), layers(10, 400, 10)
    assert resolve(small, "auto:1x1:16").core.group == 1
    for text, group in (("auto:1x1:16", 8), ("auto:1x1:16:2", 2), ("auto:2x2:16", 2), ("auto:1x1:1", 1)):
        core = resolve(large, text).core
        assert core.group == group
        assert core.neurons // group <= AUTO_UPDATE or core.group == min(AUTO_GROUP, core.lanes) or text.endswith(":2")
    with pytest.raises(ConfigError, match="group must divide lanes"):
        compile(large, "auto:1x1:16:3")


def test_sums_that_would_wrap_are_refused() -> None:
    """By the array's accumulators, and by the network's own: golden model and array must not wrap differently."""
    network = layers(600, 4)
    heavy = QuantisedNetwork(
        numerics=Numerics(accumulator_bits=12), inputs=[InputPopulation(name="in", shape=(600,), max_count=5)],
        populations=network.populations, outputs=network.outputs,
        projections=[Projection(source="in", target="p1", weights=np.full((4, 600), 127))],
    )  # fmt: skip
    assert accumulator_bits_needed(heavy) == 20
    with pytest.raises(FitError, match=r"the network's own 12 would wrap, its sums need 20"):
        compile(heavy, "auto")
    wide = replace(heavy, numerics=Numerics(accumulator_bits=20))
    assert compile(wide, "auto").config.numerics.accumulator_bits == 20
    with pytest.raises(FitError, match="raise accumulator_bits to 20"):
        compile(heavy, ARRAY.with_core(numerics=Numerics(accumulator_bits=16)))
