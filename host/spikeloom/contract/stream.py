"""The host's stream: 32-bit words in order, both ways.

To the board::

    SPIKE    | kind 2 | key 10 | index 20 |            with payloads: | kind 2 | key 10 | payload p | index 20 - p |
    TICK     | kind 2 | flush 6 | count 24 |              run count ticks; flush: see Command
    ACCESS   | kind 2 | write 1 | core 8 | space 5 | count 16 |, address, then count data words if write
    CONTROL  | kind 2 | operation 6 | argument 24 |

From the board::

    SPIKE    | kind 2 | key 10 | index 20 |
    DONE     | kind 2 | tick 30 |, busy cycles            after all spikes of that tick
    DATA     | kind 2 | zero 14 | count 16 |, then count words
    ERROR    | kind 2 | code 6 | argument 24 |

A spike in front of a TICK counts in that tick. Everything else waits until all that went before has come to rest.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from .config import FORMAT_VERSION, INDEX_BITS_MAX, KEY_BITS_MAX, ArrayConfig
from .layout import COLUMN_BITS, Field, Layout
from .neuron import LATENCY_BITS
from .ring import CORE_BITS, SPACE_BITS, Space

KIND_BITS = 2
COUNT_BITS = 16
TICK_COUNT_BITS = 24
ARGUMENT_BITS = 24

MAGIC = 0x5B1C_E100 | FORMAT_VERSION
"""First word of the answer to a query: the project and the format's version."""

LINK_WINDOW = 512
"""Words that a board behind a link without flow control holds until the array takes them."""

ACCESS_MAX = (1 << COUNT_BITS) - 1
"""Data words that one access can carry."""


class Command(IntEnum):
    """Kinds of words to the board.

    ``TICK`` with ``flush = f > 0`` updates only the neurons whose latency is at least ``f``: after the last input
    tick of a sample, flush ticks 1, 2, ... let the deeper populations finish while the others hold their states.
    """

    SPIKE = 0
    TICK = 1
    ACCESS = 2
    CONTROL = 3


class Operation(IntEnum):
    """Operations of a CONTROL word."""

    RESET_STATE = 0
    """Clear all states, accumulators and the tick counter; programs and counters stay."""
    QUERY = 1
    """Answer with DATA, the words of :class:`Info`."""
    PERIOD = 2
    """Start ticks no closer than ``argument`` cycles: real-time mode; 0 runs freely."""
    PHASES = 3
    """Each tick has phases 0 to ``argument - 1``; 1 after power-up. Known to boards whose cores have several phases."""


class Reply(IntEnum):
    """Kinds of words from the board."""

    SPIKE = 0
    DONE = 1
    DATA = 2
    ERROR = 3


class Info(IntEnum):
    """Words of the answer to a query."""

    MAGIC = 0
    DIGEST_LOW = 1
    DIGEST_HIGH = 2
    TICK = 3
    """Ticks since the last reset of the states."""
    BUSY_CYCLES = 4
    """Cycles since power-up, modulo ``2**32``, in which the array was not at rest."""
    OVERRUNS = 5
    """Ticks that took longer than the period."""


class Error(IntEnum):
    """Codes of an ERROR word."""

    OPERATION = 0
    """CONTROL with an unknown operation, or more phases than there are; argument: the operation."""
    CORE = 1
    """ACCESS to a core or space that does not exist; argument: core << 5 | space. Its data were taken and dropped."""
    SPIKE = 2
    """A spike whose key or index is too wide for this fabric; argument: its key."""
    LOST = 3
    """Since the last tick, spikes met no route or no projection; argument: number of cycles with such an event."""
    TICK = 4
    """A TICK of count 0."""
    LINK = 5
    """Words were lost on the way to the board; argument: how many, as far as it knows. What followed them was dropped,
    and the array's registers were reset: load the image again."""


SPIKE_LAYOUT = Layout((Field("index", INDEX_BITS_MAX), Field("key", KEY_BITS_MAX), Field("kind", KIND_BITS)))


def spike_layout(config: ArrayConfig) -> Layout:
    """A SPIKE word of an array: its payload, where it has one, takes the upper bits of the index."""
    payload = config.payload_bits
    if not payload:
        return SPIKE_LAYOUT
    index, key, kind = SPIKE_LAYOUT.fields
    return Layout((Field("index", index.bits - payload), Field("payload", payload), key, kind))


TICK_LAYOUT = Layout((Field("count", TICK_COUNT_BITS), Field("flush", LATENCY_BITS), Field("kind", KIND_BITS)))
ACCESS_LAYOUT = Layout(
    (
        Field("count", COUNT_BITS),
        Field("space", SPACE_BITS),
        Field("core", CORE_BITS),
        Field("write", 1),
        Field("kind", KIND_BITS),
    )
)
CONTROL_LAYOUT = Layout((Field("argument", ARGUMENT_BITS), Field("operation", 6), Field("kind", KIND_BITS)))
DONE_LAYOUT = Layout((Field("tick", COLUMN_BITS - KIND_BITS), Field("kind", KIND_BITS)))
DATA_LAYOUT = Layout((Field("count", COUNT_BITS), Field("zero", 14), Field("kind", KIND_BITS)))
ERROR_LAYOUT = Layout((Field("argument", ARGUMENT_BITS), Field("code", 6), Field("kind", KIND_BITS)))


def spike_words(
    key: np.ndarray | int, index: np.ndarray, payload: np.ndarray | int = 0, payload_bits: int = 0
) -> np.ndarray:
    """SPIKE words, ``uint32 (n,)``."""
    above = np.asarray(payload, dtype=np.int64) << INDEX_BITS_MAX - payload_bits
    return SPIKE_LAYOUT.pack({"kind": Command.SPIKE, "key": key, "index": index | above})[:, 0]


def tick_word(count: int = 1, flush: int = 0) -> np.ndarray:
    """A TICK word, ``uint32 (1,)``."""
    return TICK_LAYOUT.pack({"kind": Command.TICK, "count": count, "flush": flush})


def control_word(operation: Operation, argument: int = 0) -> np.ndarray:
    """A CONTROL word, ``uint32 (1,)``."""
    return CONTROL_LAYOUT.pack({"kind": Command.CONTROL, "operation": operation, "argument": argument})


def write_words(core: int, space: Space, address: int, data: np.ndarray) -> np.ndarray:
    """Words that write ``data`` (``uint32``, any number) from an address on."""
    parts = []
    for start in range(0, len(data), ACCESS_MAX):
        chunk = np.asarray(data[start : start + ACCESS_MAX], dtype=np.uint32)
        parts += [_access(core, space, address + start, len(chunk), write=1), chunk]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint32)


def read_words(core: int, space: Space, address: int, count: int) -> np.ndarray:
    """Words that ask for ``count`` words from an address on; DATA replies come in as many pieces as asked here."""
    parts = [
        _access(core, space, address + start, min(ACCESS_MAX, count - start), write=0)
        for start in range(0, count, ACCESS_MAX)
    ]
    return np.concatenate(parts)


def _access(core: int, space: Space, address: int, count: int, write: int) -> np.ndarray:
    header = ACCESS_LAYOUT.pack({
        "kind": Command.ACCESS, "write": write, "core": core, "space": space, "count": count,
    })  # fmt: skip
    return np.concatenate([header, np.array([address], dtype=np.uint32)])


def digest_words(config: ArrayConfig) -> tuple[int, int]:
    """The configuration's digest as a board reports it: low word, high word."""
    return config.digest & 0xFFFF_FFFF, config.digest >> 32
