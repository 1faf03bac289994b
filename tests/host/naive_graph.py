"""A NIR graph node by node and tick by tick, as its equations have it: what the float reference must equal.

Nothing is folded: every node keeps its own signal, every Delay its own past. Forward Euler, ``>``, reset at once.
"""

from __future__ import annotations

import nir
import numpy as np
from naive_nodes import evaluate


class Neuron:
    """States of one neuron node."""

    def __init__(self, node: nir.NIRNode, dt: float):
        self.node, self.dt = node, dt
        shape = next(np.shape(getattr(node, f)) for f in ("r", "threshold") if hasattr(node, f))
        self.i, self.v = np.zeros(shape), np.zeros(shape)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Spikes, or of a node without threshold the potential."""
        n, dt = self.node, self.dt
        x = x.reshape(self.v.shape)
        match n:
            case nir.Threshold():
                return (x > n.threshold).astype(float)
            case nir.I() | nir.IF():
                self.v = self.v + n.r * x
            case nir.LI() | nir.LIF():
                self.v = self.v + dt / n.tau * (n.v_leak - self.v + n.r * x)
            case nir.CubaLI() | nir.CubaLIF():
                self.i = self.i + dt / n.tau_syn * (-self.i + n.w_in * x)
                self.v = self.v + dt / n.tau_mem * (n.v_leak - self.v + n.r * self.i)
        if not hasattr(n, "v_threshold"):
            return self.v
        spikes = self.v > n.v_threshold
        self.v = np.where(spikes, n.v_reset, self.v)
        return spikes.astype(float)


class Delay:
    """Each value as it was its own number of ticks ago; zero before the first."""

    def __init__(self, node: nir.Delay, dt: float):
        self.ticks = np.rint(node.delay / dt).astype(int)
        self.past: list[np.ndarray] = []

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.late([x, *self.past])

    def late(self, past: list[np.ndarray]) -> np.ndarray:
        """The values out of ``past``, the newest first."""
        y = np.zeros(self.ticks.shape)
        for at in np.ndindex(*y.shape):
            if self.ticks[at] < len(past):
                y[at] = past[self.ticks[at]].reshape(y.shape)[at]
        return y


def run(graph: nir.NIRGraph, back: set[tuple[str, str]], x: dict[str, np.ndarray], dt: float) -> dict[str, np.ndarray]:
    """Signals ``(ticks, *shape)`` of the outputs for samples ``(ticks, *shape)`` of the inputs.

    ``back`` are the edges along which a neuron's spikes arrive a tick late.
    """
    states = {
        name: Delay(node, dt) if isinstance(node, nir.Delay) else Neuron(node, dt)
        for name, node in graph.nodes.items()
        if isinstance(node, nir.Delay) or hasattr(node, "r") or isinstance(node, nir.Threshold)
    }
    ticks = len(next(iter(x.values())))
    last = {name: np.zeros(state.v.shape) for name, state in states.items() if isinstance(state, Neuron)}
    shown: dict[str, list[np.ndarray]] = {name: [] for name in graph.outputs}
    for tick in range(ticks):
        now: dict[str, np.ndarray] = {name: samples[tick].astype(float) for name, samples in x.items()}
        delays = {name: d for name, d in states.items() if isinstance(d, Delay)}
        now |= {name: d.late([d.ticks, *d.past]) for name, d in delays.items() if d.ticks.all()}  # nothing of this tick
        waiting = [name for name in graph.nodes if name not in now]
        while waiting:
            for name in waiting:
                before = [(a, (a, b) in back) for a, b in graph.edges if b == name]
                if all(late or a in now for a, late in before):
                    now[name] = _value(graph.nodes[name], states.get(name), before, now, last)
                    waiting.remove(name)
                    break
            else:
                raise AssertionError(f"a loop without a tick: {waiting}")
        for name, d in delays.items():
            d.past.insert(0, _sum([(a, (a, b) in back) for a, b in graph.edges if b == name], now, last))
        for name, values in shown.items():
            values.append(now[name])
        last = now
    return {name: np.array(values) for name, values in shown.items()}


def _value(node: nir.NIRNode, state: object, before: list, now: dict, last: dict) -> np.ndarray:
    total = _sum(before, now, last)
    if isinstance(node, nir.Output):
        return total
    return state(total) if callable(state) else evaluate(node, total)


def _sum(before: list[tuple[str, bool]], now: dict, last: dict) -> np.ndarray:
    first, *others = (last[name] if late else now[name] for name, late in before)
    for other in others:
        first = first + other
    return first
