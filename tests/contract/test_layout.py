"""Bit layouts: what is packed comes back, what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.contract.errors import ConfigError
from spikeloom.contract.layout import Field, Layout

SETTINGS = settings(deadline=None, derandomize=True, database=None)


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    fields = draw(st.lists(st.tuples(st.integers(1, 32), st.booleans()), min_size=1, max_size=6))
    repeat = draw(st.none() | st.integers(1, 9))
    return Layout(tuple(Field(f"f{n}", bits, signed) for n, (bits, signed) in enumerate(fields)), repeat)


@st.composite
def records(draw: st.DrawFn) -> tuple[Layout, dict[str, np.ndarray]]:
    layout = draw(layouts())
    shape = (*draw(st.sampled_from([(), (3,), (2, 2)])), *((layout.repeat,) if layout.repeat else ()))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = {}
    for field in layout.fields:
        anything = rng.integers(field.low, field.high, shape, endpoint=True)
        ends = rng.choice([field.low, field.high], shape)
        values[field.name] = np.where(rng.random(shape) < 0.5, anything, ends)
    return layout, values


@SETTINGS
@given(records())
def test_round_trip(case: tuple[Layout, dict[str, np.ndarray]]) -> None:
    layout, values = case
    words = layout.pack(values)
    lead = next(iter(values.values())).shape[: -1 if layout.repeat else None]
    assert words.dtype == np.uint32
    assert words.shape == (*lead, layout.columns)
    back = layout.unpack(words)
    for name, array in values.items():
        assert back[name].dtype == np.int64
        assert back[name].shape == array.shape
        assert (back[name] == array).all()


@SETTINGS
@given(records())
def test_bits_lie_where_the_layout_says(case: tuple[Layout, dict[str, np.ndarray]]) -> None:
    """The first field of the first record is least significant; one Python integer says the same."""
    layout, values = case
    words = layout.pack(values).reshape(-1, layout.columns)
    columns = {name: array.reshape(len(words), -1) for name, array in values.items()}
    for n, row in enumerate(words.tolist()):
        number, offset = 0, 0
        for record in range(layout.repeat or 1):
            for field in layout.fields:
                number |= (int(columns[field.name][n, record]) % 2**field.bits) << offset
                offset += field.bits
        assert offset == layout.width
        assert sum(word << 32 * column for column, word in enumerate(row)) == number


def test_by_hand() -> None:
    layout = Layout((Field("a", 4), Field("b", 8, signed=True), Field("c", 32)))
    assert layout.pack({"a": 5, "b": -2, "c": 0x12345678}).tolist() == [0x45678FE5, 0x123]
    assert (layout.record_bits, layout.width, layout.columns) == (44, 44, 2)
    assert layout["b"].low == -128
    pair = layout.times(3)
    assert (pair.record_bits, pair.width, pair.columns) == (44, 132, 5)
    with pytest.raises(KeyError):
        layout["d"]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 7, 31, 32])
def test_values_out_of_range_are_refused(bits: int, signed: bool) -> None:
    field = Field("x", bits, signed)
    layout = Layout((field,))
    for fits in (field.low, field.high):
        assert layout.unpack(layout.pack({"x": fits}))["x"] == fits
    for bad in (field.low - 1, field.high + 1, 1 << 40, -(1 << 40), (1 << 64) - 1):
        with pytest.raises(ConfigError, match=rf"x must be {field.low} to {field.high}, not {bad}"):
            layout.pack({"x": np.array([field.low, bad][1:])})


def test_other_misuse_is_refused() -> None:
    layout = Layout((Field("a", 4), Field("b", 4)), 2)
    good = np.array([1, 2])
    with pytest.raises(ConfigError, match=r"\['b'\] are missing or unknown"):
        layout.pack({"a": good})
    with pytest.raises(ConfigError, match=r"\['c'\] are missing or unknown"):
        layout.pack({"a": good, "b": good, "c": good})
    with pytest.raises(ConfigError, match="the layout has 2 records"):
        layout.pack({"a": np.zeros(3, dtype=int), "b": np.zeros(3, dtype=int)})
    with pytest.raises(ConfigError, match="the layout has 2 records"):
        layout.pack({"a": 1, "b": 2})
    with pytest.raises(ConfigError, match="b must be integers, not float64"):
        layout.pack({"a": good, "b": good * 0.5})
    with pytest.raises(ConfigError, match="1 words given, the layout has 2"):
        Layout((Field("a", 33 // 2), Field("b", 32))).unpack(np.zeros((5, 1), dtype=np.uint32))
    for bits in (0, 33):
        with pytest.raises(ConfigError, match="field a: bits must be 1 to 32"):
            Field("a", bits)
