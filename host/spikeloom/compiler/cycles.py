"""How many cycles each tick takes: from an image's tables and the golden model's spikes, without the gateware.

What happens in a tick depends on which neurons spike, not on their weights or states: rows in which nobody fires send
nothing, and a spike of a convolution or a sparse projection visits words of its own. So the model takes spikes of each
input and population. It has no clock: each flit, event and row has a time at which it goes on, and that follows from
those in front of it. It is exact for arrays whose host sends all words of a sample ahead and takes every answer at
once, as the simulated board's does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ..contract.config import ArrayConfig
from ..contract.fabric import Port
from ..contract.network import InputKind
from ..image import NO_KEY, Image
from .cycles_core import Tables, Update, Walk, clear_cycles
from .cycles_fabric import Accepted, Fabric, Flit, Sink

START_CYCLES = 3
"""From the decision for a start or a reset to the cores; the first spike of the next tick passes then, too."""
SETTLE = 5
"""Cycles in which rest is not believed, besides the barrier's latency."""


def predict(
    image: Image,
    inputs: Mapping[str, np.ndarray],
    fired: Mapping[str, np.ndarray],
    apart: Collection[int] = (),
) -> np.ndarray:
    """Busy cycles of each tick of the board for one sample, ``int64 (ticks + latency,)``, the reset in the first one.

    ``inputs`` are spikes of each input (how many, where it counts), ``fired`` those of each population,
    ``(ticks, size)``. ``apart`` are ticks of the board in front of which the host reads or writes memories: their
    spikes wait for the end of the tick before, all others come while it runs.
    """
    return Model(image).run(inputs, fired, apart)


class Model:
    """An array, as far as its cycles go; keep it to predict many samples."""

    def __init__(self, image: Image):
        self.image, self.config = image, image.config
        self.tables = [Tables(image, n) for n in range(self.config.cores)]
        self.barrier = barrier_latency(self.config)
        self.settle = SETTLE + self.barrier
        self._turns: list[int] | None = None
        self._places = [s.places(self.config.core.lanes) for s in image.slices]
        self._neurons = [s.grid.neurons() for s in image.slices]
        self._indices = {name: grid.indices() for name, grid in image.input_grids.items()}

    def run(
        self, inputs: Mapping[str, np.ndarray], fired: Mapping[str, np.ndarray], apart: Collection[int] = ()
    ) -> np.ndarray:
        """See :func:`predict`; whose turn it is at the routers goes on from the sample before."""
        ticks = len(next(iter(inputs.values())))
        spikes = [self._host(inputs, tick) for tick in range(ticks)] + [[]] * (self.image.latency + 1)
        cycles = np.zeros(ticks + self.image.latency, dtype=np.int64)
        clear = START_CYCLES + 1 + clear_cycles(self.config.core) + self.barrier
        before = max(1 + self.settle, clear) - 1
        for tick in range(len(cycles)):
            if not tick or tick in apart:
                before += self._period(spikes[tick], None)
            along = [] if tick + 1 in apart else spikes[tick + 1]
            rows = self._rows(fired, tick, ticks)
            for phase in range(self.image.phases):
                before += self._period([] if phase else along, rows, phase)
            cycles[tick] = before
            before = 0
        return cycles

    def _host(self, inputs: Mapping[str, np.ndarray], tick: int) -> list[Flit]:
        """Spikes of a tick in the order in which the host sends them."""
        flits: list[Flit] = []
        for i in self.image.network.inputs:
            key = self.image.input_keys[i.name]
            if key == NO_KEY or i.kind is InputKind.CURRENTS:
                continue
            counts = np.asarray(inputs[i.name][tick]).reshape(-1)
            if i.kind is InputKind.GRADED:
                counts = counts != 0
            neurons = np.flatnonzero(counts)
            indices = np.repeat(self._indices[i.name][neurons], counts[neurons].astype(np.int64))
            flits += [(key, index) for index in indices.tolist()]
        return flits

    def _rows(self, fired: Mapping[str, np.ndarray], tick: int, ticks: int) -> list[np.ndarray]:
        """Who fires in a tick of the board: rows of lanes of each core."""
        core = self.config.core
        result = [np.zeros(core.neurons, dtype=bool) for _ in range(self.config.cores)]
        for s, places, neurons in zip(self.image.slices, self._places, self._neurons, strict=True):
            if 0 <= tick - s.latency < ticks:
                spikes = np.asarray(fired[s.population][tick - s.latency]).reshape(-1)
                result[s.core][places] = spikes[neurons]
        return [rows.reshape(core.rows, core.lanes) for rows in result]

    def _period(self, host: Sequence[Flit], rows: Sequence[np.ndarray] | None, phase: int = 0) -> int:
        """Busy cycles from one rest to the next: a tick with the spikes that come meanwhile, or (None) only these."""
        if rows is None and not host:
            return 0
        updates = []
        if rows is not None:
            updates = [Update(t, r, START_CYCLES, phase) for t, r in zip(self.tables, rows, strict=True)]
        before = self._turns
        while True:
            end = self._pass(host, updates)
            settled = [update.settled() for update in updates]  # each of them, so that all take what is known now
            if all(settled):
                return end
            self._turns = before

    def _pass(self, host: Sequence[Flit], updates: Sequence[Update]) -> int:
        """One pass with the drains as they are known; cycle 0 is the start, or the host's first spike."""
        reserved = [update.reserved for update in updates] or [[] for _ in self.tables]
        walks = [Walk(tables, cycles) for tables, cycles in zip(self.tables, reserved, strict=True)]
        fabric = Fabric(self.image, [_into(walk) for walk in walks])
        if self._turns is not None:
            fabric.set_turns(self._turns)
        sent = 0  # from when on the sequencer believes in rest
        if updates:
            sent = 1 + self.settle
        queue = iter(host)

        def inject(at: int) -> None:
            nonlocal sent
            sent = max(sent, at + 1 + self.settle)
            following = next(queue, None)
            if following is not None:
                fabric.inputs[0][Port.LINK].offer(at + 1, following, inject)

        if host:
            fabric.inputs[0][Port.LINK].offer((START_CYCLES if updates else 0) + 1, next(queue), inject)
        for n, update in enumerate(updates):
            update.begin()
            _emit(update, fabric, n)
        fabric.run()
        self._turns = fabric.turns()
        idle = max([fabric.idle, *(walk.idle for walk in walks), *(update.idle for update in updates)])
        if updates:
            idle = max(idle, START_CYCLES + 1)
        return max(sent, idle + self.barrier) - 1


def _into(walk: Walk) -> Sink:
    def sink(valid: int, flit: Flit, accepted: Accepted) -> None:
        at = max(valid, walk.room)
        walk.event(at, *flit)
        accepted(at)

    return sink


def _emit(update: Update, fabric: Fabric, core: int) -> None:
    def accepted(at: int) -> None:
        update.accepted(at)
        following()

    def following() -> None:
        flit = update.next_flit()
        if flit is not None:
            fabric.inputs[core][Port.CORE].offer(flit[0], flit[1:], accepted)

    following()


def barrier_latency(config: ArrayConfig) -> int:
    """Registers of the barrier: a level for each power of 4 of cores and routers."""
    latency = 1
    while 4**latency < 2 * config.cores:
        latency += 1
    return latency
