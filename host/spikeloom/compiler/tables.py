"""Links as walks: the words of one core's weight memory, and the records that lead an event through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..contract.config import CoreConfig
from ..contract.errors import FitError
from ..contract.grid import Grid
from ..contract.network import Projection, QuantisedNetwork
from .pieces import present, walks_sparsely
from .place import Link
from .relation import behind, channel_range, pooled, relation

Record = dict[str, int]


@dataclass(kw_only=True)
class Tables:
    """What grows while the links of one core are laid out; what is there already is used again."""

    words: list[np.ndarray] = field(default_factory=list)
    word_rows: list[np.ndarray] = field(default_factory=list)
    entries: list[Record] = field(default_factory=list)
    coordinates: list[Record] = field(default_factory=list)
    projections: list[Record] = field(default_factory=list)
    keys: dict[int, list[int]] = field(default_factory=dict)
    at: int = 0
    _known: dict[Any, int] = field(default_factory=dict)

    def once(self, what: Any, add: Callable[[], int]) -> int:
        """Where something lies that may be there already."""
        if what not in self._known:
            self._known[what] = add()
        return self._known[what]

    def add_words(self, words: np.ndarray, rows: np.ndarray | None = None) -> int:
        """Words ``(n, lanes)``, and the row of each where they are sparse; returns where they lie."""
        base, self.at = self.at, self.at + len(words)
        self.words.append(words)
        self.word_rows.append(np.zeros(len(words), dtype=np.int64) if rows is None else rows)
        return base

    def add_entries(self, entries: list[Record]) -> int:
        def add() -> int:
            self.entries += entries
            return len(self.entries) - len(entries)

        return self.once(("entries", tuple(tuple(e.values()) for e in entries)), add)

    def add_projection(self, coordinates: list[Record], record: Record) -> None:
        def add() -> int:
            self.coordinates += coordinates
            return len(self.coordinates) - len(coordinates)

        first = self.once(("coordinates", tuple(tuple(c.values()) for c in coordinates)), add)
        self.projections.append(record | {"first": first, "count": len(coordinates)})


def lay_out(network: QuantisedNetwork, core: CoreConfig, link: Link, tables: Tables) -> None:
    """Add the words, entries, coordinates and the projection of a link."""
    edge = link.projection
    record = {"delay": link.delay, "sparse": int(walks_sparsely(edge))}
    if walks_sparsely(edge):
        _sparse(network, core, link, tables, record)
    elif edge.convolution:
        _convolution(network, core, link, tables, record)
    else:
        _dense(network, core, link, tables, record)


def _coordinate(**values: int) -> Record:
    fields = ("bits", "table", "scale", "count", "fanout", "word_step", "row_step")
    return {name: values.get(name, 0) for name in fields}


def _entry(word: int, count: int, row: int = 0, fanout: int = 0) -> Record:
    return {"word": int(word), "row": int(row), "count": int(count), "fanout": int(fanout), "valid": 1}


UNKNOWN: Record = {"word": 0, "row": 0, "count": 0, "fanout": 0, "valid": 0}


def _axis(tables: Tables, core: CoreConfig, bits: int, entries: list[Record], step: tuple[int, int]) -> list[Record]:
    """The coordinate of an axis of space: one entry a position, then unknown ones up to the field's end.

    None where there is but one position, and nothing to say of it.
    """
    if bits == 0 and entries == [_entry(0, 1)]:
        return []
    base = tables.add_entries(entries + [UNKNOWN] * ((1 << bits) - len(entries)))
    return [
        _coordinate(
            bits=bits, table=1, scale=base,
            word_step=step[0] % (1 << core.word_bits), row_step=step[1] % (1 << core.row_bits),
        )
    ]  # fmt: skip


def _lanes(core: CoreConfig, grid: Grid, weights: np.ndarray) -> np.ndarray:
    """Rows of lanes ``(rows * lanes, n)`` from weights ``(grid.size, n)``; 1-bit weights as they are stored."""
    values = np.zeros((grid.rows(core.lanes) * core.lanes, weights.shape[1]), dtype=np.int64)
    values[grid.places(core.lanes)] = weights < 0 if core.numerics.weight_bits == 1 else weights
    return values


def _dense(network: QuantisedNetwork, core: CoreConfig, link: Link, tables: Tables, record: Record) -> None:
    """All words of a source side by side, a row each; behind a pool, of a position."""
    edge, source, target = link.projection, link.source, link.target
    rows = target.rows(core.lanes)
    y_bits, x_bits = source.field_bits
    if edge.pool is None and not y_bits + x_bits:  # no space, or none that matters: neurons are channels
        columns, scale = source.neurons(), rows
        x_axis = y_axis = []
    else:
        _, height, width = behind(network, edge)
        at = [pooled(edge, axis, source, length) for axis, length in enumerate((height, width))]
        corner = [int(a[a >= 0].min(initial=length)) for a, length in zip(at, (height, width), strict=True)]
        lengths = [int(a.max(initial=-1)) + 1 - c if (a >= 0).any() else 0 for a, c in zip(at, corner, strict=True)]
        c, y, x = np.indices((source.lengths[0], *lengths)).reshape(3, -1)
        columns = ((source.channels[0] + c) * height + corner[0] + y) * width + corner[1] + x
        scale = rows * lengths[0] * lengths[1]
        units = (rows * lengths[1], rows)
        y_axis, x_axis = (
            _axis(
                tables, core, bits,
                [_entry((p - low) * unit, 1) if p >= 0 else _entry(0, 0) for p in positions.tolist()], (0, 0),
            )
            for bits, positions, low, unit in zip((y_bits, x_bits), at, corner, units, strict=True)
        )  # fmt: skip

    def add() -> int:
        words = _lanes(core, target.grid, edge.weights[np.ix_(target.grid.neurons(), columns)])
        return tables.add_words(words.T.reshape(len(columns) * rows, core.lanes))

    bits = _index_bits(source) - y_bits - x_bits
    channel = _coordinate(bits=bits, scale=scale, count=rows, fanout=target.size)
    base = tables.once(("dense", id(edge), target.grid, columns.tobytes()), add)
    tables.add_projection([*x_axis, *y_axis, channel], record | {"base": base, "row": target.row0})


def _index_bits(grid: Grid) -> int:
    return (grid.sources - 1).bit_length()


def _sparse(network: QuantisedNetwork, core: CoreConfig, link: Link, tables: Tables, record: Record) -> None:
    """Only the words that hold a synapse; each carries its row, and the entry of each index points at its own."""
    source, target, edge = link.source, link.target, link.projection
    matrix = network.matrix(edge)[target.grid.neurons()][:, source.neurons()]
    low, high = core.numerics.weight_min, core.numerics.weight_max
    if matrix.nnz and (matrix.data.min() < low or matrix.data.max() > high):
        raise FitError(
            f"projection {edge.name}: the windows of its pool overlap, and sums of its weights reach "
            f"{matrix.data.min()} to {matrix.data.max()}, beyond {core.numerics.weight_bits} bits"
        )
    found = present(matrix, target.grid, core.lanes)  # (sources, rows)
    rows = found.shape[1]
    words = _lanes(core, target.grid, matrix.toarray()).T.reshape(source.size, rows, core.lanes)[found]
    at_row = np.nonzero(found)[1]
    if core.numerics.weight_bits == 1:
        _check_gaps(edge, core, target.grid, matrix, found)
    counts, fanouts = found.sum(axis=1), np.diff(matrix.tocsc().indptr)
    starts = np.cumsum(counts) - counts
    entries = [UNKNOWN] * source.sources
    for index, start, count, fanout in zip(source.indices(), starts, counts, fanouts, strict=True):
        entries[index] = _entry(start if count else 0, count, fanout=fanout)
    bits = _index_bits(source)
    base = tables.add_words(words, target.row0 + at_row)
    scale = tables.add_entries(entries)  # the key's own limit keeps indices below its end
    tables.add_projection([_coordinate(bits=bits, table=1, scale=scale)], record | {"base": base, "row": 0})


def _check_gaps(edge: Projection, core: CoreConfig, grid: Grid, matrix: Any, found: np.ndarray) -> None:
    """1-bit weights have no zero: every lane in use of a word must be a synapse."""
    used = np.bincount(grid.places(core.lanes) // core.lanes, minlength=found.shape[1])
    if int((found * used).sum()) != matrix.nnz:
        raise FitError(
            f"projection {edge.name}: a word of {core.lanes} lanes holds synapses and gaps, and 1-bit weights have no "
            "zero: use weight_bits = 2"
        )


def _convolution(network: QuantisedNetwork, core: CoreConfig, link: Link, tables: Tables, record: Record) -> None:
    """The kernel once: for each channel of the source its places, for each of these the blocks of the target."""
    edge, source, target = link.projection, link.source, link.target
    assert edge.convolution is not None
    shape, grid, lanes = behind(network, edge), target.grid, core.lanes
    _, width = grid.lengths[1:]
    heard = [channel_range(edge, c, grid) for c in range(*source.channels)]
    spans = [(h.start // lanes, -(-h.stop // lanes)) if h else (0, 0) for h in heard]
    blocks = max(last - first for first, last in spans)
    kernel_y, kernel_x = edge.weights.shape[2:]

    def add() -> int:
        return tables.add_words(_kernel(core, edge, source, grid, heard, spans, blocks))

    base = tables.once(("kernel", id(edge), grid.channels, source.channels), add)
    axes: list[Record] = []
    for axis, bits, unit, row_unit in (
        (1, source.field_bits[1], blocks, grid.blocks(lanes)),
        (0, source.field_bits[0], blocks * kernel_x, grid.blocks(lanes) * width),
    ):
        found = relation(edge, axis, source, grid, shape)
        entries = [
            _entry(tap * unit, count, row=at * row_unit)
            for tap, count, at in zip(found.tap, found.count, found.target, strict=True)
        ]
        axes += _axis(tables, core, bits, entries, (found.tap_step * unit, found.target_step * row_unit))
    stride = kernel_y * kernel_x * blocks
    bits = _index_bits(source) - sum(source.field_bits)
    if edge.convolution.groups == 1:
        channel = _coordinate(bits=bits, scale=stride, count=blocks, fanout=grid.lengths[0])
    else:
        offsets = np.cumsum([0] + [stride * bool(h) for h in heard]).tolist()
        entries = [
            _entry(offset if h else 0, last - first, row=first, fanout=len(h))
            for h, (first, last), offset in zip(heard, spans, offsets, strict=False)
        ]
        scale = tables.add_entries(entries)
        channel = _coordinate(bits=bits, table=1, scale=scale)
    tables.add_projection([*axes, channel], record | {"base": base, "row": target.row0})


def _kernel(
    core: CoreConfig, edge: Projection, source: Grid, target: Grid, heard: list[range], spans: list, blocks: int
) -> np.ndarray:
    """Words of a kernel: for each source channel that is heard, ``kernel height x width x blocks``."""
    lanes, (taps_y, taps_x) = core.lanes, edge.weights.shape[2:]
    words = []
    for n, (hears, (first, _)) in enumerate(zip(heard, spans, strict=True)):
        if not hears:
            continue
        within = (source.channels[0] + n) % edge.weights.shape[1]
        lines = np.zeros((blocks * lanes, taps_y, taps_x), dtype=np.int64)
        at = np.arange(hears.start, hears.stop) - first * lanes
        kernel = edge.weights[target.channels[0] + hears.start : target.channels[0] + hears.stop, within]
        lines[at] = kernel
        if core.numerics.weight_bits == 1:
            used = np.zeros(blocks * lanes, dtype=bool)
            used[: min(blocks * lanes, target.lengths[0] - first * lanes)] = True
            if used.sum() != len(at):
                raise FitError(
                    f"projection {edge.name}: a group ends within a word of {lanes} lanes, and 1-bit weights have no "
                    "zero: use weight_bits = 2"
                )
            lines = (lines < 0).astype(np.int64)
        words.append(lines.transpose(1, 2, 0).reshape(taps_y * taps_x * blocks, lanes))
    return np.concatenate(words)
