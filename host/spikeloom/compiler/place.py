"""Placement: pieces of populations are spread over the cores, and slices get their keys and links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..contract.config import PAYLOAD_BITS_MAX, ArrayConfig, CoreConfig, bits_for
from ..contract.errors import FitError
from ..contract.fabric import HOST
from ..contract.grid import Grid
from ..contract.network import Projection, QuantisedNetwork
from ..image import NO_KEY, Slice
from .pieces import Piece, cut, entries_needed, in_space, joined, reaches, walks_sparsely, whole
from .schedule import Schedule


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Link:
    """The synapses of one projection from one source (an input or a slice) onto one slice.

    ``source`` are the neurons behind ``key``; ``core`` is the source's, or :data:`HOST`.
    """

    projection: Projection
    delay: int
    key: int
    core: int
    source: Grid
    target: Slice


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Placement:
    """Where everything is: slices, keys of inputs, and the links between them; ``to_host`` are keys of outputs."""

    slices: tuple[Slice, ...]
    input_keys: dict[str, int]
    input_grids: dict[str, Grid]
    links: tuple[Link, ...]
    to_host: frozenset[int]

    @property
    def keys(self) -> int:
        return sum(key != NO_KEY for key in [*self.input_keys.values(), *(s.key for s in self.slices)])


def place(network: QuantisedNetwork, config: ArrayConfig, plan: Schedule) -> Placement:
    """Spread a network over an array, widely where that fits. Raises :class:`FitError` for what does not fit."""
    _check_inputs(network, config)
    spread, first = config.cores, None
    while spread:
        try:
            pieces = {p.name: cut(network, p, config.core, spread) for p in network.populations}
            _check_totals(network, config, pieces)
            placement = _connect(network, config, plan, _cut(network, config, plan, pieces, spread))
            _check_tables(network, config, placement)
            return placement
        except FitError as error:  # wide slices cost keys and projections: try fewer, and report the first trouble
            first, spread = first or error, spread // 2
    assert first is not None
    raise first


def _cut(
    network: QuantisedNetwork, config: ArrayConfig, plan: Schedule, pieces: dict[str, list[Piece]], spread: int
) -> list[Slice]:
    """Slices without keys, in the network's order: the costliest population first, by pieces to the idlest core."""
    core = config.core
    loads = np.zeros(config.cores)
    rows_used = np.zeros(config.cores, dtype=np.int64)
    words_used = np.zeros(config.cores, dtype=np.int64)
    entries_used = np.zeros(config.cores, dtype=np.int64)
    slices = []
    for population in sorted(network.populations, key=lambda p: -sum(piece.load for piece in pieces[p.name])):
        mine = pieces[population.name]
        entries = entries_needed(network, population.name)
        usable = np.flatnonzero(entries_used + entries <= core.entries)
        if not len(usable):
            raise FitError(
                f"population {population.name}: no core has {entries} entries left for its sparse projections and "
                f"convolutions; the fullest has {int(entries_used.max())} of {core.entries} in use: raise entries by "
                f"{entries - core.entries + int(entries_used.min())} or use more cores",
                "entries",
                entries + int(entries_used.min()),
            )
        shares = _shares(mine, usable, rows_used, words_used, loads, core, spread)
        at = 0
        for n in np.flatnonzero(shares):
            for grid in joined([piece.grid for piece in mine[at : at + int(shares[n])]]):
                slices.append(
                    Slice(
                        population=population.name, grid=grid, core=int(n), row0=int(rows_used[n]),
                        key=NO_KEY, latency=plan.latencies[population.name], phase=plan.phases[population.name],
                    )
                )  # fmt: skip
                rows_used[n] += grid.rows(core.lanes)
            words_used[n] += sum(piece.words for piece in mine[at : at + int(shares[n])])
            loads[n] += sum(piece.load for piece in mine[at : at + int(shares[n])])
            entries_used[n] += entries
            at += int(shares[n])
        if at < len(mine):
            rows, words = (max(getattr(piece, name) for piece in mine[at:]) for name in ("rows", "words"))
            raise FitError(
                f"population {population.name}: {len(mine) - at} of its {len(mine)} pieces find no core: a piece takes "
                f"{words} words and {rows} rows, the cores have {(core.words - words_used).tolist()} words and "
                f"{(core.rows - rows_used).tolist()} rows left; raise words (now {core.words}), rows (now {core.rows}) "
                "or the number of cores",
                "words",
                core.words + words,
            )
    order = {p.name: n for n, p in enumerate(network.populations)}
    slices = _by_phase(slices, core)
    return sorted(slices, key=lambda s: (order[s.population], s.grid.channels[0], s.grid.y[0]))


def _by_phase(slices: Sequence[Slice], core: CoreConfig) -> list[Slice]:
    """The same slices in other rows: on each core, those of an earlier phase lie in front."""
    next_row: dict[int, int] = {}
    result = []
    for s in sorted(slices, key=lambda s: (s.core, s.phase, s.row0)):
        row0 = next_row.get(s.core, 0)
        result.append(replace(s, row0=row0))
        next_row[s.core] = row0 + s.rows(core.lanes)
    return result


def _shares(
    pieces: list[Piece],
    usable: np.ndarray,
    rows_used: np.ndarray,
    words_used: np.ndarray,
    loads: np.ndarray,
    core: CoreConfig,
    spread: int,
) -> np.ndarray:
    """Pieces of one population for each core, ``int64 (cores,)``: contiguous runs in the order of the cores.

    The loads become even; up to ``spread`` cores, more only where those are full.
    """
    words = np.array([piece.words for piece in pieces], dtype=np.int64)
    rows = np.array([piece.rows for piece in pieces], dtype=np.int64)
    mean, tall = (words.mean(), int(rows.max())) if len(pieces) else (0.0, 1)
    load = sum(piece.load for piece in pieces) / max(1, len(pieces))
    shares = np.zeros(len(rows_used), dtype=np.int64)
    idlest = usable[np.lexsort((words_used[usable], loads[usable]))]
    chosen, waiting = list(idlest[:spread]), list(idlest[spread:])
    for _ in range(len(words)):
        while True:
            open_cores = [
                n for n in chosen
                if rows_used[n] + (shares[n] + 1) * tall <= core.rows
                and words_used[n] + (shares[n] + 1) * mean <= core.words
            ]  # fmt: skip
            if open_cores or not waiting:
                break
            chosen.append(waiting.pop(0))
        if not open_cores:
            break
        shares[min(open_cores, key=lambda n: (loads[n] + shares[n] * load, words_used[n] + shares[n] * mean))] += 1
    # Pieces differ: cut each run where its words or rows end, and let the next cores take the rest.
    at, result, carry = 0, np.zeros_like(shares), len(words) - int(shares.sum())
    for n in sorted(chosen):
        want = int(shares[n]) + carry
        fitting = [
            np.searchsorted(np.cumsum(each[at : at + want]), left, side="right")
            for each, left in ((words, core.words - words_used[n]), (rows, core.rows - rows_used[n]))
        ]
        result[n] = min(fitting)
        at, carry = at + int(result[n]), carry + int(shares[n] - result[n])
    return result


def _connect(network: QuantisedNetwork, config: ArrayConfig, plan: Schedule, slices: Sequence[Slice]) -> Placement:
    """Give keys to inputs and slices that have receivers, and list the links."""
    by_name: dict[str, list[int]] = {}
    for n, s in enumerate(slices):
        by_name.setdefault(s.population, []).append(n)
    shown = {p for output, p in network.outputs.items() if output not in network.states}
    spatial = in_space(network)
    grids = {i.name: whole(network, i.name, spatial) for i in network.inputs}
    draft: list[tuple[Projection, int, str | int, Grid, int]] = []
    for edge, delay in zip(network.projections, plan.delays, strict=True):
        sources: list[tuple[str | int, Grid]] = (
            [(n, slices[n].grid) for n in by_name.get(edge.source, [])]
            if edge.source in plan.latencies
            else [(edge.source, grids[edge.source])]
        )
        for source, grid in sources:
            for n in by_name.get(edge.target, []):
                if reaches(network, edge, grid, slices[n].grid):
                    draft.append((edge, delay, source, grid, n))
    heard = {source for _, _, source, _, _ in draft}
    names: list[str | int] = [i.name for i in network.inputs]
    names += range(len(slices))
    keys: dict[str | int, int] = {}
    for name in names:
        if name in heard or (isinstance(name, int) and slices[name].population in shown):
            keys[name] = len(keys)
    placed = tuple(replace(s, key=keys.get(n, NO_KEY)) for n, s in enumerate(slices))
    return Placement(
        slices=placed,
        input_keys={i.name: keys.get(i.name, NO_KEY) for i in network.inputs},
        input_grids=grids,
        links=tuple(
            Link(
                projection=edge, delay=delay, key=keys[source],
                core=slices[source].core if isinstance(source, int) else HOST,
                source=grid, target=placed[n],
            )
            for edge, delay, source, grid, n in draft
        ),
        to_host=frozenset(s.key for s in placed if s.population in shown),
    )  # fmt: skip


def _check_inputs(network: QuantisedNetwork, config: ArrayConfig) -> None:
    spatial = in_space(network)
    for i in network.inputs:
        sources = whole(network, i.name, spatial).sources
        if sources > 1 << config.index_bits and any(e.source == i.name for e in network.projections):
            raise FitError(
                f"input {i.name}: has indices up to {sources - 1}, index_bits = {config.index_bits} hold "
                f"{1 << config.index_bits}: raise index_bits to {bits_for(sources)}"
            )
        if i.graded and i.max_count >= 1 << config.payload_bits:
            raise FitError(
                f"input {i.name}: is graded with values up to {i.max_count}, payload_bits = {config.payload_bits} hold "
                f"{(1 << config.payload_bits) - 1}: raise payload_bits to {i.max_count.bit_length()}"
                + (f" (at most {PAYLOAD_BITS_MAX})" if i.max_count >> PAYLOAD_BITS_MAX else "")
            )


def _check_totals(network: QuantisedNetwork, config: ArrayConfig, pieces: dict[str, list[Piece]]) -> None:
    core = config.core
    for population in network.populations:
        if population.adapts and not core.adaptive:
            raise FitError(
                f"population {population.name}: its neurons adapt, and those of this array do not: set adaptive = True"
            )
        if population.spike_bits > core.spike_bits:
            raise FitError(
                f"population {population.name}: its neurons send up to {population.max_count} spikes in a tick, and "
                f"this array's cores have spike_bits = {core.spike_bits}: set spike_bits = {population.spike_bits}, "
                "and payload_bits to as many at least",
            )
    for edge in network.projections:
        if walks_sparsely(edge) and not core.sparse:
            raise FitError(
                f"projection {edge.name}: is sparse (or its pool's windows overlap), and the words of this core carry "
                "no rows: set sparse, and entries to at least a source neuron's number"
            )
    every = [piece for mine in pieces.values() for piece in mine]
    rows, words = sum(piece.rows for piece in every), sum(piece.words for piece in every)
    have = config.cores * core.rows
    if rows > have:
        raise FitError(
            f"rows: the network takes {rows} rows of {core.lanes} lanes, {config.cores} cores of {core.rows} rows have "
            f"{have}, {rows - have} too few: raise rows to {-(-rows // config.cores)}, or lanes, or more cores",
            "rows",
            -(-rows // config.cores),
        )
    have = config.cores * core.words
    if words > have and not any(edge.convolution for edge in network.projections):  # kernels may be shared
        raise FitError(
            f"words: the network's weights take {words} words of {core.lanes} lanes, {config.cores} cores of "
            f"{core.words} words have {have}, {words - have} too few: raise words to {-(-words // config.cores)}, "
            "or the number of cores",
            "words",
            -(-words // config.cores),
        )


def _check_tables(network: QuantisedNetwork, config: ArrayConfig, placement: Placement) -> None:
    if placement.keys > config.keys:
        raise FitError(
            f"keys: inputs and slices take {placement.keys} keys, key_bits = {config.key_bits} give {config.keys}, "
            f"{placement.keys - config.keys} too few: raise key_bits to {bits_for(placement.keys)}",
            "key_bits",
            bits_for(placement.keys),
        )
    used = np.bincount([link.target.core for link in placement.links], minlength=config.cores)
    if used.max(initial=0) > config.core.projections:
        raise FitError(
            f"projections: core {int(used.argmax())} takes {used.max()} of its {config.core.projections}, "
            f"{used.max() - config.core.projections} too few: raise projections to {used.max()}",
            "projections",
            int(used.max()),
        )
