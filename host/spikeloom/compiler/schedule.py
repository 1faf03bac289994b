"""The pipelined schedule: one phase a tick, so every edge takes at least one tick of the hardware.

A source framework lets a spike pass several layers within one tick. Here population ``p`` runs ``l(p)`` ticks behind
the input stream; the input itself runs one tick ahead, since the host's spikes wait in front of the tick they count in.
An edge ``a -> b`` of delay ``D`` in the framework takes ``d = D + l(b) - l(a)`` ticks of the hardware.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..contract.errors import FitError, NetworkError
from ..contract.network import Projection, QuantisedNetwork
from ..contract.neuron import NEVER

INPUT_LATENCY = -1
SLOTS_MAX = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """When things happen.

    Attributes:
        latencies: ticks by which each population runs behind the input stream.
        delays: ticks of the hardware that each projection takes, in the network's order, at least 1.
    """

    latencies: dict[str, int]
    delays: tuple[int, ...]

    @property
    def slots(self) -> int:
        """Least number of slots, a power of two, that holds the delays."""
        return max(2, 1 << max(self.delays, default=1).bit_length())


def schedule(network: QuantisedNetwork) -> Schedule:
    """Least latencies with ``d >= 1`` on every edge. Raises :class:`NetworkError` for a loop without enough delay."""
    latencies = {p.name: 0 for p in network.populations}
    inner = [e for e in network.projections if e.source in latencies]
    came_by: dict[str, Projection] = {}
    late = ""
    for _ in range(len(latencies) + 1):
        late = ""
        for edge in inner:
            earliest = latencies[edge.source] + 1 - edge.delay
            if earliest > latencies[edge.target]:
                latencies[edge.target], came_by[edge.target], late = earliest, edge, edge.target
        if not late:
            break
    if late:
        loop = _loop(late, came_by, len(latencies))
        raise NetworkError(
            f"network: the loop {' -> '.join([*loop, loop[0]])} has a delay of {_delay(loop, came_by)} ticks for "
            f"{len(loop)} edges; the pipelined schedule needs one tick an edge. Give its projections more delay; the "
            "layered schedule, which will run such loops as they are, does not exist yet"
        )
    for name, latency in latencies.items():
        if latency >= NEVER:
            raise NetworkError(
                f"population {name}: {latency} ticks behind the input, the hardware counts to {NEVER - 1}; "
                "the network is too deep for the pipelined schedule"
            )
    return Schedule(
        latencies=latencies,
        delays=tuple(
            e.delay + latencies[e.target] - latencies.get(e.source, INPUT_LATENCY) for e in network.projections
        ),
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


def _delay(loop: Sequence[str], came_by: dict[str, Projection]) -> int:
    return sum(came_by[name].delay for name in loop)
