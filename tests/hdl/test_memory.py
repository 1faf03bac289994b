# amaranth: UnusedElaboratable=no
"""A ring memory against an array: the bus's accesses, the core's, and what each must not disturb."""

from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from spikeloom.contract.layout import Field, Layout
from spikeloom.contract.ring import Geometry, Space
from spikeloom_hdl.layout import struct
from spikeloom_hdl.memories import Chip
from spikeloom_hdl.memory import RingMemory
from spikeloom_sim.bench import cycles, pack, parameter, simulate, start
from spikeloom_sim.bus import BusDriver

SPACE = Space.STATE
CHIPS = {"generic": None, "ecp5": Chip("ecp5", models=True), "ice40": Chip("ice40", models=True)}
CASES = {
    "one narrow column": Geometry(5, Layout((Field("a", 3), Field("b", 4, signed=True))), latency=1),
    "three columns, written by the core": Geometry(12, Layout((Field("a", 13, signed=True),), 6), writable=True),
    "two columns, slow": Geometry(40, Layout((Field("a", 33 - 12), Field("b", 12)), 2)),
    "two wide columns": Geometry(100, Layout((Field("a", 21),), 2)),
    "full words, written by the core": Geometry(7, Layout((Field("a", 32, signed=True),), 2), latency=1, writable=True),
    "two records": Geometry(2, Layout((Field("a", 26),), 2), latency=1),
    "256 to 512 records, written by the core": Geometry(300, Layout((Field("a", 20),), 2), writable=True),
    "deep": Geometry(2000, Layout((Field("a", 11),), 4)),
}


def ahead(case: str) -> bool:
    """Whether the core's address comes a cycle ahead."""
    return CASES[case].writable or "slow" in case


QUICK = ("256 to 512 records, written by the core", "two columns, slow", "two wide columns", "deep")
"""Shapes that the chips' own memories are tried with in the default suite."""


@pytest.mark.parametrize(
    ("case", "chip"),
    [
        pytest.param(case, chip, marks=[] if chip == "generic" or case in QUICK else [pytest.mark.full])
        for case in CASES
        for chip in CHIPS
    ],
)
def test_memory(case: str, chip: str, tmp_path: Path) -> None:
    dut = RingMemory(SPACE, CASES[case], ahead=ahead(case))
    simulate(dut, __name__, tmp_path, parameters={"case": case}, platform=CHIPS[chip])


class Model:
    """Records as integers, column by column what the bus sees of them."""

    def __init__(self, geometry: Geometry, rng: np.random.Generator):
        self.geometry, self.rng = geometry, rng
        self.records = [self.random() for _ in range(geometry.depth)]

    def random(self) -> int:
        return int.from_bytes(self.rng.bytes(32)) & (1 << self.geometry.layout.width) - 1

    @property
    def words(self) -> np.ndarray:
        columns = [[(r >> 32 * n) & 0xFFFF_FFFF for n in range(self.geometry.stride)] for r in self.records]
        return np.array(columns, dtype=np.uint32)

    def write(self, address: int, data: int) -> None:
        record, column = divmod(address, self.geometry.stride)
        mask = (0xFFFF_FFFF << 32 * column) & (1 << self.geometry.layout.width) - 1
        self.records[record] = (self.records[record] & ~mask) | ((data << 32 * column) & mask)


async def begin(dut) -> tuple[Model, BusDriver, np.random.Generator]:
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    geometry = CASES[parameter("case")]
    await start(dut)
    model, bus = Model(geometry, rng), BusDriver(dut, {SPACE: geometry})
    await bus.write(SPACE, model.words)
    await cycles(dut, 2)  # the last access is over: the core may write
    return model, bus, rng


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def the_bus_reads_what_it_wrote(dut) -> None:
    """Accesses in every cycle, of this space and of others: answers come in time, and zeros in between."""
    model, bus, rng = await begin(dut)
    size = model.geometry.depth * model.geometry.stride
    assert (await bus.read(SPACE, size) == model.words.reshape(-1)).all()
    due: list[int] = [0] * bus.latency
    edge = RisingEdge(dut.clk)
    dut.enable.value = 0
    for _ in range(600):
        address, data = int(rng.integers(0, size)), int(rng.integers(0, 1 << 32))
        valid, write, ours = (int(x) for x in rng.random(3) < (0.8, 0.4, 0.8))
        space = SPACE if ours else Space.BIAS
        bus._put(valid=valid, write=write, space=int(space), address=address, data=data)
        dut.address.value = int(rng.integers(0, model.geometry.depth))
        await edge
        assert int(dut.bus__read_data.value) == due.pop(0)
        due.append(int(model.words.reshape(-1)[address]) if valid and ours and not write else 0)
        if valid and write and ours:
            model.write(address, data)
    bus._put(valid=0)
    assert (await bus.read(SPACE, size) == model.words.reshape(-1)).all()


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def the_core_reads_and_writes(dut) -> None:
    model, bus, rng = await begin(dut)
    depth, latency, writable = model.geometry.depth, model.geometry.latency, model.geometry.writable
    edge = RisingEdge(dut.clk)
    shape = struct(model.geometry.layout)
    answers: list[int | None] = [None] * latency  # what data is in this cycle, and in the next one
    met = {"collision": 0, "zero": 0}
    early = ahead(parameter("case"))
    coming = int(rng.integers(0, depth))
    if early:
        dut.address.value = coming
        await edge
    for _ in range(600):
        address, coming = coming, int(rng.integers(0, depth))
        enable, zero = int(rng.random() < 0.7), int(rng.random() < 0.1)
        zero &= enable | (latency == 1)
        dut.address.value, dut.enable.value, dut.zero.value = coming if early else address, enable, zero
        write = bool(writable and rng.random() < 0.5)
        if writable:
            write_address = address if rng.random() < 0.1 else int(rng.integers(0, depth))
            data = model.random()
            dut.write_enable.value, dut.write_address.value = int(write), write_address
            dut.write_data.value = pack(shape, data)
        await edge
        if answers[0] is not None:
            assert int(dut.data.value) == answers[0]
        collides = write and enable and write_address == address
        met["collision"] += collides
        met["zero"] += zero
        # What a collision gives is not defined.
        read = None if collides else model.records[address] if enable else answers[-1]
        read = 0 if zero else read
        answers = [*answers[1:], read] if enable or latency == 1 else [answers[0], read]
        if write:
            model.records[write_address] = data
    assert met["zero"] > 5
    if writable:
        dut.write_enable.value = 0
        assert met["collision"] > 5
    dut.enable.value = dut.zero.value = 0
    await cycles(dut, 1)
    assert (await bus.read(SPACE, depth * model.geometry.stride) == model.words.reshape(-1)).all()
