"""The program ring: every memory and register of every core at an address.

A packet carries ``(core, space, address, data)``. Each space is a memory of records; a record takes ``columns`` words
of 32 bits, padded to a power of two, so an address is the record above the column.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from .config import ArrayConfig, bits_for
from .fabric import ROUTE_LAYOUT
from .layout import COLUMN_BITS, Field, Layout

CORE_BITS = 8
SPACE_BITS = 5
ADDRESS_BITS = 25

PACKET_LAYOUT = Layout(
    (
        Field("data", COLUMN_BITS),
        Field("address", ADDRESS_BITS),
        Field("space", SPACE_BITS),
        Field("core", CORE_BITS),
        Field("write", 1),
    )
)


class Space(IntEnum):
    """What a program-ring address points into."""

    WEIGHT = 0
    WORD_ROW = 1
    ENTRY = 2
    KEY = 3
    PROJECTION = 4
    EMISSION = 5
    PARAMETER = 6
    BIAS = 7
    STATE = 8
    ACCUMULATOR = 9
    ROUTE = 10
    COUNTER = 11
    REGISTER = 12
    COORDINATE = 13


class Counter(IntEnum):
    """Exact 32-bit counters of a core, modulo ``2**32``; writing any value clears one."""

    EVENTS = 0
    """Events taken from the fabric."""
    WORDS = 1
    """Weight words visited; each is ``lanes`` weights in one cycle."""
    SYNAPSES = 2
    """Synaptic operations: one weight added for one event, unused lanes not counted."""
    WAITS = 3
    """Cycles in which an event was under way and no weight word was visited."""
    SPIKES = 4
    """Neurons that fired."""
    SATURATIONS = 5
    """Currents and potentials that were clipped (or, in the loihi profile, currents that wrapped)."""
    STALLS = 6
    """Cycles in which the update waited for the emitter."""
    REFUSED = 7
    """Events that no projection takes: key not in the table, or index beyond its sources."""
    UNROUTED = 8
    """Flits in the core's router whose key has no route."""
    DRAINS = 9
    """Of WAITS, the cycles in which a visit waited for the drain of a row."""
    UPDATES = 10
    """Cycles without an event under way in which rows were drained or written, or neurons updated."""
    EMISSIONS = 11
    """Cycles with neither an event nor an update under way in which spikes were sent."""


class Register(IntEnum):
    """Registers of a core."""

    ROWS = 0
    """Rows of phase 0, which begin with row 0. ``ROWS + n``: rows of phase n, which lie behind those of n - 1."""


REGISTER_LAYOUT = Layout((Field("value", COLUMN_BITS),))


@dataclass(frozen=True, slots=True)
class Geometry:
    """One space: ``depth`` records of ``layout``.

    Attributes:
        latency: cycles from an address to its record in the core, where the space is a memory: 0 of LUT RAM; 2 with a
            register behind the RAM, as block RAM is slow from clock to output.
        writable: the core writes it, too.
        parts: equal parts of a record that the core can write one without the other.
    """

    depth: int
    layout: Layout
    latency: int = 2
    writable: bool = False
    parts: int = 1

    @property
    def column_bits(self) -> int:
        """Low address bits that choose the word of a record; 0 where a record is one word."""
        return (self.layout.columns - 1).bit_length()

    @property
    def stride(self) -> int:
        """Addresses from one record to the next."""
        return 1 << self.column_bits

    @property
    def address_bits(self) -> int:
        return self.column_bits + bits_for(self.depth)


def spaces(config: ArrayConfig) -> dict[Space, Geometry]:
    """The spaces that each core of an array has."""
    core = config.core
    read = 1 if core.short else 2
    result = {
        Space.WEIGHT: Geometry(core.words, core.weight_layout, read),
        Space.KEY: Geometry(config.keys, config.key_layout, read),
        Space.PROJECTION: Geometry(core.projections, core.projection_layout, read),
        Space.COORDINATE: Geometry(core.coordinates, core.coordinate_layout, read),
        Space.EMISSION: Geometry(core.rows, config.emission_layout, latency=1),
        Space.PARAMETER: Geometry(core.parameter_depth, core.parameter_layout, read),
        Space.BIAS: Geometry(core.rows * core.groups, core.bias_layout, read),
        Space.STATE: Geometry(core.rows * core.groups, core.state_layout, read, writable=True, parts=core.group),
        Space.ACCUMULATOR: Geometry(
            core.accumulator_depth, core.accumulator_layout, latency=core.sums_latency, writable=True
        ),
        Space.ROUTE: Geometry(config.keys, ROUTE_LAYOUT),
        Space.COUNTER: Geometry(len(Counter), REGISTER_LAYOUT),
        Space.REGISTER: Geometry(core.phases, REGISTER_LAYOUT),
    }
    if core.sparse:
        result[Space.WORD_ROW] = Geometry(core.words, core.word_row_layout, read)
    if core.entries:
        result[Space.ENTRY] = Geometry(core.entries, core.entry_layout, read)
    return result
