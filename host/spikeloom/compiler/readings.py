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

PLAUSIBLE_DT = (1e-4, 1e-3, 1.0)
"""Ticks, in the file's unit of time, that are tried where none is given."""

NIR_DEFAULTS = {"decay": "euler", "reset": "value", "fire": ">"}
CHOICES = {"decay": DECAYS, "reset": RESETS, "fire": FIRES}


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
        value, origin = NIR_DEFAULTS[name], "assumed: NIR's own text" if name != "decay" else "assumed"
        if name in self._arguments:
            value, origin = self._arguments[name], "given as argument"
        elif (found := self._metadata.get(node, {}).get(f"spikeloom.{name}")) is not None:
            value, origin = _check(f"node {node}: metadata spikeloom.{name}", _text(found), CHOICES[name]), "metadata"
        self.note(name, value, origin, node)
        return value

    def dt(self, node: str) -> float:
        """The tick, in the file's unit of time; :meth:`find_dt` comes first."""
        assert self._dt is not None
        self.note("dt", f"{self._dt[0]:g}", self._dt[1])
        return self._dt[0]

    def find_dt(self, nodes: Iterable[str], ratios: Callable[[float], Iterable[tuple[str, np.ndarray]]]) -> None:
        """Settle the tick for ``nodes``, those with a time constant.

        ``ratios(dt)`` gives each node's ``r * dt / tau``; all one tells that the exporter scaled ``r`` so.
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
            if all((np.abs(ratio - 1) < 1e-3).all() for _, ratio in ratios(dt)):
                self._dt = (dt, "assumed: r * dt / tau is 1 in every node")
                return
        raise NetworkError(
            f"the file does not say how long a tick is, and {nodes[0]} has a time constant: give dt=, "
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
