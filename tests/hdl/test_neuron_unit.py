# amaranth: UnusedElaboratable=no
"""The neuron unit and its pipeline against the golden step: every neuron of every row, over its whole range."""

from collections import Counter, deque
from dataclasses import replace
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.neuron import NEVER, Adaptation, Reset
from spikeloom.contract.numerics import DECAY_ONE, LOIHI, LOIHI_SHIFT, Numerics, Profile
from spikeloom.contract.ring import Space, spaces
from spikeloom_hdl.accumulator import ahead
from spikeloom_hdl.memories import Chip
from spikeloom_hdl.update import NeuronUnit
from spikeloom_sim import golden
from spikeloom_sim.bench import cycles, parameter, simulate, start
from spikeloom_sim.bus import BusDriver

NARROW = Numerics(fraction_bits=3, accumulator_bits=12, state_bits=12)
NARROW_LOIHI = Numerics(profile=Profile.LOIHI, fraction_bits=LOIHI_SHIFT, accumulator_bits=12, state_bits=14)
CASES = {
    "8 lanes": CoreConfig(lanes=8, rows=5, group=1, numerics=NARROW),
    "2 lanes at once": CoreConfig(
        lanes=2, rows=13, group=2, numerics=Numerics(fraction_bits=8, accumulator_bits=24, state_bits=32)
    ),
    "32 lanes, 2 at once, rows share": CoreConfig(
        lanes=32, rows=3, group=2, parameters_per_neuron=False, numerics=Numerics(fraction_bits=0, state_bits=12)
    ),
    "1 lane": CoreConfig(lanes=1, rows=33, numerics=NARROW),
    "short": CoreConfig(lanes=8, rows=5, sums_latency=1, short=True, numerics=NARROW),
    "short, several spikes, adaptive": CoreConfig(
        lanes=4, rows=9, group=2, spike_bits=2, adaptive=True, sums_latency=1, short=True, numerics=NARROW
    ),
    "loihi": CoreConfig(lanes=4, rows=9, group=2, numerics=NARROW_LOIHI),
    "adaptive": CoreConfig(lanes=4, rows=9, group=2, adaptive=True, numerics=NARROW),
    "adaptive loihi": CoreConfig(lanes=2, rows=13, adaptive=True, numerics=LOIHI),
    "several spikes": CoreConfig(lanes=8, rows=7, group=2, spike_bits=3, numerics=NARROW),
    "several spikes, adaptive": CoreConfig(
        lanes=4, rows=9, spike_bits=8, adaptive=True, numerics=replace(NARROW, weight_bits=4)
    ),
    "several spikes, loihi": CoreConfig(lanes=4, rows=9, group=2, spike_bits=1, numerics=NARROW_LOIHI),
}
FULL = ("adaptive loihi", "several spikes, adaptive", "several spikes, loihi")


def array_of(case: str) -> ArrayConfig:
    return ArrayConfig(core=CASES[case], payload_bits=CASES[case].spike_bits)


@pytest.mark.parametrize("case", [pytest.param(c, marks=pytest.mark.full) if c in FULL else c for c in CASES])
def test_neuron_unit(case: str, tmp_path: Path) -> None:
    simulate(NeuronUnit(array_of(case)), __name__, tmp_path, parameters={"case": case})


@pytest.mark.full
@pytest.mark.parametrize("case", ["several spikes", "several spikes, adaptive"])
def test_neuron_unit_of_ice40(case: str, tmp_path: Path) -> None:
    """Values that are wanted much later wait in RAM there, and the longer pipeline makes them wait longer."""
    chip = Chip("ice40", models=True)
    simulate(NeuronUnit(array_of(case)), __name__, tmp_path, parameters={"case": case}, platform=chip)


def around(rng: np.random.Generator, low: int, high: int, shape: tuple[int, ...]) -> np.ndarray:
    """Integers of a range: its ends, around zero, small ones, and all the others."""
    small = min(high, 40)
    return np.choose(
        rng.integers(0, 5, shape),
        [
            rng.choice([low, low + 1, high - 1, high], shape),
            rng.choice([max(low, -1), 0, 1], shape),
            rng.integers(max(low, -small), small, shape, endpoint=True),
            rng.integers(low, high, shape, endpoint=True),
            rng.integers(low // 8, high // 8, shape, endpoint=True),
        ],
    )


class Neurons:
    """Parameters and states of all neurons of a core, ``(rows, lanes)`` each, and how they go on."""

    def __init__(self, core: CoreConfig, rng: np.random.Generator):
        self.core, self.rng = core, rng
        self.numerics = n = core.numerics
        high = n.state_max
        low = -high - 1
        full = core.rows, core.lanes
        shape = full if core.parameters_per_neuron else (core.rows, 1)
        decays = np.array([0, 1, 100, 2047, 2048, 2049, 3686, DECAY_ONE - 1, DECAY_ONE])
        self.parameters = {
            "alpha": rng.choice(decays, shape),
            "beta": rng.choice(decays, shape),
            "theta": around(rng, low, high, shape),
            "v_min": np.where(rng.random(shape) < 0.5, low, around(rng, low, high, shape)),
            "v_reset": around(rng, low, high, shape),
            "v_sub": np.abs(around(rng, -high, high, shape)),
            "reset": rng.integers(0, len(Reset), shape),
            "refractory": rng.choice([0, 0, 0, 1, 2, 3, 63], shape),
            "latency": rng.choice([0, 0, 0, 0, 1, 2, 5, NEVER - 1, NEVER], shape),
        }
        subtracts = self.parameters["reset"] == Reset.SUBTRACT
        self.parameters["theta"] = np.where(
            subtracts, np.maximum(-1, self.parameters["theta"]), self.parameters["theta"]
        )
        if n.profile is Profile.LOIHI:
            self.parameters["weight_exponent"] = rng.integers(-8, 8, shape)
        if core.adaptive:
            kinds = rng.choice([kind.value for kind in Adaptation], shape)
            step = around(rng, low, high, shape)
            self.parameters |= {
                "gamma": rng.choice(decays, shape),
                "step": np.where(subtracts & (kinds != Adaptation.INPUT), np.abs(np.maximum(step, -high)), step),
                "adaptation": kinds,
            }
        if core.spike_bits:  # quotients of few bits are met by small divisors of small potentials, and by large ones
            bits = rng.integers(0, core.spike_bits, shape, endpoint=True)
            v_sub = np.maximum(1, around(rng, 1, high, shape) >> rng.choice([0, 0, 3, core.spike_bits], shape))
            several = {"reset": Reset.SUBTRACT, "v_sub": v_sub, "theta": v_sub - 1, "refractory": 0}
            several |= {"gamma": 0, "step": 0} if core.adaptive else {}
            self.parameters |= {"spike_bits": bits}
            self.parameters |= {k: np.where(bits > 0, v, self.parameters[k]) for k, v in several.items()}
        self.parameters = {name: np.broadcast_to(p, full) for name, p in self.parameters.items()}
        self.bias = {name: around(rng, low, high, full) * rng.integers(0, 2, full) for name in ("bias", "bias_u")}
        first = 1 if n.profile is Profile.LOIHI else 0  # the least potential of loihi is one higher
        self.state = golden.State(
            u=around(rng, low, high, full),
            v=around(rng, low + first, high, full),
            r=rng.choice([0, 0, 0, 1, 2, 63], full),
            s=rng.random(full) < 0.4,
        )
        if core.adaptive:  # a threshold falls for nobody whose reset subtracts
            a = around(rng, low + first, high, full)
            may_fall = (self.parameters["reset"] != Reset.SUBTRACT) | (
                self.parameters["adaptation"] == Adaptation.INPUT
            )
            self.state = self.state._replace(a=np.where(may_fall, a, np.abs(np.maximum(a, -high))))
        if core.spike_bits:
            bits = self.parameters["spike_bits"]
            self.state = self.state._replace(s=np.where(bits > 0, rng.integers(0, 1 << bits), self.state.s))
            if core.adaptive:
                self.state = self.state._replace(a=np.where(bits > 0, 0, self.state.a))
        self.reached = Counter()

    def sums(self) -> np.ndarray:
        """Weighted sums; some of them bring the potential exactly to the threshold, or one above."""
        core, n = self.core, self.numerics
        half = 1 << n.accumulator_bits - 1
        acc = around(self.rng, -half, half - 1, (core.rows, core.lanes))
        p = self._golden_parameters()
        state = self.state
        u0 = golden.step(n, p, state, np.zeros_like(acc))
        delayed = np.where(state.s & (p.reset == Reset.SUBTRACT_DELAYED), p.v_sub, 0)
        rest = u0.u + (state.v * p.beta + (1 << 11) >> 12) + p.bias - delayed
        theta = self.parameters["theta"]
        if core.adaptive:
            faded = golden.step(n, p, state._replace(r=np.ones_like(state.r)), np.zeros_like(acc)).a
            moved = np.choose(self.parameters["adaptation"], [state.a, faded, 0])
            theta = theta + moved
            rest = rest - np.where(self.parameters["adaptation"] == Adaptation.INPUT, state.a - delayed, 0)
        wanted = theta - rest + self.rng.integers(0, 2, acc.shape)
        exact = wanted >> n.fraction_bits
        usable = (np.abs(exact) < half) & (self.rng.random(acc.shape) < 0.5)
        return np.where(usable, exact, acc)

    def _golden_parameters(self) -> golden.Parameters:
        return golden.Parameters(**{k: v for k, v in self.parameters.items() if k != "latency"}, **self.bias)

    def step(self, acc: np.ndarray, tick: int, flush: int, rows: int) -> tuple[np.ndarray, int, int]:
        """Update the first rows: who fired ``(rows, lanes)``, how many, and the number of saturations."""
        p, before = self._golden_parameters(), self.state
        after = golden.step(self.numerics, p, before, acc)
        latency = self.parameters["latency"]
        active = (latency <= tick) & ((flush == 0) | (latency >= flush))
        used = np.arange(self.core.rows)[:, None] < rows
        after = after._replace(s=after.s.astype(int))
        self.state = golden.State(
            *(np.where(used & active, new, old) for new, old in zip(after.state, before, strict=True))
        )
        if not self.core.adaptive:
            self.state = self.state._replace(a=0)
        assert after.v[active].min(initial=0) >= -self.numerics.state_max - 1
        counts = used & active
        fired = after.s * counts
        self._note(p, before, after, counts)
        return fired[:rows], int(fired.sum()), int(after.saturations[counts].sum())

    def _note(self, p: golden.Parameters, before: golden.State, after: golden.Step, counts: np.ndarray) -> None:
        n, reached = self.numerics, self.reached
        free = counts & (before.r == 0)
        bits = np.asarray(p.spike_bits)
        reached["several"] += int(((after.s > 1) & (after.s < (1 << bits) - 1) & counts).sum())
        reached["more than the bits can tell"] += int(
            ((bits > 0) & (after.s > 0) & (after.v >= p.v_sub) & counts).sum()
        )
        after = after._replace(s=after.s > 0)
        reached["fires"] += int((after.s & counts).sum())
        for times in (1, 2, 3):
            reached[f"saturates {times}"] += int(((after.saturations == times) & counts).sum())
        reached["v at its ends"] += int((np.isin(after.v, [n.state_min, n.state_max]) & free & ~after.s).sum())
        reached["refractory"] += int((counts & (before.r > 0)).sum())
        reached["at the threshold"] += int((free & (after.v == p.theta) & ~after.s).sum())
        reached["on the floor"] += int((free & (after.v == p.v_min) & ~after.s & (p.v_min > n.state_min)).sum())
        reached["held"] += int((~counts).sum())
        for kind in Adaptation:
            adapts = counts & (before.a != 0) & (p.adaptation == kind)
            reached[f"adapts: {kind.name}"] += int((adapts & after.s).sum())
        product = before.v * p.beta
        reached["rounds down a negative half"] += int(((product < 0) & (product % DECAY_ONE == DECAY_ONE // 2)).sum())
        for reset in Reset:
            reached[f"resets: {reset.name}"] += int((after.s & counts & (p.reset == reset)).sum())

    def states(self) -> dict[str, np.ndarray]:
        """Those that the core has."""
        return {k: v for k, v in self.state._asdict().items() if k != "a" or self.core.adaptive}

    async def load(self, bus: BusDriver) -> None:
        core = self.core
        records = core.rows * core.groups, core.group

        def grouped(values: np.ndarray) -> np.ndarray:
            return np.asarray(values, dtype=np.int64).reshape(records)

        if core.parameters_per_neuron:
            await bus.write_records(Space.PARAMETER, {k: grouped(v) for k, v in self.parameters.items()})
        else:
            await bus.write_records(Space.PARAMETER, {k: v[:, 0] for k, v in self.parameters.items()})
        await bus.write_records(Space.BIAS, {k: grouped(v) for k, v in self.bias.items()})
        await bus.write_records(Space.STATE, {k: grouped(v) for k, v in self.states().items()})
        await cycles(bus.dut, 1)

    async def compare(self, bus: BusDriver) -> None:
        got = await bus.read_records(Space.STATE)
        for name, want in self.states().items():
            have = got[name].reshape(want.shape)
            at = tuple(np.argwhere(have != want)[:1].reshape(-1).tolist())
            parameters = {k: int(v[at]) for k, v in self.parameters.items()} if at else {}
            assert not at, f"{name} of row, lane {at}: {have[at]}, not {want[at]}; {parameters}"


class Output:
    """Rows that leave, and the sums of the two counts, cycle by cycle."""

    def __init__(self, dut):
        self.rows: deque[tuple[int, int]] = deque()
        self.spikes = self.saturations = 0
        self._dut = dut
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, edge = self._dut, RisingEdge(self._dut.clk)
        while True:
            await edge
            self.spikes += int(dut.spikes.value)
            self.saturations += int(dut.saturations.value)
            if int(dut.fired_valid.value):
                self.rows.append((int(dut.fired_row.value), int(dut.fired.value)))


def masks_of(core: CoreConfig, fired: np.ndarray) -> list[int]:
    """Rows of numbers of spikes as the unit tells them, the lowest lane in the lowest bits."""
    return [sum(int(s) << n * core.count_width for n, s in enumerate(row)) for row in fired]


async def update(dut, core: CoreConfig, acc: np.ndarray, rows: int, pause: float, rng: np.random.Generator) -> None:
    """Rows in order, ``groups`` cycles apart at least, until the unit is idle; their sums ``ahead`` cycles later."""
    bits = core.numerics.accumulator_bits
    sums: list[int | None] = [None] * ahead(core)  # of the coming cycles

    async def cycle(row: int | None) -> None:
        dut.due.value = int(row is not None)
        dut.due_row.value = int(rng.integers(0, core.rows)) if row is None else row
        sums.append(
            None if row is None else sum((int(a) & (1 << bits) - 1) << n * bits for n, a in enumerate(acc[row]))
        )
        now = sums.pop(0)
        noise = int.from_bytes(rng.bytes(core.lanes * 4)) % (1 << core.lanes * bits)
        dut.sums_valid.value = int(now is not None)
        dut.sums.value = noise if now is None else now
        await cycles(dut, 1)

    for row in range(rows):
        await cycle(row)
        for _ in range(core.groups - 1):
            await cycle(None)
        while rng.random() < pause:
            await cycle(None)
    for _ in range(ahead(core)):
        await cycle(None)
    while True:
        await cycles(dut, 1)
        if int(dut.idle.value):
            return


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(seed=[1, 2, 3, 4, 5, 6, 7, 8])
async def equals_golden(dut, seed: int) -> None:
    rng = np.random.default_rng([cocotb.RANDOM_SEED, seed])
    await start(dut)
    core = array_of(parameter("case")).core
    neurons = Neurons(core, rng)
    bus = BusDriver(dut, spaces(array_of(parameter("case"))))
    await neurons.load(bus)
    output = Output(dut)
    for tick in [0, 1, 2, 3, 5, 61, 62, 62]:
        flush = int(rng.choice([0, 0, 0, 1, 2, 63])) if tick > 2 else 0
        rows = core.rows if rng.random() < 0.8 else int(rng.integers(1, core.rows))
        dut.tick.value, dut.flush.value = tick, flush
        acc = neurons.sums()
        spikes, saturations = output.spikes, output.saturations
        fired, fires, limited = neurons.step(acc, tick, flush, rows)
        await update(dut, core, acc, rows, rng.choice([0.0, 0.6]), rng)
        got = [output.rows.popleft() for _ in range(len(output.rows))]
        assert [row for row, _ in got] == list(range(rows)), "rows, in order, before idle"
        assert [mask for _, mask in got] == masks_of(core, fired)
        assert output.spikes - spikes == fires
        assert output.saturations - saturations == limited
        await neurons.compare(bus)
    REACHED.update(neurons.reached)


REACHED: Counter[str] = Counter()
"""Corners that all seeds together have met."""


@cocotb.test
async def reaches_the_corners(dut) -> None:
    cocotb.log.info("reached: %s", dict(REACHED))
    corners = {
        "fires", "saturates 1", "saturates 2", "v at its ends", "refractory", "held", "on the floor",
        "rounds down a negative half", *(f"resets: {reset.name}" for reset in Reset),
    }  # fmt: skip
    core = CASES[parameter("case")]
    if core.adaptive:
        corners |= {"saturates 3", *(f"adapts: {kind.name}" for kind in Adaptation)}
    if core.spike_bits:
        corners |= {"more than the bits can tell"} | ({"several"} if core.spike_bits > 1 else set())
    if not core.parameters_per_neuron:  # a handful of parameter sets only
        corners = {"fires", "saturates 1", "refractory", "held"}
    assert not {name for name in corners if not REACHED[name]}


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def thresholds_and_halves(dut) -> None:
    """Potentials around the threshold and products around one half, of both signs: where rounding decides."""
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    await start(dut)
    core = array_of(parameter("case")).core
    neurons = Neurons(core, rng)
    full = core.rows, core.lanes
    share = (lambda a: a) if core.parameters_per_neuron else (lambda a: np.broadcast_to(a[:, :1], full))
    zeros = np.zeros(full, int)
    neurons.parameters |= {
        name: share(np.broadcast_to(values, full)) for name, values in {
            "alpha": rng.choice([0, 2048, DECAY_ONE], full), "beta": rng.choice([1024, 2048, DECAY_ONE], full),
            "theta": rng.integers(-1, 3, full), "v_min": rng.choice([-3, -1, 0, -neurons.numerics.state_max], full),
            "v_reset": zeros, "v_sub": rng.integers(0, 3, full), "refractory": zeros, "latency": zeros,
        }.items()
    }  # fmt: skip
    if core.adaptive:
        kinds = rng.choice([kind.value for kind in Adaptation], full)
        neurons.parameters |= {"gamma": rng.choice([0, 2048], full), "step": rng.integers(0, 3, full)}
        neurons.parameters |= {"adaptation": kinds}
    if core.spike_bits:
        bits, v_sub = neurons.parameters["spike_bits"], rng.integers(1, 4, full)
        several = {"v_sub": v_sub, "theta": v_sub - 1} | ({"gamma": 0, "step": 0} if core.adaptive else {})
        neurons.parameters |= {k: np.where(bits > 0, v, neurons.parameters[k]) for k, v in several.items()}
    neurons.bias = {name: rng.integers(-1, 2, full) for name in ("bias", "bias_u")}
    bus = BusDriver(dut, spaces(array_of(parameter("case"))))
    output = Output(dut)
    dut.tick.value = dut.flush.value = 0
    for _ in range(8):
        neurons.state = golden.State(
            u=rng.integers(-4, 5, full), v=rng.integers(-7, 8, full), r=zeros, s=rng.random(full) < 0.3
        )
        if core.adaptive:
            a = rng.integers(0, 3, full)
            neurons.state = neurons.state._replace(
                a=np.where(neurons.parameters["spike_bits"] > 0, 0, a) if core.spike_bits else a
            )
        await neurons.load(bus)
        acc = zeros
        fired, _, _ = neurons.step(acc, 0, 0, core.rows)
        await update(dut, core, acc, core.rows, 0.0, rng)
        masks = [mask for _, mask in output.rows]
        output.rows.clear()
        assert masks == masks_of(core, fired)
        await neurons.compare(bus)
    assert neurons.reached["fires"] > 0
    if core.parameters_per_neuron:
        assert neurons.reached["at the threshold"] > 5
        assert neurons.reached["rounds down a negative half"] > 5
        assert neurons.reached["on the floor"] > 0


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def clears(dut) -> None:
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    await start(dut)
    core = array_of(parameter("case")).core
    neurons = Neurons(core, rng)
    bus = BusDriver(dut, spaces(array_of(parameter("case"))))
    await neurons.load(bus)
    for address in range(core.rows * core.groups):
        dut.clear.value, dut.clear_address.value = 1, address
        await cycles(dut, 1)
    dut.clear.value = 0
    neurons.state = golden.State.zeros((core.rows, core.lanes))
    if core.adaptive:
        neurons.state = neurons.state._replace(a=np.zeros((core.rows, core.lanes), int))
    await neurons.compare(bus)
