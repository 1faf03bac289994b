"""What a build is made from: the parameters of one core and of the array of cores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from .errors import ConfigError, check_range
from .layout import Field, Layout
from .neuron import bias_layout, parameter_layout, state_layout
from .numerics import Numerics

FORMAT_VERSION = 4
"""Version of everything in this package that a board and a host must agree on."""

KEY_BITS_MAX = 10
INDEX_BITS_MAX = 20
INDEX_FIELD_BITS = 5
"""Bits of a number of index bits."""
PAYLOAD_BITS_MAX = 8
CORES_MAX = 64
PHASES_MAX = 16


def bits_for(count: int) -> int:
    """Bits of an address into ``count`` rows, at least one."""
    return max(1, (count - 1).bit_length())


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreConfig:
    """Parameters of one core. A small core and a wide one are the same code.

    Attributes:
        lanes: weights in a word, synaptic operations a cycle, 1 to 128.
        rows: neurons are ``rows * lanes``; 1 to 4096 rows.
        words: depth of the weight memory, in words of ``lanes`` weights.
        slots: accumulators a neuron, one for each coming tick: delays reach ``slots - 1``; a power of two, 2 to 64.
        group: neurons updated a cycle; divides ``lanes``.
        sums_latency: cycles that the RAM of the accumulators takes, 0 to 2, and results that are forwarded besides two:
            0 is LUT RAM, for few rows and slots; 1 block RAM; 2 block RAM with its output register, for high clocks.
        projections: depth of the projection table.
        coordinates: depth of the table of coordinates, one to ``loops`` a projection.
        loops: nested loops that the walk of a projection has at most, 1 to 3: dense and sparse projections take one,
            each axis of space that a convolution or a pool has takes another one.
        entries: depth of the table that coordinates may look up in place of a product: edges of convolutions, row
            pointers of sparse projections; 0 leaves both out.
        sparse: words of sparse projections carry their row.
        phases: parts of a tick, 1 to 16; with more than one the layered schedule can run.
        parameters_per_neuron: each neuron has parameters of its own; otherwise a row shares them.
        adaptive: neurons have an adaptation, see :class:`~spikeloom.contract.neuron.Adaptation`.
        spike_bits: neurons can send up to ``2**spike_bits - 1`` spikes in a tick as one event, 0 to 8; 0 leaves the
            divider out, each bit takes a cycle more from a row's sums to its spikes.
        event_fifo: events that wait in front of the walker, a power of two.
        spike_fifo: rows of spikes that wait in front of the emitter, a power of two.
        short: pipelines have few registers: less than half the flip-flops, for clocks of about 30 MHz; with a
            ``sums_latency`` of 1.
        numerics: widths and rounding.
    """

    lanes: int = 8
    rows: int = 32
    words: int = 4096
    slots: int = 4
    group: int = 1
    sums_latency: int = 2
    projections: int = 16
    coordinates: int = 32
    loops: int = 3
    entries: int = 0
    sparse: bool = False
    phases: int = 1
    parameters_per_neuron: bool = True
    adaptive: bool = False
    spike_bits: int = 0
    event_fifo: int = 16
    spike_fifo: int = 16
    short: bool = False
    numerics: Numerics = field(default_factory=Numerics)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("lanes", 1, 128), ("rows", 1, 4096), ("words", 2, 1 << 18), ("slots", 2, 64), ("group", 1, 128),
            ("sums_latency", 0, 2),
            ("projections", 1, 1024), ("coordinates", 1, 3072), ("loops", 1, 3), ("entries", 0, 1 << 18),
            ("phases", 1, PHASES_MAX), ("spike_bits", 0, PAYLOAD_BITS_MAX),
            ("event_fifo", 2, 1024), ("spike_fifo", 2, 1024),
        ):  # fmt: skip
            check_range("core", name, getattr(self, name), low, high)
        for name in ("slots", "event_fifo", "spike_fifo"):
            if getattr(self, name).bit_count() != 1:
                raise ConfigError(f"core: {name} must be a power of two, not {getattr(self, name)}")
        if self.lanes % self.group:
            raise ConfigError(f"core: group must divide lanes = {self.lanes}, {self.group} does not")
        if self.short and self.sums_latency != 1:
            raise ConfigError(f"core: short needs sums_latency = 1, not {self.sums_latency}")
        if self.sparse and not self.entries:
            raise ConfigError("core: sparse needs entries, at least one a source neuron, not 0")

    @property
    def neurons(self) -> int:
        return self.rows * self.lanes

    @property
    def groups(self) -> int:
        """Groups of neurons in a row: cycles that the update of a row takes."""
        return self.lanes // self.group

    @property
    def count_width(self) -> int:
        """Bits of a lane's number of spikes in one tick."""
        return max(1, self.spike_bits)

    @property
    def row_bits(self) -> int:
        return bits_for(self.rows)

    @property
    def word_bits(self) -> int:
        return bits_for(self.words)

    @property
    def slot_bits(self) -> int:
        return bits_for(self.slots)

    @property
    def projection_bits(self) -> int:
        return bits_for(self.projections)

    @property
    def coordinate_bits(self) -> int:
        return bits_for(self.coordinates)

    @property
    def count_bits(self) -> int:
        """Bits of a number of words of one loop of a walk, 0 to ``rows``."""
        return self.rows.bit_length()

    @property
    def fanout_bits(self) -> int:
        """Bits of a number of synapses of one innermost loop of a walk, 0 to ``neurons``."""
        return self.neurons.bit_length()

    # The records of the core's memories.

    @property
    def weight_layout(self) -> Layout:
        """One word: a weight for each lane. One-bit weights: 0 is plus one, 1 is minus one."""
        bits = self.numerics.weight_bits
        return Layout((Field("weight", bits, signed=bits > 1),), self.lanes)

    @property
    def word_row_layout(self) -> Layout:
        """The row that a word of a sparse projection belongs to."""
        return Layout((Field("row", self.row_bits),))

    @property
    def projection_layout(self) -> Layout:
        """The synapses from one key onto one population on this core.

        An event walks from word ``base`` and row ``row`` on, moved and repeated by what its ``count`` coordinates
        (1 to ``loops``, the records ``first`` and on) give. ``sparse``: each word carries its row.
        """
        return Layout(
            (
                Field("base", self.word_bits),
                Field("row", self.row_bits),
                Field("delay", self.slot_bits),
                Field("first", self.coordinate_bits),
                Field("count", 2),
                Field("sparse", 1),
            )
        )

    @property
    def coordinate_layout(self) -> Layout:
        """One coordinate of an event: the lowest ``bits`` of its index that are left.

        It gives a loop: where it starts, how often it runs, and the steps from one turn to the next. The start's word
        is ``value * scale``, its row 0, and it runs ``count`` times; or, with ``table``, the entry ``scale + value``
        says all that. The first coordinate is the outermost loop; the last one is the innermost, whose steps are one
        word and one row and whose ``fanout`` counts the synapses of all its turns. Steps are modulo the field's width;
        where there is but one loop, there are none.
        """
        steps = (Field("word_step", self.word_bits), Field("row_step", self.row_bits))
        return Layout(
            (
                Field("bits", INDEX_FIELD_BITS),
                Field("table", 1),
                Field("scale", max(self.word_bits, bits_for(self.entries or 1))),
                Field("count", self.count_bits),
                Field("fanout", self.fanout_bits),
                *(steps if self.loops > 1 else ()),
            )
        )

    @property
    def entry_layout(self) -> Layout:
        """What a value of a coordinate gives; where it is not ``valid``, no neuron has it and the event is refused."""
        return Layout(
            (
                Field("word", self.word_bits),
                Field("row", self.row_bits),
                Field("count", self.count_bits),
                Field("fanout", self.fanout_bits),
                Field("valid", 1),
            )
        )

    @property
    def parameter_layout(self) -> Layout:
        record = parameter_layout(self.numerics, self.adaptive, self.spike_bits)
        return record.times(self.group) if self.parameters_per_neuron else record

    @property
    def parameter_depth(self) -> int:
        return self.rows * self.groups if self.parameters_per_neuron else self.rows

    @property
    def bias_layout(self) -> Layout:
        return bias_layout(self.numerics).times(self.group)

    @property
    def state_layout(self) -> Layout:
        return state_layout(self.numerics, self.adaptive, self.spike_bits).times(self.group)

    @property
    def spikes_max(self) -> int:
        """Spikes in one cycle, at most."""
        return ((1 << self.count_width) - 1) * self.group

    @property
    def saturations_max(self) -> int:
        """Saturations in one cycle, at most: of each neuron's current, potential, adaptation and number of spikes."""
        return (2 + self.adaptive + (self.spike_bits > 0)) * self.group

    @property
    def accumulator_layout(self) -> Layout:
        return Layout((Field("acc", self.numerics.accumulator_bits, signed=True),), self.lanes)

    @property
    def accumulator_depth(self) -> int:
        """Address: the slot above the row, so that rows fill a power of two."""
        return self.slots << self.row_bits


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayConfig:
    """A mesh of equal cores and the width of its flits.

    Attributes:
        width, height: cores along x and along y; 1 to 64 cores.
        key_bits: width of a key in the fabric, 1 to 10.
        index_bits: width of a neuron's index within its key, 1 to 20.
        payload_bits: width of what an event's weights are multiplied with, 0 to 8; 0 leaves the multipliers out.
            Index and payload share 20 bits. At least the core's ``spike_bits``.
        core: the core.
    """

    width: int = 1
    height: int = 1
    key_bits: int = 6
    index_bits: int = 12
    payload_bits: int = 0
    core: CoreConfig = field(default_factory=CoreConfig)

    def __post_init__(self) -> None:
        check_range("array", "width", self.width, 1, CORES_MAX)
        check_range("array", "height", self.height, 1, CORES_MAX)
        check_range("array", "cores (width * height)", self.cores, 1, CORES_MAX)
        check_range("array", "key_bits", self.key_bits, 1, KEY_BITS_MAX)
        check_range("array", "payload_bits", self.payload_bits, 0, PAYLOAD_BITS_MAX)
        most = INDEX_BITS_MAX - self.payload_bits
        check_range("array", "index_bits", self.index_bits, 1, most)
        if self.core.spike_bits > self.payload_bits:
            raise ConfigError(
                f"array: payload_bits must hold the core's spike_bits = {self.core.spike_bits}, {self.payload_bits} "
                "do not"
            )
        product = self.numerics.weight_bits + self.payload_bits
        if self.payload_bits and product > self.numerics.accumulator_bits:
            raise ConfigError(
                f"array: a weight times a payload takes {product} bits, accumulator_bits is "
                f"{self.numerics.accumulator_bits}: raise it, or lower payload_bits or weight_bits"
            )

    @property
    def cores(self) -> int:
        return self.width * self.height

    @property
    def keys(self) -> int:
        return 1 << self.key_bits

    @property
    def numerics(self) -> Numerics:
        return self.core.numerics

    def position(self, core: int) -> tuple[int, int]:
        """Column and row ``(x, y)`` of a core; cores count along x first, from the corner that has the link."""
        return core % self.width, core // self.width

    # The records whose widths depend on the fabric.

    @property
    def flit_layout(self) -> Layout:
        """One spike in the fabric; with a payload, it counts that many times."""
        fields = (Field("index", self.index_bits), Field("key", self.key_bits))
        return Layout(fields + ((Field("payload", self.payload_bits),) if self.payload_bits else ()))

    @property
    def key_layout(self) -> Layout:
        """A core's view of a key: its projections ``first`` to ``first + count - 1``, for indices below ``sources``."""
        return Layout(
            (
                Field("first", self.core.projection_bits),
                Field("count", self.core.projections.bit_length()),
                Field("sources", self.index_bits + 1),
            )
        )

    @property
    def emission_layout(self) -> Layout:
        """A row's address in the fabric: lane ``n`` sends ``index + (n << shift)`` under ``key``, if ``valid``."""
        return Layout(
            (
                Field("index", self.index_bits),
                Field("key", self.key_bits),
                Field("shift", self.index_bits.bit_length()),  # one channel in a wide space: all bits are the space's
                Field("valid", 1),
            )
        )

    # The file format.

    def to_dict(self) -> dict[str, Any]:
        """All parameters, in JSON's types."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ArrayConfig:
        """The inverse of :meth:`to_dict`. Raises :class:`ConfigError` for unknown or missing parameters."""
        core = _parameters(cls, "array", values)["core"]
        numerics = _parameters(CoreConfig, "core", core)["numerics"]
        numerics = Numerics(**_parameters(Numerics, "numerics", numerics))
        return cls(**{**values, "core": CoreConfig(**{**core, "numerics": numerics})})

    @property
    def digest(self) -> int:
        """64 bits that differ between configurations: a board answers with it, an image carries it."""
        text = json.dumps([FORMAT_VERSION, self.to_dict()], sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    def with_core(self, **changes: Any) -> ArrayConfig:
        """The same array of other cores."""
        return replace(self, core=replace(self.core, **changes))


def _parameters(cls: type, where: str, values: Any) -> Mapping[str, Any]:
    """The values, if they are all the parameters of a configuration and nothing else."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: not a configuration of format {FORMAT_VERSION}: {values!r}")
    if wrong := {f.name for f in fields(cls)} ^ set(values):
        raise ConfigError(
            f"{where}: not a configuration of format {FORMAT_VERSION}: {sorted(wrong)} are missing or unknown"
        )
    return values
