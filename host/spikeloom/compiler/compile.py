"""From a quantised network to an image: schedule, place, map."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from ..contract.boards import BOARDS
from ..contract.config import ArrayConfig
from ..contract.errors import ConfigError, FitError
from ..contract.network import QuantisedNetwork
from ..contract.numerics import Numerics
from ..contract.ring import Space
from ..image import Image
from .arrange import Activity, arrange
from .arrange import report as traffic_report
from .mapping import Used, build
from .overflow import accumulator_bits_needed
from .place import Placement, place
from .schedule import Kind, Schedule, check_phases, check_slots
from .schedule import schedule as find_schedule
from .sizing import auto


def compile(
    network: QuantisedNetwork, target: ArrayConfig | str, schedule: Kind = "auto", activity: Activity | None = None
) -> Image:
    """Map a network on an array.

    ``target`` is a configuration, a board's name (see :data:`spikeloom.contract.boards.BOARDS`), or "auto",
    "auto:WxH", "auto:WxH:LANES", "auto:WxH:LANES:GROUP": an array sized for the network. ``schedule`` is "pipelined"
    (populations run at once, each layer a tick behind the one in front), "layered" (nothing runs behind; layers take
    turns within a tick, on arrays whose cores have as many phases), or "auto": pipelined unless a loop has too little
    delay for it. With the ``activity`` that :func:`spikeloom.activity` measures, cores change places until the
    busiest router sends few flits.

    Raises :class:`FitError` for what does not fit, and :class:`~spikeloom.contract.errors.NetworkError` for loops
    that the schedule cannot run.
    """
    plan = find_schedule(network, schedule)
    config = resolve(network, target, plan)
    _check_numerics(network.numerics, config.numerics)
    needed = accumulator_bits_needed(network)
    if needed > config.numerics.accumulator_bits:
        raise FitError(
            f"accumulator_bits: the weights of one tick can sum up to {needed} bits, the array's accumulators have "
            f"{config.numerics.accumulator_bits}: raise accumulator_bits to {needed} (12 to 24), or scale weights down"
        )
    if needed > network.numerics.accumulator_bits:
        raise FitError(
            f"accumulator_bits: the network's own {network.numerics.accumulator_bits} would wrap, its sums need "
            f"{needed}: give its numerics that many"
        )
    check_phases(network, plan, config.core.phases)
    check_slots(network, plan, config.core.slots)
    placement = place(network, config, plan)
    moved: dict[str, Any] = {}
    if activity is not None and config.cores > 1:
        before, placement = placement, arrange(config, placement, activity)
        moved = {"traffic": traffic_report(config, before, placement, activity)}
    memories, used = build(network, config, placement)
    return Image(
        config=config,
        network=network,
        memories=memories,
        used=used,
        slices=placement.slices,
        input_keys=placement.input_keys,
        input_grids=placement.input_grids,
        report=_report(network, config, placement, used) | moved,
    )


def resolve(network: QuantisedNetwork, target: ArrayConfig | str, plan: Schedule | None = None) -> ArrayConfig:
    """The configuration that a target stands for; where it is sized for the network, ``plan`` is its schedule."""
    if isinstance(target, ArrayConfig):
        return target
    if target == "auto" or target.startswith("auto:"):
        return auto(network, target, plan)
    if target in BOARDS:
        return BOARDS[target].for_numerics(network.numerics)
    raise ConfigError(
        f"target {target!r}: must be an ArrayConfig, auto, auto:WxH[:LANES[:GROUP]] or a board: "
        f"{', '.join(sorted(BOARDS))}"
    )


def _check_numerics(network: Numerics, array: Numerics) -> None:
    for f in fields(Numerics):
        ours, theirs = getattr(network, f.name), getattr(array, f.name)
        if f.name != "accumulator_bits" and ours != theirs:
            raise FitError(
                f"numerics: the network has {f.name} = {ours}, the array {theirs}: quantise for the array's numerics, "
                "or build the array with the network's"
            )


def _report(network: QuantisedNetwork, config: ArrayConfig, placement: Placement, used: Used) -> dict[str, Any]:
    core = config.core

    def per_core(space: Space) -> list[int]:
        return [used.get((n, space), 0) for n in range(config.cores)]

    delays = [link.delay for link in placement.links]
    grids = [s.grid for s in placement.slices] + list(placement.input_grids.values())
    index = max((grid.sources for grid in grids), default=0)
    entries: dict[str, tuple[list[int], int, int]] = {
        name: (each, max(each), limit)
        for name, each, limit in (
            ("rows", per_core(Space.EMISSION), core.rows),
            ("words", per_core(Space.WEIGHT), core.words),
            ("projections", per_core(Space.PROJECTION), core.projections),
            ("coordinates", per_core(Space.COORDINATE), core.coordinates),
            ("entries", per_core(Space.ENTRY), core.entries),
        )
    }
    heard = [{link.key for link in placement.links if link.target.core == n} for n in range(config.cores)]
    entries["keys"] = ([len(keys) for keys in heard], placement.keys, config.keys)
    if core.phases > 1:
        entries["phases"] = ([], max((s.phase for s in placement.slices), default=0) + 1, core.phases)
    entries["slots"] = ([], max(delays, default=0) + 1, core.slots)
    entries["index"] = ([], index, 1 << config.index_bits)
    entries["accumulator"] = ([], accumulator_bits_needed(network), config.numerics.accumulator_bits)
    neurons = np.zeros(config.cores, dtype=np.int64)
    for s in placement.slices:
        neurons[s.core] += s.size
    return {
        "cores": config.cores,
        "neurons": int(neurons.sum()),
        "neurons_per_core": neurons.tolist(),
        "synapses": int(sum(network.fanout(e).sum() for e in network.projections)),
        "latency": max((s.latency for s in placement.slices), default=0),
        "resources": {
            name: {"per_core": each, "used": int(most), "limit": limit, "share": most / limit if limit else 0.0}
            for name, (each, most, limit) in entries.items()
        },
    }
