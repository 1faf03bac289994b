# amaranth: UnusedElaboratable=no
"""Ring nodes, alone: what passes, what reaches the bus, what comes back."""

from pathlib import Path

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from spikeloom.contract.ring import PACKET_LAYOUT
from spikeloom_hdl.bus import READ_LATENCY
from spikeloom_hdl.layout import struct
from spikeloom_hdl.ring import RingNode
from spikeloom_sim.bench import cycles, now, pack, random_source, simulate, start, unpack

DUT = RingNode(5)
PACKET = struct(PACKET_LAYOUT)
FIELDS = [field.name for field in PACKET_LAYOUT.fields]


def test_ring(tmp_path: Path) -> None:
    simulate(DUT, __name__, tmp_path)


@pytest.mark.parametrize("core", [-1, 256])
def test_refuses(core: int) -> None:
    with pytest.raises(ValueError, match="core"):
        RingNode(core)


class Log:
    """What left the node and what went over the bus, with cycles; answers reads with ``answer(address)`` in time."""

    def __init__(self, dut):
        self.packets, self.accesses = [], []
        self._dut = dut
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut = self._dut
        edge = RisingEdge(dut.clk)
        answers: dict[int, int] = {}
        while True:
            await edge
            if int(dut.o__valid.value):
                got = unpack(PACKET, int(dut.o__packet.value))
                self.packets.append((now(), tuple(getattr(got, name) for name in FIELDS)))
            if int(dut.bus__valid.value):
                names = ("write", "space", "address", "data")
                access = tuple(int(getattr(dut, f"bus__{name}").value) for name in names)
                self.accesses.append((now(), access))
                if not access[0]:
                    answers[now() + READ_LATENCY] = answer(access[2])
            # A noisy bus: only the answer's own cycle may count.
            dut.bus__read_data.value = answers.get(now() + 1, 0xDEADBEEF)


def answer(address: int) -> int:
    return (address * 2654435761 + 99) & 0xFFFF_FFFF


def packet(rng, core: int, write: int) -> dict[str, int]:
    fields = {field.name: rng.getrandbits(field.bits) for field in PACKET_LAYOUT.fields}
    return {**fields, "core": core, "write": write}


async def put(dut, value: dict[str, int] | None) -> int:
    """One cycle of input; the number of that cycle."""
    dut.i__valid.value = int(value is not None)
    if value is not None:
        dut.i__packet.value = pack(PACKET, value)
    await RisingEdge(dut.clk)
    return now()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def passes_and_writes(dut) -> None:
    rng = random_source()
    await start(dut)
    log = Log(dut)
    packets, accesses = [], []
    for _ in range(600):
        if rng.random() < 0.3:
            await put(dut, None)
            continue
        core = rng.choice([5, 5, 4, 6, 13, 255, 0])
        sent = packet(rng, core, write=1 if core == 5 else rng.randrange(2))
        cycle = await put(dut, sent)
        packets.append((cycle + 1, tuple(sent[name] for name in FIELDS)))
        if core == 5:
            accesses.append((cycle + 1, (1, sent["space"], sent["address"], sent["data"])))
    await put(dut, None)
    await cycles(dut, 10)
    assert log.packets == packets
    assert log.accesses == accesses
    assert len(accesses) > 50


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reads(dut) -> None:
    rng = random_source()
    await start(dut)
    log = Log(dut)
    for _ in range(50):
        # Writes right in front of a read; nothing behind it until it is back.
        writes = [packet(rng, 5, write=1) for _ in range(rng.randrange(3))]
        for write in writes:
            await put(dut, write)
        read = packet(rng, 5, write=0)
        log.packets.clear()
        log.accesses.clear()
        cycle = await put(dut, read)
        await put(dut, None)
        await cycles(dut, READ_LATENCY + 2)
        assert log.accesses[-1] == (cycle + 1, (0, read["space"], read["address"], read["data"]))
        want = {**read, "data": answer(read["address"])}
        own = [entry for entry in log.packets if entry[1][-1] == 0]
        assert own == [(cycle + 2 + READ_LATENCY, tuple(want[name] for name in FIELDS))]
        await cycles(dut, rng.randrange(4))
