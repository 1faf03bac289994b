"""What the array is during a simulation: the golden model, or a board that is stepped a tick at a time."""

from __future__ import annotations

from typing import Any

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

    Attributes:
        stepper: of the golden model or the board.
        clipped: currents that did not fit the state.
        shows_states: whether all states are read after each tick; otherwise only those that somebody asks for.
    """

    def __init__(self, board: str, target: ArrayConfig | str, numerics: Numerics) -> None:
        self.board, self.target, self.numerics = board, target, numerics
        self.network: QuantisedNetwork | None = None
        self.image: Image | None = None
        self.stepper: Any = None
        self.clipped = 0
        self.shows_states = board == "golden"

    def prepare(self, network: QuantisedNetwork) -> None:
        """Take a network; raises what the compiler raises where it does not fit the target."""
        self.network = network
        if self.board != "golden":
            instant = any(p.delay == 0 for p in network.projections)
            self.image = compile_network(network, self.target, "layered" if instant else "pipelined")

    def reset(self) -> None:
        """Zero states; opens the board when there is none yet."""
        self.clipped = 0
        if self.stepper is None:
            self.stepper = self._open()
        else:
            self.stepper.reset()

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

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"stepper": None}
