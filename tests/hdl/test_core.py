"""One core on the bench: every state of every neuron at every tick, every spike, every counter."""

import random
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from spikeloom.compiler.compile import compile as compile_network
from spikeloom.compiler.sizing import size_array
from spikeloom.contract.network import QuantisedNetwork
from spikeloom.contract.numerics import LOIHI, Numerics
from spikeloom.contract.ring import Counter, Space, spaces
from spikeloom.image import Image
from spikeloom_hdl.core import Core
from spikeloom_hdl.layout import struct
from spikeloom_hdl.memories import Chip
from spikeloom_sim import golden
from spikeloom_sim.bench import Watch, cycles, parameter, random_source, send, simulate, start
from spikeloom_sim.bus import BusDriver
from spikeloom_sim.stimulus import random_network, random_samples

NARROW = Numerics(weight_bits=8, fraction_bits=3, state_bits=12, accumulator_bits=14)
CASES = {
    "1 lane": {"numerics": NARROW, "lanes": 1, "sizes": (5, 4), "sparse": False},
    "8 lanes": {"numerics": NARROW, "lanes": 8, "sizes": (20, 9), "sparse": True, "delay_max": 3},
    "8 lanes, 4 a cycle": {"numerics": Numerics(), "lanes": 8, "group": 4, "sizes": (20, 9), "sparse": True},
    "32 lanes, rows share parameters": {
        "numerics": NARROW, "lanes": 32, "group": 4, "sizes": (40, 9), "sparse": True, "per_neuron": False,
    },
    "short": {"numerics": NARROW, "lanes": 8, "group": 2, "sizes": (20, 9), "sparse": True, "short": True},
    "loihi": {"numerics": LOIHI, "lanes": 4, "group": 2, "sizes": (20, 9), "sparse": True},
    "1-bit weights": {
        "numerics": Numerics(weight_bits=1, state_bits=12), "lanes": 16, "sizes": (20, 9), "sparse": False,
    },
    "adaptive": {"numerics": NARROW, "lanes": 4, "group": 2, "sizes": (20, 9), "adaptive": True},
}  # fmt: skip
TICKS = 12


def network_and_image(case: str, seed: int) -> tuple[QuantisedNetwork, Image]:
    """The same in pytest's process and in the simulator's."""
    options = dict(CASES[case])
    lanes, group, numerics = options.pop("lanes"), options.pop("group", 1), options.pop("numerics")
    changes = {"short": True, "sums_latency": 1} if options.pop("short", False) else {}
    network = random_network(np.random.default_rng(seed), numerics, **options)
    config = size_array(network, 1, 1, lanes, group=group, parameters_per_neuron=options.get("per_neuron", True))
    return network, compile_network(network, config.with_core(**changes))


FULL = ("adaptive", "1 lane")


@pytest.mark.parametrize("case", [pytest.param(c, marks=pytest.mark.full) if c in FULL else c for c in CASES])
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.full)])
def test_core(case: str, seed: int, tmp_path: Path) -> None:
    _, image = network_and_image(case, seed)
    simulate(Core(image.config), __name__, tmp_path, parameters={"case": case, "seed": seed})


@pytest.mark.parametrize(
    "case",
    ["short", *(pytest.param(case, marks=pytest.mark.full) for case in ("8 lanes", "8 lanes, 4 a cycle", "loihi"))],
)
def test_core_of_ice40(case: str, tmp_path: Path) -> None:
    """What that chip has no LUT RAM for is made otherwise: counters, and values that wait in the neuron's pipeline."""
    _, image = network_and_image(case, 3)
    chip = Chip("ice40", models=True)
    simulate(Core(image.config), __name__, tmp_path, parameters={"case": case, "seed": 3}, platform=chip)


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(stall=[0.0, 0.6])
async def equals_golden(dut, stall: float) -> None:
    network, image = network_and_image(parameter("case"), parameter("seed"))
    config = image.config
    samples = random_samples(np.random.default_rng(cocotb.RANDOM_SEED), network, 2, TICKS)
    want = golden.run(network, samples, record=("u", "v", "r", "a"))
    assert sum(p.spikes.sum() for p in want.populations.values()), "the stimulus makes no neuron fire"

    await start(dut)
    bus = BusDriver(dut, spaces(config))
    for (_, space), words in image.memories.items():
        if space is not Space.ROUTE:
            await bus.write(space, words)
    flit = struct(config.flit_layout)
    sent = Watch(dut, "spikes", flit)
    cocotb.start_soon(ready_now_and_then(dut, stall))
    for counter in Counter:
        await bus.write(Space.COUNTER, np.zeros(1, np.uint32), counter)

    for n, sample in enumerate(samples):
        await pulse(dut, "reset_state")
        await rest(dut)
        for tick in range(TICKS + image.latency):
            flush = max(0, tick - TICKS + 1)
            indices = np.flatnonzero(sample[tick]).tolist() if not flush else []
            events = [{"key": image.input_keys["in"], "index": index} for index in indices]
            await send(dut, "events", flit, events, stall=stall, rng=random_source(tick))
            await rest(dut)
            seen = len(sent)
            dut.flush.value = flush
            await pulse(dut, "start")
            await loop_back(dut, sent, flit, stall)
            await check_spikes(image, want, n, tick, sent.values[seen:])
            await check_states(bus, image, want, n, tick, flush)

    got = dict(zip(Counter, await bus.read(Space.COUNTER, len(Counter)), strict=True))
    assert got[Counter.SPIKES] == sum(p.spikes.sum() for p in want.populations.values())
    assert got[Counter.SYNAPSES] == want.synapses.sum()
    assert got[Counter.SATURATIONS] == sum(s.sum() for s in want.saturations.values())
    assert got[Counter.REFUSED] == got[Counter.UNROUTED] == 0


async def pulse(dut, name: str) -> None:
    getattr(dut, name).value = 1
    await RisingEdge(dut.clk)
    getattr(dut, name).value = 0


async def rest(dut) -> None:
    """Until the core has been idle; a sent event shows in it at once."""
    await cycles(dut, 2)
    while not int(dut.idle.value):
        await RisingEdge(dut.clk)


async def ready_now_and_then(dut, stall: float) -> None:
    rng = random.Random(cocotb.RANDOM_SEED)
    while True:
        dut.spikes__ready.value = rng.random() >= stall
        await RisingEdge(dut.clk)


async def loop_back(dut, sent: Watch, flit, stall: float) -> None:
    """What a router would do: spikes come back as events, while more are being sent."""
    done = len(sent)
    begun = done
    while True:
        await cycles(dut, 2)
        if len(sent) > done:
            values = [{"key": v.key, "index": v.index} for v in sent.values[done:]]
            done = len(sent)
            await send(dut, "events", flit, values, stall=stall, rng=random_source(done))
        elif int(dut.idle.value):
            await cycles(dut, 1)
            if int(dut.idle.value) and len(sent) == done:
                return
        assert done - begun <= 10_000


async def check_spikes(image: Image, want, n: int, tick: int, values) -> None:
    got = sorted((int(v.key), int(v.index)) for v in values)
    expected = []
    for s in image.slices:
        at = tick - s.latency
        if 0 <= at < TICKS and s.key >= 0:
            fired = want.populations[s.population].spikes[n, at, s.grid.neurons()]
            expected += [(s.key, int(i)) for i in s.grid.indices()[fired]]
    assert got == sorted(expected), (n, tick)


async def check_states(bus: BusDriver, image: Image, want, n: int, tick: int, flush: int) -> None:
    core = image.config.core
    state = await bus.read_records(Space.STATE)
    for s in image.slices:
        at = min(tick - s.latency, TICKS - 1)
        lanes, neurons = s.places(core.lanes), s.grid.neurons()
        expected = want.populations[s.population]
        for name in ("u", "v", "r", "a") if core.adaptive else ("u", "v", "r"):
            got = state[name].reshape(-1)[lanes]
            golden_state = getattr(expected, name)[n, at, neurons] if at >= 0 else np.zeros(s.size, int)
            wrong = np.flatnonzero(got != golden_state)
            assert not wrong.size, (n, tick, s.population, name, wrong[:5], got[wrong[:5]], golden_state[wrong[:5]])
