"""The readings that NIR leaves open: tick, decay, reset, comparison; and where each was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from spikeloom.contract.errors import NetworkError

from .graph import FIRES, Assumption

DECAYS = ("euler", "exact", "exact_decay")
"""How a time constant becomes a factor a tick.

``euler``: decay ``1 - dt/tau``, gain ``dt/tau``. ``exact``: decay ``k = exp(-dt/tau)``, gain ``1 - k`` (the input is
constant within a tick: Nengo, sinabs with normalised input). ``exact_decay``: decay ``exp(-dt/tau)``, gain ``dt/tau``
(Rockpool; sinabs without normalised input).
"""

RESETS = ("value", "subtract", "subtract_delayed", "none")
"""What a spike does: to ``v_reset``, minus the threshold at once, minus the threshold in the next tick, nothing."""

DELAYS = ("loop", "synapse")
"""Ticks that synapses take beside those of Delay nodes.

``loop``: none, but one tick where neurons without a Delay between them form a loop: what arrives in a tick counts in
that tick, as in snnTorch, Norse, sinabs. ``synapse``: one tick for every synapse between neurons: Lava's processes,
Loihi, SpiNNaker.
"""

PLAUSIBLE_DT = (1e-4, 1e-3, 1.0)
"""Ticks, in the file's unit of time, that are tried where none is given."""

NIR_DEFAULTS = {"decay": "euler", "reset": "value", "fire": ">", "delay": "loop"}
CHOICES = {"decay": DECAYS, "reset": RESETS, "fire": FIRES, "delay": DELAYS}


class Readings:
    """Answers for one import, and the list of what was answered. Arguments win, then metadata, node before graph."""

    def __init__(self, arguments: Mapping[str, Any], metadata: Mapping[str, Mapping[str, Any]]):
        self._arguments = {name: value for name, value in arguments.items() if value is not None}
        self._metadata = metadata
        self._log: dict[tuple[str, str, str], list[str]] = {}
        self._dt: tuple[float, str] | None = None
        for name, choices in CHOICES.items():
            if name in self._arguments:
                _check(f"argument {name}", self._arguments[name], choices)
        if "dt" in self._arguments:
            self._dt = (_positive("argument dt", self._arguments["dt"]), "given as argument")

    def note(self, name: str, value: str, origin: str, node: str | None = None) -> None:
        """Add to the list; equal lines of several nodes become one."""
        nodes = self._log.setdefault((name, value, origin), [])
        if node is not None and node not in nodes:
            nodes.append(node)

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        return tuple(Assumption(name=n, value=v, origin=o, nodes=tuple(at)) for (n, v, o), at in self._log.items())

    def choice(self, name: str, node: str) -> str:
        """The decay, reset or fire of one node."""
        value = NIR_DEFAULTS[name]
        origin = "assumed: NIR's own text" if name in ("reset", "fire") else "assumed"
        if name in self._arguments:
            value, origin = self._arguments[name], "given as argument"
        elif (found := self._metadata.get(node, {}).get(f"spikeloom.{name}")) is not None:
            value, origin = _check(f"node {node}: metadata spikeloom.{name}", _text(found), CHOICES[name]), "metadata"
        self.note(name, value, origin, node)
        return value

    def common(self, name: str) -> str:
        """A reading that the whole network has in common; not in the list: its consequences are."""
        found = {
            _check(f"node {node}: metadata spikeloom.{name}", _text(metadata[f"spikeloom.{name}"]), CHOICES[name])
            for node, metadata in self._metadata.items()
            if f"spikeloom.{name}" in metadata
        }
        if name in self._arguments:
            return self._arguments[name]
        if len(found) > 1:
            raise NetworkError(f"metadata spikeloom.{name} differs among nodes: {', '.join(sorted(found))}")
        return found.pop() if found else NIR_DEFAULTS[name]

    def numbers(self, name: str, node: str, missing: float, size: int) -> np.ndarray:
        """What NIR has no field for, from metadata ``spikeloom.NAME``: one value a neuron, ``(size,)``."""
        value = self._metadata.get(node, {}).get(f"spikeloom.{name}")
        if value is None:
            return np.full(size, missing)
        try:
            array = np.asarray(value, dtype=np.float64).reshape(-1)
            return np.broadcast_to(array, (size,))
        except (TypeError, ValueError):
            raise NetworkError(f"node {node}: metadata spikeloom.{name} must be numbers, one or {size}") from None

    def dt(self, node: str) -> float:
        """The tick, in the file's unit of time; :meth:`find_dt` comes first."""
        assert self._dt is not None
        self.note("dt", f"{self._dt[0]:g}", self._dt[1])
        return self._dt[0]

    def find_dt(self, nodes: Iterable[str], ratios: Callable[[float], Iterable[tuple[str, np.ndarray]]]) -> None:
        """Settle the tick for ``nodes``, those with a time constant or a delay.

        ``ratios(dt)`` gives ``r * dt / tau`` of those that have one; all one tells that the exporter scaled ``r`` so.
        """
        nodes = list(nodes)
        if self._dt is not None or not nodes:
            return
        found = {
            node: _positive(f"node {node}: metadata spikeloom.dt", value)
            for node in nodes
            if (value := self._metadata.get(node, {}).get("spikeloom.dt")) is not None
        }
        if found:
            if len(set(found.values())) > 1:
                listed = ", ".join(f"{node} {value:g}" for node, value in found.items())
                raise NetworkError(f"metadata spikeloom.dt differs among nodes ({listed}): one network has one tick")
            self._dt = (next(iter(found.values())), "metadata")
            return
        for dt in PLAUSIBLE_DT:
            found_ratios = list(ratios(dt))
            if found_ratios and all((np.abs(ratio - 1) < 1e-3).all() for _, ratio in found_ratios):
                self._dt = (dt, "assumed: r * dt / tau is 1 in every node")
                return
        raise NetworkError(
            f"the file does not say how long a tick is, and node {nodes[0]} has a time constant or a delay: give dt=, "
            "in the unit of its tau (snnTorch 1e-4, Norse 1e-3, sinabs 1)"
        )


def _text(value: Any) -> Any:
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode() if isinstance(value, bytes) else value


def _check(where: str, value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise NetworkError(f"{where} must be one of {', '.join(choices)}, not {value!r}")
    return value


def _positive(where: str, value: Any) -> float:
    try:
        number = float(_text(value))
    except (TypeError, ValueError):
        number = np.nan
    if not 0 < number < np.inf:
        raise NetworkError(f"{where} must be a positive number, not {value!r}")
    return number
