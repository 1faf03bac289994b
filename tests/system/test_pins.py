"""The board's top at its pins, behind a pseudo-terminal: what a user with a real board would see."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from spikeloom.compiler.compile import compile
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.errors import LinkError
from spikeloom.contract.numerics import Numerics
from spikeloom.contract.stream import LINK_WINDOW, Error, Operation, control_word, tick_word
from spikeloom.driver.board import Board
from spikeloom.driver.protocol import Parser, Replies
from spikeloom.driver.result import Result
from spikeloom_sim import golden
from spikeloom_sim.pins import PinsTransport, open_pins
from spikeloom_sim.simulated import open_array
from spikeloom_sim.stimulus import random_network, random_samples

CONFIG = ArrayConfig(
    key_bits=3, index_bits=6, core=CoreConfig(lanes=4, rows=8, words=512, projections=8, event_fifo=4, spike_fifo=4)
)
NETWORK = random_network(np.random.default_rng(1), Numerics(), inputs=12, sizes=(15, 9))
SAMPLES = random_samples(np.random.default_rng(2), NETWORK, 3, 12)
STATES = ("u", "v", "r")
OF_TIME = {"waits", "drains", "updates", "emissions"}  # of cycles: they follow the pace at which spikes come


@pytest.fixture
def link() -> Iterator[PinsTransport]:
    transport = open_pins(CONFIG)
    yield transport
    transport.close()


@pytest.fixture(scope="module")
def image():
    return compile(NETWORK, CONFIG)


def expect_golden(result: Result) -> None:
    expected = golden.run(NETWORK, SAMPLES, record=("u", "v"))
    assert all(p.spikes.any() for p in expected.populations.values())
    for name, population in expected.populations.items():
        got = result.populations[name]
        for field in ("spikes", "u", "v"):
            np.testing.assert_array_equal(getattr(got, field), getattr(population, field), err_msg=f"{name} {field}")


def test_equal_to_golden_and_to_the_board_in_process(link: PinsTransport, image) -> None:
    with Board(link, image, check=True) as board:
        result = board.run(SAMPLES, record=STATES)
    expect_golden(result)
    with Board(open_array(CONFIG), image) as board:
        in_process = board.run(SAMPLES, record=STATES)
    for name, population in in_process.populations.items():
        for field in ("spikes", *STATES):
            np.testing.assert_array_equal(getattr(result.populations[name], field), getattr(population, field))
    assert set(result.counters) == set(in_process.counters)
    for name in set(in_process.counters) - OF_TIME:
        np.testing.assert_array_equal(result.counters[name], in_process.counters[name], err_msg=name)


def replies(link: PinsTransport, until: str) -> Replies:
    """Everything up to an ERROR or a DATA."""
    parser = Parser()
    while not (parser.datas if until == "data" else parser.link_error):
        words = link.receive(1, 20.0)
        assert len(words), f"no {until} came"
        parser.feed(words)
    return parser.take()


def test_a_flood_is_reported_to_the_word(link: PinsTransport) -> None:
    """A TICK is a word, its answer two: the answers cannot keep up. What was lost is counted, the rest is done."""
    flood = 2 * LINK_WINDOW + 300
    link.send(np.repeat(tick_word(), flood))
    answers = replies(link, "error")
    (error,) = answers.errors
    assert error.code is Error.LINK
    assert error.argument > 0
    assert len(answers.ticks) + error.argument == flood
    np.testing.assert_array_equal(answers.ticks, np.arange(len(answers.ticks)))
    link.send(control_word(Operation.QUERY))
    assert len(replies(link, "data").data) == 1


def test_a_board_is_usable_after_a_flood(link: PinsTransport, image) -> None:
    with Board(link, image) as board:
        link.send(np.repeat(tick_word(), 2 * LINK_WINDOW + 300))
        with pytest.raises(LinkError, match=r"LINK.*lost"):
            board.query()
        expect_golden(board.run(SAMPLES, record=STATES))


def test_a_word_that_stays_incomplete_is_reported(link: PinsTransport, image) -> None:
    with Board(link, image) as board:
        link._open.write(b"\x01\x02\x03")
        with pytest.raises(LinkError, match="LINK"):
            board.query()  # a byte of it completes the word, the other three wait in vain
        expect_golden(board.run(SAMPLES, record=STATES))


def test_costs_nothing_at_rest_and_ends(link: PinsTransport, image) -> None:
    with Board(link, image) as board:
        expect_golden(board.run(SAMPLES, record=STATES))
        deadline = time.monotonic() + 30
        spent, before = 1.0, link._board.cycles
        while spent > 0.1 and time.monotonic() < deadline:
            start, before = time.process_time(), link._board.cycles
            time.sleep(1.0)
            spent = time.process_time() - start
        assert spent <= 0.1, "a resting board takes the processor"
        assert link._board.cycles > before, "a resting board must go on, if slowly"
        board.query()
    assert not any(thread.name == "pins" for thread in threading.enumerate())
    link.close()  # again: no harm
    with pytest.raises(LinkError, match="closed"):
        link.send(tick_word())
