"""An array for a network and a board: of all that fit the chip, those that nothing beats in speed, size and latency.

Nothing is synthesised: resources come from :mod:`.compiler.resources`, cycles from :mod:`.compiler.cycles` and the
golden model's spikes, clocks from place and route of cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from .compiler import resources
from .compiler.compile import compile as compile_network
from .compiler.schedule import Kind, Schedule, schedule
from .compiler.sizing import size_array, with_room
from .contract.boards import ICE40, Room, room
from .contract.config import ArrayConfig
from .contract.errors import FitError, NetworkError
from .contract.network import QuantisedNetwork
from .contract.ring import Space
from .contract.samples import check_samples

Goal = Literal["rate", "area", "latency"]
GOALS: tuple[Goal, ...] = get_args(Goal)

LANES = (1, 2, 4, 8, 16, 32, 64, 128)
GROUPS = (1, 2, 4, 8, 16, 32)
GRIDS = ((1, 1), (2, 1), (2, 2), (4, 2), (4, 4))
"""What is tried."""

PROBE_EVENTS = 1500
"""Events that the first look at a candidate's cycles covers, about."""
FINALISTS = 8
"""Candidates whose cycles are counted on whole samples."""
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Candidate:
    """An array that the chip holds.

    Attributes:
        network, schedule, config: what is compiled, and for what.
        used, shares: resources, and of the chip's.
        clock_mhz: what it is expected to run at.
        cycles: busy cycles of a sample; ``ticks`` of them.
        latency_ticks: by how many ticks the output runs behind the input.
        exact: the cycles are those of all samples, not of the first ticks of one.
    """

    network: QuantisedNetwork = field(repr=False)
    schedule: Kind
    config: ArrayConfig
    used: Mapping[str, int]
    shares: Mapping[str, float]
    clock_mhz: float
    cycles: float = 0.0
    ticks: int = 1
    latency_ticks: int = 0
    exact: bool = False

    @property
    def rate(self) -> float:
        """Samples a second, one behind the other, while the link keeps up."""
        return self.clock_mhz * 1e6 / self.cycles

    @property
    def latency(self) -> float:
        """Seconds from a tick's start to the output of that tick."""
        return self.cycles / (self.ticks + self.latency_ticks) * (1 + self.latency_ticks) / (self.clock_mhz * 1e6)

    @property
    def area(self) -> float:
        """Share of the scarcest resource."""
        return max(self.shares.values())

    @property
    def target(self) -> str:
        """The array as the compiler takes it: ``auto:WxH:LANES:GROUP``."""
        core = self.config.core
        return f"auto:{self.config.width}x{self.config.height}:{core.lanes}:{core.group}"

    def figures(self) -> dict[str, Any]:
        """What a table shows."""
        scarce = max(self.shares, key=lambda name: self.shares[name])
        cycles = f"{'' if self.exact else 'about '}{self.cycles:,.0f}"
        return {
            "target": self.target, "schedule": self.schedule, "bits": self.config.numerics.weight_bits,
            "area": f"{self.area:.0%} {scarce}", "MHz": round(self.clock_mhz, 1), "cycles": cycles,
            "samples/s": round(self.rate), "latency us": round(self.latency * 1e6, 2),
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fit:
    """What was found: ``best`` for the goal, the ``front`` that nothing beats in all three, and how many were tried.

    ``link_rate``: samples a second that the board's link lets in.
    """

    board: str
    goal: Goal
    best: Candidate
    front: Sequence[Candidate]
    every: Sequence[Candidate]
    tried: int
    link_rate: float

    def best_by(self, goal: Goal) -> Candidate:
        """Of the front, the best for another goal; among equals the fastest."""
        return max(self.front, key=lambda c: _score(c, goal))

    def to_dict(self) -> dict[str, Any]:
        return {
            "board": self.board, "goal": self.goal, "tried": self.tried, "fit": len(self.every),
            "link_rate": round(self.link_rate, 1), "best": self.best.figures() | {"config": asdict(self.best.config)},
            "front": [c.figures() | {"used": dict(c.used), "exact": c.exact} for c in self.front],
        }  # fmt: skip


def fit(
    networks: QuantisedNetwork | Sequence[QuantisedNetwork],
    samples: Any,
    board: str = "ulx3s_85f",
    *,
    goal: Goal = "rate",
    clock_mhz: float | None = None,
    tell: Tell | None = None,
) -> Fit:
    """Choose cores, lanes, groups, memories, schedule and, of several quantised networks, the bits.

    ``samples`` are ``(samples, ticks, *input shape)``, or a dict of such arrays by input name: cycles are those of the
    spikes that the golden model makes of them. ``clock_mhz`` sets the clock instead of the table's.

    Raises :class:`FitError` where no array fits: what is scarce, by how much, and what would help.
    """
    if goal not in GOALS:
        raise FitError(f"goal must be rate, area or latency, not {goal!r}")
    each = [networks] if isinstance(networks, QuantisedNetwork) else list(networks)
    place, say = room(board), tell or (lambda _: None)
    found: list[Candidate] = []
    tight: list[tuple[ArrayConfig, resources.Used]] = []
    refused: list[str] = []
    tried = 0
    for network in each:
        for kind, plan in _plans(network):
            for config in _arrays(network, plan, place, refused):
                tried += 1
                used = resources.predict(config, place.chip.family)
                have = place.chip.resources
                if any(used[name] > limit for name, limit in _limits(place).items()):
                    tight.append((config, used))
                    continue
                clock = clock_mhz or resources.clock_mhz(config, place.chip.family)
                shares = {name: used[name] / have[name] for name in used}
                found.append(
                    Candidate(network=network, schedule=kind, config=config, used=used, shares=shares, clock_mhz=clock)
                )
    if not found:
        raise FitError(_why(board, place, tight, refused))
    found = _timed(found, samples, say)
    front = pareto(found)
    best = max(front, key=lambda c: _score(c, goal))
    return Fit(
        board=board,
        goal=goal,
        best=best,
        front=front,
        every=found,
        tried=tried,
        link_rate=_link_rate(best, samples, place),
    )


def pareto(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that no other beats: as fast, as small and as soon, and better in one of these. The fastest comes first."""

    def worse(a: Candidate, b: Candidate) -> bool:
        mine, other = ((-c.rate, c.area, c.latency) for c in (a, b))
        return all(o <= m for m, o in zip(mine, other, strict=True)) and other != mine

    return sorted((a for a in candidates if not any(worse(a, b) for b in candidates)), key=lambda c: -c.rate)


def _score(candidate: Candidate, goal: Goal) -> tuple[float, float]:
    main = {"rate": candidate.rate, "area": -candidate.area, "latency": -candidate.latency}[goal]
    return main, candidate.rate


def _limits(place: Room) -> dict[str, float]:
    """Logic is not placed and routed to the last cell; memories and multipliers are."""
    logic = ("COMB", "FF", "LC")
    return {n: have * (place.chip.fill if n in logic else 1) for n, have in place.chip.resources.items()}


def _plans(network: QuantisedNetwork) -> Iterator[tuple[Kind, Schedule]]:
    """The schedules that run the network, no two of them alike."""
    kinds: tuple[Kind, ...] = ("pipelined", "layered")
    known: list[Schedule] = []
    errors: list[Exception] = []
    for kind in kinds:
        try:
            plan = schedule(network, kind)
        except (NetworkError, FitError) as error:
            errors.append(error)
            continue
        if plan not in known:
            known.append(plan)
            yield kind, plan
    if not known:
        raise errors[0]


def _arrays(network: QuantisedNetwork, plan: Schedule, place: Room, refused: list[str]) -> Iterator[ArrayConfig]:
    """Arrays of every shape, with memories of the least size."""
    widest = max(2 * p.shape[0] if len(p.shape) > 1 else 2 * p.size for p in network.populations)
    shared = True
    for lanes in (n for n in LANES if n <= widest):
        for width, height in GRIDS:
            config, shared = _sized(network, plan, (width, height, lanes), refused, shared)
            if config is None:
                break
            if place.chip.family == "ice40":
                config = config.with_core(**ICE40)
                if deep := resources.too_deep(config):
                    refused.append(f"{lanes} lanes: {deep}")
                    continue
            for group in (n for n in GROUPS if lanes % n == 0):
                grouped = config.with_core(group=group)
                # An iCE40 has no LUT RAM to spare for spikes that wait.
                yield grouped if place.chip.family == "ice40" else with_room(grouped)


def _sized(
    network: QuantisedNetwork, plan: Schedule, shape: tuple[int, int, int], refused: list[str], shared: bool
) -> tuple[ArrayConfig | None, bool]:
    """An array of a shape, with parameters a row where the network allows it; and whether it does."""
    for per_neuron in (False, True) if shared else (True,):
        try:
            config = size_array(network, *shape, parameters_per_neuron=per_neuron, plan=plan)
            return config, not per_neuron
        except FitError as error:
            refused.append(str(error))
    return None, shared


def _timed(candidates: list[Candidate], samples: Any, say: Tell) -> list[Candidate]:
    """The candidates with their cycles: a first look at all of them, whole samples for those that come out best."""
    spikes = {id(c.network): _spikes(c.network, samples) for c in candidates}
    known = []
    for n, candidate in enumerate(candidates):
        say(f"{n + 1} of {len(candidates)} arrays")
        known.append(_cycles(candidate, *spikes[id(candidate.network)], probe=True))
    front = pareto(known)
    chosen = [front[round(n)] for n in np.linspace(0, len(front) - 1, FINALISTS)]
    while rough := {id(c): c for c in chosen if not c.exact}:  # by identity: a candidate holds arrays
        say(f"{len(rough)} arrays on whole samples")
        exact = {key: _cycles(c, *spikes[id(c.network)], probe=False) for key, c in rough.items()}
        known = [exact.get(id(c), c) for c in known]
        front = pareto(known)
        chosen = [max(front, key=lambda c, goal=goal: _score(c, goal)) for goal in GOALS]  # type: ignore[misc]
    return known


Spikes = Mapping[str, np.ndarray]


def _spikes(network: QuantisedNetwork, samples: Any) -> tuple[Spikes, Spikes]:
    from spikeloom_sim import golden

    given = check_samples(network, samples)
    return given, {name: p.spikes for name, p in golden.run(network, samples).populations.items()}


def _cycles(candidate: Candidate, given: Spikes, fired: Spikes, *, probe: bool) -> Candidate:
    """The candidate with its cycles a sample, from as many ticks of the first sample as a probe takes, or from all."""
    from spikeloom_sim.cycles import counted

    samples, ticks = next(iter(given.values())).shape[:2]
    whole = not probe
    if probe:
        events = sum(float(a[0].sum()) for a in [*given.values(), *fired.values()]) * candidate.config.cores**0.5
        window = int(np.clip(PROBE_EVENTS * ticks / max(1.0, events), min(4, ticks), ticks))
        given, fired = ({n: a[:1, :window] for n, a in arrays.items()} for arrays in (given, fired))
        whole = window == ticks and samples == 1
    else:
        window = ticks
    image = compile_network(candidate.network, candidate.config, candidate.schedule)
    cycles = counted(image, given, fired).sum(axis=1).mean()
    behind = image.latency
    return replace(
        candidate,
        cycles=float(cycles) * (ticks + behind) / (window + behind),
        ticks=ticks, latency_ticks=behind, exact=whole,
    )  # fmt: skip


def _link_rate(best: Candidate, samples: Any, place: Room) -> float:
    """Samples a second that the link lets in: a word an input event and tick, ten bits a byte."""
    given = check_samples(best.network, samples)
    words = sum(float(a.sum()) / len(a) for a in given.values()) + best.ticks
    return place.baud / (40 * words)


def _why(board: str, place: Room, tight: Sequence[tuple[ArrayConfig, resources.Used]], refused: Sequence[str]) -> str:
    """One message: what is scarce in the array that comes closest, by how much, and what would help."""
    if not tight:
        return f"fit: no array holds the network at all: {refused[-1] if refused else 'it has no populations'}"
    limits = _limits(place)
    config, used = min(tight, key=lambda c: max(c[1][n] / limit for n, limit in limits.items()))
    scarce = max(limits, key=lambda n: used[n] / limits[n])
    core = config.core
    return (
        f"fit: {board} ({place.chip.name}) does not hold the network: the smallest array, {config.width}x"
        f"{config.height} cores of {core.lanes} lanes and {core.rows} rows with {core.words} words of "
        f"{core.lanes * core.numerics.weight_bits} bits, takes {used[scarce]} {scarce}, the chip lets it have "
        f"{int(limits[scarce])}, {used[scarce] - int(limits[scarce])} too few. {_advice(config, place, scarce)}"
    )


def _advice(config: ArrayConfig, place: Room, scarce: str) -> str:
    core, bits = config.core, config.core.numerics.weight_bits
    if scarce in ("RAM", "EBR", "SPRAM"):
        each = {m.space: m.width * m.depth for m in resources.memories(config)}
        largest = max(each, key=lambda space: each[space])
        share = f"{largest.name.lower()} takes {each[largest] / sum(each.values()):.0%} of its memory bits"
        if largest is Space.WEIGHT and bits > 1:
            return f"{share}: quantise with fewer weight_bits than {bits}, or prune and store the rest sparsely"
        if largest is Space.PARAMETER and core.parameters_per_neuron:
            return f'{share}: quantise(scale="layer"), so that rows share their parameters'
        return f"{share}: take narrower state_bits ({core.numerics.state_bits} now), a smaller network or a larger chip"
    if scarce == "DSP":
        return f"take narrower state_bits ({core.numerics.state_bits} now; 18 take one multiplier where 24 take two)"
    return (
        f"take narrower state_bits ({core.numerics.state_bits} now) and accumulator_bits "
        f"({core.numerics.accumulator_bits} now), fewer fraction_bits, or a larger chip"
    )
