# amaranth: UnusedElaboratable=no
"""One router under every kind of traffic, against a scoreboard: which copies of which flits are still owed."""

from collections import deque
from pathlib import Path

import cocotb
import pytest
from cocotb.triggers import ReadOnly, RisingEdge, Timer

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.fabric import Port
from spikeloom.contract.ring import Space
from spikeloom_hdl.bus import READ_LATENCY
from spikeloom_hdl.router import Router
from spikeloom_sim.bench import cycles, pack, parameter, random_source, simulate, start, unpack

ROUTERS = {"corner": (2, 2, 0), "middle": (3, 3, 4), "alone": (1, 1, 0), "edge": (3, 2, 1)}


def router(place: str) -> Router:
    width, height, core = ROUTERS[place]
    return Router(ArrayConfig(width=width, height=height, key_bits=4, index_bits=16), core)


DUT = router(parameter("place", "middle"))
KEYS = DUT.config.keys


@pytest.mark.parametrize("place", ROUTERS)
def test_router(place: str, tmp_path: Path) -> None:
    simulate(router(place), __name__, tmp_path, parameters={"place": place})


def test_ports() -> None:
    assert router("corner").ports == [Port.EAST, Port.SOUTH, Port.CORE, Port.LINK]
    assert router("middle").ports == [Port.NORTH, Port.EAST, Port.SOUTH, Port.WEST, Port.CORE]
    assert router("alone").ports == [Port.CORE, Port.LINK]


class Bench:
    """Moves the router by one cycle at a time and checks all that a cycle shows.

    A flit's index is a number that no other flit has, so the scoreboard knows where each copy came from.
    """

    def __init__(self, dut, seed: int = 0):
        self.dut = dut
        self.rng = random_source(seed)
        self.table = [0] * KEYS
        self.edge = RisingEdge(dut.clk)
        self.cycle = 0
        self.waiting = {port: deque() for port in DUT.ports}  # (key, index) to be offered
        self.offered = dict.fromkeys(DUT.ports)
        self.owed = {(i, o): deque() for i in DUT.ports for o in DUT.ports}
        self.source = {}
        self.accepted = {}  # index -> cycle
        self.delivered = {port: [] for port in DUT.ports}  # (cycle, index)
        self.dropped = self.counted = 0
        self._dropped_now = 0
        self._held = dict.fromkeys(DUT.ports)
        self._ready = dict.fromkeys(DUT.ports, False)
        self._next = 0

    def handle(self, kind: str, port: Port, part: str):
        return getattr(self.dut, f"{kind}_{port.name.lower()}__{part}")

    async def load(self, table: list[int]) -> None:
        self.table = table
        for key, mask in enumerate(table):
            await self.bus(write=1, address=key, data=mask)

    async def bus(self, *, write: int, address: int, data: int = 0, space: Space = Space.ROUTE) -> None:
        values = {"valid": 1, "write": write, "space": space, "address": address, "data": data}
        for name, value in values.items():
            getattr(self.dut, f"bus__{name}").value = int(value)
        await self.edge
        self.dut.bus__valid.value = 0

    def queue(self, port: Port, key: int) -> int:
        index, self._next = self._next, self._next + 1
        self.waiting[port].append((key, index))
        return index

    def ports(self, key: int) -> list[Port]:
        return [port for port in DUT.ports if self.table[key] >> port & 1]

    def owes(self) -> bool:
        return any(self.owed.values())

    async def step(self, *, offer: float = 1.0, take: float = 1.0, patient: bool = False, deaf: tuple = ()) -> None:
        """One cycle: each input offers, each output takes, with these probabilities."""
        rng, dut = self.rng, self.dut
        for port in DUT.ports:
            if self.offered[port] is None and self.waiting[port] and rng.random() < offer:
                self.offered[port] = self.waiting[port].popleft()
            now = self.offered[port]
            self.handle("i", port, "valid").value = int(now is not None)
            if now is not None:
                key, index = now
                self.handle("i", port, "payload").value = pack(DUT.flit, {"key": key, "index": index})
            else:
                self.handle("i", port, "payload").value = rng.getrandbits(20)
            ready = rng.random() < take and port not in deaf
            if patient:
                ready = ready and self._held[port] is not None
            self._ready[port] = ready
            self.handle("o", port, "ready").value = int(ready)
        await self.edge
        self.cycle += 1

        assert int(dut.unrouted.value) == self._dropped_now, "unrouted is what was dropped in the cycle before"
        self.counted += int(dut.unrouted.value)
        assert int(dut.idle.value) == (not self.owes() and not self._dropped_now), f"idle lies in cycle {self.cycle}"
        for port in DUT.ports:
            self._output(port)
        self._dropped_now = 0
        for port in DUT.ports:
            if self.offered[port] is not None and int(self.handle("i", port, "ready").value):
                self._accept(port, *self.offered[port])
                self.offered[port] = None
        self.dropped += self._dropped_now

    def _output(self, port: Port) -> None:
        if not int(self.handle("o", port, "valid").value):
            assert self._held[port] is None, f"{port.name}: valid fell before ready"
            return
        bits = int(self.handle("o", port, "payload").value)
        assert self._held[port] in (None, bits), f"{port.name}: payload changed before ready"
        self._held[port] = bits
        if not self._ready[port]:
            return
        self._held[port] = None
        flit = unpack(DUT.flit, bits)
        assert flit.index in self.source, f"{port.name}: a flit that nobody sent: {flit}"
        owed = self.owed[self.source[flit.index], port]
        assert owed, f"{port.name}: a copy that nobody is owed: {flit}"
        assert (flit.key, flit.index) == owed.popleft(), f"{port.name}: out of order"
        self.delivered[port].append((self.cycle, flit.index))

    def _accept(self, port: Port, key: int, index: int) -> None:
        self.source[index] = port
        self.accepted[index] = self.cycle
        for out in self.ports(key):
            self.owed[port, out].append((key, index))
        self._dropped_now += not self.ports(key)

    async def drain(self, limit: int = 10_000, **how) -> None:
        for _ in range(limit):
            if not self.owes() and not any(self.waiting.values()) and not any(self.offered.values()):
                break
            await self.step(**how)
        assert not self.owes(), "copies that never came"
        assert not any(self.waiting.values()), "flits that were never taken"
        await self.step()
        await self.step()
        assert self.counted == self.dropped


def mask_of(ports) -> int:
    return sum(1 << port for port in ports)


async def begin(dut, seed: int = 0) -> Bench:
    await start(dut)
    return Bench(dut, seed)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def starts_without_routes(dut) -> None:
    """Runs first: the table is all zero, so nothing is routed, all is counted, nothing blocks."""
    bench = await begin(dut)
    for _ in range(5):
        for port in DUT.ports:
            for key in range(KEYS):
                bench.queue(port, key)
    await bench.drain()
    assert bench.dropped == 5 * len(DUT.ports) * KEYS
    assert bench.cycle <= 5 * KEYS + 5, "dropping must not take longer than routing"


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def reads_back(dut) -> None:
    bench = await begin(dut)
    for _ in range(3):
        table = [bench.rng.getrandbits(len(Port)) for _ in range(KEYS)]
        await bench.load(table)
        # Other spaces are someone else's, written or read.
        await bench.bus(write=1, address=3, data=~table[3] & 63, space=Space.KEY)
        answers = []

        async def listen(answers: list[int] = answers) -> None:
            for _ in range(KEYS + 8):
                await bench.edge
                answers.append(int(dut.bus__read_data.value))

        listening = cocotb.start_soon(listen())
        for key in range(KEYS):
            await bench.bus(write=0, address=key)
        await bench.bus(write=0, address=3, space=Space.KEY)
        await bench.bus(write=1, address=4, data=table[4])
        await listening
        assert answers == [0] * READ_LATENCY + table + [0] * (8 - READ_LATENCY)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def every_pair_in_two_cycles(dut) -> None:
    bench = await begin(dut)
    for o in DUT.ports:
        await bench.load([mask_of([o])] * KEYS)
        for i in DUT.ports:
            index = bench.queue(i, bench.rng.randrange(KEYS))
            await bench.drain()
            assert bench.delivered[o][-1] == (bench.accepted[index] + 2, index)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def sustains_a_flit_a_cycle(dut) -> None:
    """All ports at once, each input to an output of its own, every rotation."""
    bench = await begin(dut)
    count = len(DUT.ports)
    await bench.load([mask_of([DUT.ports[key % count]]) for key in range(KEYS)])
    for turn in range(count):
        for log in bench.delivered.values():
            log.clear()
        for n, port in enumerate(DUT.ports):
            for _ in range(100):
                bench.queue(port, (n + turn) % count)
        await bench.drain()
        for port in DUT.ports:
            came = [cycle for cycle, _ in bench.delivered[port]]
            assert came == list(range(came[0], came[0] + 100)), port.name


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def takes_turns(dut) -> None:
    """All inputs to one output: it is never empty, and in any round each input has its turn."""
    bench = await begin(dut)
    count = len(DUT.ports)
    for o in DUT.ports:
        await bench.load([mask_of([o])] * KEYS)
        for log in bench.delivered.values():
            log.clear()
        for port in DUT.ports:
            for _ in range(40):
                bench.queue(port, bench.rng.randrange(KEYS))
        await bench.drain()
        came = [cycle for cycle, _ in bench.delivered[o]]
        assert came == list(range(came[0], came[0] + 40 * count))
        who = [bench.source[index] for _, index in bench.delivered[o]]
        for at in range(0, len(who), count):
            assert set(who[at : at + count]) == set(DUT.ports), f"round {at // count}"


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def copies_leave_alone(dut) -> None:
    """A flit for all ports, one of them blocked: the others have their copy, and only that input waits."""
    bench = await begin(dut)
    everywhere, nowhere = mask_of(DUT.ports), 0
    for blocked in DUT.ports:
        others = [port for port in DUT.ports if port is not blocked]
        await bench.load([everywhere, nowhere, *(mask_of([port]) for port in others)] + [0] * (KEYS - 2 - len(others)))
        first, bystander = DUT.ports[0], DUT.ports[1]
        sent = [bench.queue(first, 0) for _ in range(4)]
        for _ in range(20):
            await bench.step(deaf=(blocked,))
        for port in others:  # the output holds the first, the head the second, which has left by the others
            assert [index for _, index in bench.delivered[port][-2:]] == sent[:2]
        passed = [bench.queue(bystander, 2 + n) for n in range(len(others))]
        for _ in range(10):
            await bench.step(deaf=(blocked,))
        assert all(any(index == p for log in bench.delivered.values() for _, index in log) for p in passed)
        await bench.drain()


@cocotb.test(timeout_time=50, timeout_unit="ms")
@cocotb.parametrize(
    (
        ("offer", "take", "patient"),
        [(1.0, 1.0, False), (1.0, 0.4, False), (0.3, 1.0, False), (0.6, 0.6, True), (1.0, 1.0, True)],
    )
)
async def delivers_everything(dut, offer: float, take: float, patient: bool) -> None:
    """Random tables with all kinds of masks, ports that do not exist among them."""
    bench = await begin(dut, seed=int(10 * offer + 100 * take) + patient)
    for density in (0.2, 0.5, 0.9):
        table = [mask_of([port for port in Port if bench.rng.random() < density]) for _ in range(KEYS)]
        table[0] = 0
        table[1] = mask_of(set(Port) - set(DUT.ports))  # only ports that do not exist: unrouted too
        await bench.load(table)
        for port in DUT.ports:
            for _ in range(150):
                bench.queue(port, bench.rng.randrange(KEYS))
        await bench.drain(offer=offer, take=take, patient=patient)
    assert bench.dropped > 20


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def has_no_path_through(dut) -> None:
    """Within a cycle, no input moves an output: neither forward nor backward."""
    bench = await begin(dut)
    await bench.load([mask_of([port for port in DUT.ports if bench.rng.random() < 0.6]) for _ in range(KEYS)])
    outputs = [bench.handle("o", port, part) for port in DUT.ports for part in ("valid", "payload")]
    outputs += [bench.handle("i", port, "ready") for port in DUT.ports] + [dut.idle, dut.unrouted]
    inputs = [(bench.handle("i", port, "valid"), 1) for port in DUT.ports]
    inputs += [(bench.handle("i", port, "payload"), 20) for port in DUT.ports]
    inputs += [(bench.handle("o", port, "ready"), 1) for port in DUT.ports]
    seen = set()
    for _ in range(200):
        await RisingEdge(dut.clk)
        await Timer(1, unit="ns")
        before = None
        for _ in range(3):
            for handle, bits in inputs:
                handle.value = bench.rng.getrandbits(bits)
            await Timer(1, unit="ns")
            await ReadOnly()
            now = [int(handle.value) for handle in outputs]
            assert before in (None, now)
            before = now
            await Timer(1, unit="ns")
        seen.add(tuple(before))
    assert len(seen) > 100
    for handle, _ in inputs:
        handle.value = 0
    for port in DUT.ports:
        bench.handle("o", port, "ready").value = 1
    await cycles(dut, 20)
    assert int(dut.idle.value)
