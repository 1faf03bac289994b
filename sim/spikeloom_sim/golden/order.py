"""In which order populations are updated."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from spikeloom.contract.errors import NetworkError
from spikeloom.contract.network import QuantisedNetwork


def components(network: QuantisedNetwork) -> list[list[str]]:
    """Populations in groups: loops stay within a group, groups come after their sources.

    A group can run all its ticks before the next group starts. Within a group, a population comes after the sources of
    its projections without delay. Raises :class:`NetworkError` where such projections close a loop.
    """
    names = [p.name for p in network.populations]
    sources: dict[str, set[str]] = {name: set() for name in names}
    instant: dict[str, set[str]] = {name: set() for name in names}
    for projection in network.projections:
        if projection.source in sources:
            sources[projection.target].add(projection.source)
            if projection.delay == 0:
                instant[projection.target].add(projection.source)
    within_tick = _sorted(instant)
    before = {name: _reachable(name, sources) for name in names}
    group = {name: frozenset({name} | {m for m in before[name] if name in before[m]}) for name in names}
    after = {group[name]: {group[source] for source in before[name]} - {group[name]} for name in names}
    return [[name for name in within_tick if name in members] for members in TopologicalSorter(after).static_order()]


def _sorted(instant: dict[str, set[str]]) -> list[str]:
    try:
        return list(TopologicalSorter(instant).static_order())
    except CycleError as error:
        loop = " -> ".join(error.args[1])
        raise NetworkError(
            f"network: the projections {loop} close a loop without delay; give one of them a delay of at least 1"
        ) from None


def _reachable(start: str, edges: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    front: Iterable[str] = edges[start]
    while front := set(front) - found:
        found |= front
        front = {further for name in front for further in edges[name]}
    return found
