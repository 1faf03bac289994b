"""Where the cycles of a run go: the gateware's own counters, on networks with their data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloom.compiler.cycles import Model
from spikeloom.compiler.cycles_core import clear_cycles
from spikeloom.contract.config import CoreConfig
from spikeloom.contract.samples import check_samples
from spikeloom.driver.board import Board
from spikeloom.driver.stimulus import Stimulus, windows
from spikeloom.image import Image

from . import golden
from .simulated import open_array


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One network on one array; ``causes`` in cycles a sample and core, all else a sample of the whole array.

    Attributes:
        walk_use: share of the cycles with events under way in which a word is visited.
        lane_use: synaptic operations a lane and cycle with events under way.
        idle_tick: busy cycles of a tick without input.
        link: cycles at rest, in which the board takes and gives words that are no spikes, at a word a cycle.
    """

    name: str
    grid: str
    lanes: int
    rows: int
    samples: int
    ticks: int
    cycles: float
    events: float
    synapses: float
    spikes: float
    walk_use: float
    lane_use: float
    stalls: float
    idle_tick: float
    link: float
    causes: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The model on one network and array: ``differ`` is the number of ticks that it got wrong, ``worst`` by how much.

    ``seconds`` are those of golden model and cycle model, a sample.
    """

    name: str
    grid: str
    lanes: int
    samples: int
    ticks: int
    counted: int
    predicted: int
    differ: int
    worst: int
    seconds: float

    @classmethod
    def of(cls, name: str, image: Image, got: np.ndarray, want: np.ndarray, seconds: float) -> Prediction:
        wrong = np.abs(got - want)
        return cls(
            name=name, grid=_grid(image), lanes=image.config.core.lanes, samples=len(want), ticks=want.size,
            counted=int(want.sum()), predicted=int(got.sum()), differ=int((wrong > 0).sum()), worst=int(wrong.max()),
            seconds=round(seconds / len(want), 3),
        )  # fmt: skip


def measure(name: str, image: Image, samples: np.ndarray, progress: Callable[[str], None] | None = None) -> Figures:
    """Run samples (two at least) and tell every cycle's cause."""
    native = open_array(image.config, progress)
    with Board(native, image) as board:
        start = native.cycles
        first = board.run(samples[:1])  # what the run itself costs at the link is in both, and cancels
        middle = native.cycles
        result = board.run(samples)
        end = native.cycles
        silent = np.zeros_like(samples[:1])
        idle = np.diff([int(board.run(s).cycles[0]) for s in (silent[:, :1], silent)])[0]
    total, busy = (end - middle) - (middle - start), int(result.cycles.sum() - first.cycles.sum())
    n, cores, core = len(samples), image.config.cores, image.config.core
    counted = {key: values.sum() for key, values in result.counters.items()}
    causes = {
        "walking": counted["words"],
        "set-up": counted["waits"] - counted["drains"],
        "drains": counted["drains"],
        "update": counted["updates"],
        "emission": counted["emissions"],
        "clearing": n * cores * (clear_cycles(core) - 1),
    }
    causes["barrier"] = result.cycles.sum() * cores - sum(causes.values())
    return Figures(
        name=name, grid=_grid(image), lanes=core.lanes, rows=_rows(image, core),
        samples=n, ticks=result.ticks,
        cycles=round(float(result.cycles.mean()), 1), events=float(counted["events"] / n),
        synapses=float(counted["synapses"] / n), spikes=float(counted["spikes"] / n),
        walk_use=share(counted["words"], counted["words"] + counted["waits"]),
        lane_use=share(counted["synapses"], core.lanes * (counted["words"] + counted["waits"])),
        stalls=float(counted["stalls"] / n), idle_tick=round(idle / max(1, samples.shape[1] - 1), 2),
        link=round((total - busy) / (n - 1), 1),
        causes={cause: round(float(value) / n / cores, 2) for cause, value in causes.items()},
    )  # fmt: skip


def predicted(image: Image, samples: Any, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
    """What the model says of the golden model's spikes, ``int64 (samples, ticks of the board)``."""
    spikes = {name: p.spikes for name, p in golden.run(image.network, samples).populations.items()}
    return counted(image, check_samples(image.network, samples), spikes, progress)


def counted(
    image: Image,
    checked: Mapping[str, np.ndarray],
    spikes: Mapping[str, np.ndarray],
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """What the model says of checked samples and the spikes of each population, ``(samples, ticks, size)``."""
    network = image.network
    shown = [network.outputs[o] for o in network.states if o in network.outputs]
    stimulus = Stimulus(image=image, samples=checked, windows=windows(image, shown))
    model = Model(image)
    cycles = np.zeros((stimulus.count, stimulus.board_ticks), dtype=np.int64)
    for n in range(stimulus.count):
        inputs, fired = ({name: a[n] for name, a in given.items()} for given in (checked, spikes))
        cycles[n] = model.run(inputs, fired, stimulus.apart(n))
        if progress is not None:
            progress(n + 1, stimulus.count)
    return cycles


def measured(image: Image, samples: Any, progress: Callable[[str], None] | None = None) -> np.ndarray:
    """What the gateware counts from power-up, ``int64 (samples, ticks of the board)``."""
    with Board(open_array(image.config, progress), image) as board:
        return board.run(samples).tick_cycles


def share(part: float, whole: float) -> float:
    return round(float(part / whole), 4) if whole else 0.0


def _grid(image: Image) -> str:
    return f"{image.config.width}x{image.config.height}"


def _rows(image: Image, core: CoreConfig) -> int:
    """Rows in use of the fullest core."""
    return max((s.row0 + s.rows(core.lanes) for s in image.slices), default=0)
