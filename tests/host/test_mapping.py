"""The memories, by running them: the model of the array against the golden model, every state of every tick."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikeloom.compiler.compile import compile
from spikeloom.compiler.schedule import Kind, schedule
from spikeloom.compiler.sizing import size_array
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.errors import FitError, SpikeloomError
from spikeloom.contract.fabric import Port
from spikeloom.contract.geometry import Convolution
from spikeloom.contract.network import InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.neuron import NEVER
from spikeloom.contract.numerics import Numerics, Profile
from spikeloom.contract.ring import Register, Space, spaces
from spikeloom.driver.board import Board
from spikeloom.image import NO_KEY, Image
from spikeloom_sim import golden

from .model_array import ModelArray
from .random_networks import in_space_network, profiles, random_network, random_samples, seeds

GRIDS = ((1, 1), (2, 1), (1, 2), (3, 1), (2, 2))
LANES = ((1, 1), (2, 1), (4, 2), (4, 4), (8, 2), (6, 3))


def agree(
    network: QuantisedNetwork, target: ArrayConfig | Image, samples: dict[str, np.ndarray]
) -> golden.GoldenResult:
    """Run both and compare everything that both know."""
    image = target if isinstance(target, Image) else compile(network, target)
    expected = golden.run(network, samples, record=("u", "v", "r"))
    with Board(ModelArray(image.config, piece=50), image, check=True) as board:
        found = board.run(samples, record=("u", "v", "r"))
        alone = board.run(samples)
    for name, population in expected.populations.items():
        for field in ("u", "v", "r", "spikes"):
            np.testing.assert_array_equal(
                getattr(found.populations[name], field), getattr(population, field), f"{name}.{field}"
            )
    for result in (found, alone):
        for field in ("spikes", "counts", "v"):
            a, b = getattr(result, field), getattr(expected, field)
            if not isinstance(b, dict):
                a, b = {"": a}, {"": b}
            assert a.keys() == b.keys()
            for name in b:
                np.testing.assert_array_equal(a[name], b[name], f"{field} {name}")
        assert result.counters["synapses"].sum() == expected.synapses.sum()
        assert result.counters["saturations"].sum() == sum(s.sum() for s in expected.saturations.values())
        assert result.counters["spikes"].sum() == sum(p.spikes.sum() for p in expected.populations.values())
        assert not result.counters["refused"].any()
        assert not result.counters["unrouted"].any()
        assert (result.cycles > 0).all()
    return expected


KINDS: tuple[Kind, ...] = ("pipelined", "layered")


def mapped(network: QuantisedNetwork, kind: Kind, grid: tuple[int, int], lanes: tuple[int, int]) -> Image:
    """An image on an array of its size; phases that it does not need are there, too."""
    config = size_array(network, *grid, *lanes, plan=schedule(network, kind))
    if kind == "layered":
        config = config.with_core(phases=config.core.phases + 1)
    image = compile(network, config, kind)
    assert not (kind == "layered" and image.latency)
    return image


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(
    seeds, profiles, st.sampled_from((2, 4, 8, 16)), st.sampled_from(GRIDS), st.sampled_from(LANES),
    st.sampled_from(KINDS),
)  # fmt: skip
def test_random_networks(
    seed: int, profile: Profile, bits: int, grid: tuple[int, int], lanes: tuple[int, int], kind: Kind
) -> None:
    network = random_network(seed, profile, bits, tight=kind == "layered")
    agree(network, mapped(network, kind, grid, lanes), random_samples(network, seed))


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(seeds, profiles, st.sampled_from((1, 8)), st.sampled_from(GRIDS))
def test_one_bit_weights_and_shared_rows(seed: int, profile: Profile, bits: int, grid: tuple[int, int]) -> None:
    network = random_network(seed, profile, bits, plain=True)
    shared = bits > 1 or all(p.size % 2 == 0 for p in network.populations)
    config = size_array(network, *grid, 2, 2, parameters_per_neuron=not shared)
    agree(network, config, random_samples(network, seed))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    seeds, profiles, st.sampled_from((1, 2, 4, 8, 16)), st.sampled_from(GRIDS), st.sampled_from(LANES),
    st.sampled_from(KINDS),
)  # fmt: skip
def test_networks_in_space(
    seed: int, profile: Profile, bits: int, grid: tuple[int, int], lanes: tuple[int, int], kind: Kind
) -> None:
    network = in_space_network(seed, profile, bits, tight=kind == "layered")
    agree(network, mapped(network, kind, grid, lanes), random_samples(network, seed))


def test_rows_lie_in_the_order_of_their_phases() -> None:
    """Small populations in front, large ones behind: placement goes by weight, rows must not."""
    ones = {name: np.ones(shape, dtype=np.int64) for name, shape in (("ab", (9, 2)), ("bc", (13, 9)), ("ca", (2, 13)))}
    network = QuantisedNetwork(
        inputs=[InputPopulation(name="in", shape=(3,))],
        populations=[
            Population(name=name, shape=(size,), theta=1, v_min=-1) for name, size in (("a", 2), ("b", 9), ("c", 13))
        ],
        projections=[
            Projection(source="in", target="a", weights=np.ones((2, 3), dtype=np.int64)),
            Projection(source="a", target="b", weights=ones["ab"]),
            Projection(source="b", target="c", weights=ones["bc"]),
            Projection(source="c", target="a", weights=ones["ca"], delay=1),
        ],
        outputs={"out": "c"},
    )  # fmt: skip
    image = compile(network, "auto:1x1:4")
    assert image.config.core.phases == image.phases == 3
    assert [(s.population, s.phase, s.row0) for s in image.slices] == [("a", 0, 0), ("b", 1, 1), ("c", 2, 4)]
    assert image.memories[0, Space.REGISTER][:, 0].tolist() == [1, 3, 4]
    assert image.report["resources"]["phases"]["used"] == 3
    agree(network, image, {"in": np.ones((1, 6, 3), dtype=np.int64)})
    with pytest.raises(FitError, match=r"takes 3 phases a tick, the core has 1.*loop "):
        compile(network, image.config.with_core(phases=1))


def test_the_random_networks_reach_what_they_should() -> None:
    spikes = saturations = sparse = loops = deep = driven = 0
    for seed in range(40):
        network = random_network(seed, Profile.SPIKELOOM)
        run = golden.run(network, random_samples(network, seed))
        spikes += sum(p.spikes.sum() for p in run.populations.values())
        saturations += sum(s.sum() for s in run.saturations.values())
        sparse += any(e.sparse for e in network.projections)
        loops += any(e.source == e.target for e in network.projections)
        deep += compile(network, "auto:2x1:4").latency > 1
        driven += bool(network.drives)
    assert spikes > 1000
    assert min(saturations, sparse, loops, deep, driven) > 3


def two_layers(weights: np.ndarray, sparse: bool = False, **changes: object) -> QuantisedNetwork:
    """Input -> a -> b, with ``weights (a, in)`` and all-to-all ones behind."""
    size, sources = weights.shape
    parameters = {"theta": 5, "v_min": -100, **changes}
    return QuantisedNetwork(
        numerics=changes.pop("numerics", Numerics()),  # type: ignore[arg-type]
        inputs=[InputPopulation(name="in", shape=(sources,))],
        populations=[
            Population(name="a", shape=(size,), **{k: v for k, v in parameters.items() if k != "numerics"}),  # type: ignore[arg-type]
            Population(name="b", shape=(2,), theta=1, v_min=-1),
        ],
        projections=[
            Projection(source="in", target="a", weights=weights, sparse=sparse),
            Projection(source="a", target="b", weights=np.ones((2, size), dtype=np.int64)),
        ],
        outputs={"out": "b"},
    )


CORE = CoreConfig(lanes=4, rows=4, words=64, projections=8, entries=16, sparse=True)


def test_dense_layout_word_by_word() -> None:
    weights = np.arange(1, 25).reshape(6, 4)
    config = ArrayConfig(core=CORE, index_bits=4, key_bits=2)
    image = compile(two_layers(weights), config)
    a, b = image.slices
    assert (a.row0, a.size, a.key, b.key) == (0, 6, 1, 2)
    words = config.core.weight_layout.unpack(image.memories[0, Space.WEIGHT])["weight"]
    assert words[:4].tolist() == [[1, 5, 9, 13], [17, 21, 0, 0], [2, 6, 10, 14], [18, 22, 0, 0]]
    entry = config.core.projection_layout.unpack(image.memories[0, Space.PROJECTION])
    assert {n: int(v[0]) for n, v in entry.items()} == {
        "base": 0, "row": 0, "delay": 1, "first": 0, "count": 1, "sparse": 0,
    }  # fmt: skip
    entry = config.core.coordinate_layout.unpack(image.memories[0, Space.COORDINATE])
    assert {n: int(v[0]) for n, v in entry.items()} == {
        "bits": 2, "table": 0, "scale": 2, "count": 2, "fanout": 6, "word_step": 0, "row_step": 0,
    }  # fmt: skip
    keys = config.key_layout.unpack(image.memories[0, Space.KEY])
    assert keys["count"].tolist() == [1, 1, 0, 0]
    assert keys["sources"].tolist()[:2] == [4, 6]
    parameters = config.core.parameter_layout.unpack(image.memories[0, Space.PARAMETER])
    latency = parameters["latency"].reshape(-1)
    assert latency[:12].tolist() == [0] * 6 + [NEVER] * 2 + [1] * 2 + [NEVER] * 2
    assert (parameters["theta"].reshape(-1)[[6, 7, 10, 11]] == config.numerics.state_max).all()
    assert image.memories[0, Space.REGISTER][Register.ROWS, 0] == 3
    emission = config.emission_layout.unpack(image.memories[0, Space.EMISSION])
    assert emission["valid"].tolist() == [1, 1, 1, 0]
    assert emission["index"].tolist() == [0, 4, 0, 0]
    assert emission["key"].tolist() == [1, 1, 2, 0]


def test_sparse_layout_word_by_word() -> None:
    weights = np.array([[0, 7], [0, 0], [0, 0], [0, 0], [0, 8], [0, 9]])
    weights = np.concatenate([weights, np.ones((6, 5), dtype=np.int64)], axis=1)
    config = ArrayConfig(core=CORE, index_bits=4, key_bits=2)
    image = compile(two_layers(weights, sparse=True), config)
    entry = config.core.entry_layout.unpack(image.memories[0, Space.ENTRY])
    assert [entry[f][:3].tolist() for f in ("word", "count", "fanout")] == [[0, 0, 2], [0, 2, 2], [0, 3, 6]]
    assert image.memories[0, Space.WORD_ROW][:4, 0].tolist() == [0, 1, 0, 1]
    words = config.core.weight_layout.unpack(image.memories[0, Space.WEIGHT])["weight"]
    assert words[:2].tolist() == [[7, 0, 0, 0], [8, 9, 0, 0]]


def test_what_nobody_hears_is_not_sent() -> None:
    network = two_layers(np.zeros((3, 2), dtype=np.int64), sparse=True)
    silent = QuantisedNetwork(
        inputs=network.inputs, populations=network.populations, projections=network.projections,
        outputs={"out": "b"}, states=["out"],
    )  # fmt: skip
    image = compile(silent, ArrayConfig(core=CORE, index_bits=4, key_bits=2))
    assert image.input_keys == {"in": NO_KEY}
    assert [s.key for s in image.slices] == [0, NO_KEY]
    agree(silent, image.config, {"in": np.ones((1, 5, 2), dtype=np.int64)})


PLANTED = {
    Space.WEIGHT: {"weight": 1},
    Space.WORD_ROW: {"row": 1},
    Space.ENTRY: {"word": 1, "count": 1, "fanout": 1, "valid": 1},
    Space.KEY: {"first": 1, "count": 1},
    Space.PROJECTION: {"base": 1, "row": 1, "first": 1, "delay": 2},
    Space.COORDINATE: {"bits": 1, "scale": 1, "count": 1, "fanout": 1},
    Space.EMISSION: {"index": 1, "key": 1, "valid": 1},
    Space.PARAMETER: {"theta": 1 << 6, "latency": 1, "beta": 1 << 11},
    Space.BIAS: {"bias": 1 << 5},
    Space.ROUTE: {"ports": 1 << Port.CORE},
}


def is_caught(image: Image, samples: dict[str, np.ndarray], space: Space, record: int, field: str, mask: int) -> bool:
    """Whether flipped bits in a field of one record of core 0 are noticed."""
    layout, memory = spaces(image.config)[space].layout, image.memories[0, space].copy()
    values = layout.unpack(memory)
    values[field].reshape(len(memory), -1)[record, 0] ^= mask
    memory[:, : layout.columns] = layout.pack(values)
    try:
        agree(image.network, replace(image, memories={**image.memories, (0, space): memory}), samples)
    except (AssertionError, SpikeloomError, IndexError, ValueError):
        return True
    return False


@pytest.mark.parametrize(("space", "field"), [(space, field) for space in PLANTED for field in PLANTED[space]])
def test_planted_bugs_are_caught(space: Space, field: str) -> None:
    rng = np.random.default_rng(3)
    network = two_layers(rng.integers(-3, 9, (6, 8)), sparse=space in (Space.WORD_ROW, Space.ENTRY))
    image = compile(network, size_array(network, 1, 1, 4, 2).with_core(slots=4))
    samples = {"in": rng.integers(0, 2, (2, 12, 8))}
    agree(network, image, samples)
    records = [n for n in range(image.used[0, space]) if space is not Space.KEY or n < 2]
    caught = sum(is_caught(image, samples, space, record, field, PLANTED[space][field]) for record in records)
    assert caught >= (1 if field == "beta" else len(records) / 2), f"{caught} of {len(records)}"


IN_SPACE = {
    Space.ENTRY: {"word": 1, "row": 1, "count": 1},
    Space.COORDINATE: {"bits": 1, "table": 1, "scale": 1, "word_step": 1, "row_step": 1},
}


@pytest.mark.parametrize(("space", "field"), [(space, field) for space in IN_SPACE for field in IN_SPACE[space]])
def test_planted_bugs_in_space_are_caught(space: Space, field: str) -> None:
    rng = np.random.default_rng(5)
    edge = Projection(
        source="in", target="a", weights=rng.integers(-3, 9, (4, 2, 3, 3)), convolution=Convolution(padding=(1, 1))
    )
    network = QuantisedNetwork(
        inputs=[InputPopulation(name="in", shape=(2, 4, 5))],
        populations=[Population(name="a", shape=(4, 4, 5), theta=30, v_min=-100)],
        projections=[edge],
        outputs={"out": "a"},
    )
    image = compile(network, size_array(network, 1, 1, 4, 2))
    samples = {"in": (rng.random((2, 8, 2, 4, 5)) < 0.3).astype(np.int64)}
    agree(network, image, samples)
    records = range(image.used[0, space])
    # The last coordinate has no steps, and no table here.
    mattering = [n for n in records if space is Space.ENTRY or field in ("bits", "scale", "table") or n < 2]
    caught = sum(is_caught(image, samples, space, record, field, IN_SPACE[space][field]) for record in mattering)
    assert caught >= len(mattering) / 2, f"{caught} of {len(mattering)}"


def test_refusals() -> None:
    weights = np.ones((6, 2), dtype=np.int64)
    config = ArrayConfig(core=CORE, index_bits=4, key_bits=2)
    with pytest.raises(FitError, match=r"in -> a: is sparse.*set sparse, and entries"):
        compile(two_layers(weights, sparse=True), config.with_core(entries=0, sparse=False))
    shared = config.with_core(parameters_per_neuron=False)
    with pytest.raises(FitError, match=r"theta differs.*parameters_per_neuron = True.*scale=\"layer\""):
        compile(two_layers(weights, theta=np.arange(6)), shared)
    with pytest.raises(FitError, match=r"lanes of its rows are unused.*parameters_per_neuron"):
        compile(two_layers(weights, theta=-1), shared)
    binary = Numerics(weight_bits=1)
    gaps = weights * (np.arange(6) != 2)[:, None]
    with pytest.raises(FitError, match=r"1-bit weights have no zero"):
        compile(two_layers(gaps, sparse=True, numerics=binary), config.with_core(numerics=binary))
    with pytest.raises(FitError, match=r"weight_bits = 8, the array 4"):
        compile(two_layers(weights), config.with_core(numerics=Numerics(weight_bits=4)))
    heavy = np.full((6, 20), 127)
    narrow = config.with_core(numerics=Numerics(accumulator_bits=12))
    with pytest.raises(FitError, match=r"accumulator_bits: .*13 bits.*have 12"):
        compile(two_layers(heavy), narrow)
