# amaranth: UnusedElaboratable=no
"""The UART against a model of the line, at both ends' mercy."""

from pathlib import Path

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from spikeloom_hdl.uart import UartStream
from spikeloom_sim.bench import Watch, cycles, parameter, random_source, receive, send, simulate, start

DIVISORS = [4, 7, 16]


@pytest.mark.parametrize("divisor", DIVISORS)
def test_uart(divisor: int, tmp_path: Path) -> None:
    simulate(UartStream(divisor), __name__, tmp_path, parameters={"divisor": divisor})


def test_refuses() -> None:
    with pytest.raises(ValueError, match="divisor"):
        UartStream(3)


class Pulses:
    def __init__(self, dut, name: str):
        self.count = 0
        self._handle, self._clk = getattr(dut, name), dut.clk
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        edge = RisingEdge(self._clk)
        while True:
            await edge
            self.count += int(self._handle.value)


async def put_byte(dut, value: int, *, stop: int = 1) -> None:
    for bit in [0, *((value >> n) & 1 for n in range(8)), stop]:
        dut.rx__i.value = bit
        await cycles(dut, parameter("divisor"))
    dut.rx__i.value = 1


async def put_word(dut, value: int) -> None:
    for byte in value.to_bytes(4, "little"):
        await put_byte(dut, byte)


async def get_word(dut) -> int:
    """Sample the line as a receiver does, in the middle of each bit; stop bits must be there."""
    divisor = parameter("divisor")
    data = bytearray()
    while len(data) < 4:
        while int(dut.tx__o.value):
            await cycles(dut, 1)
        await cycles(dut, divisor // 2)
        assert not int(dut.tx__o.value), "the start bit is too short"
        byte = 0
        for n in range(8):
            await cycles(dut, divisor)
            byte |= int(dut.tx__o.value) << n
        await cycles(dut, divisor)
        assert int(dut.tx__o.value), "no stop bit"
        data.append(byte)
    return int.from_bytes(data, "little")


def idle_line() -> dict[str, int]:
    return {"rx__i": 1}


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(stall=[0.0, 0.9])
async def transmits(dut, stall: float) -> None:
    rng = random_source()
    words = [0, 0xFFFF_FFFF, 0x0403_0201, *(rng.getrandbits(32) for _ in range(9))]
    await start(dut, idle_line())
    assert int(dut.tx__o.value) == 1
    cocotb.start_soon(send(dut, "i", 32, words, stall=stall, rng=rng))
    for word in words:
        assert await get_word(dut) == word


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(stall=[0.0, 0.7], patient=[False, True])
async def receives(dut, stall: float, patient: bool) -> None:
    rng = random_source()
    words = [0, 0xFFFF_FFFF, 0x0403_0201, *(rng.getrandbits(32) for _ in range(9))]
    await start(dut, idle_line())
    overflow, broken = Pulses(dut, "overflow"), Pulses(dut, "broken")
    watch = Watch(dut, "o", 32)
    taking = cocotb.start_soon(receive(dut, "o", 32, len(words), stall=stall, patient=patient, rng=rng))
    for word in words:
        await put_word(dut, word)
        await cycles(dut, rng.randrange(10))
    assert await taking == words
    await cycles(dut, 1)
    watch.cancel()
    assert (overflow.count, broken.count) == (0, 0)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def flags_overflow(dut) -> None:
    await start(dut, idle_line())
    overflow = Pulses(dut, "overflow")
    for word in range(5):
        await put_word(dut, word)
    await cycles(dut, 20)
    assert overflow.count == 4
    assert await receive(dut, "o", 32, 1) == [4]
    await put_word(dut, 77)
    assert await receive(dut, "o", 32, 1) == [77]
    assert overflow.count == 4


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def survives_glitch_and_break(dut) -> None:
    divisor = parameter("divisor")
    await start(dut, idle_line())
    broken = Pulses(dut, "broken")
    dut.rx__i.value = 0  # shorter than half a bit: no start bit
    await cycles(dut, max(1, divisor // 2 - 1))
    dut.rx__i.value = 1
    await cycles(dut, 2 * divisor)
    await put_byte(dut, 0, stop=0)  # a break: flagged once, dropped
    await cycles(dut, 2 * divisor)
    await put_word(dut, 0x1234_5678)
    assert await receive(dut, "o", 32, 1) == [0x1234_5678]
    assert broken.count == 1
