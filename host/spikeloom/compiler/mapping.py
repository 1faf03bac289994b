"""Memories: what every table of every core holds for a placed network."""

from __future__ import annotations

import numpy as np

from ..contract.config import ArrayConfig, CoreConfig
from ..contract.errors import FitError
from ..contract.fabric import HOST, multicast_tree
from ..contract.layout import Layout
from ..contract.network import Population, QuantisedNetwork
from ..contract.neuron import NEVER
from ..contract.numerics import Profile
from ..contract.ring import Register, Space, spaces
from ..image import NO_KEY, Slice
from .place import Link, Placement
from .tables import Tables, lay_out

UNMAPPED = (Space.STATE, Space.ACCUMULATOR, Space.COUNTER)
"""Spaces that no image fills: a reset of the states and the counters' own commands clear them."""

Memories = dict[tuple[int, Space], np.ndarray]
Used = dict[tuple[int, Space], int]


def build(network: QuantisedNetwork, config: ArrayConfig, placement: Placement) -> tuple[Memories, Used]:
    """Words of each core's spaces, ``uint32 (depth, stride)``, and the number of records in use."""
    memories: Memories = {}
    used: Used = {}
    geometry = spaces(config)
    for core in range(config.cores):
        for space, shape in geometry.items():
            if space not in UNMAPPED:
                memories[core, space] = np.zeros((shape.depth, shape.stride), dtype=np.uint32)
                used[core, space] = 0
        _lay_out(network, config, core, [link for link in placement.links if link.target.core == core], memories, used)
        _fill_rows(network, config, core, placement, memories, used)
    for key, masks in routes(config, placement).items():
        for core, mask in enumerate(masks):
            memories[core, Space.ROUTE][key, 0] = mask
    for core in range(config.cores):
        used[core, Space.ROUTE] = config.keys  # a key of an earlier network must not find its way
    return memories, used


def routes(config: ArrayConfig, placement: Placement) -> dict[int, np.ndarray]:
    """Ports by which each key leaves each router, ``uint32 (cores,)`` a key."""
    homes = dict.fromkeys(placement.input_keys.values(), HOST) | {s.key: s.core for s in placement.slices}
    homes.pop(NO_KEY, None)
    destinations: dict[int, set[int]] = {key: set() for key in homes}
    for link in placement.links:
        destinations[link.key].add(link.target.core)
    for key in placement.to_host:
        destinations[key].add(HOST)
    return {key: multicast_tree(config, home, sorted(destinations[key])) for key, home in homes.items()}


def _lay_out(
    network: QuantisedNetwork, config: ArrayConfig, number: int, links: list[Link], memories: Memories, used: Used
) -> None:
    """Weights, entries, coordinates, projections and keys of one core."""
    core, tables, sources = config.core, Tables(), {}
    for link in sorted(links, key=lambda link: link.key):  # a key's projections lie side by side
        lay_out(network, core, link, tables)
        tables.keys.setdefault(link.key, []).append(len(tables.projections) - 1)
        sources[link.key] = link.source.sources
    _check_depths(core, number, tables)

    def fill(space: Space, records: np.ndarray) -> None:
        memories[number, space][: len(records), : records.shape[1]] = records
        used[number, space] = len(records)

    def columns(layout: Layout, records: list[dict[str, int]]) -> dict[str, np.ndarray]:
        return {field.name: np.array([record[field.name] for record in records]) for field in layout.fields}

    if tables.at:
        fill(Space.WEIGHT, core.weight_layout.pack({"weight": np.concatenate(tables.words)}))
        if core.sparse:
            fill(Space.WORD_ROW, core.word_row_layout.pack({"row": np.concatenate(tables.word_rows)}))
    for space, layout, records in (
        (Space.ENTRY, core.entry_layout, tables.entries),
        (Space.COORDINATE, core.coordinate_layout, tables.coordinates),
        (Space.PROJECTION, core.projection_layout, tables.projections),
    ):
        if records:
            fill(space, layout.pack(columns(layout, records)))
    keys = {name: np.zeros(config.keys, dtype=np.int64) for name in ("first", "count", "sources")}
    for key, entries in tables.keys.items():
        keys["first"][key], keys["count"][key], keys["sources"][key] = entries[0], len(entries), sources[key]
    fill(Space.KEY, config.key_layout.pack(keys))


def _check_depths(core: CoreConfig, number: int, tables: Tables) -> None:
    for name, needed, have in (
        ("words", tables.at, core.words),
        ("entries", len(tables.entries), core.entries),
        ("coordinates", len(tables.coordinates), core.coordinates),
        ("projections", len(tables.projections), core.projections),
        ("loops", max((record["count"] for record in tables.projections), default=1), core.loops),
    ):
        if needed > have:
            raise FitError(
                f"{name}: core {number} takes {needed} of its {have}, {needed - have} too few: raise {name} to "
                f"{needed}",
                name,
                needed,
            )


def _fill_rows(
    network: QuantisedNetwork, config: ArrayConfig, number: int, placement: Placement, memories: Memories, used: Used
) -> None:
    """Parameters, biases, emission records and the number of rows of one core."""
    core = config.core
    here = [s for s in placement.slices if s.core == number]
    rows = max((s.row0 + s.rows(core.lanes) for s in here), default=0)
    shape = (rows, core.lanes)
    parameters = {f.name: np.zeros(shape, dtype=np.int64) for f in core.parameter_layout.fields}
    parameters["theta"][:] = core.numerics.state_max
    parameters["latency"][:] = NEVER
    biases = {f.name: np.zeros(shape, dtype=np.int64) for f in core.bias_layout.fields}
    emission = {f.name: np.zeros(rows, dtype=np.int64) for f in config.emission_layout.fields}
    for s in here:
        population = network.population(s.population)
        own, neurons = s.places(core.lanes), s.grid.neurons()
        for name, values in _parameters(population, s, core).items():
            parameters[name].reshape(-1)[own] = values
            if not core.parameters_per_neuron:
                _check_shared(population, s, name, parameters[name], core)
        if not core.parameters_per_neuron:
            _check_unused(population, s, core)
        for name, values in biases.items():
            values.reshape(-1)[own] = getattr(population, name)[neurons]
        at = slice(s.row0, s.row0 + s.rows(core.lanes))
        if s.key != NO_KEY:
            emission["index"][at] = s.grid.first_indices(core.lanes)
            emission["shift"][at] = sum(s.grid.field_bits)
            emission["key"][at] = s.key
            emission["valid"][at] = 1
    grouped = (rows * core.groups, core.group)
    if core.parameters_per_neuron:
        records = core.parameter_layout.pack({n: v.reshape(grouped) for n, v in parameters.items()})
    else:
        records = core.parameter_layout.pack({n: v[:, 0] for n, v in parameters.items()})
    for space, packed in (
        (Space.PARAMETER, records),
        (Space.BIAS, core.bias_layout.pack({n: v.reshape(grouped) for n, v in biases.items()})),
        (Space.EMISSION, config.emission_layout.pack(emission)),
    ):
        memories[number, space][: len(packed), : packed.shape[1]] = packed
        used[number, space] = len(packed)
    registers = memories[number, Space.REGISTER]
    for s in here:
        registers[Register.ROWS + s.phase, 0] += s.rows(core.lanes)
    used[number, Space.REGISTER] = len(registers)


def _parameters(population: Population, s: Slice, core: CoreConfig) -> dict[str, np.ndarray]:
    arrays = ("alpha", "beta", "theta", "v_min", "v_reset", "v_sub", "refractory")
    values = {n: getattr(population, n)[s.grid.neurons()] for n in arrays}
    values |= {"reset": np.array(int(population.reset)), "latency": np.array(s.latency)}
    if core.adaptive:
        values |= {n: getattr(population, n)[s.grid.neurons()] for n in ("gamma", "step")}
        values["adaptation"] = np.array(int(population.adaptation))
    if core.spike_bits:
        values["spike_bits"] = np.array(population.spike_bits)
    if core.numerics.profile is Profile.LOIHI:
        values["weight_exponent"] = np.array(population.weight_exponent)
    return values


def _check_shared(population: Population, s: Slice, name: str, values: np.ndarray, core: CoreConfig) -> None:
    """Rows share one record: all their neurons must agree."""
    lines = values[s.row0 : s.row0 + s.rows(core.lanes)]
    used = np.zeros(lines.size, dtype=bool)
    used[s.grid.places(core.lanes)] = True
    if (used.reshape(lines.shape) & (lines != lines[:, :1])).any():
        raise FitError(
            f"population {population.name}: {name} differs between neurons of one row, and this array's rows share "
            'their parameters: use parameters_per_neuron = True, or quantise(scale="layer")'
        )


def _check_unused(population: Population, s: Slice, core: CoreConfig) -> None:
    """Where a row shares its record, its unused lanes run too: they must stay silent at rest."""
    if s.grid.lengths[0] % core.lanes == 0:
        return
    neurons = s.grid.neurons()
    quiet = np.asarray(population.theta)[neurons] >= np.maximum(0, np.asarray(population.v_min)[neurons])
    if core.numerics.weight_bits == 1 or not quiet.all():
        raise FitError(
            f"population {population.name}: the last lanes of its rows are unused, and with parameters a row they "
            "could fire (1-bit weights, or a threshold below the resting potential): use parameters_per_neuron = True"
        )
