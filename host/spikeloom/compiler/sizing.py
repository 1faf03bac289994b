"""Sizing: the smallest array of a given shape that holds a network."""

from __future__ import annotations

from dataclasses import replace

from ..contract.config import INDEX_BITS_MAX, KEY_BITS_MAX, PAYLOAD_BITS_MAX, ArrayConfig, CoreConfig, bits_for
from ..contract.errors import FitError
from ..contract.network import QuantisedNetwork
from ..contract.ring import Space
from .cycles_core import row_cycles
from .mapping import build
from .overflow import accumulator_bits_needed
from .pieces import entries_needed, walks_sparsely
from .place import Placement, place
from .schedule import SLOTS_MAX, Schedule, check_slots, schedule

WORDS_STEP = 512
"""Weight memories come in multiples of this: block RAMs are that deep at least."""
ACCUMULATOR_BITS_MIN = 16
WORDS_MAX = 1 << 18

AUTO_LANES = 16
AUTO_GRIDS = ((1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4), (8, 8))
AUTO_WORDS, AUTO_ROWS = 4096, 64
"""What a core may need at most before "auto" takes a larger grid."""
AUTO_UPDATE, AUTO_GROUP = 64, 8
"""Cycles that the update of a core's neurons may take before "auto" takes a larger group, and the largest one."""


def size_array(
    network: QuantisedNetwork,
    width: int = 1,
    height: int = 1,
    lanes: int = AUTO_LANES,
    group: int = 1,
    *,
    parameters_per_neuron: bool = True,
    plan: Schedule | None = None,
) -> ArrayConfig:
    """The smallest memories with which ``width * height`` cores hold a network.

    Raises :class:`FitError` where no core is large enough, and :class:`ConfigError` for an impossible shape.
    """
    plan = plan or schedule(network)
    check_slots(network, plan, SLOTS_MAX)
    needed = max(ACCUMULATOR_BITS_MIN, network.numerics.accumulator_bits, accumulator_bits_needed(network))
    tabled = any(entries_needed(network, p.name) for p in network.populations)
    payload = max((end.max_count.bit_length() for end in network.ends if end.graded), default=0)
    if payload > PAYLOAD_BITS_MAX:
        raise FitError(f"payload_bits: graded inputs of {payload} bits, there are {PAYLOAD_BITS_MAX} at most")
    widest = ArrayConfig(
        width=width, height=height, key_bits=KEY_BITS_MAX, index_bits=INDEX_BITS_MAX - payload, payload_bits=payload,
        core=CoreConfig(
            lanes=lanes, rows=4096, words=WORDS_MAX, slots=plan.slots, group=group, projections=1024,
            coordinates=3072, entries=1 << 18 if tabled else 0, parameters_per_neuron=parameters_per_neuron,
            phases=plan.phase_count, adaptive=any(p.adapts for p in network.populations),
            spike_bits=max((p.spike_bits for p in network.populations), default=0),
            sparse=any(walks_sparsely(e) for e in network.projections),
            numerics=replace(network.numerics, accumulator_bits=min(24, needed)),
        ),
    )  # fmt: skip
    config = _shrink(network, widest, place(network, widest, plan))
    while True:  # how populations are cut depends on the space there is: make sure that the result holds them
        try:
            build(network, config, place(network, config, plan))
            return config
        except FitError as error:
            if error.parameter == "key_bits":
                config = replace(config, key_bits=error.needed)
            elif error.parameter and error.parameter != "words":
                config = config.with_core(**{error.parameter: error.needed})
            elif not error.parameter or config.core.words + WORDS_STEP > WORDS_MAX:
                raise
            else:
                config = config.with_core(words=config.core.words + WORDS_STEP)


def _shrink(network: QuantisedNetwork, config: ArrayConfig, placement: Placement) -> ArrayConfig:
    _, used = build(network, config, placement)
    most = {space: max(used.get((n, space), 0) for n in range(config.cores)) for space in Space}
    rows = max(1, most[Space.EMISSION])
    core = replace(
        config.core,
        rows=rows,
        words=max(WORDS_STEP, -(-most[Space.WEIGHT] // WORDS_STEP) * WORDS_STEP),
        projections=max(1, most[Space.PROJECTION]),
        coordinates=max(1, most[Space.COORDINATE]),
        loops=1,
        entries=max(_entries(network, placement, config)),
    )
    grids = [s.grid for s in placement.slices] + list(placement.input_grids.values())
    largest = max([core.neurons, *(grid.sources for grid in grids)])
    return replace(config, key_bits=bits_for(placement.keys), index_bits=bits_for(largest), core=core)


def _entries(network: QuantisedNetwork, placement: Placement, config: ArrayConfig) -> list[int]:
    """Entries that the placement reserves on each core."""
    reserved = [0] * config.cores
    for core, population in {(s.core, s.population) for s in placement.slices}:
        reserved[core] += entries_needed(network, population)
    return reserved


def auto(network: QuantisedNetwork, text: str = "auto", plan: Schedule | None = None) -> ArrayConfig:
    """The array of "auto", "auto:WxH", "auto:WxH:LANES" or "auto:WxH:LANES:GROUP".

    Raises :class:`FitError` for any other text, and for what no core can hold.
    """
    _, *parts = text.split(":")
    try:
        width, height = map(int, parts[0].split("x")) if parts else (0, 0)
        lanes = int(parts[1]) if len(parts) > 1 else AUTO_LANES
        group = int(parts[2]) if len(parts) > 2 else None
    except ValueError:
        width = -1
    if width < 0 or len(parts) > 3:
        raise FitError(f"target {text!r}: must be auto, auto:WIDTHxHEIGHT[:LANES[:GROUP]]")
    if parts:
        config = size_array(network, width, height, lanes, 1 if group is None else group, plan=plan)
        return regrouped(config) if group is None else with_room(config)
    for grid in AUTO_GRIDS:
        try:
            config = size_array(network, *grid, lanes, plan=plan)
        except FitError:
            if grid == AUTO_GRIDS[-1]:
                raise
            continue
        if config.core.words <= AUTO_WORDS and config.core.rows <= AUTO_ROWS:
            break
    return regrouped(config)


def regrouped(config: ArrayConfig) -> ArrayConfig:
    """The same array that updates as many neurons a cycle as its rows ask for.

    The least group with which all neurons take :data:`AUTO_UPDATE` cycles, up to :data:`AUTO_GROUP`.
    """
    core = config.core
    groups = [n for n in range(1, AUTO_GROUP + 1) if core.lanes % n == 0]
    enough = (n for n in groups if core.neurons // n <= AUTO_UPDATE)
    group = next(enough, groups[-1])
    return with_room(config.with_core(group=group))


def with_room(config: ArrayConfig) -> ArrayConfig:
    """The same array with room for the spikes of all rows that can be under way, so that its update never waits."""
    core = config.core
    # A row's place is taken two cycles before its drain, and can be taken again three after it was given back.
    rows = -(-(row_cycles(core) + 5) // core.groups) + 1
    return config.with_core(spike_fifo=max(core.spike_fifo, 1 << (rows - 1).bit_length()))
