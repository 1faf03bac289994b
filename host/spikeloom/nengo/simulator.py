"""``nengo.Simulator`` with the array in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import nengo
from nengo.builder import Model
from nengo.cache import get_default_decoder_cache
from nengo.exceptions import SimulationError

from ..contract.config import ArrayConfig
from ..contract.numerics import Numerics
from .backend import Backend
from .builder import ArrayBuilder, Plan
from .report import Report

SYNAPSES = 1 << 22
"""Synapses of the golden model by default."""
SYNAPSES_BOARD = 1 << 18
"""Synapses of a board by default."""


class Simulator(nengo.Simulator):
    """A drop-in for ``nengo.Simulator``: the same parameters, attributes and methods, and these beside them.

    Parameters:
        board: "golden" (the integer model), "sim" (the gateware in this process), "sim-pins" (the board's top behind a
            pseudo-terminal) or "serial:PORT".
        target: the array that is compiled for: "auto" and its forms, a board's name, an ``ArrayConfig``.
        weight_bits: width of the weights on the array.
        array: ensembles that must be on the array; ``None`` puts all there that can be.
        host: ensembles that stay on the host.
        synapses: most synapses that connections may take on the array.
        learning: where connections that learn are computed: "host", or "array", whose weights the host writes.
        learn_every: ticks from one writing of these to the next.

    Raises :class:`nengo.exceptions.BuildError`, or the compiler's errors, before anything runs.
    """

    def __init__(
        self,
        network: nengo.Network | None,
        dt: float = 0.001,
        seed: int | None = None,
        model: Model | None = None,
        progress_bar: Any = True,
        optimize: bool = True,
        *,
        board: str = "golden",
        target: ArrayConfig | str = "auto",
        weight_bits: int = 16,
        array: Iterable[nengo.Ensemble] | None = None,
        host: Iterable[nengo.Ensemble] = (),
        synapses: int | None = None,
        learning: str = "host",
        learn_every: int = 1,
    ) -> None:
        self.closed = True  # in case that building raises
        if model is None:
            model = Model(
                dt=float(dt),
                label=f"{network}, dt={dt:f}",
                decoder_cache=get_default_decoder_cache(),
                builder=ArrayBuilder(),
            )
        if not hasattr(model, "spikeloom"):
            fraction_bits = 0 if weight_bits == 16 else 4
            numerics = Numerics(weight_bits=weight_bits, fraction_bits=fraction_bits, accumulator_bits=24)
            limit = synapses or (SYNAPSES if board == "golden" else SYNAPSES_BOARD)
            model.spikeloom = Plan(
                Backend(board, target, numerics, learn_every),
                {"array": array, "host": tuple(host), "synapses": limit, "learning": learning},
            )
            if network is not None:
                model.builder = ArrayBuilder()
        super().__init__(network, dt=dt, seed=seed, model=model, progress_bar=progress_bar, optimize=optimize)

    @property
    def plan(self) -> Plan:
        """The split and the backend."""
        return self.model.spikeloom

    @property
    def report(self) -> Report:
        """What runs where, and how it was quantised."""
        report = self.plan.report
        assert report is not None, "the model was built by another simulator"
        return report

    def close(self) -> None:
        """Close the simulator and let go of the board."""
        super().close()
        if hasattr(self, "model") and hasattr(self.model, "spikeloom"):
            self.plan.backend.close()

    def __getstate__(self) -> dict[str, Any]:
        if self.plan.backend.board != "golden" and not self.closed:
            raise SimulationError(
                f"a simulator on board {self.plan.backend.board!r} cannot be pickled while it is open: its states are "
                'on the board. Close it first, or use board="golden"'
            )
        return super().__getstate__() | {"stepper": self.plan.backend.stepper}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if not self.closed and state["stepper"] is not None:
            self.plan.backend.stepper = state["stepper"]
