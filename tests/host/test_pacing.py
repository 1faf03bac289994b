"""A stream for a board that cannot say "wait": nothing lost, nothing changed, never too much on the way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.compiler.compile import compile
from spikeloom.contract.layout import COLUMN_BITS
from spikeloom.contract.numerics import Profile
from spikeloom.contract.ring import Space
from spikeloom.contract.stream import (
    ACCESS_LAYOUT,
    CONTROL_LAYOUT,
    ERROR_LAYOUT,
    KIND_BITS,
    LINK_WINDOW,
    TICK_LAYOUT,
    Command,
    Error,
    Operation,
    Reply,
    control_word,
    read_words,
    spike_words,
    tick_word,
    write_words,
)
from spikeloom.driver.board import Board
from spikeloom.driver.pacing import WINDOW_MIN, Pacer
from spikeloom_sim import golden

from .model_array import ModelArray
from .random_networks import random_network, random_samples

QUERY = control_word(Operation.QUERY)

PIECE = st.one_of(
    st.integers(0, 80).map(lambda n: spike_words(3, np.arange(n))),
    st.integers(0, 5).map(tick_word),
    st.sampled_from(Operation).map(control_word),
    st.integers(0, 70).map(lambda n: write_words(1, Space.WEIGHT, 5, np.arange(n) | 0xC000_0000)),
    st.integers(1, 9).map(lambda n: read_words(0, Space.STATE, 2, n)),
)


def commands(words: np.ndarray) -> list[tuple[int, int, int, int, object]]:
    """Each command as (words, DONE, DATA, whether it is a QUERY, what it does)."""
    found = []
    at = 0
    while at < len(words):
        word = words[at : at + 1]
        kind, length, dones, datas, query = int(word[0]) >> COLUMN_BITS - KIND_BITS, 1, 0, 0, 0
        effect: object = int(word[0])
        if kind == Command.TICK:
            dones = int(TICK_LAYOUT.unpack(word)["count"])
        elif kind == Command.CONTROL:
            datas = query = int(CONTROL_LAYOUT.unpack(word)["operation"] == Operation.QUERY)
        elif kind == Command.ACCESS:
            access = {name: int(value) for name, value in ACCESS_LAYOUT.unpack(word).items()}
            address, length = int(words[at + 1]), 2
            effect = [(effect, address)]
            if access["write"]:
                length += access["count"]
                at_data = enumerate(words[at + 2 : at + length].tolist(), address)
                effect = [(access["core"], access["space"], *pair) for pair in at_data]
            else:
                datas = 1
        found.append((length, dones, datas, query, effect))
        at += length
    assert at == len(words)
    return found


def effects(words: np.ndarray) -> list[object]:
    """What the words do, but for queries; writes one by one, however they are cut."""
    flat: list[object] = []
    for _, _, _, query, effect in commands(words):
        if not query:
            flat += effect if isinstance(effect, list) else [effect]
    return flat


@given(st.lists(PIECE, max_size=20), st.integers(WINDOW_MIN, 60), st.randoms(use_true_random=False))
def test_never_too_much_and_nothing_lost(pieces: list[np.ndarray], window: int, random) -> None:
    words = np.concatenate([np.zeros(0, dtype=np.uint32), *pieces])
    pacer = Pacer(words, window)
    sent: list[np.ndarray] = []
    size = taken = dones = datas = answered = 0  # words sent, words the board has taken, its answers, commands answered
    while True:
        sent.append(pacer.take(dones, datas))
        size += len(sent[-1])
        assert size - taken <= window
        if pacer.finished:
            break
        # The board, as late as can be: it takes commands up to the next one that has an answer, or a few more.
        known = commands(np.concatenate(sent))
        progress = False
        while answered < len(known) and (not progress or random.random() < 0.3):
            length, more_dones, more_datas, _, _ = known[answered]
            taken, dones, datas, answered = taken + length, dones + more_dones, datas + more_datas, answered + 1
            progress = progress or bool(more_dones or more_datas)
        assert progress, "the board waits for the host, and the host for the board"
    stream = np.concatenate(sent)
    assert effects(stream) == effects(words)
    answers = [query for _, _, datas, query, _ in commands(stream) if datas]
    kept = [query for n, query in enumerate(answers) if n not in pacer.extra]
    assert all(answers[n] for n in pacer.extra)
    assert kept == [query for _, _, datas, query, _ in commands(words) if datas]


def test_without_a_window_all_goes_at_once() -> None:
    words = np.concatenate([spike_words(0, np.arange(5000)), tick_word(), QUERY])
    pacer = Pacer(words, None)
    np.testing.assert_array_equal(pacer.take(0, 0), words)
    assert pacer.finished
    assert not pacer.extra


def test_refuses_a_window_too_small() -> None:
    with pytest.raises(ValueError, match="window"):
        Pacer(QUERY, WINDOW_MIN - 1)


class Narrow(ModelArray):
    """Takes words only while it is asked for answers, and has room for few."""

    window = 40

    def __init__(self, config) -> None:
        super().__init__(config)
        self.line: list[np.ndarray] = []
        self.fullest = 0

    def send(self, words: np.ndarray) -> None:
        self.line.append(words)
        waiting = sum(map(len, self.line))
        assert waiting <= self.window, "more words than the board can hold"
        self.fullest = max(self.fullest, waiting)

    def receive(self, at_least: int, timeout: float) -> np.ndarray:
        if self.line:
            super().send(np.concatenate(self.line))
            self.line.clear()
        return super().receive(at_least, timeout)


IMAGE = compile(random_network(5, Profile.SPIKELOOM), "auto:2x1:4")


def test_a_board_of_little_room() -> None:
    samples = random_samples(IMAGE.network, 5)
    array = Narrow(IMAGE.config)
    with Board(array, IMAGE, check=True) as board:
        result = board.run(samples, record=("u", "v"))
    expected = golden.run(IMAGE.network, samples, record=("u", "v"))
    for name, population in expected.populations.items():
        np.testing.assert_array_equal(result.populations[name].v, population.v)
        np.testing.assert_array_equal(result.populations[name].spikes, population.spikes)
    assert array.fullest > array.window // 2, "the window was never used"


class Forgetful(ModelArray):
    """Loses everything once: the memories, and the words that come; then says so."""

    window = LINK_WINDOW
    lose = False

    def send(self, words: np.ndarray) -> None:
        if not self.lose:
            super().send(words)
            return
        self.lose = False
        for memory in self.memory.values():
            memory[:] = 0
        self._unpacked.clear()
        error = ERROR_LAYOUT.pack({"kind": Reply.ERROR, "code": Error.LINK, "argument": len(words)})
        self.tx.append(int(error[0]))


def test_lost_words_are_reported_and_the_image_is_loaded_again() -> None:
    samples = random_samples(IMAGE.network, 5)
    array = Forgetful(IMAGE.config)
    with Board(array, IMAGE) as board:
        array.lose = True
        with pytest.raises(ConnectionError, match=r"LINK.*loaded again"):
            board.run(samples)
        result = board.run(samples, record=("u", "v"))
    expected = golden.run(IMAGE.network, samples, record=("u", "v"))
    for name, population in expected.populations.items():
        np.testing.assert_array_equal(result.populations[name].v, population.v)
        np.testing.assert_array_equal(result.populations[name].spikes, population.spikes)
