"""Placement: populations are cut into slices of whole rows, and slices are spread over the cores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..contract.config import ArrayConfig, CoreConfig, bits_for
from ..contract.errors import FitError
from ..contract.fabric import HOST
from ..contract.network import Population, Projection, QuantisedNetwork
from ..image import NO_KEY, Slice
from .schedule import Schedule


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Link:
    """The synapses of one projection from one source (an input or a slice) onto one slice.

    ``weights`` are ``(target.size, sources)``, with ``sources`` neurons behind ``key``; ``core`` is the source's, or
    :data:`HOST`.
    """

    projection: Projection
    delay: int
    key: int
    core: int
    target: Slice
    weights: np.ndarray

    @property
    def sources(self) -> int:
        return self.weights.shape[1]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Placement:
    """Where everything is: slices, keys of inputs, and the links between them; ``to_host`` are keys of outputs."""

    slices: tuple[Slice, ...]
    input_keys: dict[str, int]
    links: tuple[Link, ...]
    to_host: frozenset[int]

    @property
    def keys(self) -> int:
        return sum(key != NO_KEY for key in [*self.input_keys.values(), *(s.key for s in self.slices)])


def place(network: QuantisedNetwork, config: ArrayConfig, plan: Schedule) -> Placement:
    """Spread a network over an array, widely where that fits. Raises :class:`FitError` for what does not fit."""
    _check_inputs(network, config)
    costs = {p.name: row_words(network, p, config.core) for p in network.populations}
    _check_totals(network, config, costs)
    spread, first = config.cores, None
    while spread:
        try:
            placement = _connect(network, config, plan, _cut(network, config, plan, costs, spread))
            _check_tables(network, config, placement)
            return placement
        except FitError as error:  # wide slices cost keys and projections: try fewer, and report the first trouble
            first, spread = first or error, spread // 2
    assert first is not None
    raise first


def row_words(network: QuantisedNetwork, population: Population, core: CoreConfig) -> np.ndarray:
    """Weight words that each row of a population takes, ``int64 (rows,)``."""
    rows = -(-population.size // core.lanes)
    words = np.zeros(rows, dtype=np.int64)
    for edge in network.projections:
        if edge.target == population.name:
            words += blocks(edge.weights, core.lanes).sum(axis=0) if edge.sparse else edge.weights.shape[1]
    return words


def blocks(weights: np.ndarray, lanes: int) -> np.ndarray:
    """Which rows each source of a sparse projection has synapses in, ``bool (sources, rows)``."""
    targets, sources = weights.shape
    rows = -(-targets // lanes)
    padded = np.zeros((rows * lanes, sources), dtype=bool)
    padded[:targets] = weights != 0
    return np.asarray(padded.reshape(rows, lanes, sources).any(axis=1).T)


def pointers_reserved(network: QuantisedNetwork, placement: Placement, config: ArrayConfig) -> list[int]:
    """Pointers that the slices of each core may take: one a source neuron and sparse projection."""
    reserved = [0] * config.cores
    for s in placement.slices:
        reserved[s.core] += _pointers(network, s.population)
    return reserved


def _pointers(network: QuantisedNetwork, population: str) -> int:
    return sum(e.weights.shape[1] for e in network.projections if e.target == population and e.sparse)


def _cut(
    network: QuantisedNetwork, config: ArrayConfig, plan: Schedule, costs: dict[str, np.ndarray], spread: int
) -> list[Slice]:
    """Slices without keys, in the network's order: the costliest population first, row by row to the idlest core."""
    core = config.core
    rows_used = np.zeros(config.cores, dtype=np.int64)
    words_used = np.zeros(config.cores, dtype=np.int64)
    pointers_used = np.zeros(config.cores, dtype=np.int64)
    slices = []
    for population in sorted(network.populations, key=lambda p: -int(costs[p.name].sum())):
        words = costs[population.name]
        pointers = _pointers(network, population.name)
        usable = np.flatnonzero(pointers_used + pointers <= core.pointers)
        if not len(usable):
            raise FitError(
                f"population {population.name}: no core has {pointers} pointers left for its sparse projections; the "
                f"fullest has {int(pointers_used.max())} of {core.pointers} in use: raise pointers by "
                f"{pointers - core.pointers + int(pointers_used.min())} or use more cores"
            )
        shares = _shares(words, usable, rows_used, words_used, core, spread)
        at = 0
        for n in np.flatnonzero(shares):
            take = int(shares[n])
            start, stop = at * core.lanes, min((at + take) * core.lanes, population.size)
            slices.append(
                Slice(
                    population=population.name, start=start, stop=stop, core=int(n), row0=int(rows_used[n]),
                    key=NO_KEY, latency=plan.latencies[population.name],
                )
            )  # fmt: skip
            rows_used[n] += take
            words_used[n] += words[at : at + take].sum()
            pointers_used[n] += pointers
            at += take
        if at < len(words):
            worst = int(words[at:].max())
            raise FitError(
                f"population {population.name}: {len(words) - at} of its {len(words)} rows find no core: a row takes "
                f"{worst} words, the cores have {(core.words - words_used).tolist()} words and "
                f"{(core.rows - rows_used).tolist()} rows left; raise words (now {core.words}), rows (now {core.rows}) "
                "or the number of cores"
            )
    order = {p.name: n for n, p in enumerate(network.populations)}
    return sorted(slices, key=lambda s: (order[s.population], s.start))


def _shares(
    words: np.ndarray, usable: np.ndarray, rows_used: np.ndarray, words_used: np.ndarray, core: CoreConfig, spread: int
) -> np.ndarray:
    """Rows of one population for each core, ``int64 (cores,)``: contiguous runs in the order of the cores.

    Load is words walked; up to ``spread`` cores, more only where those are full.
    """
    mean = words.mean() if len(words) else 0.0
    shares = np.zeros(len(rows_used), dtype=np.int64)
    idlest = usable[np.lexsort((rows_used[usable], words_used[usable]))]
    chosen, waiting = list(idlest[:spread]), list(idlest[spread:])
    for _ in range(len(words)):
        while True:
            open_cores = [
                n for n in chosen
                if rows_used[n] + shares[n] < core.rows and words_used[n] + (shares[n] + 1) * mean <= core.words
            ]  # fmt: skip
            if open_cores or not waiting:
                break
            chosen.append(waiting.pop(0))
        if not open_cores:
            break
        shares[min(open_cores, key=lambda n: (words_used[n] + shares[n] * mean, rows_used[n] + shares[n]))] += 1
    # Rows of sparse projections differ: cut each run where its words end, and let the next cores take the rest.
    at, result, carry = 0, np.zeros_like(shares), len(words) - int(shares.sum())
    for n in sorted(chosen):
        want = min(int(shares[n]) + carry, core.rows - int(rows_used[n]))
        sums = np.cumsum(words[at : at + want])
        result[n] = np.searchsorted(sums, core.words - words_used[n], side="right")
        at, carry = at + int(result[n]), carry + int(shares[n] - result[n])
    return result


def _connect(network: QuantisedNetwork, config: ArrayConfig, plan: Schedule, slices: Sequence[Slice]) -> Placement:
    """Give keys to inputs and slices that have receivers, and list the links."""
    by_name: dict[str, list[int]] = {}
    for n, s in enumerate(slices):
        by_name.setdefault(s.population, []).append(n)
    shown = {p for output, p in network.outputs.items() if output not in network.states}
    draft: list[tuple[Projection, int, str | int, Slice, np.ndarray]] = []
    for edge, delay in zip(network.projections, plan.delays, strict=True):
        sources: list[tuple[str | int, slice]] = (
            [(n, slice(slices[n].start, slices[n].stop)) for n in by_name.get(edge.source, [])]
            if edge.source in plan.latencies
            else [(edge.source, slice(None))]
        )
        for source, columns in sources:
            for n in by_name.get(edge.target, []):
                weights = edge.weights[slices[n].start : slices[n].stop, columns]
                if weights.size and (not edge.sparse or weights.any()):
                    draft.append((edge, delay, source, slices[n], weights))
    heard = {source for _, _, source, _, _ in draft}
    names: list[str | int] = [i.name for i in network.inputs]
    names += range(len(slices))
    keys: dict[str | int, int] = {}
    for name in names:
        if name in heard or (isinstance(name, int) and slices[name].population in shown):
            keys[name] = len(keys)
    placed = tuple(replace(s, key=keys.get(n, NO_KEY)) for n, s in enumerate(slices))
    position = {id(s): n for n, s in enumerate(slices)}
    return Placement(
        slices=placed,
        input_keys={i.name: keys.get(i.name, NO_KEY) for i in network.inputs},
        links=tuple(
            Link(
                projection=edge, delay=delay, key=keys[source],
                core=slices[source].core if isinstance(source, int) else HOST,
                target=placed[position[id(target)]], weights=weights,
            )
            for edge, delay, source, target, weights in draft
        ),
        to_host=frozenset(s.key for s in placed if s.population in shown),
    )  # fmt: skip


def _check_inputs(network: QuantisedNetwork, config: ArrayConfig) -> None:
    for i in network.inputs:
        if i.size > 1 << config.index_bits and any(e.source == i.name for e in network.projections):
            raise FitError(
                f"input {i.name}: has {i.size} neurons, index_bits = {config.index_bits} hold "
                f"{1 << config.index_bits}: raise index_bits to {bits_for(i.size)}"
            )


def _check_totals(network: QuantisedNetwork, config: ArrayConfig, costs: dict[str, np.ndarray]) -> None:
    core = config.core
    if not core.sparse:
        for edge in network.projections:
            if edge.sparse:
                raise FitError(
                    f"projection {edge.name}: is sparse, and a core without pointers walks dense ones only: pointers "
                    f"must be at least {edge.weights.shape[1]}, not 0"
                )
    rows, words = sum(map(len, costs.values())), int(sum(c.sum() for c in costs.values()))
    have = config.cores * core.rows
    if rows > have:
        raise FitError(
            f"rows: the network takes {rows} rows of {core.lanes} lanes, {config.cores} cores of {core.rows} rows have "
            f"{have}, {rows - have} too few: raise rows to {-(-rows // config.cores)}, or lanes, or the number of cores"
        )
    have = config.cores * core.words
    if words > have:
        raise FitError(
            f"words: the network's weights take {words} words of {core.lanes} lanes, {config.cores} cores of "
            f"{core.words} words have {have}, {words - have} too few: raise words to {-(-words // config.cores)}, "
            "or the number of cores"
        )


def _check_tables(network: QuantisedNetwork, config: ArrayConfig, placement: Placement) -> None:
    if placement.keys > config.keys:
        raise FitError(
            f"keys: inputs and slices take {placement.keys} keys, key_bits = {config.key_bits} give {config.keys}, "
            f"{placement.keys - config.keys} too few: raise key_bits to {bits_for(placement.keys)}"
        )
    used = np.bincount([link.target.core for link in placement.links], minlength=config.cores)
    if used.max(initial=0) > config.core.projections:
        raise FitError(
            f"projections: core {int(used.argmax())} takes {used.max()} of its {config.core.projections}, "
            f"{used.max() - config.core.projections} too few: raise projections to {used.max()}"
        )
