"""Configurations: ranges, messages, the file format and the digest."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from spikeloom.contract.config import ArrayConfig, CoreConfig, bits_for
from spikeloom.contract.errors import ConfigError, SpikeloomError
from spikeloom.contract.numerics import DEFAULT, EXACT, LOIHI, SMALL, Numerics, Profile
from spikeloom.contract.ring import ADDRESS_BITS, Space, spaces

BASE = ArrayConfig(payload_bits=2, core=CoreConfig(entries=9, sums_latency=1, numerics=Numerics(fraction_bits=6)))

CHANGED = {
    Numerics: {
        "profile": Profile.LOIHI, "weight_bits": 4, "fraction_bits": 5, "accumulator_bits": 17, "state_bits": 23,
    },
    CoreConfig: {
        "lanes": 16, "rows": 31, "words": 4095, "slots": 8, "group": 2, "sums_latency": 2, "projections": 17,
        "coordinates": 33, "loops": 2, "entries": 1, "sparse": True, "phases": 2,
        "parameters_per_neuron": False, "adaptive": True, "spike_bits": 2, "event_fifo": 32, "spike_fifo": 32,
        "short": True, "numerics": EXACT,
    },
    ArrayConfig: {
        "width": 2, "height": 3, "key_bits": 7, "index_bits": 13, "payload_bits": 3, "core": CoreConfig(lanes=4),
    },
}  # fmt: skip
"""For each parameter a value that BASE does not have."""


def variants() -> dict[str, ArrayConfig]:
    found = {"base": BASE}
    for name, value in CHANGED[ArrayConfig].items():
        found[f"array {name}"] = replace(BASE, **{name: value})
    for name, value in CHANGED[CoreConfig].items():
        found[f"core {name}"] = BASE.with_core(**{name: value})
    for name, value in CHANGED[Numerics].items():
        found[f"numerics {name}"] = BASE.with_core(numerics=replace(BASE.numerics, **{name: value}))
    return found


def test_the_variants_change_every_parameter() -> None:
    for cls, changes in CHANGED.items():
        assert {f.name for f in fields(cls)} == set(changes)


def test_digest_differs_when_any_parameter_differs() -> None:
    digests = {name: config.digest for name, config in variants().items()}
    assert len(set(digests.values())) == len(digests), digests
    assert all(0 <= digest < 1 << 64 for digest in digests.values())
    assert replace(BASE).digest == BASE.digest


@pytest.mark.parametrize("name", variants())
def test_dict_round_trip(name: str) -> None:
    config = variants()[name]
    assert ArrayConfig.from_dict(config.to_dict()) == config
    back = ArrayConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert back == config
    assert back.digest == config.digest
    assert hash(back) == hash(config)
    assert isinstance(back.numerics.profile, Profile)


def test_dicts_of_another_shape_are_refused() -> None:
    values = BASE.to_dict()
    for broken, message in [
        ({**values, "depth": 1}, r"array: .* \['depth'\]"),
        ({k: v for k, v in values.items() if k != "width"}, r"array: .* \['width'\]"),
        ({**values, "core": {**values["core"], "gears": 1}}, r"core: .* \['gears'\]"),
        ({**values, "core": 5}, "core: .* 5"),
        ({**values, "core": {**values["core"], "numerics": {}}}, r"numerics: .* \['accumulator_bits', .*\]"),
        ({**values, "width": "2"}, "array: width must be an integer, not '2'"),
        ([], "array: "),
    ]:
        with pytest.raises(ConfigError, match=message):
            ArrayConfig.from_dict(broken)


@pytest.mark.parametrize(
    ("cls", "parameters", "message"),
    [
        (Numerics, {"weight_bits": 3}, r"numerics: weight_bits must be one of \(1, 2, 4, 8, 16\), not 3"),
        (Numerics, {"fraction_bits": 9}, "numerics: fraction_bits must be 0 to 8, not 9"),
        (Numerics, {"accumulator_bits": 11}, "numerics: accumulator_bits must be 12 to 24, not 11"),
        (Numerics, {"state_bits": 33}, "numerics: state_bits must be 12 to 32, not 33"),
        (Numerics, {"state_bits": 24.0}, "numerics: state_bits must be an integer, not 24.0"),
        (Numerics, {"profile": "xylo"}, "numerics: profile must be one of .* not 'xylo'"),
        (Numerics, {"profile": "loihi"}, "the loihi profile has fraction_bits 6, not 4"),
        (CoreConfig, {"lanes": 0}, "core: lanes must be 1 to 128, not 0"),
        (CoreConfig, {"rows": 4097}, "core: rows must be 1 to 4096, not 4097"),
        (CoreConfig, {"words": 1}, "core: words must be 2 to 262144, not 1"),
        (CoreConfig, {"slots": 6}, "core: slots must be a power of two, not 6"),
        (CoreConfig, {"event_fifo": 3}, "core: event_fifo must be a power of two, not 3"),
        (CoreConfig, {"spike_fifo": 1}, "core: spike_fifo must be 2 to 1024, not 1"),
        (CoreConfig, {"group": 3}, "core: group must divide lanes = 8, 3 does not"),
        (CoreConfig, {"entries": -1}, "core: entries must be 0 to 262144, not -1"),
        (CoreConfig, {"projections": True}, "core: projections must be an integer, not True"),
        (ArrayConfig, {"width": 0}, "array: width must be 1 to 64, not 0"),
        (ArrayConfig, {"width": 8, "height": 9}, r"array: cores \(width \* height\) must be 1 to 64, not 72"),
        (ArrayConfig, {"key_bits": 11}, "array: key_bits must be 1 to 10, not 11"),
        (ArrayConfig, {"index_bits": 0}, "array: index_bits must be 1 to 20, not 0"),
        (CoreConfig, {"spike_bits": 9}, "core: spike_bits must be 0 to 8, not 9"),
        (ArrayConfig, {"core": CoreConfig(spike_bits=3), "payload_bits": 2}, "payload_bits must hold .* = 3, 2 do not"),
        (
            ArrayConfig,
            {"core": CoreConfig(numerics=Numerics(accumulator_bits=15)), "payload_bits": 8},
            "takes 16 bits, ",
        ),
    ],
)
def test_messages(cls: type, parameters: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        cls(**parameters)
    assert isinstance(caught.value, SpikeloomError)


@pytest.mark.parametrize(
    ("numerics", "state", "weight"),
    [
        (DEFAULT, (-(1 << 23), (1 << 23) - 1), (-128, 127)),
        (SMALL, (-32768, 32767), (-128, 127)),
        (EXACT, (-(1 << 23), (1 << 23) - 1), (-32768, 32767)),
        (LOIHI, (1 - (1 << 23), (1 << 23) - 1), (-128, 127)),
        (Numerics(weight_bits=1), (-(1 << 23), (1 << 23) - 1), (-1, 1)),
        (Numerics(weight_bits=2), (-(1 << 23), (1 << 23) - 1), (-1, 1)),
    ],
)
def test_ranges_of_the_named_numerics(numerics: Numerics, state: tuple, weight: tuple) -> None:
    assert (numerics.state_min, numerics.state_max) == state
    assert (numerics.weight_min, numerics.weight_max) == weight


def test_derived_sizes() -> None:
    core = CoreConfig(lanes=8, rows=33, words=4096, slots=4, group=2, projections=16)
    assert (core.neurons, core.groups, core.sparse) == (264, 4, False)
    assert (core.row_bits, core.word_bits, core.slot_bits, core.projection_bits) == (6, 12, 2, 4)
    assert (core.count_bits, core.fanout_bits) == (6, 9)
    assert core.accumulator_depth == 4 * 64
    assert core.parameter_depth == 33 * 4
    assert replace(core, parameters_per_neuron=False).parameter_depth == 33
    assert core.weight_layout.width == 64
    array = ArrayConfig(width=3, height=2)
    assert [array.position(n) for n in range(6)] == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    assert [bits_for(n) for n in (1, 2, 3, 4, 5, 256, 257)] == [1, 1, 2, 2, 3, 8, 9]


@pytest.mark.parametrize("entries", [0, 1 << 18])
def test_every_space_of_the_largest_core_has_addresses(entries: int) -> None:
    numerics = Numerics(weight_bits=16, accumulator_bits=24, state_bits=32)
    core = CoreConfig(
        lanes=128,
        rows=4096,
        words=1 << 18,
        slots=64,
        group=128,
        projections=1024,
        coordinates=3072,
        entries=entries,
        sparse=entries > 0,
        numerics=numerics,
    )
    found = spaces(ArrayConfig(core=core, key_bits=10, index_bits=20))
    assert (set(Space) - set(found)) == (set() if entries else {Space.WORD_ROW, Space.ENTRY})
    for space, geometry in found.items():
        assert geometry.address_bits <= ADDRESS_BITS, space
        assert geometry.layout.columns <= geometry.stride < 2 * geometry.layout.columns, space
