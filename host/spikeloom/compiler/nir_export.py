"""A quantised network as a NIR graph, so that others simulate what the hardware does; and back, integer for integer.

One unit of the graph is one state unit. What a node's own fields can hold is there: weights times ``2**fraction_bits``,
thresholds, resets, biases (as ``v_leak``), decays (as time constants for forward Euler), delays, kernels, pools. What
they cannot, such as a floor of the potential, is metadata ``spikeloom.*``; :func:`beyond` lists it. Left to say is that
the hardware rounds a state after each decay and saturates it: where all decays are 0 or 1 and nothing saturates, any
simulator of NIR's text gives the same spikes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nir
import numpy as np

from spikeloom.contract.errors import NetworkError
from spikeloom.contract.geometry import in_space
from spikeloom.contract.network import Population, Projection, QuantisedNetwork
from spikeloom.contract.neuron import Reset
from spikeloom.contract.numerics import DECAY_ONE, Profile

from .loops import closing_edges
from .readings import RESETS

NEVER_DECAYS = 2.0**60
"""Ticks of a time constant that stands for none: in double and single precision ``1 - 1 / NEVER_DECAYS`` is 1."""

IN_FIELDS = ("alpha", "beta", "theta", "v_reset", "bias")
"""Parameters of a population that NIR's own fields hold; the others are metadata."""

SNNTORCH_DT = 1e-4
"""The tick that snnTorch assumes; others take it as an argument."""


def export_nir(network: QuantisedNetwork, path: str | Path | None = None, dt: float = SNNTORCH_DT) -> nir.NIRGraph:
    """The graph of a quantised network; written to ``path`` if that is given.

    Args:
        dt: length of a tick, in the unit of the graph's time constants.

    Raises:
        NetworkError: the network has something that no NIR graph can say.
    """
    graph = _Export(network, dt).graph()
    if path is not None:
        nir.write(str(path), graph)
    return graph


def beyond(network: QuantisedNetwork) -> list[str]:
    """What others have to read from the metadata, or do by themselves, to simulate exactly this; a line each."""
    low = network.numerics.state_min
    lines = []
    for p in network.populations:
        spiking, a = _spiking(network, p), _integers(p)
        threshold = _threshold(p)
        found = {
            f"reset {_reset_name(p.reset)}": spiking and p.reset is not Reset.VALUE and bool(a["beta"].any()),
            "v_min": bool((a["v_min"] > low).any()),
            "refractory": spiking and bool(a["refractory"].any()),
            "v_sub other than the threshold": spiking and _subtracts(p) and bool((a["v_sub"] != threshold).any()),
            f"up to {p.max_count} spikes a tick": p.graded,
            "decays, rounded after each tick": any(((x > 0) & (x < DECAY_ONE)).any() for x in (a["alpha"], a["beta"])),
        }
        known = (*IN_FIELDS, "v_min", "v_sub", "refractory", "bias_u")
        found |= {name: bool(value.any()) for name, value in a.items() if name not in known}
        if any(found.values()):
            lines.append(f"{p.name}: {'; '.join(what for what, is_so in found.items() if is_so)}")
    lines += [f"{d.source} -> {d.target}: products of currents, rounded each tick" for d in network.drives]
    if network.numerics.profile is Profile.LOIHI:
        lines.append("profile loihi: decays are cut toward zero, currents wrap, weight exponents cut")
    return lines


class _Export:
    """One export, as its nodes and edges grow."""

    def __init__(self, network: QuantisedNetwork, dt: float):
        self.network, self.dt = network, dt
        self.nodes: dict[str, nir.NIRNode] = {}
        self.edges: list[tuple[str, str]] = []
        self.in_space = {
            end
            for e in network.projections
            if not e.plain
            for end in (e.source, *([e.target] if e.convolution else []))
        }

    def graph(self) -> nir.NIRGraph:
        network = self.network
        for i in network.inputs:
            shape = in_space(i.shape) if i.name in self.in_space and len(i.shape) != 3 else i.shape
            self._add(i.name, nir.Input({"input": np.array(shape)}))
        for p in network.populations:
            self._add(p.name, self._neurons(p))
        weights = [self._projection(e) for e in network.projections]
        drives = [self._drive(d) for d in network.drives]
        self._current_biases(weights)
        outputs = {output: self._output(output, name) for output, name in network.outputs.items()}
        manifest = json.loads(bytes(network.to_arrays()["network"])) | {"report": {}}
        names = {"weights": weights, "drives": drives, "outputs": outputs}
        return nir.NIRGraph(
            self.nodes,
            self.edges,
            {
                "spikeloom.dt": self.dt, "spikeloom.decay": "euler", "spikeloom.fire": ">", "spikeloom.delay": "loop",
                "spikeloom.network": json.dumps(manifest), "spikeloom.nodes": json.dumps(names),
                "spikeloom.beyond": "\n".join(beyond(network)) or "nothing",
            },
            type_check=False,
        )  # fmt: skip

    def _add(self, name: str, node: nir.NIRNode, *before: str) -> str:
        """A node of this name, or if that is taken of one like it."""
        if "/" in name:
            raise NetworkError(f"{name}: a NIR file cannot hold a '/' in a name; rename the population or input")
        while name in self.nodes:
            name += "_"
        self.nodes[name] = node
        self.edges += [(source, name) for source in before]
        return name

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(int(n) for n in next(iter(self.nodes[name].output_type.values())))

    def _neurons(self, p: Population) -> nir.NIRNode:
        shape = in_space(p.shape) if p.name in self.in_space else (p.size,)
        spiking, a = _spiking(self.network, p), _integers(p)
        tau, tau_syn = self._tau(a["beta"]), self._tau(a["alpha"])
        filtered = bool(a["alpha"].any())
        leak = (a["bias"] if filtered else a["bias"] + a["bias_u"]) * tau / self.dt
        v = {"r": tau / self.dt, "v_leak": leak}
        fires = {"v_threshold": _threshold(p), "v_reset": a["v_reset"]} if spiking else {}
        metadata = {"reset": _reset_name(p.reset), **{n: value for n, value in a.items() if n not in IN_FIELDS}}
        metadata |= {"fire": "multi"} if p.graded else {}
        kind, fields = "LIF" if spiking else "LI", {"tau": tau, **v, **fires}
        if filtered:
            kind = f"Cuba{kind}"
            fields = {"tau_mem": tau, "tau_syn": tau_syn, "w_in": tau_syn / self.dt, **v, **fires}
        elif (a["beta"] == DECAY_ONE).all() and not leak.any():
            kind, fields = "IF" if spiking else "I", {"r": np.ones(p.size), **fires}
        elif spiking and not a["beta"].any() and not leak.any() and p.reset is Reset.NONE and not a["v_reset"].any():
            kind, fields = "Threshold", {"threshold": a["theta"]}
        if not spiking:  # an integrator has no fields for these, and they have no effect
            metadata |= {"theta": a["theta"], "v_reset": a["v_reset"]}
        arrays = {name: np.asarray(value, dtype=np.float64).reshape(shape) for name, value in fields.items()}
        return getattr(nir, kind)(**arrays, metadata={f"spikeloom.{k}": _short(value) for k, value in metadata.items()})

    def _tau(self, decay: np.ndarray) -> np.ndarray:
        """The time constant whose forward Euler step multiplies by ``decay / 2**12``."""
        step = 1 - decay / DECAY_ONE
        return self.dt * np.divide(1, step, out=np.full(step.shape, NEVER_DECAYS), where=step > 0)

    def _projection(self, e: Projection) -> str:
        """The nodes of a projection; the name of that with the weights."""
        name, at = f"{e.source}__{e.target}", e.source
        exponent = self.network.numerics.fraction_bits + self.network.population(e.target).weight_exponent
        weights = e.weights * 2.0**exponent
        if e.pool:
            pool = nir.SumPool2d(*(np.array(n) for n in (e.pool.size, e.pool.stride, e.pool.padding)))
            at = self._add(f"{name}__pool", pool, at)
        if e.convolution:
            c, given = e.convolution, in_space(self.network.shape(e.source))
            space = (e.pool.shape(given) if e.pool else given)[1:]
            bias = np.zeros(len(weights))
            conv = nir.Conv2d(tuple(space), weights, c.stride, c.padding, c.dilation, c.groups, bias)
            found = at = self._add(name, conv, at)
        else:
            found = at = self._matrix(name, weights, at, self.network.shape(e.source))
        if e.delay and not self._closes_a_loop(e):
            shape = self._shape(e.target) if e.convolution else (self.network.population(e.target).size,)
            at = self._add(f"{name}__delay", nir.Delay(np.full(shape, e.delay * self.dt)), at)
        self.edges.append((at, e.target))
        return found

    def _matrix(self, name: str, weights: np.ndarray, at: str, shape: tuple[int, ...]) -> str:
        if isinstance(self.nodes[at], nir.SumPool2d) or len(self._shape(at)) > 1:
            at = self._add(f"{name}__flatten", nir.Flatten({"input": np.array(shape)}, 0, -1), at)
        return self._add(name, nir.Linear(weights), at)

    def _closes_a_loop(self, e: Projection) -> bool:
        """Whether a reader takes this edge, without a Delay, to be a tick late anyway."""
        if e.delay != 1:
            return False
        if not hasattr(self, "_implied"):
            self._implied = _implied_delays(self.network)
        return (e.source, e.target) in self._implied

    def _drive(self, d: Any) -> str:
        target = self.network.population(d.target)
        if _integers(target)["alpha"].any():
            raise NetworkError(
                f"drive {d.source} -> {d.target}: it goes to the potential past the synaptic current, and no NIR graph "
                "can say that"
            )
        weights = d.weights if isinstance(d.weights, np.ndarray) else d.weights.toarray()
        name = f"{d.source}__{d.target}"
        found = self._matrix(name, weights, d.source, self.network.shape(d.source))
        self.edges.append((self._add(f"{name}__scale", nir.Scale(np.asarray(d.scale)), found), d.target))
        return found

    def _current_biases(self, weights: list[str]) -> None:
        """A bias of the current comes in with some weights: of a projection, or zeros where there is none."""
        for p in self.network.populations:
            a = _integers(p)
            if not (a["alpha"].any() and a["bias_u"].any()):
                continue
            into = zip(self.network.projections, weights, strict=True)
            plain = [name for e, name in into if e.target == p.name and not e.convolution and not e.delay]
            bias = a["bias_u"].astype(np.float64)
            if plain:
                self.nodes[plain[0]] = nir.Affine(self.nodes[plain[0]].weight, bias)
                continue
            source = min(self.network.inputs, key=lambda i: i.size)
            zeros = self._matrix(f"{p.name}__bias", np.zeros((p.size, source.size)), source.name, source.shape)
            self.nodes[zeros] = nir.Affine(self.nodes[zeros].weight, bias)
            self.edges.append((zeros, p.name))

    def _output(self, output: str, name: str) -> str:
        metadata: dict[str, Any] = {"spikeloom.shows": "v" if output in self.network.states else "spikes"}
        if output in self.network.state_scale:
            metadata["spikeloom.state_scale"] = np.asarray(self.network.state_scale[output])
        node = nir.Output({"output": np.array(self._shape(name))}, metadata=metadata)
        return self._add(output, node, name)


def _spiking(network: QuantisedNetwork, p: Population) -> bool:
    return bool((_integers(p)["theta"] < network.numerics.state_max).any())


def _integers(p: Population) -> dict[str, np.ndarray]:
    """The parameters of a population, ``(size,)`` each."""
    return {name: np.asarray(getattr(p, name)) for name in Population.ARRAYS}


def _threshold(p: Population) -> np.ndarray:
    """What the comparison is with: neurons that send several spikes fire at it, all others above it."""
    return np.asarray(p.v_sub if p.graded else p.theta)


def _subtracts(p: Population) -> bool:
    return p.reset in (Reset.SUBTRACT, Reset.SUBTRACT_DELAYED)


def _reset_name(reset: Reset) -> str:
    return RESETS[int(reset)]


def _short(value: Any) -> Any:
    """One number for all where they are alike."""
    if isinstance(value, str) or value.size == 0 or (value != value[0]).any():
        return value
    return int(value[0])


def _implied_delays(network: QuantisedNetwork) -> set[tuple[str, str]]:
    """Pairs whose tick of delay is the one that a loop needs: no Delay node has to say it.

    Readers find the edges that close loops by a walk; only if the walk ends with exactly these may they be left out.
    """
    inputs, names = [i.name for i in network.inputs], [p.name for p in network.populations]
    at_once = {(e.source, e.target) for e in network.projections if e.delay == 0}
    late = {(e.source, e.target) for e in network.projections if e.delay == 1} - at_once
    while late:
        closing = closing_edges(inputs, network.outputs.values(), names, at_once | late)
        if closing == late:
            return late
        late = late & closing if late - closing else set()
    return set()
