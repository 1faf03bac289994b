# amaranth: UnusedElaboratable=no
"""The queue: nothing lost, doubled or out of order, and as much room as it says."""

from pathlib import Path

import cocotb
import pytest

from spikeloom_hdl.memories import Chip
from spikeloom_hdl.queue import Queue
from spikeloom_sim.bench import Watch, cycles, random_source, receive, send, simulate, start

BITS, DEPTH = 37, 16
CHIPS = {"generic": None, "ice40": Chip("ice40", models=True)}


@pytest.mark.parametrize("chip", CHIPS)
def test_queue(chip: str, tmp_path: Path) -> None:
    simulate(Queue(BITS, DEPTH), __name__, tmp_path, platform=CHIPS[chip])


@pytest.mark.parametrize("depth", [1, 12, 4096])
def test_refuses(depth: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Queue(BITS, depth)


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(sending=[0.0, 0.8], taking=[0.0, 0.8], patient=[False, True])
async def passes_in_order(dut, sending: float, taking: float, patient: bool) -> None:
    rng = random_source()
    words = [rng.getrandbits(BITS) for _ in range(400)]
    await start(dut)
    watch = Watch(dut, "o", BITS)
    cocotb.start_soon(send(dut, "i", BITS, words, stall=sending, rng=rng))
    assert await receive(dut, "o", BITS, len(words), stall=taking, patient=patient) == words
    watch.cancel()


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def holds_what_it_says(dut) -> None:
    await start(dut)
    words = list(range(3 * DEPTH))
    sending = cocotb.start_soon(send(dut, "i", BITS, words))
    for _ in range(2):  # full, with the counters at another place each time
        await cycles(dut, 2 * DEPTH)
        assert not int(dut.i__ready.value)
        taken = await receive(dut, "o", BITS, DEPTH)
        assert taken == words[:DEPTH]
        words = words[DEPTH:]
    assert await receive(dut, "o", BITS, DEPTH) == words
    assert sending.done()


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def a_word_a_cycle(dut) -> None:
    await start(dut)
    words = list(range(100))
    cocotb.start_soon(send(dut, "i", BITS, words))
    taking = cocotb.start_soon(receive(dut, "o", BITS, len(words)))
    await cycles(dut, len(words) + 3)
    assert taking.done()
    assert taking.result() == words
