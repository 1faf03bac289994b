"""The whole array on the bench, at its two streams: stalls at both, and a reader so slow that the mesh fills up."""

import random
from pathlib import Path

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from spikeloom.compiler.compile import compile as compile_network
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.network import QuantisedNetwork
from spikeloom.contract.numerics import Numerics
from spikeloom.contract.ring import Counter, Space, spaces
from spikeloom.contract.stream import Operation, control_word, read_words, write_words
from spikeloom.driver.protocol import Parser, Replies
from spikeloom.driver.result import Collector
from spikeloom.driver.stimulus import Stimulus, windows
from spikeloom.image import Image
from spikeloom_hdl.array import Array
from spikeloom_sim import golden
from spikeloom_sim.bench import Watch, cycles, random_source, send, simulate, start
from spikeloom_sim.stimulus import random_network, random_samples

CONFIG = ArrayConfig(
    width=2, height=2, key_bits=6, index_bits=8,
    core=CoreConfig(
        lanes=2, rows=18, words=3000, slots=4, group=1, projections=24, event_fifo=2, spike_fifo=2,
        numerics=Numerics(fraction_bits=2, state_bits=12),
    ),
)  # fmt: skip
TICKS = 5
SAMPLES = 2
STALLS: dict[float, int] = {}
"""Cycles in which the cores waited for room, by the reader's eagerness: what the earlier tests have seen."""


def network_and_image() -> tuple[QuantisedNetwork, Image]:
    network = random_network(np.random.default_rng(3), CONFIG.numerics, sizes=(8, 120))
    return network, compile_network(network, CONFIG)


def test_array(tmp_path: Path) -> None:
    simulate(Array(CONFIG), __name__, tmp_path)


class Host:
    """Sends and takes words; takes each with the probability ``eager``."""

    def __init__(self, dut, eager: float, stall: float):
        self.dut, self.eager, self.stall = dut, eager, stall
        self.parser = Parser()
        self.refused = 0  # cycles in which the array did not take a word
        self.tx = Watch(dut, "tx", 32)
        cocotb.start_soon(self._ready())

    async def ask(self, words: np.ndarray, dones: int, datas: int) -> Replies:
        sending = cocotb.start_soon(
            send(self.dut, "rx", 32, words.tolist(), stall=self.stall, rng=random_source(len(words)))
        )
        fed = len(self.tx)
        while self.parser.dones < dones or self.parser.datas < datas:
            await cycles(self.dut, 20)
            self.parser.feed(np.array(self.tx.values[fed:], dtype=np.uint32))
            fed = len(self.tx)
        await sending
        await cycles(self.dut, 5)
        assert len(self.tx) == fed, "more words than asked for"
        return self.parser.take()

    async def _ready(self) -> None:
        rng, edge = random.Random(cocotb.RANDOM_SEED), RisingEdge(self.dut.clk)
        while True:
            self.dut.tx__ready.value = rng.random() < self.eager
            await edge
            self.refused += int(self.dut.rx__valid.value) & ~int(self.dut.rx__ready.value)


@cocotb.test(timeout_time=100, timeout_unit="ms")
@cocotb.parametrize(
    (("eager", "stall", "record"), [(1.0, 0.0, True), (0.5, 0.5, True), (0.01, 0.0, False), (0.1, 0.9, False)])
)
async def equals_golden(dut, eager: float, stall: float, record: bool) -> None:
    """``record``: all states after each tick are compared; otherwise spikes, counters and the final states."""
    network, image = network_and_image()
    samples = random_samples(np.random.default_rng(cocotb.RANDOM_SEED), network, SAMPLES, TICKS)
    samples[:, 2] = 1
    want = golden.run(network, samples, record=("u", "v", "r"))
    await start(dut)
    host = Host(dut, 1.0, 0.0)

    async def counters() -> np.ndarray:
        words = [read_words(core, Space.COUNTER, 0, len(Counter)) for core in range(CONFIG.cores)]
        return np.stack((await host.ask(np.concatenate(words), 0, CONFIG.cores)).data).astype(np.int64)

    load = [write_words(core, space, 0, m.reshape(-1)) for (core, space), m in image.memories.items()]
    await host.ask(np.concatenate([*load, control_word(Operation.QUERY)]), 0, 1)
    before = await counters()
    host.eager, host.stall = eager, stall
    states = ("u", "v", "r") if record else ()
    window = windows(image, [p.name for p in network.populations] if record else [])
    stimulus = Stimulus(image=image, samples={"in": samples}, windows=window)
    words = np.concatenate([stimulus.words(n) for n in range(SAMPLES)])
    pieces = SAMPLES * stimulus.board_ticks * sum(w.pieces for w in window)
    replies = await host.ask(words, SAMPLES * stimulus.board_ticks, pieces)
    assert not replies.errors
    collector = Collector(image, SAMPLES, TICKS, states, window)
    collector.take(0, SAMPLES, replies, replies.data)
    got = collector.result()
    assert want.spikes.any()
    assert np.array_equal(got.spikes, want.spikes), "spikes of the output, in the ticks that their DONE ends"
    for name, expected in want.populations.items():
        for state in states:
            assert np.array_equal(getattr(got.populations[name], state), getattr(expected, state)), (name, state)

    host.eager, host.stall = 1.0, 0.0
    grown = dict(zip(Counter, (await counters() - before).sum(axis=0).tolist(), strict=True))
    assert grown[Counter.SPIKES] == sum(p.spikes.sum() for p in want.populations.values())
    assert grown[Counter.EVENTS] == sum(map(len, events_of(image, samples, want)))
    assert grown[Counter.WORDS] == sum(map(sum, events_of(image, samples, want)))
    assert grown[Counter.SYNAPSES] == want.synapses.sum()
    assert grown[Counter.SATURATIONS] == sum(s.sum() for s in want.saturations.values()) > 0
    assert grown[Counter.REFUSED] == grown[Counter.UNROUTED] == 0
    await check_final_states(host, image, want)
    cocotb.log.info("stalls %d, words not taken at once %d", grown[Counter.STALLS], host.refused)
    STALLS[eager] = grown[Counter.STALLS]
    if eager < 0.05 and 1.0 in STALLS:
        assert STALLS[eager] > 1.3 * STALLS[1.0], "the mesh never fills up"


def events_of(image: Image, samples: np.ndarray, want: golden.GoldenResult) -> list[list[int]]:
    """For each core the weight words of each event that it gets; all walks of this network are dense."""
    spikes = {image.input_keys["in"]: int(samples.sum())}
    for s in image.slices:
        spikes[s.key] = int(want.populations[s.population].spikes[..., s.grid.neurons()].sum())
    geometry, result = spaces(CONFIG), []
    for core in range(CONFIG.cores):
        keys = geometry[Space.KEY].layout.unpack(image.memories[core, Space.KEY])
        projections = geometry[Space.PROJECTION].layout.unpack(image.memories[core, Space.PROJECTION])
        coordinates = geometry[Space.COORDINATE].layout.unpack(image.memories[core, Space.COORDINATE])
        counts = coordinates["count"][projections["first"]]
        events = []
        for key, first, count in zip(range(CONFIG.keys), keys["first"], keys["count"], strict=True):
            if count:
                events += [int(counts[first : first + count].sum())] * spikes[key]
        result.append(events)
    return result


async def check_final_states(host: Host, image: Image, want: golden.GoldenResult) -> None:
    """After the flush every population still holds the state of its own last tick."""
    geometry, lanes = spaces(CONFIG)[Space.STATE], CONFIG.core.lanes
    count = geometry.depth * geometry.stride
    words = [read_words(core, Space.STATE, 0, count) for core in range(CONFIG.cores)]
    data = np.stack((await host.ask(np.concatenate(words), 0, CONFIG.cores)).data)
    states = geometry.layout.unpack(data.reshape(CONFIG.cores, geometry.depth, geometry.stride))
    for s in image.slices:
        for name in ("u", "v", "r"):
            got = states[name][s.core].reshape(-1)[s.places(lanes)]
            expected = getattr(want.populations[s.population], name)[-1, -1, s.grid.neurons()]
            assert np.array_equal(got, expected), (s, name)
