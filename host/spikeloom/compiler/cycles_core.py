"""One core's part of the cycle model: when its events are taken and walked, its rows drained, its spikes sent."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from ..contract.config import CoreConfig
from ..contract.ring import Register, Space
from ..image import Image


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipelines:
    """How long the gateware's pipelines are, in cycles.

    Attributes:
        add: from a visit until its sum is written, besides the latency of the sums' RAM.
        row: from the drain of a row to who fired, besides that latency, the bits of a number of spikes, and the row's
            groups.
        record: from a key or a projection that is asked for to its record, in cycles in which the walker moves.
        loop: from a coordinate to its loop, in such cycles.
        spare: coordinates that can wait in front of the loops.
    """

    add: int
    row: int
    record: int
    loop: int
    spare: int


LONG = Pipelines(add=7, row=15, record=2, loop=4, spare=1)
SHORT = Pipelines(add=3, row=4, record=1, loop=1, spare=0)


def pipelines(core: CoreConfig) -> Pipelines:
    """Those of a core."""
    return SHORT if core.short else LONG


Loop = tuple[int, ...]
"""A walk: turns of each of its loops, outermost first; none at all where a coordinate is unknown."""


class Gate:
    """Maps the cycles of an outer clock to those in which something moves: an inner clock that stands at times.

    Stops are added in their order, and asked for only when all that are earlier have been.
    """

    def __init__(self) -> None:
        self._at: list[int] = []  # inner cycle that each stop is in front of
        self._starts: list[int] = []
        self._stood = [0]  # cycles stood before each stop, and in the end

    def stop(self, at: int, cycles: int) -> None:
        """Stand for some cycles in front of an inner cycle."""
        if cycles:
            self._at.append(at)
            self._starts.append(at + self._stood[-1])
            self._stood.append(self._stood[-1] + cycles)

    def outer(self, inner: int) -> int:
        """The outer cycle of an inner one."""
        return inner + self._stood[bisect_right(self._at, inner)]

    def inner(self, outer: int) -> int:
        """The first inner cycle that is not before an outer one."""
        n = bisect_right(self._starts, outer)
        if n and outer < self._at[n - 1] + self._stood[n]:
            return self._at[n - 1]
        return outer - self._stood[n]


class Tables:
    """What a core's memories say of its events and rows."""

    def __init__(self, image: Image, number: int):
        config, self.core = image.config, image.config.core
        layouts = {
            Space.KEY: config.key_layout,
            Space.PROJECTION: self.core.projection_layout,
            Space.COORDINATE: self.core.coordinate_layout,
            Space.EMISSION: config.emission_layout,
        }
        if self.core.entries:
            layouts[Space.ENTRY] = self.core.entry_layout
        self._records: dict[Space, dict[str, list[int]]] = {}
        for space, layout in layouts.items():
            words = image.memories[number, space][:, : layout.columns]
            self._records[space] = {name: values.tolist() for name, values in layout.unpack(words).items()}
        self.rows: list[int] = image.memories[number, Space.REGISTER][Register.ROWS :, 0].tolist()  # of each phase
        self.walks: Callable[[int, int], list[Loop] | None] = cache(self._walks)

    def emission(self, row: int) -> tuple[int, int, int] | None:
        """Key, first index and shift of a row; None where it sends nothing."""
        records = self._records[Space.EMISSION]
        if not records["valid"][row]:
            return None
        return records["key"][row], records["index"][row], records["shift"][row]

    def _walks(self, key: int, index: int) -> list[Loop] | None:
        """The walk of each projection of an event; None where the event is refused."""
        keys, projections = self._records[Space.KEY], self._records[Space.PROJECTION]
        first, count = keys["first"][key], keys["count"][key]
        if not count or index >= keys["sources"][key]:
            return None
        return [
            self._loops(index, projections["first"][n], projections["count"][n]) for n in range(first, first + count)
        ]

    def _loops(self, rest: int, first: int, count: int) -> Loop:
        coordinates, entries = self._records[Space.COORDINATE], self._records.get(Space.ENTRY, {})
        loops = []
        for n in range(first, first + count):
            bits = coordinates["bits"][n]
            value, rest = rest & (1 << bits) - 1, rest >> bits
            turns = coordinates["count"][n]
            if coordinates["table"][n]:
                entry = coordinates["scale"][n] + value
                turns = entries["count"][entry] if entries["valid"][entry] else 0
            loops.append(turns)
        return tuple(loops)


@dataclass
class Walk:
    """The walker and the queue in front of it, event by event."""

    tables: Tables
    reserved: list[int]
    """Cycles in which no visit is taken, since a drain follows."""
    idle: int = 0
    """From when on no event is under way, and nothing is on its way to the sums."""
    words: int = 0
    taken: list[int] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)
    """When each event went from the queue's memory to its register, and into the walker."""

    def __post_init__(self) -> None:
        self._move, self._open, self._take = Gate(), Gate(), Gate()
        self._last_turn = self._last_visit = self._begin = -1
        self._pipelines = pipelines(self.tables.core)
        self._next_reserved = self._left = 0  # _left: when the last event left the queue
        self._inner_depth = max(3, self.tables.core.event_fifo) - 1

    @property
    def room(self) -> int:
        """From when on the queue takes the next event."""
        n = len(self.passed) - self._inner_depth
        return self.passed[n] + 1 if n >= 0 else 0

    def event(self, written: int, key: int, index: int) -> None:
        """The next event comes into the queue."""
        move, open_, take = self._move, self._open, self._take
        passed = max(written + 1, self._left)
        self.passed.append(passed)
        # The skid takes it as soon as that is empty, whether or not the walker moves, and so makes room in the queue.
        self._left = max(passed, self.taken[-1] if self.taken else 0) + 1
        at = take.inner(open_.inner(move.inner(self._left)))
        self.taken.append(move.outer(open_.outer(take.outer(at))))
        pipes = self._pipelines
        known = open_.outer(take.outer(at + pipes.record))
        walks = self.tables.walks(key, index)
        self.idle = max(self.idle, move.outer(known) + 1)
        if walks is None:
            return
        known = take.outer(at + pipes.record)
        take.stop(at + pipes.record + 1, len(walks) - 1)
        for n, loops in enumerate(walks, 1):
            read = open_.outer(known + n + pipes.record)
            open_.stop(known + n + pipes.record + 1, len(loops) - 1)
            for turn in range(1, len(loops) + 1):
                last = read + turn + pipes.loop
                found = move.outer(last) + 1
                offered = max(found, self._last_turn + 1)  # behind what is kept in front of the loops
                went = self._turn(found)
                # All stand a cycle later where there is a place for one more.
                move.stop(last + 1 + pipes.spare, went - offered)
            self._walk(int(np.prod(loops)))

    def _turn(self, found: int) -> int:
        """A loop is taken as soon as the one in front, and a complete walk in front, are out of its way."""
        self._last_turn = max(found, self._last_turn + 1, self._begin)
        self.idle = max(self.idle, self._last_turn + 1)
        return self._last_turn

    def _walk(self, visits: int) -> None:
        """The last loop of a walk was taken: it begins when the one in front ends."""
        if not visits:
            return
        self.words += visits
        self._begin = at = max(self._last_turn + 1, self._last_visit)
        reserved, n = self.reserved, self._next_reserved
        while n < len(reserved) and reserved[n] <= at:
            n += 1
        while n < len(reserved) and reserved[n] <= at + visits:
            at, n = at + 1, n + 1
        self._next_reserved = n
        self._last_visit = at + visits
        self.idle = max(self.idle, self._last_visit + add_cycles(self.tables.core))


class Update:
    """Drains of a phase's rows and the emission of its spikes; ``fired`` are all rows ``(rows, lanes)``."""

    def __init__(self, tables: Tables, fired: np.ndarray, start: int, phase: int = 0):
        self.tables, core = tables, tables.core
        self.start = start
        self._groups, self._room = core.groups, core.spike_fifo
        self._row0 = sum(tables.rows[:phase])
        self._rows = tables.rows[phase]
        self._done = row_cycles(core) + core.groups  # from a drain to who fired
        self._lanes = [np.flatnonzero(fired[self._row0 + row]).tolist() for row in range(self._rows)]
        self._popped: dict[int, int] = {}
        self.drains = self._times()

    def _times(self) -> list[int]:
        """Drains, as far as the room that this update's pops give is known."""
        drains: list[int] = []
        back: list[int] = []  # when each row gave its room back, in order
        for row in range(self._rows):
            at = self.start if not row else drains[-1] + self._groups
            if row >= self._room:
                back.sort()
                at = max(at, back[row - self._room] + 3)
            drains.append(at)
            done = at + self._done
            back.append(max(done, self._popped.get(row, 0)) if self._lanes[row] else done)
        return drains

    @property
    def reserved(self) -> list[int]:
        """Cycles in which the accumulator takes no visit; in front of the first row there is none to take."""
        return [at - 1 for at in self.drains]

    def settled(self) -> bool:
        """Drain again with the pops that were found; whether that changes nothing."""
        before, self.drains = self.drains, self._times()
        return before == self.drains

    def begin(self) -> None:
        """Send from the beginning, with the drains as they are known now."""
        self.idle = self.drains[-1] + self._done + 1 if self.drains else 0
        self._queue = [(row, at + self._done) for row, at in enumerate(self.drains) if self._lanes[row]]
        self._row = -1
        self._left: list[tuple[int, int]] = []
        self._free = self._pop_from = self._pop = self._moved = 0
        self._popped = {}

    def next_flit(self) -> tuple[int, int, int] | None:
        """When the next flit is offered, its key and its index; None after the last one."""
        while not self._left:
            self._row += 1
            if self._row == len(self._queue):
                return None
            row, pushed = self._queue[self._row]
            passed = max(pushed + 1, self._pop)
            self._pop = self._popped[row] = max(passed + 1, self._pop_from)
            self._pop_from = self._pop + 2
            self.idle = max(self.idle, self._pop_from)
            record = self.tables.emission(self._row0 + row)
            if record is not None:
                key, index, shift = record
                self._left = [(key, index + (lane << shift)) for lane in reversed(self._lanes[row])]
        key, index = self._left.pop()
        # Picked as soon as the one in front has become a flit, and a flit as soon as that one has left.
        picked = max(self._moved, self._pop + 1)
        self._pop_from = max(self._pop_from, picked + 1)
        self._moved = max(picked + 1, self._free)
        return self._moved + 1, key, index

    def accepted(self, at: int) -> None:
        """The flit that was offered last went on its way."""
        self._free = at
        self.idle = max(self.idle, at + 1)


def row_cycles(core: CoreConfig) -> int:
    """Cycles from the drain of a row to who fired in its first group."""
    return pipelines(core).row + core.sums_latency + core.spike_bits


def add_cycles(core: CoreConfig) -> int:
    """Cycles from a visit until its sum is written."""
    return pipelines(core).add + core.sums_latency


def clear_cycles(core: CoreConfig) -> int:
    """Cycles in which a core clears its sums and states, side by side; both are written one cycle later."""
    return core.rows * max(core.groups, core.slots) + 1
