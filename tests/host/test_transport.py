"""Serial ports: pyserial's loop, and the model of the array behind a pseudo-terminal."""

import os
import pty
import threading
import time
import tty
from collections.abc import Iterator

import numpy as np
import pytest

from spikeloom.compiler.compile import compile
from spikeloom.contract.errors import LinkError
from spikeloom.contract.numerics import Profile
from spikeloom.driver.board import Board
from spikeloom.driver.transport import SerialTransport
from spikeloom_sim import golden

from .model_array import ModelArray
from .random_networks import random_network, random_samples


def test_words_are_little_endian_and_pieces_are_joined() -> None:
    link = SerialTransport("loop://")
    words = np.arange(3000, dtype=np.uint32) * np.uint32(0x01020305)
    link.send(words)
    got = [link.receive(1, 1.0)]
    while sum(map(len, got)) < len(words):
        got.append(link.receive(1, 1.0))
    np.testing.assert_array_equal(np.concatenate(got), words)
    link._open.write(b"\x78\x56\x34")
    assert len(link.receive(1, 0.01)) == 0
    link._open.write(b"\x12\xff")
    assert link.receive(1, 1.0).tolist() == [0x12345678]
    link.close()
    link.close()
    with pytest.raises(LinkError, match="closed"):
        link.send(words)


def test_silence_ends_after_the_timeout() -> None:
    link = SerialTransport("loop://")
    start = time.monotonic()
    assert len(link.receive(0, 5.0)) == 0
    assert time.monotonic() - start < 1
    assert len(link.receive(1, 0.05)) == 0
    link.close()


def test_a_port_that_is_not_there() -> None:
    with pytest.raises(LinkError, match=r"/dev/nothing: cannot be opened.*right port"):
        SerialTransport("/dev/nothing")


IMAGE = compile(random_network(5, Profile.SPIKELOOM), "auto:2x1:4")


@pytest.fixture
def port() -> Iterator[str]:
    """A pseudo-terminal with the model behind it."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    array, stop = ModelArray(IMAGE.config), threading.Event()

    def serve() -> None:
        rest = b""
        while not stop.is_set():
            try:
                rest += os.read(ours, 4096)
            except OSError:
                return
            whole = len(rest) // 4 * 4
            array.send(np.frombuffer(rest[:whole], dtype="<u4").astype(np.uint32))
            rest = rest[whole:]
            answer = array.receive(0, 0.0).astype("<u4").tobytes()
            while answer:
                answer = answer[os.write(ours, answer) :]

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield os.ttyname(theirs)
    stop.set()
    os.write(theirs, b"\0")
    thread.join(5)
    os.close(theirs)
    os.close(ours)


def test_a_board_behind_a_pseudo_terminal(port: str) -> None:
    samples = random_samples(IMAGE.network, 5)
    with Board(SerialTransport(port), IMAGE, check=True) as board:
        result = board.run(samples, record=("u", "v"))
    expected = golden.run(IMAGE.network, samples, record=("u", "v"))
    for name, population in expected.populations.items():
        np.testing.assert_array_equal(result.populations[name].v, population.v)
        np.testing.assert_array_equal(result.populations[name].spikes, population.spikes)
