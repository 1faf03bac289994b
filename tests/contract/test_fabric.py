"""Multicast trees, by walking the masks as flits do."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.contract.config import CORES_MAX, ArrayConfig
from spikeloom.contract.fabric import HOST, OPPOSITE, Port, multicast_tree, neighbour, ports_of

SETTINGS = settings(max_examples=300, deadline=None, derandomize=True, database=None)

HORIZONTAL, VERTICAL = {Port.EAST, Port.WEST}, {Port.NORTH, Port.SOUTH}


@st.composite
def multicasts(draw: st.DrawFn) -> tuple[ArrayConfig, int, list[int]]:
    width = draw(st.integers(1, 9))
    config = ArrayConfig(width=width, height=draw(st.integers(1, min(9, CORES_MAX // width))))
    ends = st.integers(HOST, config.cores - 1)
    return config, draw(ends), draw(st.lists(ends, max_size=12))


@SETTINGS
@given(multicasts())
def test_a_flit_reaches_every_destination_once_and_nothing_else(case: tuple[ArrayConfig, int, list[int]]) -> None:
    config, source, destinations = case
    masks = multicast_tree(config, source, destinations)
    reached: Counter[int] = Counter()
    entered: Counter[int] = Counter()
    flits: list[tuple[int, Port | None]] = [(max(source, 0), None)]
    while flits:
        at, moved = flits.pop()
        entered[at] += 1
        assert entered[at] == 1, "two flits of one event in one router"
        leaves = {port for port in Port if masks[at] >> port & 1}
        assert leaves or not destinations, "a flit without a route"
        assert leaves <= set(ports_of(config, at)), "a port that the router does not have"
        reached[at] += Port.CORE in leaves
        reached[HOST] += Port.LINK in leaves
        for port in leaves & (HORIZONTAL | VERTICAL):
            assert moved is None or port != OPPOSITE[moved], "a flit turns back"
            assert not (moved in VERTICAL and port in HORIZONTAL), "a flit goes along x after y"
            flits.append((neighbour(config, at, port), port))
    assert +reached == Counter(set(destinations))
    assert {at for at, mask in enumerate(masks) if mask} <= set(entered), "a route where no flit comes"


def test_by_hand() -> None:
    config = ArrayConfig(width=3, height=2)
    masks = multicast_tree(config, 0, [5, 4, HOST])
    east, south, core, link = (1 << p for p in (Port.EAST, Port.SOUTH, Port.CORE, Port.LINK))
    assert masks.tolist() == [east | link, east | south, south, 0, core, core]
    assert multicast_tree(config, HOST, [0]).tolist() == [core, 0, 0, 0, 0, 0]
    assert not multicast_tree(config, 2, []).any()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 3), (4, 1), (3, 3)])
def test_ports_lead_to_neighbours_and_back(width: int, height: int) -> None:
    config = ArrayConfig(width=width, height=height)
    links = 0
    for core in range(config.cores):
        ports = ports_of(config, core)
        assert Port.CORE in ports
        assert (Port.LINK in ports) == (core == 0)
        for port in set(ports) & set(OPPOSITE):
            other = neighbour(config, core, port)
            assert 0 <= other < config.cores
            assert OPPOSITE[port] in ports_of(config, other)
            assert neighbour(config, other, OPPOSITE[port]) == core
            links += 1
    assert links == 2 * (height * (width - 1) + width * (height - 1))
