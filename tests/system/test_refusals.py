"""Bad input on a running board: an error that names what, where and what to do; then the board works as before."""

import threading

import numpy as np
import pytest

import spikeloom as sl
from spikeloom.contract.errors import BoardError, BusyError, ConfigError, FitError, ImageError, SampleError
from spikeloom.contract.numerics import Numerics
from spikeloom.contract.ring import Space
from spikeloom.driver.board import Board
from spikeloom_sim.simulated import open_array
from spikeloom_sim.stimulus import random_network, random_samples

TICKS = 8


@pytest.fixture(scope="module")
def network():
    return random_network(np.random.default_rng(5), Numerics(state_bits=16), inputs=10, sizes=(12, 8))


@pytest.fixture(scope="module")
def image(network):
    return sl.compile(network, "auto:2x1:4")


@pytest.fixture(scope="module")
def samples(network):
    return random_samples(np.random.default_rng(6), network, 3, TICKS)


@pytest.fixture(scope="module")
def expected(network, samples):
    result = sl.golden.run(network, samples)
    assert result.spikes.any()
    return result


@pytest.fixture
def board(image, samples, expected):
    """A board that must still be right when a test is through with it."""
    with sl.connect("sim", image) as board:
        yield board
        assert np.array_equal(board.run(samples).spikes, expected.spikes), "the board is not usable any more"


def test_samples_of_a_wrong_shape(board, samples) -> None:
    with pytest.raises(SampleError, match=r"in.*shape"):
        board.run(samples[:, :, :-1])


def test_a_spike_count_that_is_too_high(board, samples) -> None:
    bad = samples.copy()
    bad[1, 2, 3] = 2
    with pytest.raises(SampleError, match=r"sample 1, tick 2"):
        board.run(bad)


def test_a_key_without_a_route(board, image, samples) -> None:
    key = image.input_keys["in"]
    route = board.memory_read(0, Space.ROUTE, key, 1)
    board.memory_write(0, Space.ROUTE, key, np.zeros(1, np.uint32))
    with pytest.raises(BoardError, match=r"LOST|route"):
        board.run(samples)
    assert board.run(samples * 0).counters["unrouted"].sum() == 0
    board.memory_write(0, Space.ROUTE, key, route)


def test_a_key_that_a_core_does_not_know(board, image, samples) -> None:
    key = image.input_keys["in"]
    size = 1
    entry = board.memory_read(0, Space.KEY, key * size, size)
    board.memory_write(0, Space.KEY, key * size, np.zeros(size, np.uint32))
    with pytest.raises(BoardError, match=r"LOST|projection"):
        board.run(samples)
    board.memory_write(0, Space.KEY, key * size, entry)


def test_a_run_while_another_is_under_way(board, samples) -> None:
    refused = []

    def query() -> None:
        try:
            board.query()
        except BusyError as error:
            refused.append(error)

    def meanwhile(done: int, of: int) -> None:
        with pytest.raises(BusyError, match="run"):
            board.run(samples)
        thread = threading.Thread(target=query)
        thread.start()
        thread.join()

    board.run(samples, progress=meanwhile)
    assert refused


def test_memory_that_is_not_there(board) -> None:
    with pytest.raises(ConfigError, match="core"):
        board.memory_read(9, Space.KEY, 0, 1)
    with pytest.raises(ConfigError, match=r"address|range|words"):
        board.memory_read(0, Space.KEY, 1 << 20, 1)


def test_an_image_for_another_configuration(network, image, samples, expected) -> None:
    other = sl.compile(network, image.config.with_core(event_fifo=32))
    with pytest.raises(ImageError, match=r"configuration"):
        Board(open_array(image.config), other)
    with sl.connect("sim", image) as board:
        assert np.array_equal(board.run(samples).spikes, expected.spikes)


def test_a_truncated_image(image, tmp_path) -> None:
    path = tmp_path / "net.npz"
    image.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"net\.npz"):
        sl.open_image(path)


def test_weights_that_could_overflow() -> None:
    network = random_network(np.random.default_rng(5), Numerics(accumulator_bits=24), inputs=100, sizes=(40,))
    config = sl.compile(network, "auto:1x1").config
    narrow = config.with_core(numerics=Numerics(accumulator_bits=12))
    with pytest.raises(FitError, match="raise accumulator_bits"):
        sl.compile(network, narrow)


def test_a_name_that_is_no_board(image) -> None:
    with pytest.raises(ConfigError, match="sim-pins"):
        sl.connect("simulator", image)
