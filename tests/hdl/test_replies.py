"""Spikes and messages on one stream: messages stay whole, spikes go first."""

from pathlib import Path

import cocotb

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.stream import SPIKE_LAYOUT, Reply
from spikeloom_hdl.layout import struct
from spikeloom_hdl.replies import MESSAGE, Replies
from spikeloom_sim.bench import Watch, cycles, random_source, receive, send, simulate, start, unpack

CONFIG = ArrayConfig(key_bits=6, index_bits=12)
DUT = Replies(CONFIG)
FLIT = struct(CONFIG.flit_layout)


def test_replies(tmp_path: Path) -> None:
    simulate(DUT, __name__, tmp_path)


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(offer=[0.0, 0.6], stall=[0.0, 0.6], patient=[False, True])
async def keeps_messages_whole(dut, offer: float, stall: float, patient: bool) -> None:
    rng = random_source()
    flits = [{"key": rng.randrange(64), "index": rng.randrange(4096)} for _ in range(200)]
    messages = []  # words that no spike has: not of its kind
    for _ in range(60):
        length = rng.randrange(1, 5)
        messages += [{"word": 1 << 31 | rng.getrandbits(30), "last": n == length - 1} for n in range(length)]
    await start(dut)
    spikes, words, out = Watch(dut, "spikes", FLIT), Watch(dut, "messages", MESSAGE), Watch(dut, "o", 32)
    # Spikes come in bursts, so that both orders of arrival occur.
    cocotb.start_soon(send(dut, "spikes", FLIT, flits, stall=0.7, rng=random_source(1)))
    cocotb.start_soon(send(dut, "messages", MESSAGE, messages, stall=offer, rng=random_source(2)))
    total = len(flits) + len(messages)
    taken = await receive(dut, "o", 32, total, stall=stall, patient=patient, rng=random_source(3))
    await cycles(dut, 1)
    assert len(spikes) == len(flits)
    assert len(words) == len(messages)
    assert out.values == taken

    within = False
    between = 0
    left_spikes, left_words = iter(flits), iter(messages)
    for word in taken:
        if word >> 30 == Reply.SPIKE:
            assert not within, "a spike within a message"
            spike = unpack(struct(SPIKE_LAYOUT), word)
            assert {"key": spike.key, "index": spike.index} == next(left_spikes)
            between += 1
        else:
            message = next(left_words)
            assert word == message["word"]
            within = not message["last"]
    assert between == len(flits)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def prefers_spikes(dut) -> None:
    """A word a cycle, one cycle after it came; a message waits as long as spikes come."""
    await start(dut)
    flits = [{"key": 1, "index": n} for n in range(50)]
    spikes, words, out = Watch(dut, "spikes", FLIT), Watch(dut, "messages", MESSAGE), Watch(dut, "o", 32)
    cocotb.start_soon(send(dut, "spikes", FLIT, flits))
    cocotb.start_soon(send(dut, "messages", MESSAGE, [{"word": 3 << 30, "last": 1}] * 20))
    await receive(dut, "o", 32, 70)
    await cycles(dut, 1)
    assert spikes.cycles[-1] < words.cycles[0]
    assert out.cycles == [cycle + 1 for cycle in spikes.cycles + words.cycles]
    assert out.cycles == list(range(out.cycles[0], out.cycles[0] + 70))
