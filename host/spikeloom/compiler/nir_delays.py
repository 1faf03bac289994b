"""Delays in ticks: those of Delay nodes, and the tick that a loop needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import nir
import numpy as np

from spikeloom.contract.errors import NetworkError

from .graph import FloatInput, FloatPopulation, FloatProjection
from .loops import closing_edges
from .nir_nodes import kind, number
from .readings import Readings

TOLERANCE = 1e-3
"""Ticks, and relative: files hold delays in single precision."""


def has_delay(name: str, node: nir.NIRNode) -> bool:
    """Whether a node delays anything, so that its ticks must be known."""
    return kind(node) == "Delay" and bool(number(name, node, "delay").any())


def delay_ticks(name: str, node: nir.NIRNode, readings: Readings) -> np.ndarray:
    """``round(delay / dt)`` of a Delay node, in its own shape; refused where that is not what the file says."""
    where, delay = f"node {name} (Delay)", number(name, node, "delay")
    if not delay.any():
        return np.zeros(delay.shape, dtype=np.int64)
    dt = readings.dt(name)
    for value in delay[delay < 0].reshape(-1)[:1]:
        raise NetworkError(f"{where}: delay is {value:g}, and nothing arrives before it is sent")
    ticks = delay / dt
    whole = np.rint(ticks)
    for at in np.flatnonzero(np.abs(ticks - whole) > TOLERANCE * np.maximum(1, whole) ** 0.5)[:1]:
        value = delay.reshape(-1)[at]
        raise NetworkError(
            f"{where}: delay {value:g} is {value / dt:g} ticks of {dt:g}, and a tick cannot be divided: "
            "round the delays in the file, or give a dt that divides them"
        )
    readings.note("delay", f"{int(whole.min())} to {int(whole.max())} ticks", "round(delay / dt)", name)
    return whole.astype(np.int64)


def with_loops(
    inputs: Sequence[FloatInput],
    shown: Iterable[str],
    populations: Sequence[FloatPopulation],
    projections: Sequence[FloatProjection],
    readings: Readings,
) -> list[FloatProjection]:
    """The projections with the ticks that synapses take by the reading ``delay``."""
    names = [p.name for p in populations]
    if readings.common("delay") == "synapse":
        readings.note("delay", "synapses between neurons take one tick more", "given as argument or in metadata")
        return [replace(e, delay=e.delay + (e.source in names)) for e in projections]
    at_once = [(e.source, e.target) for e in projections if e.delay == 0]
    closing = closing_edges([i.name for i in inputs], shown, names, at_once)
    for source, target in sorted(closing):
        readings.note("delay", "its spikes arrive in the next tick", "it closes a loop", f"{source} -> {target}")
    return [replace(e, delay=1) if e.delay == 0 and (e.source, e.target) in closing else e for e in projections]
