"""When things happen: the pipelined schedule, and the layered one.

A source framework lets a spike pass several layers within one tick. The input itself runs one tick ahead, since the
host's spikes wait in front of the tick they count in: an input's edge of delay ``D`` in the framework takes
``d = D + 1`` ticks of the hardware, plus its target's latency.

*Pipelined*: one phase a tick, so every edge takes at least one tick of the hardware. Population ``p`` runs ``l(p)``
ticks behind the input stream, and an edge ``a -> b`` takes ``d = D + l(b) - l(a) >= 1``.

*Layered*: a tick has several phases, and a population is updated in one of them. Nothing runs behind, ``d = D``; an
edge without delay leads into a later phase, where its spikes are walked before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..contract.config import PHASES_MAX
from ..contract.errors import FitError, NetworkError
from ..contract.network import Projection, QuantisedNetwork
from ..contract.neuron import NEVER

Kind = Literal["pipelined", "layered", "auto"]

INPUT_LATENCY = -1
SLOTS_MAX = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """When things happen.

    Attributes:
        latencies: ticks by which each population runs behind the input stream.
        phases: in which phase of a tick each population is updated, from 0 on.
        delays: ticks of the hardware that each projection takes, in the network's order; 0 into a later phase only.
    """

    latencies: dict[str, int]
    phases: dict[str, int]
    delays: tuple[int, ...]

    @property
    def slots(self) -> int:
        """Least number of slots, a power of two, that holds the delays."""
        return max(2, 1 << max(self.delays, default=1).bit_length())

    @property
    def phase_count(self) -> int:
        """Phases of a tick."""
        return max(self.phases.values(), default=0) + 1


def schedule(network: QuantisedNetwork, kind: Kind = "auto") -> Schedule:
    """The schedule of a kind; "auto" is the pipelined one where that exists.

    Raises :class:`NetworkError` for loops with too little delay, and :class:`FitError` where a tick would need more
    phases than there can be.
    """
    if kind == "pipelined":
        return _pipelined(network)
    if kind == "layered":
        return _layered(network)
    if kind != "auto":
        raise FitError(f"schedule: must be pipelined, layered or auto, not {kind!r}")
    try:
        return _pipelined(network)
    except NetworkError as error:
        try:
            return _layered(network)
        except FitError:
            raise error from None


def _pipelined(network: QuantisedNetwork) -> Schedule:
    """Least latencies with ``d >= 1`` on every edge."""
    names = {p.name for p in network.populations}
    inner = [e for e in network.projections if e.source in names]
    latencies, loop, delay = _longest_paths(network, inner)
    if loop:
        raise NetworkError(
            f"network: the loop {' -> '.join([*loop, loop[0]])} has a delay of {delay} ticks for {len(loop)} edges; "
            "the pipelined schedule needs one tick an edge. Give its projections more delay, or choose the layered "
            "schedule, on an array of several phases"
        )
    for name, latency in latencies.items():
        if latency >= NEVER:
            raise NetworkError(
                f"population {name}: {latency} ticks behind the input, the hardware counts to {NEVER - 1}; "
                "the network is too deep for the pipelined schedule"
            )
    return Schedule(
        latencies=latencies,
        phases=dict.fromkeys(latencies, 0),
        delays=tuple(
            e.delay + latencies[e.target] - latencies.get(e.source, INPUT_LATENCY) for e in network.projections
        ),
    )


def _layered(network: QuantisedNetwork) -> Schedule:
    """Least phases with every edge without delay leading into a later one."""
    names = {p.name for p in network.populations}
    instant = [e for e in network.projections if e.source in names and e.delay == 0]
    phases, loop, _ = _longest_paths(network, instant)
    if loop:
        raise NetworkError(
            f"network: the loop {' -> '.join([*loop, loop[0]])} has no delay at all; a tick cannot wait for itself. "
            "Give one of its projections a delay of at least 1"
        )
    plan = Schedule(
        latencies=dict.fromkeys(phases, 0),
        phases=phases,
        delays=tuple(e.delay + (e.source not in names) for e in network.projections),
    )
    if plan.phase_count > PHASES_MAX:
        raise FitError(
            f"phases: the layered schedule takes {plan.phase_count} phases a tick, at most {PHASES_MAX} exist: give a "
            "projection in the middle a delay, or choose the pipelined schedule"
        )
    return plan


def _longest_paths(network: QuantisedNetwork, edges: Sequence[Projection]) -> tuple[dict[str, int], list[str], int]:
    """Least ``x`` of each population with ``x(target) - x(source) + delay >= 1`` on every edge.

    Where there is none, the populations of a loop in the spikes' direction, and its delay.
    """
    found = {p.name: 0 for p in network.populations}
    came_by: dict[str, Projection] = {}
    late = ""
    for _ in range(len(found) + 1):
        late = ""
        for edge in edges:
            earliest = found[edge.source] + 1 - edge.delay
            if earliest > found[edge.target]:
                found[edge.target], came_by[edge.target], late = earliest, edge, edge.target
        if not late:
            return found, [], 0
    loop = _loop(late, came_by, len(found))
    return found, loop, sum(came_by[name].delay for name in loop)


def check_phases(network: QuantisedNetwork, plan: Schedule, phases: int) -> None:
    """Raise :class:`FitError` where a tick takes more phases than the array has."""
    if plan.phase_count <= phases:
        return
    try:
        _pipelined(network)
        advice = "or choose the pipelined schedule"
    except NetworkError as error:
        advice = f"or make the pipelined schedule possible. {error}"
    raise FitError(
        f"phases: the layered schedule takes {plan.phase_count} phases a tick, the core has {phases}: raise phases to "
        f"{plan.phase_count} (1 to {PHASES_MAX}), {advice}",
        "phases",
        plan.phase_count,
    )


def check_slots(network: QuantisedNetwork, plan: Schedule, slots: int) -> None:
    """Raise :class:`FitError` where a projection takes more ticks than there are accumulators for."""
    for edge, delay in zip(network.projections, plan.delays, strict=True):
        if delay > slots - 1:
            raise FitError(
                f"projection {edge.name}: takes {delay} ticks (delay {edge.delay}, the rest balances the layers), "
                f"slots = {slots} allow {slots - 1}: the core needs slots = {plan.slots} (at most {SLOTS_MAX} exist)"
            )


def _loop(at: str, came_by: dict[str, Projection], count: int) -> list[str]:
    """Populations of the loop that made ``at`` late, in the direction of the spikes."""
    for _ in range(count):  # back along the latest edges: after as many steps as there are populations, inside the loop
        at = came_by[at].source
    loop = [at]
    while (before := came_by[loop[-1]].source) != at:
        loop.append(before)
    return loop[::-1]
