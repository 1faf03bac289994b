"""The driver on the model of the array: commands, errors, recovery."""

import threading

import numpy as np
import pytest

from spikeloom.compiler.compile import compile
from spikeloom.contract.config import FORMAT_VERSION
from spikeloom.contract.errors import (
    BoardError,
    BusyError,
    ConfigError,
    ImageError,
    LinkError,
    SampleError,
)
from spikeloom.contract.network import (
    Drive,
    InputKind,
    InputPopulation,
    Population,
    Projection,
    QuantisedNetwork,
)
from spikeloom.contract.ring import Counter, Space
from spikeloom.contract.stream import Info, spike_words
from spikeloom.driver import board as driver
from spikeloom.driver.board import Board
from spikeloom.image import Image
from spikeloom_sim import golden

from .model_array import ModelArray


def make(states: bool = False) -> Image:
    """Two layers, the first one also driven by currents, a second output that may show potentials."""
    rng = np.random.default_rng(2)
    network = QuantisedNetwork(
        inputs=[
            InputPopulation(name="in", shape=(2, 3)),
            InputPopulation(name="x", shape=(3,), kind=InputKind.CURRENTS),
        ],
        populations=[
            Population(name="a", shape=(9,), theta=200, v_min=-1000, bias=np.arange(9)),
            Population(name="b", shape=(2, 2), theta=300, v_min=-1000, beta=3900),
        ],
        projections=[
            Projection(source="in", target="a", weights=rng.integers(-5, 20, (9, 6))),
            Projection(source="a", target="b", weights=rng.integers(-5, 20, (4, 9))),
        ],
        drives=[Drive(source="x", target="a", weights=rng.normal(size=(9, 3)), scale=np.full(9, 50.0))],
        outputs={"first": "a", "out": "b"},
        states=["out"] if states else [],
        state_scale={"out": np.full(4, 4.0)},
    )
    return compile(network, "auto:2x1:4")


def samples(count: int = 3, ticks: int = 8) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    return {
        "in": (rng.random((count, ticks, 2, 3)) < 0.5).astype(float),
        "x": np.repeat(rng.normal(size=(count, ticks // 2, 3)), 2, axis=1),
    }


IMAGE = make()


def connect(image: Image = IMAGE, **kwargs: object) -> Board:
    return Board(ModelArray(image.config), image, **kwargs)  # type: ignore[arg-type]


def same(result: object, network: QuantisedNetwork, given: dict[str, np.ndarray]) -> None:
    expected = golden.run(network, given)
    for field in ("spikes", "counts", "v"):
        found, wanted = getattr(result, field), getattr(expected, field)
        assert found.keys() == wanted.keys()
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])
            assert found[name].dtype == wanted[name].dtype


def test_batches_and_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "BATCH_WORDS", 300)
    seen: list[tuple[int, int]] = []
    with connect() as board:
        result = board.run(samples(7), progress=lambda done, total: seen.append((done, total)))
    same(result, IMAGE.network, samples(7))
    assert len(seen) > 2
    assert seen[-1] == (7, 7)
    assert result.ticks == 8
    assert result.cycles.shape == (7,)
    assert result.populations == {}


def test_no_samples_and_no_ticks() -> None:
    with connect() as board:
        assert board.run(samples(0)).spikes["out"].shape == (0, 8, 2, 2)
        empty = board.run(samples(2, 0), record=("v",))
        assert empty.spikes["out"].shape == (2, 0, 2, 2)
        assert empty.populations["a"].v is not None


def test_potentials_are_shown_without_their_spikes() -> None:
    image = make(states=True)
    assert image.slices_of("b")[0].key == -1
    with connect(image) as board:
        result = board.run(samples())
        same(result, image.network, samples())
        assert set(result.v) == {"out"}


def test_currents_leave_the_plain_biases() -> None:
    with connect() as board:
        board.run(samples())
        for (core, space), memory in IMAGE.memories.items():
            used = IMAGE.used[core, space]
            if space is Space.BIAS and used:
                words = board.memory_read(core, space, 0, used * memory.shape[1])
                np.testing.assert_array_equal(words, memory[:used].reshape(-1))


def test_counters_are_of_one_run_and_pass_their_end() -> None:
    with connect() as board:
        first = board.run(samples()).counters
        for core in range(2):  # the model clears on a write: put the counters close to their end by hand
            board.transport.memory[core, Space.COUNTER][:, 0] = (1 << 32) - 5  # type: ignore[attr-defined]
        second = board.run(samples()).counters
        assert set(first) == {c.name.lower() for c in Counter}
        for name, values in first.items():
            np.testing.assert_array_equal(values, second[name])
        assert first["synapses"].sum() > 5


def test_cycles_are_those_of_each_sample_and_pass_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with connect() as board:
        together = board.run(samples(4)).cycles
        monkeypatch.setattr(driver, "BATCH_WORDS", 1)
        board.transport.busy = (1 << 32) - 200  # type: ignore[attr-defined]
        np.testing.assert_array_equal(board.run(samples(4)).cycles, together)
        for n in range(4):
            alone = {name: array[n : n + 1] for name, array in samples(4).items()}
            assert board.run(alone).cycles.tolist() == [together[n]]


def test_bad_samples_send_nothing() -> None:
    with connect() as board:
        sent = []
        board.transport.send = sent.append  # type: ignore[method-assign]
        bad = samples()
        bad["in"][1, 2, 1, 0] = 2
        with pytest.raises(SampleError, match=r"in: sample 1, tick 2, neuron \(1, 0\)"):
            board.run(bad)
        bad = samples()
        bad["x"][2, 5, 1] = 1e9
        with pytest.raises(SampleError, match=r"population a: sample 2, tick 5, neuron \d: the currents"):
            board.run(bad)
        with pytest.raises(SampleError, match="dict"):
            board.run(samples()["in"])
        with pytest.raises(ConfigError, match="record"):
            board.run(samples(), record=("w",))
        assert not sent


def test_the_wrong_board_and_no_board() -> None:
    array = ModelArray(IMAGE.config.with_core(event_fifo=32))
    with pytest.raises(ImageError, match="compile for the board's configuration"):
        Board(array, IMAGE)
    assert array.closed

    class Silent(ModelArray):
        def send(self, words: np.ndarray) -> None:
            pass

    with pytest.raises(LinkError, match="silent"):
        Board(Silent(IMAGE.config), IMAGE, timeout=0.01)

    class Garbage(ModelArray):
        def receive(self, at_least: int, timeout: float) -> np.ndarray:
            return np.full(at_least, 0xFFFF_FFFF, dtype=np.uint32)

    with pytest.raises(LinkError, match="no part of the protocol"):
        Board(Garbage(IMAGE.config), IMAGE)

    class Other(ModelArray):
        def _data(self, words: list[int]) -> None:
            super()._data([0x1234_5678, *words[1:]])

    with pytest.raises(LinkError, match="no Spikeloom board"):
        Board(Other(IMAGE.config), IMAGE)

    class Older(ModelArray):
        def _data(self, words: list[int]) -> None:
            super()._data([words[0] ^ 6, *words[1:]])

    with pytest.raises(ImageError, match=f"format {FORMAT_VERSION ^ 6}, this program {FORMAT_VERSION}"):
        Board(Older(IMAGE.config), IMAGE)


def test_memories_are_checked() -> None:
    class Forgetful(ModelArray):
        def _access(self, fields: dict[str, int], address: int, data: list[int]) -> None:
            if fields["space"] == Space.WEIGHT and data:
                data[3] ^= 1
            super()._access(fields, address, data)

    with pytest.raises(LinkError, match=r"core 0: WEIGHT reads back differently from record 3 on, 1 records"):
        Board(Forgetful(IMAGE.config), IMAGE, check=True)
    connect(check=True).close()


def test_errors_of_the_board_end_a_run_and_leave_it_usable() -> None:
    with connect() as board:
        core = IMAGE.slices_of("a")[0].core
        words = board.memory_read(core, Space.KEY, 0, IMAGE.memories[core, Space.KEY].size)
        board.memory_write(core, Space.KEY, 0, np.zeros_like(words))
        with pytest.raises(BoardError, match=r"LOST \(argument \d+, after \d+ ticks\): .*load the image again"):
            board.run(samples())
        with pytest.raises(BoardError, match="LOST"):
            board.run(samples())
        board.memory_write(core, Space.KEY, 0, words)
        same(board.run(samples()), IMAGE.network, samples())


def test_busy() -> None:
    with connect() as board:
        seen: list[type[Exception]] = []

        def nested(done: int, total: int) -> None:
            for command in (lambda: board.run(samples()), board.query):
                try:
                    command()
                except BusyError as error:
                    seen.append(type(error))

        same(board.run(samples(), progress=nested), IMAGE.network, samples())
        assert seen == [BusyError, BusyError]

        inside, go = threading.Event(), threading.Event()

        def wait(done: int, total: int) -> None:
            inside.set()
            go.wait(10)

        thread = threading.Thread(target=board.run, args=(samples(), (), wait))
        thread.start()
        assert inside.wait(10)
        with pytest.raises(BusyError):
            board.run(samples())
        go.set()
        thread.join()
        same(board.run(samples()), IMAGE.network, samples())


class Interrupted(ModelArray):
    """Breaks off in the middle of an answer, once."""

    left = -1

    def receive(self, at_least: int, timeout: float) -> np.ndarray:
        self.piece = 11
        if self.left == 0:
            self.left = -1
            raise KeyboardInterrupt
        self.left -= self.left > 0
        return super().receive(at_least, timeout)


@pytest.mark.parametrize("after", [1, 2, 5, 9])
def test_recovery_after_an_interrupt(after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "DRAIN_SECONDS", 0.0)
    array = Interrupted(IMAGE.config)
    with Board(array, IMAGE) as board:
        array.left = after
        with pytest.raises(KeyboardInterrupt):
            board.run(samples())
        assert board.query()[Info.OVERRUNS] == 0
        bias = [(n, IMAGE.memories[n, Space.BIAS][: IMAGE.used[n, Space.BIAS]].reshape(-1)) for n in range(2)]
        for core, words in bias:
            np.testing.assert_array_equal(board.memory_read(core, Space.BIAS, 0, len(words)), words)
        same(board.run(samples()), IMAGE.network, samples())


def test_a_failing_progress_leaves_the_board_usable() -> None:
    def fail(done: int, total: int) -> None:
        raise RuntimeError("mine")

    with connect() as board:
        with pytest.raises(RuntimeError, match="mine"):
            board.run(samples(), progress=fail)
        same(board.run(samples()), IMAGE.network, samples())


def test_spikes_that_no_output_has() -> None:
    with connect() as board:
        array = board.transport
        update = array._update  # type: ignore[attr-defined]

        def extra(core: int, phase: int, flush: int) -> list[tuple[int, int]]:
            array.tx.extend(spike_words(IMAGE.input_keys["in"], np.array([0])).tolist())  # type: ignore[attr-defined]
            return update(core, phase, flush)

        array._update = extra  # type: ignore[attr-defined]
        with pytest.raises(LinkError, match="keys that no output has"):
            board.run(samples())


def test_memory_access() -> None:
    with connect() as board:
        board.memory_write(1, Space.STATE, 2, np.array([7, 8], dtype=np.uint32))
        assert board.memory_read(1, Space.STATE, 1, 3).tolist() == [0, 7, 8]
        assert len(board.memory_read(1, Space.STATE, 0, 0)) == 0
        with pytest.raises(ConfigError, match="core must be 0 to 1, not 2"):
            board.memory_read(2, Space.STATE, 0, 1)
        with pytest.raises(ConfigError, match="KEY has addresses"):
            board.memory_read(0, Space.KEY, 0, 1 << 20)
        with pytest.raises(ConfigError, match="none called"):
            board.memory_read(0, Space.ENTRY, 0, 1)


def test_closed() -> None:
    board = connect()
    board.close()
    board.close()
    with pytest.raises(LinkError, match="closed"):
        board.query()


def test_loading_shows_progress() -> None:
    seen: list[tuple[int, int]] = []
    connect(progress=lambda done, total: seen.append((done, total))).close()
    assert seen
    assert seen[-1][0] == seen[-1][1]
