"""What the array is during a simulation: the golden model, or a board that is stepped a tick at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..compiler.compile import compile as compile_network
from ..connection import connect
from ..contract.config import ArrayConfig
from ..contract.network import QuantisedNetwork
from ..contract.numerics import Numerics
from ..image import Image


class Backend:
    """Opens a stepper for a network, and keeps it.

    Parameters:
        board: "golden", or what :func:`spikeloom.connect` takes.
        target: of :func:`spikeloom.compile`: a board's name, a configuration, or "auto" and its forms.
        numerics: of the network.
        learn_every: ticks from one writing of learned weights to the next.

    Attributes:
        stepper: of the golden model or the board.
        clipped: currents that did not fit the state.
        shows_states: whether all states are read after each tick; otherwise only those that somebody asks for.
    """

    def __init__(self, board: str, target: ArrayConfig | str, numerics: Numerics, learn_every: int = 1) -> None:
        if learn_every < 1:
            raise ValueError(f"learn_every must be at least 1 tick, not {learn_every}")
        self.board, self.target, self.numerics, self.learn_every = board, target, numerics, learn_every
        self.network: QuantisedNetwork | None = None
        self.image: Image | None = None
        self._weights: dict[int, np.ndarray] = {}
        self.stepper: Any = None
        self.clipped = 0
        self.shows_states = board == "golden"

    def prepare(self, network: QuantisedNetwork) -> None:
        """Take a network; raises what the compiler raises where it does not fit the target."""
        self.network = network
        if self.board != "golden":
            self.image = self._compile(network, self.target)

    def reset(self) -> None:
        """Zero states; opens the board when there is none yet."""
        self.clipped = 0
        if self.stepper is None:
            self.stepper = self._open()
        else:
            self.stepper.reset()
        assert self.network is not None
        self.set_weights({n: self.network.projections[n].weights for n in self._weights})

    @staticmethod
    def _compile(network: QuantisedNetwork, target: ArrayConfig | str) -> Image:
        instant = any(p.delay == 0 for p in network.projections)
        return compile_network(network, target, "layered" if instant else "pipelined")

    def set_weights(self, weights: Mapping[int, np.ndarray]) -> None:
        """Replace the weights of projections, by number: on a board, the words of the memories that change by it."""
        assert self.network is not None
        before = self.network.projections
        known = {n: self._weights.get(n, before[n].weights) for n in weights}
        changed = {n: array for n, array in weights.items() if not np.array_equal(array, known[n])}
        if not changed:
            return
        self._weights |= changed
        if self.image is None:
            for n, array in changed.items():
                self.stepper.set_weights(n, array)
            return
        projections = [replace(p, weights=self._weights.get(n, p.weights)) for n, p in enumerate(before)]
        old, self.image = self.image, self._compile(replace(self.network, projections=projections), self.image.config)
        for (core, space), memory in self.image.memories.items():
            rows = np.flatnonzero((memory != old.memories[core, space]).any(axis=1))
            if len(rows):
                first, last = int(rows[0]), int(rows[-1]) + 1
                self.stepper.board.memory_write(core, space, first * memory.shape[1], memory[first:last].reshape(-1))

    def _open(self) -> Any:
        assert self.network is not None
        if self.board == "golden":
            from spikeloom_sim.golden import Stepper as GoldenStepper

            return GoldenStepper(self.network)
        from ..driver.stepper import Stepper

        assert self.image is not None
        return Stepper(connect(self.board, self.image))

    def close(self) -> None:
        """Let go of the board."""
        if self.stepper is not None:
            self.stepper.close()
            self.stepper = None
        self._weights = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"stepper": None}
