"""The parser of the board's answers: any stream, cut anywhere, gives the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.contract.errors import LinkError
from spikeloom.contract.stream import DATA_LAYOUT, DONE_LAYOUT, ERROR_LAYOUT, Error, Reply, spike_words
from spikeloom.driver.protocol import ADVICE, Parser

word = st.integers(0, (1 << 32) - 1)
items = st.one_of(
    st.tuples(st.just("spikes"), st.lists(st.tuples(st.integers(0, 1023), st.integers(0, (1 << 20) - 1)), max_size=6)),
    st.tuples(st.just("done"), st.tuples(st.integers(0, (1 << 30) - 1), word)),
    st.tuples(st.just("data"), st.lists(word, max_size=8)),
    st.tuples(st.just("error"), st.tuples(st.sampled_from(Error), st.integers(0, (1 << 24) - 1))),
)


def encode(kind: str, value: list | tuple) -> np.ndarray:
    if kind == "spikes":
        keys, indices = np.array(value, dtype=np.int64).reshape(-1, 2).T
        return spike_words(keys, indices)
    if kind == "done":
        head = DONE_LAYOUT.pack({"kind": Reply.DONE, "tick": value[0]})
        return np.append(head, np.uint32(value[1]))
    if kind == "data":
        head = DATA_LAYOUT.pack({"kind": Reply.DATA, "zero": 0, "count": len(value)})
        return np.concatenate([head, np.array(value, dtype=np.uint32)])
    return ERROR_LAYOUT.pack({"kind": Reply.ERROR, "code": value[0], "argument": value[1]})


@given(st.lists(items, max_size=12), st.lists(st.integers(0, 100), max_size=12))
def test_any_stream_cut_anywhere(stream: list, cuts: list[int]) -> None:
    words = np.concatenate([np.zeros(0, dtype=np.uint32), *(encode(*item) for item in stream)])
    parser = Parser()
    for piece in np.split(words, sorted(c for c in cuts if c <= len(words))):
        parser.feed(piece)
    spikes, done, data, errors = [], [], [], []
    for kind, value in stream:
        if kind == "spikes":
            spikes += [(*spike, len(done)) for spike in value]
        elif kind == "done":
            done.append(value)
        elif kind == "data":
            data.append(value)
        else:
            errors.append((*value, len(done)))
    assert (parser.dones, parser.datas) == (len(done), len(data))
    replies = parser.take()
    found = zip(replies.keys.tolist(), replies.indices.tolist(), replies.spike_ticks.tolist(), strict=True)
    assert list(found) == spikes
    assert list(zip(replies.ticks.tolist(), replies.cycles.tolist(), strict=True)) == done
    assert [d.tolist() for d in replies.data] == data
    assert [(e.code, e.argument, e.after) for e in replies.errors] == errors
    empty = parser.take()
    assert (len(empty.keys), len(empty.ticks), empty.data, empty.errors) == (0, 0, [], [])


def test_an_unfinished_answer_waits() -> None:
    parser = Parser()
    words = encode("data", list(range(5)))
    for n in range(len(words)):
        assert parser.datas == 0
        parser.feed(words[n : n + 1])
    assert parser.datas == 1


@pytest.mark.parametrize(
    "garbage",
    [
        DATA_LAYOUT.pack({"kind": Reply.DATA, "zero": 1, "count": 0}),
        ERROR_LAYOUT.pack({"kind": Reply.ERROR, "code": 63, "argument": 0}),
    ],
)
def test_garbage_is_refused(garbage: np.ndarray) -> None:
    with pytest.raises(LinkError, match="no part of the protocol"):
        Parser().feed(garbage)


def test_every_error_has_advice() -> None:
    assert set(ADVICE) == set(Error)


def test_bulk_is_fast() -> None:
    """A million spikes in a thousand ticks: Python's work is per tick."""
    tick = np.concatenate([spike_words(3, np.arange(1000)), encode("done", (1, 2))])
    parser = Parser()
    parser.feed(np.tile(tick, 1000))
    replies = parser.take()
    assert len(replies.keys) == 1_000_000
    assert (np.bincount(replies.spike_ticks) == 1000).all()
