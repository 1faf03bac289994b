"""An array in plain Python: it takes the stream's words and interprets the memories, as the gateware would.

It knows nothing of networks: walks go through KEY, PROJECTION, COORDINATE, ENTRY and WEIGHT, spikes hop along ROUTE
masks, the equation is written from :mod:`spikeloom.contract.neuron`. An executable specification of the mapping, small
and slow.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.fabric import OPPOSITE, Port, neighbour
from spikeloom.contract.layout import COLUMN_BITS
from spikeloom.contract.neuron import NEVER, Reset
from spikeloom.contract.numerics import Profile
from spikeloom.contract.ring import Counter, Register, Space, spaces
from spikeloom.contract.stream import (
    ACCESS_LAYOUT,
    CONTROL_LAYOUT,
    DATA_LAYOUT,
    DONE_LAYOUT,
    ERROR_LAYOUT,
    MAGIC,
    TICK_LAYOUT,
    Command,
    Error,
    Operation,
    Reply,
    digest_words,
    spike_layout,
)


class ModelArray:
    """A transport with the array behind it.

    Parameters:
        config: the array.
        piece: words that ``receive`` gives at a time, at most; 0 gives all.
    """

    def __init__(self, config: ArrayConfig, piece: int = 0) -> None:
        self.config, self.piece = config, piece
        self.geometry = spaces(config)
        rng = np.random.default_rng(7)  # memories wake up with anything in them
        self.memory = {
            (core, space): rng.integers(0, 1 << 32, (shape.depth, shape.stride), dtype=np.uint32)
            for core in range(config.cores)
            for space, shape in self.geometry.items()
        }
        for core in range(config.cores):
            self.memory[core, Space.COUNTER][:] = 0
        self.rx: deque[int] = deque()
        self.tx: deque[int] = deque()
        self.busy = self.lost = 0
        self.phases = 1
        self.drained = [0] * config.cores  # rows, in this tick
        self.closed = False
        self._unpacked: dict[tuple[int, Space], dict[str, np.ndarray]] = {}
        self._reset()

    # The transport.

    def send(self, words: np.ndarray) -> None:
        assert words.dtype == np.uint32
        assert words.ndim == 1
        self.rx.extend(words.tolist())
        while self.rx and self._command():
            pass

    def receive(self, at_least: int, timeout: float) -> np.ndarray:
        count = min(self.piece or len(self.tx), len(self.tx))
        return np.array([self.tx.popleft() for _ in range(count)], dtype=np.uint32)

    def close(self) -> None:
        self.closed = True

    # The sequencer.

    def _reset(self) -> None:
        self.tick = 0
        self.acc = np.zeros((self.config.cores, self.config.core.slots, self.config.core.neurons), dtype=np.int64)
        for core in range(self.config.cores):
            self.memory[core, Space.STATE][:] = 0
            self._unpacked.pop((core, Space.STATE), None)

    def _command(self) -> bool:
        """Run the first command, if all its words are there."""
        word = np.array([self.rx[0]], dtype=np.uint32)
        kind = Command(self.rx[0] >> 30)
        if kind is Command.ACCESS:
            fields = {n: int(v) for n, v in ACCESS_LAYOUT.unpack(word).items()}
            length = 2 + fields["write"] * fields["count"]
            if len(self.rx) < length:
                return False
            _, address, *data = (self.rx.popleft() for _ in range(length))
            self._access(fields, address, data)
            return True
        self.rx.popleft()
        if kind is Command.SPIKE:
            spike = {n: int(v) for n, v in spike_layout(self.config).unpack(word).items()}
            if spike["key"] >= self.config.keys or spike["index"] >> self.config.index_bits:
                self._error(Error.SPIKE, spike["key"])
            else:
                self._deliver(self.tick - 1, 0, Port.LINK, spike["key"], spike["index"], spike.get("payload", 1))
        elif kind is Command.TICK:
            tick = {n: int(v) for n, v in TICK_LAYOUT.unpack(word).items()}
            if not tick["count"]:
                self._error(Error.TICK, 0)
            for _ in range(tick["count"]):
                self._run_tick(tick["flush"])
        else:
            control = {n: int(v) for n, v in CONTROL_LAYOUT.unpack(word).items()}
            if control["operation"] == Operation.RESET_STATE:
                self._reset()
            elif control["operation"] == Operation.QUERY:
                self._data([MAGIC, *digest_words(self.config), self.tick, self.busy, 0])
            elif control["operation"] == Operation.PHASES and 0 < control["argument"] <= self.config.core.phases > 1:
                self.phases = control["argument"]
            elif control["operation"] != Operation.PERIOD:
                self._error(Error.OPERATION, control["operation"])
        return True

    def _access(self, fields: dict[str, int], address: int, data: list[int]) -> None:
        at = fields["core"], fields["space"]
        if at not in self.memory:
            self._error(Error.CORE, fields["core"] << 5 | fields["space"])
            return
        memory = self.memory[at].reshape(-1)
        if fields["write"]:
            if at[1] == Space.COUNTER:
                data = [0] * len(data)
            memory[address : address + len(data)] = data
            self._unpacked.pop((at[0], Space(at[1])), None)
        else:
            self._data(memory[address : address + fields["count"]].tolist())

    def _data(self, words: list[int]) -> None:
        self.tx.extend(DATA_LAYOUT.pack({"kind": Reply.DATA, "zero": 0, "count": len(words)}).tolist())
        self.tx.extend(words)

    def _error(self, code: Error, argument: int) -> None:
        self.tx.extend(ERROR_LAYOUT.pack({"kind": Reply.ERROR, "code": code, "argument": argument}).tolist())

    def _run_tick(self, flush: int) -> None:
        count = 0
        self.drained = [0] * self.config.cores
        for phase in range(self.phases):
            events = [(core, *spike) for core in range(self.config.cores) for spike in self._update(core, phase, flush)]
            for core, key, index in events:
                self._deliver(self.tick, core, Port.CORE, key, index)
            count += len(events)
        if self.lost:
            self._error(Error.LOST, self.lost)
            self.lost = 0
        self.tx.extend(DONE_LAYOUT.pack({"kind": Reply.DONE, "tick": self.tick}).tolist())
        self.busy = (self.busy + 10 + count) % (1 << COLUMN_BITS)
        self.tx.append(self.busy)
        self.tick += 1

    # The fabric.

    def _deliver(self, tick: int, core: int, port: Port, key: int, index: int, payload: int = 1) -> None:
        """One spike from a port of a router to wherever its key's masks lead; ``tick`` is the one it was fired in."""
        at: deque[tuple[int, Port]] = deque([(core, port)])
        visited = set()
        while at:
            here, came = at.popleft()
            assert here not in visited, "a route visits a router twice"
            visited.add(here)
            ports = int(self.memory[here, Space.ROUTE][key, 0]) & (1 << len(Port)) - 1
            if not ports:
                self._count(here, Counter.UNROUTED)
                self.lost += 1
            for out in Port:
                if not ports >> out & 1:
                    continue
                if out is Port.LINK:
                    assert here == 0
                    word = {"kind": Reply.SPIKE, "key": key, "index": index}
                    word |= {"payload": payload} if self.config.payload_bits else {}
                    self.tx.extend(spike_layout(self.config).pack(word).tolist())
                elif out is Port.CORE:
                    self._walk(here, tick, key, index, payload)
                else:
                    assert out is not came, "a route turns back"
                    at.append((neighbour(self.config, here, out), OPPOSITE[out]))

    # The core.

    def _fields(self, core: int, space: Space) -> dict[str, np.ndarray]:
        """All records of a space, unpacked; kept until it is written."""
        if (core, space) not in self._unpacked:
            layout = self.geometry[space].layout
            self._unpacked[core, space] = layout.unpack(self.memory[core, space])
        return self._unpacked[core, space]

    def _count(self, core: int, counter: Counter, amount: int = 1) -> None:
        count = self.memory[core, Space.COUNTER]
        count[counter, 0] = (int(count[counter, 0]) + amount) % (1 << COLUMN_BITS)

    def _walk(self, core: int, tick: int, key: int, index: int, payload: int) -> None:
        entry = {n: int(v[key]) for n, v in self._fields(core, Space.KEY).items()}
        self._count(core, Counter.EVENTS)
        if not entry["count"] or index >= entry["sources"]:
            self._count(core, Counter.REFUSED)
            self.lost += 1
            return
        for n in range(entry["first"], entry["first"] + entry["count"]):
            projection = {name: int(v[n]) for name, v in self._fields(core, Space.PROJECTION).items()}
            slot = (tick + projection["delay"]) % self.config.core.slots
            visits, synapses, known = self._visits(core, projection, index)
            if not known:
                self._count(core, Counter.REFUSED)
                self.lost += 1
                continue
            for word, row in visits:
                if projection["sparse"]:
                    row = int(self._fields(core, Space.WORD_ROW)["row"][word])
                assert projection["delay"] or row >= self.drained[core], "too late for this tick"
                weights = self._fields(core, Space.WEIGHT)["weight"][word]
                if self.config.numerics.weight_bits == 1:
                    weights = 1 - 2 * weights
                lanes = self.config.core.lanes
                self.acc[core, slot, row * lanes : (row + 1) * lanes] += weights * payload
            self._count(core, Counter.WORDS, len(visits))
            self._count(core, Counter.SYNAPSES, synapses)

    def _visits(self, core: int, projection: dict[str, int], index: int) -> tuple[list[tuple[int, int]], int, bool]:
        """Words and rows that a projection visits for an index, its synapses, and whether the index is known."""
        config = self.config.core
        places, inner, known = [(projection["base"], projection["row"])], {"count": 1, "fanout": 0}, True
        coordinates = range(projection["first"], projection["first"] + projection["count"])
        for n in coordinates:
            c = {name: int(v[n]) for name, v in self._fields(core, Space.COORDINATE).items()}
            value, index = index & (1 << c["bits"]) - 1, index >> c["bits"]
            inner = {"word": value * c["scale"], "row": 0, "count": c["count"], "fanout": c["fanout"], "valid": 1}
            if c["table"]:
                inner = {name: int(v[c["scale"] + value]) for name, v in self._fields(core, Space.ENTRY).items()}
            known = known and inner["valid"] == 1
            step = (1, 1) if n == coordinates[-1] else (c["word_step"], c["row_step"])
            places = [
                (word + inner["word"] + k * step[0], row + inner["row"] + k * step[1])
                for word, row in places
                for k in range(inner["count"])
            ]
        visits = [(word % (1 << config.word_bits), row % (1 << config.row_bits)) for word, row in places]
        return visits, inner["fanout"] * (len(visits) // inner["count"]) if visits else 0, known

    def _update(self, number: int, phase: int, flush: int) -> list[tuple[int, int]]:
        """Update the rows of a phase; return the spikes as ``(key, index)``."""
        config, core, numerics = self.config, self.config.core, self.config.numerics
        first = self.drained[number]
        self.drained[number] += int(self.memory[number, Space.REGISTER][Register.ROWS + phase, 0])
        used = slice(first * core.lanes, self.drained[number] * core.lanes)
        sums = self.acc[number, self.tick % core.slots]
        acc = _wrap(sums[used].copy(), numerics.accumulator_bits)
        sums[used] = 0
        p = {n: v.reshape(-1) for n, v in self._fields(number, Space.PARAMETER).items()}
        if not core.parameters_per_neuron:
            p = {n: np.repeat(v, core.lanes) for n, v in p.items()}
        p = {n: v[used] for n, v in p.items()}
        bias = {n: v.reshape(-1)[used] for n, v in self._fields(number, Space.BIAS).items()}
        state = {n: v.reshape(-1)[used] for n, v in self._fields(number, Space.STATE).items()}
        active = (p["latency"] != NEVER) & (p["latency"] <= self.tick) & (p["latency"] >= flush)

        loihi = numerics.profile is Profile.LOIHI
        if loihi:
            e = p["weight_exponent"]
            acc = (acc << np.maximum(e, 0)) >> np.maximum(-e, 0)
        exact = _decay(p["alpha"] * state["u"], loihi) + (acc << numerics.fraction_bits) + bias["bias_u"]
        u = _wrap(exact, numerics.state_bits) if loihi else np.clip(exact, numerics.state_min, numerics.state_max)
        saturations = (u != exact).astype(np.int64)
        delayed = np.where((state["s"] == 1) & (p["reset"] == Reset.SUBTRACT_DELAYED), p["v_sub"], 0)
        exact = _decay(p["beta"] * state["v"], loihi) + u + bias["bias"] - delayed
        v = np.clip(exact, numerics.state_min, numerics.state_max)
        waits = state["r"] > 0
        saturations += (v != exact) & ~waits
        v = np.maximum(v, p["v_min"])
        fires = (v > p["theta"]) & ~waits
        r = np.where(waits, state["r"] - 1, np.where(fires, p["refractory"], 0))
        after = np.where(
            p["reset"] == Reset.VALUE, p["v_reset"], np.where(p["reset"] == Reset.SUBTRACT, v - p["v_sub"], v)
        )
        v = np.where(waits, p["v_reset"], np.where(fires, after, v))
        new = {"u": u, "v": v, "r": r, "s": fires.astype(np.int64)}
        held = state | {"s": np.zeros_like(state["s"])}
        new = {n: np.where(active, new[n], held[n]).reshape(-1, core.group) for n in new}
        packed = core.state_layout.pack(new)
        at = first * core.groups
        self.memory[number, Space.STATE][at : at + len(packed), : packed.shape[1]] = packed
        self._unpacked.pop((number, Space.STATE), None)

        fired = np.flatnonzero(active & fires)
        self._count(number, Counter.SPIKES, len(fired))
        self._count(number, Counter.SATURATIONS, int(saturations[active].sum()))
        emission = self._fields(number, Space.EMISSION)
        spikes = []
        for row, lane in zip(*divmod(fired + first * core.lanes, core.lanes), strict=True):
            if emission["valid"][row]:
                index = int(emission["index"][row]) + (int(lane) << int(emission["shift"][row]))
                assert index < 1 << config.index_bits
                spikes.append((int(emission["key"][row]), index))
        return spikes


def _decay(product: np.ndarray, toward_zero: bool) -> np.ndarray:
    if toward_zero:
        return np.sign(product) * (np.abs(product) >> 12)
    return (product + 2048) >> 12


def _wrap(x: np.ndarray, bits: int) -> np.ndarray:
    return (x + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
