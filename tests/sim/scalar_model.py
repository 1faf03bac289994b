"""The equations once more, one neuron and one Python integer at a time: slow, obvious, for comparison with golden.

Written from the contract alone. Where golden pushes the spikes of a tick into sums to come, this model keeps the whole
history and looks back; where golden multiplies matrices, this one adds weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor, trunc

import numpy as np

from spikeloom.contract.network import InputKind, Population, QuantisedNetwork
from spikeloom.contract.neuron import Adaptation, Reset
from spikeloom.contract.numerics import Numerics, Profile


def scalar_step(
    numerics: Numerics, p: dict[str, int], state: tuple[int, int, int, int, int], acc: int
) -> tuple[int, int, int, int, int, int]:
    """One neuron, one tick: ``(u, v, r, s, saturations, a)`` from the parameters, ``(u, v, r, s, a)`` and the sum."""
    u, v, r, s, a = state
    loihi = numerics.profile is Profile.LOIHI
    saturations = 0

    acc = as_signed(acc, numerics.accumulator_bits)
    if loihi:
        acc = floor(acc * Fraction(2) ** p["weight_exponent"])

    u = times_decay(p["alpha"], u, loihi) + acc * 2**numerics.fraction_bits + p["bias_u"]
    top = 2 ** (numerics.state_bits - 1) - 1
    if u > top or u < -top - 1:
        saturations += 1
        if loihi:
            u = as_signed(u, numerics.state_bits)
        elif u > top:
            u = top
        else:
            u = -top - 1

    bottom = -top if loihi else -top - 1
    total = times_decay(p["beta"], v, loihi) + u + p["bias"]
    if p["adaptation"] == Adaptation.INPUT:
        total -= a
    elif s and p["reset"] == Reset.SUBTRACT_DELAYED:
        total -= p["v_sub"]
    theta = p["theta"]
    if p["adaptation"] == Adaptation.THRESHOLD:
        theta += a
    a = times_decay(p["gamma"], a, loihi)
    if p["adaptation"] == Adaptation.FADED_THRESHOLD:
        theta += a

    if r > 0:
        return u, p["v_reset"], r - 1, 0, saturations, a

    v = total
    if total > top:
        v = top
        saturations += 1
    if total < bottom:
        v = bottom
        saturations += 1
    if v < p["v_min"]:
        v = p["v_min"]

    if not v > theta:
        return u, v, 0, 0, saturations, a
    if p["spike_bits"]:
        spikes = 0
        while v > theta and spikes < 2 ** p["spike_bits"] - 1:
            v, spikes = v - p["v_sub"], spikes + 1
        return u, v, 0, spikes, saturations + (v > theta), a
    a += p["step"]
    if not bottom <= a <= top:
        a = max(bottom, min(a, top))
        saturations += 1
    if p["reset"] == Reset.VALUE:
        v = p["v_reset"]
    elif p["reset"] == Reset.SUBTRACT:
        v = v - p["v_sub"]
    return u, v, p["refractory"], 1, saturations, a


def as_signed(x: int, bits: int) -> int:
    """The integer of ``bits`` in two's complement that equals ``x`` modulo ``2**bits``."""
    x %= 2**bits
    return x - 2**bits if x >= 2 ** (bits - 1) else x


def times_decay(factor: int, x: int, toward_zero: bool) -> int:
    exact = Fraction(factor * x, 4096)
    return trunc(exact) if toward_zero else floor(exact + Fraction(1, 2))


@dataclass
class ScalarTrace:
    """One population in one sample: a list of the neurons' values for each tick."""

    u: list[list[int]] = field(default_factory=list)
    v: list[list[int]] = field(default_factory=list)
    r: list[list[int]] = field(default_factory=list)
    s: list[list[int]] = field(default_factory=list)
    a: list[list[int]] = field(default_factory=list)
    saturations: int = 0


@dataclass
class ScalarSample:
    """One sample: traces by population, and events and synaptic operations by the number of the projection."""

    traces: dict[str, ScalarTrace]
    events: list[int]
    synapses: list[int]


def scalar_run(network: QuantisedNetwork, sample: dict[str, np.ndarray]) -> ScalarSample:
    """One sample, ``(ticks, *input shape)`` by input name."""
    ticks = len(next(iter(sample.values())))
    history = {name: [np.ravel(x).tolist() for x in values] for name, values in sample.items()}
    traces = {p.name: ScalarTrace() for p in network.populations}
    history |= {name: trace.s for name, trace in traces.items()}
    for tick in range(ticks):
        waiting = list(network.populations)
        while waiting:
            ready = next(p for p in waiting if all(len(history[s]) > tick for s in instant_sources(network, p)))
            waiting.remove(ready)
            scalar_tick(network, ready, traces[ready.name], history, tick)
    graded = {i.name for i in network.inputs if i.kind is InputKind.GRADED}
    graded |= {p.name for p in network.populations if p.spike_bits}

    def events_of(source: str, count: int) -> int:
        """Events that a value stands for: a graded one is one, whatever it carries."""
        return int(count != 0) if source in graded else int(count)

    events = [sum(events_of(p.source, c) for row in history[p.source] for c in row) for p in network.projections]
    synapses = [0] * len(events)
    for n, p in enumerate(network.projections):
        for spikes in history[p.source]:
            for j, count in enumerate(spikes):
                for weight in p.weights[:, j].tolist():
                    if weight != 0 or not p.sparse:
                        synapses[n] += events_of(p.source, count)
    return ScalarSample(traces, [int(e) for e in events], synapses)


def instant_sources(network: QuantisedNetwork, population: Population) -> list[str]:
    return [p.source for p in network.projections if p.target == population.name and p.delay == 0]


def scalar_tick(
    network: QuantisedNetwork, population: Population, trace: ScalarTrace, history: dict[str, list], tick: int
) -> None:
    """Append one tick to the trace of a population."""
    drives = [d for d in network.drives if d.target == population.name]
    biases = [d.biases(np.array(history[d.source][tick])).tolist() for d in drives]
    rows = []
    for i in range(population.size):
        acc = 0
        for p in network.projections:
            if p.target == population.name and tick >= p.delay:
                for j, count in enumerate(history[p.source][tick - p.delay]):
                    acc += int(count) * int(p.weights[i, j])
        parameters = {name: int(getattr(population, name)[i]) for name in Population.ARRAYS}
        parameters |= {n: getattr(population, n) for n in ("reset", "weight_exponent", "adaptation", "spike_bits")}
        parameters["bias"] += sum(bias[i] for bias in biases)
        states = (trace.u, trace.v, trace.r, trace.s, trace.a)
        before = tuple(values[-1][i] for values in states) if tick else (0, 0, 0, 0, 0)
        rows.append(scalar_step(network.numerics, parameters, before, acc))
    columns = list(zip(*rows, strict=True))
    for values, column in zip((trace.u, trace.v, trace.r, trace.s, [], trace.a), columns, strict=True):
        values.append(list(column))
    trace.saturations += sum(columns[4])
