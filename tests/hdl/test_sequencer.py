# amaranth: UnusedElaboratable=no
"""The sequencer between a host and a model of the array that is quick to lie about being at rest."""

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.neuron import NEVER
from spikeloom.contract.ring import PACKET_LAYOUT, Space, spaces
from spikeloom.contract.stream import (
    ACCESS_LAYOUT,
    DATA_LAYOUT,
    DONE_LAYOUT,
    ERROR_LAYOUT,
    MAGIC,
    SPIKE_LAYOUT,
    Error,
    Info,
    Operation,
    Reply,
    control_word,
    digest_words,
    read_words,
    spike_words,
    tick_word,
    write_words,
)  # fmt: skip
from spikeloom_hdl.layout import struct
from spikeloom_hdl.sequencer import Sequencer
from spikeloom_sim.bench import Watch, cycles, pack, parameter, random_source, simulate, start, unpack

CONFIG = ArrayConfig(width=3, height=1, key_bits=6, index_bits=12)
PHASES = 5  # of the array of the second build
START_LATENCY = 4  # of the model: cycles from start to the cores, enough for a spike to overtake it
BARRIER = 2  # and from the cores to idle
LOST_LAG = 2
SETTLE = START_LATENCY + BARRIER + 1  # the least that the docstring allows
RING = 6  # cycles that a packet takes; a read takes more
FLIT = struct(CONFIG.flit_layout)
PACKET = struct(PACKET_LAYOUT)


@pytest.mark.parametrize("phases", [1, PHASES])
def test_sequencer(phases: int, tmp_path: Path) -> None:
    dut = Sequencer(array_of(phases), SETTLE, start_latency=START_LATENCY, lost_lag=LOST_LAG)
    simulate(dut, __name__, tmp_path, parameters={"phases": phases})


def array_of(phases: int) -> ArrayConfig:
    return CONFIG.with_core(phases=phases)


def test_refuses() -> None:
    with pytest.raises(ValueError, match="settle"):
        Sequencer(CONFIG, 0)


@dataclass
class Habits:
    """How the model behaves: probabilities a cycle, and most cycles of work."""

    offer: float = 1.0  # the host has a word
    take: float = 1.0  # the host takes a word
    inject: float = 1.0  # router 0 takes a spike
    emit: float = 0.3  # a working array has a spike for the host
    lose: float = 0.0  # a working array loses a spike
    work: int = 20


@dataclass
class Seen:
    """What the sequencer did, in order, each with its cycle."""

    # ("spike", key, index), ("start", flush, phase), ("reset",), ("packet", ...)
    events: list = field(default_factory=list)
    starts: list = field(default_factory=list)  # of ticks, not of later phases
    spikes: list = field(default_factory=list)
    packets: list = field(default_factory=list)
    words: list = field(default_factory=list)  # on tx
    messages: list = field(default_factory=list)  # ("done", tick, cycles), ("data", words), ("error", code, argument)
    message_cycles: list = field(default_factory=list)


class Bench:
    """Host, cores, routers and ring in one loop, a turn a cycle; what must hold in every cycle is asserted here."""

    def __init__(self, dut, habits: Habits, seed: int = 0):
        self.dut, self.habits, self.rng = dut, habits, random_source(seed)
        self.seen = Seen()
        self.words: deque[int] = deque()  # from the host
        self.memory: dict[tuple, int] = {}
        self.cycle = 0
        self.lost = 0  # cycles with a loss, since the last report
        self.spikes_out: deque[tuple[int, int]] = deque()  # taken from eject, not yet seen on tx
        self._offered: int | None = None
        self._emitted: tuple[int, int] | None = None
        self._busy_until = -1
        self._work_from = -1
        self._emitting = self._clearing = False
        self._raw = deque([False] * BARRIER)  # idle, on its way through the barrier
        self._losses = deque([False] * (BARRIER + LOST_LAG))
        self._ring: deque = deque()
        self._quiet_since = -1  # start() has spent a cycle
        self._busy_cycles = 1
        self._busy_at_done = 0
        self._message: list[int] = []
        self._missing = 0  # words of the message that are still to come
        self._last_lost: int | None = None
        self.watches = [
            Watch(dut, "inject", FLIT), Watch(dut, "eject", FLIT), Watch(dut, "tx", 32), Watch(dut, "rx", 32),
        ]  # fmt: skip
        cocotb.start_soon(self._run())

    def __len__(self) -> int:
        return len(self.words) + (self._offered is not None)

    def say(self, *parts) -> None:
        for part in parts:
            self.words.extend(int(word) for word in np.atleast_1d(part))

    async def finish(self, limit: int = 20_000) -> None:
        """Until all words are taken, and then long enough for all answers."""
        quiet = 0
        for _ in range(limit):
            before = len(self), len(self.seen.words), len(self.seen.events)
            await cycles(self.dut, 1)
            quiet = quiet + 1 if before == (len(self), len(self.seen.words), len(self.seen.events)) else 0
            if not len(self) and quiet > 200:
                break
        assert not len(self), f"{len(self)} words were never taken"
        assert not self.spikes_out
        assert not self._missing

    def at_rest(self) -> bool:
        """The truth, without delay: nothing works, nothing is on its way."""
        return self.cycle > self._busy_until and self.cycle >= self._work_from and self._emitted is None

    async def _run(self) -> None:
        edge = RisingEdge(self.dut.clk)
        while True:
            self._host()
            self._array()
            await edge
            self._look()
            self.cycle += 1

    # What the model drives in a cycle.

    def _host(self) -> None:
        dut, rng = self.dut, self.rng
        if self._offered is None and self.words and rng.random() < self.habits.offer:
            self._offered = self.words.popleft()
        dut.rx__valid.value = int(self._offered is not None)
        dut.rx__payload.value = self._offered if self._offered is not None else rng.getrandbits(32)
        self._takes = rng.random() < self.habits.take
        dut.tx__ready.value = int(self._takes)

    def _array(self) -> None:
        dut, rng, habits = self.dut, self.rng, self.habits
        working = self._work_from <= self.cycle <= self._busy_until
        if self._emitted is None and working and self._emitting and rng.random() < habits.emit:
            self._emitted = rng.randrange(CONFIG.keys), rng.randrange(1 << CONFIG.index_bits)
        dut.eject__valid.value = int(self._emitted is not None)
        if self._emitted:
            dut.eject__payload.value = pack(FLIT, {"key": self._emitted[0], "index": self._emitted[1]})
        self._can_inject = rng.random() < habits.inject
        dut.inject__ready.value = int(self._can_inject)

        busy = working or self._emitted is not None
        self._raw.append(not busy)
        self._idle = self._raw.popleft()
        dut.idle.value = int(self._idle)
        # The last cycle of work is where a loss is hardest to report in time.
        loses = working and (rng.random() < habits.lose or (habits.lose and self.cycle == self._busy_until))
        self.lost += loses
        self._losses.append(loses)
        dut.lost.value = int(self._losses.popleft())

        packet = None
        if self._ring and self._ring[0][0] == self.cycle:
            packet = self._ring.popleft()[1]
            dut.ring_i__packet.value = pack(PACKET, packet)
        dut.ring_i__valid.value = int(packet is not None)

    # What it sees at the end of it.

    def _look(self) -> None:
        dut, seen, rng = self.dut, self.seen, self.rng
        if self._offered is not None and int(dut.rx__ready.value):
            self._offered = None
        starts, resets = int(dut.start.value), int(dut.reset_state.value)
        injects = int(dut.inject__valid.value)
        self._count_busy(starts or resets, injects)
        if starts or resets:
            assert not (starts and resets)
            assert self.at_rest(), "a start or reset into an array that works"
            assert not self._ring, "a start or reset while packets are on the ring"
            phase = int(dut.phase.value)
            seen.events.append(("start", int(dut.flush.value), phase) if starts else ("reset",))
            self._work_from = self.cycle + START_LATENCY
            self._busy_until = self._work_from + rng.randrange(self.habits.work + 1)
            self._emitting = bool(starts)
            self._clearing = bool(resets)
            if starts and not phase:
                seen.starts.append(self.cycle)
        if injects and self._can_inject:
            assert not seen.starts or self.cycle + 2 > seen.starts[-1] + START_LATENCY, "a spike overtakes the start"
            assert not self._clearing or self.at_rest(), "a spike that the reset clears"
            self._clearing = False
            flit = unpack(FLIT, int(dut.inject__payload.value))
            seen.events.append(("spike", flit.key, flit.index))
            seen.spikes.append(self.cycle)
            if self.cycle > self._busy_until:
                self._work_from, self._emitting = self.cycle + 1, False
            self._busy_until = max(self._busy_until, self.cycle + 1 + rng.randrange(self.habits.work + 1))
        if self._emitted and int(dut.eject__ready.value):
            self.spikes_out.append(self._emitted)
            self._emitted = None
        if int(dut.ring_o__valid.value):
            self._packet(unpack(PACKET, int(dut.ring_o__packet.value)))
        if self._takes and int(dut.tx__valid.value):
            self._word(int(dut.tx__payload.value))

    def _count_busy(self, pulse: int, injects: int) -> None:
        if pulse:
            self._quiet_since = self.cycle
        if injects:
            self._quiet_since = self.cycle + 1
        if not self._idle or self.cycle - self._quiet_since < SETTLE:
            self._busy_cycles += 1

    def _packet(self, packet) -> None:
        assert self.at_rest(), "a packet into an array that works"
        at = (packet.core, packet.space, packet.address)
        if packet.write:
            self.memory[at] = packet.data
            delay, data = RING, packet.data
        else:
            assert not self._ring, "a read that is not alone on the ring"
            delay, data = RING + 4, self.memory.get(at, 0xABAD_1DEA)
        self.seen.events.append(("packet", packet.write, *at, packet.data if packet.write else None))
        self.seen.packets.append(self.cycle)
        back = {
            "write": packet.write, "core": packet.core, "space": packet.space, "address": packet.address, "data": data,
        }  # fmt: skip
        self._ring.append((self.cycle + delay, back))

    def _word(self, word: int) -> None:
        seen = self.seen
        seen.words.append(word)
        if self._missing:
            self._message.append(word)
            self._missing -= 1
        elif word >> 30 == Reply.SPIKE:
            spike = unpack(struct(SPIKE_LAYOUT), word)
            assert (spike.key, spike.index) == self.spikes_out.popleft()
            return
        else:
            self._message = [word]
            if word >> 30 == Reply.DONE:
                assert not self.spikes_out, "DONE overtakes a spike of its tick"
                assert self.at_rest(), "DONE of a tick that still works"
                assert (self._last_lost or 0) == self.lost, "losses that were not reported with their tick"
                self.lost = 0
                self._busy_at_done = self._busy_cycles  # the next word may wait while the next tick works
                self._missing = 1
            elif word >> 30 == Reply.DATA:
                self._missing = unpack(struct(DATA_LAYOUT), word).count
        self._last_lost = None
        if not self._missing:
            self._end_of_message()

    def _end_of_message(self) -> None:
        first, *rest = self._message
        kind = first >> 30
        if kind == Reply.DONE:
            assert rest == [self._busy_at_done]
            message = ("done", unpack(struct(DONE_LAYOUT), first).tick)
        elif kind == Reply.DATA:
            header = unpack(struct(DATA_LAYOUT), first)
            assert header.zero == 0
            message = ("data", *rest)
        else:
            error = unpack(struct(ERROR_LAYOUT), first)
            if error.code == Error.LOST:
                assert error.argument > 0
                self._last_lost = error.argument
                return
            message = ("error", error.code, error.argument)
        self.seen.messages.append(message)
        self.seen.message_cycles.append(self.cycle)


async def begin(dut, habits: Habits | None = None, seed: int = 0) -> Bench:
    await start(dut)
    return Bench(dut, habits or Habits(), seed)


class Script:
    """Commands at random, and what they must lead to."""

    def __init__(self, bench: Bench):
        self.bench, self.rng = bench, bench.rng
        self.events: list = []
        self.messages: list = []
        self.spike_errors: list = []
        self.tick = 0
        self.built, self.phases = parameter("phases"), 1
        self.memory: dict[tuple, int] = {}

    def spikes(self) -> None:
        for _ in range(self.rng.randrange(1, 12)):
            # Mostly right; else one bit too many in the key, in the index, or in both.
            wide_key, wide_index = (self.rng.random() < 0.04 for _ in range(2))
            key = self.rng.randrange(CONFIG.keys) | (wide_key << self.rng.randrange(CONFIG.key_bits, 10))
            index = self.rng.randrange(1 << CONFIG.index_bits)
            index |= wide_index << self.rng.randrange(CONFIG.index_bits, 20)
            self.bench.say(spike_words(key, np.array([index])))
            if wide_key or wide_index:
                self.spike_errors.append(("error", Error.SPIKE, key))
            else:
                self.events.append(("spike", key, index))

    def ticks(self) -> None:
        count = self.rng.choice([0, 1, 1, 1, 2, 5])
        flush = self.rng.choice([0, 0, 1, 17, NEVER - 2])
        self.bench.say(tick_word(count, flush))
        if not count:
            self.messages.append(("error", Error.TICK, 0))
        for n in range(count):
            shown = min(flush + n, NEVER) if flush else 0
            self.events += [("start", shown, phase) for phase in range(self.phases)]
            self.messages.append(("done", self.tick))
            self.tick += 1

    def _place(self) -> tuple[int, int, int, bool]:
        core = self.rng.choice([0, 1, 2, 2, 3, 255])
        space = self.rng.choice([Space.WEIGHT, Space.ROUTE, Space.REGISTER, Space.ENTRY, 13, 31])
        exists = core < CONFIG.cores and space in spaces(CONFIG)
        if not exists:
            self.messages.append(("error", Error.CORE, core << 5 | space))
        return core, space, self.rng.randrange(8), exists

    def write(self) -> None:
        count = self.rng.choice([0, 1, 2, 30])
        # Words that look like anything, spikes and ticks among them.
        data = [self.rng.getrandbits(32) for _ in range(count)]
        core, space, address, exists = self._place()
        self.bench.say(access(1, core, space, address, count), np.array(data, dtype=np.uint32))
        if exists:
            for n, word in enumerate(data):
                self.events.append(("packet", 1, core, space, address + n, word))
                self.memory[core, space, address + n] = word

    def read(self) -> None:
        count = self.rng.choice([0, 1, 2, 30])
        core, space, address, exists = self._place()
        self.bench.say(access(0, core, space, address, count))
        if exists:
            places = [(core, space, address + n) for n in range(count)]
            self.events += [("packet", 0, *place, None) for place in places]
            self.messages.append(("data", *(self.memory.get(place, 0xABAD_1DEA) for place in places)))

    def reset(self) -> None:
        self.bench.say(control_word(Operation.RESET_STATE))
        self.events.append(("reset",))
        self.tick = 0

    def set_phases(self) -> None:
        count = self.rng.choice([0, 1, 2, 3, PHASES, PHASES, PHASES + 1, 8 * PHASES + 1, 1 << 23])
        self.bench.say(control_word(Operation.PHASES, count))
        if self.built > 1 and 1 <= count <= self.built:
            self.phases = count
        else:
            self.messages.append(("error", Error.OPERATION, Operation.PHASES))

    def nonsense(self) -> None:
        operation = self.rng.choice([4, 40, 63])
        self.bench.say(3 << 30 | operation << 24 | self.rng.getrandbits(24))
        self.messages.append(("error", Error.OPERATION, operation))


def access(write: int, core: int, space: int, address: int, count: int) -> np.ndarray:
    header = ACCESS_LAYOUT.pack({"kind": 2, "write": write, "core": core, "space": space, "count": count})
    return np.append(header, np.uint32(address))


def in_order(bench: Bench, wanted: list) -> None:
    """Whatever was wanted has happened in its order, but for spikes of a tick and later phases of the one before."""
    seen = bench.seen.events
    for leave_out in (lambda e: e[0] == "start" and e[2], lambda e: e[0] == "spike"):
        assert [e for e in seen if not leave_out(e)] == [e for e in wanted if not leave_out(e)]
    overlaps = sum(a[0] == "spike" and b[0] == "start" and b[2] > 0 for a, b in pairwise(seen))
    assert overlaps or parameter("phases") == 1, "no spike of the next tick among the phases of this one"


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(
    (
        ("offer", "take", "inject", "work", "lose"),
        [
            (1.0, 1.0, 1.0, 0, 0.0),
            (1.0, 1.0, 1.0, 0, 0.5),
            (1.0, 1.0, 0.5, 40, 0.05),
            (0.2, 1.0, 1.0, 5, 0.0),
            (1.0, 0.2, 0.7, 10, 0.2),
            (0.5, 0.5, 0.5, 20, 0.0),
        ],
    )
)
async def does_what_it_is_told(dut, offer: float, take: float, inject: float, work: int, lose: float) -> None:
    habits = Habits(offer=offer, take=take, inject=inject, work=work, lose=lose)
    bench = await begin(dut, habits, seed=int(offer * 7 + take * 11 + work + 100 * lose))
    script = Script(bench)
    actions = [script.spikes] * 6 + [script.ticks] * 4 + [script.set_phases] * 2
    actions += [script.write, script.read, script.reset, script.nonsense]
    for _ in range(120):
        bench.rng.choice(actions)()
    bench.say(read_words(0, Space.ROUTE, 0, 1))
    place = 0, Space.ROUTE, 0
    script.events.append(("packet", 0, *place, None))
    script.messages.append(("data", script.memory.get(place, 0xABAD_1DEA)))
    await bench.finish()
    in_order(bench, script.events)
    spike_errors = [message for message in bench.seen.messages if message[:2] == ("error", Error.SPIKE)]
    assert spike_errors == script.spike_errors
    assert [m for m in bench.seen.messages if m[:2] != ("error", Error.SPIKE)] == script.messages
    assert {m[0] for m in script.messages} == {"done", "data", "error"}
    assert len(script.spike_errors) > 3
    assert sum(len(watch) for watch in bench.watches[1:2]) > 20 or work < 5, "hardly a spike to the host"


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def takes_a_word_a_cycle(dut) -> None:
    bench = await begin(dut)
    bench.say(spike_words(5, np.arange(500)))
    bench.say(write_words(1, Space.WEIGHT, 0, np.arange(500)))
    await bench.finish()
    assert bench.seen.spikes == list(range(bench.seen.spikes[0], bench.seen.spikes[0] + 500))
    assert bench.seen.packets == list(range(bench.seen.packets[0], bench.seen.packets[0] + 500))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def gives_a_word_a_cycle(dut) -> None:
    bench = await begin(dut, Habits(emit=1.0, work=400))
    bench.say(tick_word(20))
    await bench.finish()
    ejected = bench.watches[1].cycles
    assert len(ejected) > 200
    assert np.sum(np.diff(ejected) == 1) >= len(ejected) - 20


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def overlaps_ticks(dut) -> None:
    """Spikes of the next tick pass while a tick works; whatever else waits for DONE."""
    bench = await begin(dut, Habits(emit=0.0, work=0))
    await cycles(dut, 20)
    bench.say(tick_word(2))
    while len(bench.seen.starts) < 1:
        await cycles(dut, 1)
    bench.say(spike_words(1, np.arange(10)), control_word(Operation.QUERY))
    while len(bench.seen.starts) < 2:
        assert not bench.seen.spikes, "a spike among the ticks of one command"
        await cycles(dut, 1)
    bench._busy_until += 300  # the second one takes long
    await cycles(dut, 60)
    assert len(bench.seen.spikes) == 10
    assert bench.seen.spikes[0] <= bench.seen.starts[1] + START_LATENCY + 3, "held back longer than needed"
    assert [message[0] for message in bench.seen.messages] == ["done"]
    assert len(bench) == 1
    await bench.finish()
    assert [message[0] for message in bench.seen.messages] == ["done", "done", "data"]


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reports_soon(dut) -> None:
    """From a start to the next one of a burst: what idle costs, and a handful of cycles."""
    bench = await begin(dut, Habits(emit=0.0, work=0))
    bench.say(tick_word(20))
    await bench.finish()
    gaps = np.diff(bench.seen.starts)
    cocotb.log.info("cycles from start to start of an empty tick: %s", set(gaps.tolist()))
    assert gaps.max() <= SETTLE + 7


def info(bench: Bench, at: int = -1) -> dict[Info, int]:
    return dict(zip(Info, bench.seen.messages[at][1:], strict=True))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def answers_queries(dut) -> None:
    bench = await begin(dut)
    bench.say(tick_word(3), control_word(Operation.QUERY))
    await bench.finish()
    low, high = digest_words(array_of(parameter("phases")))
    assert info(bench) == {
        Info.MAGIC: MAGIC, Info.DIGEST_LOW: low, Info.DIGEST_HIGH: high, Info.TICK: 3,
        Info.BUSY_CYCLES: bench._busy_cycles, Info.OVERRUNS: 0,
    }  # fmt: skip
    bench.say(control_word(Operation.RESET_STATE), control_word(Operation.QUERY))
    await bench.finish()
    assert info(bench)[Info.TICK] == 0
    assert info(bench)[Info.BUSY_CYCLES] == bench._busy_cycles
    busy = bench._busy_cycles
    bench.say(write_words(0, Space.WEIGHT, 0, np.arange(50)), read_words(0, Space.WEIGHT, 0, 50))
    bench.say(control_word(Operation.QUERY))
    await bench.finish()
    assert info(bench)[Info.BUSY_CYCLES] == busy, "programming is not work"


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def keeps_the_period(dut) -> None:
    bench = await begin(dut, Habits(emit=0.0, work=20))

    async def overruns() -> int:
        bench.say(control_word(Operation.QUERY))
        await bench.finish()
        return info(bench)[Info.OVERRUNS]

    # Ticks shorter than the period: exactly periodic, no overrun, whatever the host does in between.
    bench.say(control_word(Operation.PERIOD, 60), tick_word(10))
    await bench.finish()
    assert set(np.diff(bench.seen.starts).tolist()) == {60}
    for _ in range(3):
        await cycles(dut, 200)
        bench.say(tick_word(2))
    assert await overruns() == 0
    assert min(np.diff(bench.seen.starts)) == 60

    # Longer ones: every one is late, and counts once.
    bench.habits.work = 0
    bench.say(control_word(Operation.PERIOD, 5), tick_word(7))
    assert await overruns() == 7

    # A host that takes nothing holds up a tick.
    bench.say(control_word(Operation.PERIOD, 60), tick_word(2))
    while len(bench.seen.starts) < 10 + 6 + 7 + 1:
        await cycles(dut, 1)
    bench.habits.take = 0.0
    await cycles(dut, 100)
    bench.habits.take = 1.0
    assert await overruns() == 7 + 1

    # The last period still counts for a start after the period was set free.
    bench.say(control_word(Operation.PERIOD, 0), tick_word(5))
    assert await overruns() == 8
    assert max(np.diff(bench.seen.starts[-5:])) < 30


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def exact_period(dut) -> None:
    """Around the least possible period: a tick that just ends in time is none too late."""
    bench = await begin(dut, Habits(emit=0.0, work=0))
    bench.say(tick_word(5))
    await bench.finish()
    least = int(np.diff(bench.seen.starts).max())
    for period, late in ((least + 1, 0), (least, 0), (least - 1, 5)):
        bench.say(control_word(Operation.QUERY), control_word(Operation.PERIOD, period), tick_word(5))
        bench.say(control_word(Operation.QUERY))
        await bench.finish()
        before, after = (message[1:] for message in bench.seen.messages if message[0] == "data")
        bench.seen.messages.clear()
        assert after[Info.OVERRUNS] - before[Info.OVERRUNS] == late, period
        assert set(np.diff(bench.seen.starts[-5:]).tolist()) == {max(period, least)}


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def phases_follow_each_other_soon(dut) -> None:
    """A phase of an empty array costs what idle costs, a tick one DONE; resets leave the number of phases alone."""
    bench = await begin(dut, Habits(emit=0.0, work=0))
    phases = parameter("phases")
    if phases > 1:
        bench.say(control_word(Operation.PHASES, phases))
    bench.say(control_word(Operation.RESET_STATE), tick_word(20))
    await bench.finish()
    assert bench.seen.events[1:] == [("start", 0, phase) for phase in range(phases)] * 20
    assert bench.seen.messages == [("done", n) for n in range(20)]
    assert np.diff(bench.seen.starts).max() <= phases * (SETTLE + 3) + 4
