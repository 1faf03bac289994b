"""What runs on the array and what on the host: decided from the model, before anything is built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import nengo
import numpy as np
from nengo.connection import LearningRule
from nengo.ensemble import Neurons
from nengo.exceptions import BuildError
from nengo.transforms import Dense, NoTransform, Sparse

from .bypass import Bypass
from .neurons import ArrayNeuron, UnsuitableError, array_neuron, decay, spike_worth


@dataclass(kw_only=True, slots=True)
class Place:
    """Where an object runs; ``why`` it is on the host, and what is approximate."""

    on_array: bool
    why: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """A connection's synapse on the array: the current's decay factor over 4096, and the ticks a spike takes."""

    alpha: int
    delay: int


class Split:
    """Ensembles and connections of a network, each with its place; connections around nodes (``ways``) among them.

    ``sources`` are ensembles of the host whose spikes go to the array, each with the output of one spike.

    Parameters:
        network: the whole model.
        dt: seconds a tick.
        array: ensembles that must be on the array; ``None`` takes all that can.
        host: ensembles that stay on the host.
        synapses: most synapses that connections may take on the array; the largest stay on the host beyond that.
        learning: where connections that learn are computed: on the "host", or on the "array", whose weights the host
            then writes between ticks.

    Raises :class:`nengo.exceptions.BuildError` where an ensemble of ``array`` cannot be there.
    """

    def __init__(
        self,
        network: nengo.Network,
        dt: float,
        *,
        array: Iterable[nengo.Ensemble] | None = None,
        host: Iterable[nengo.Ensemble] = (),
        synapses: int,
        learning: str = "host",
    ) -> None:
        if learning not in ("host", "array"):
            raise ValueError(f'learning must be "host" or "array", not {learning!r}')
        self.dt, self.learning = dt, learning
        self.neurons: dict[nengo.Ensemble, ArrayNeuron] = {}
        self.sources: dict[nengo.Ensemble, float] = {}
        self.filters: dict[nengo.Connection, Filter] = {}
        self.ensembles: dict[nengo.Ensemble, Place] = {}
        self.connections: dict[nengo.Connection, Place] = {}
        wanted = None if array is None else set(array)
        kept = set(host)
        for ensemble in network.all_ensembles:
            self.ensembles[ensemble] = self._place_ensemble(ensemble, wanted, kept)
        self._watched = _watched(network)
        bypass = Bypass(network, lambda end: owner(end) in self.neurons)
        self.ways = {way.connection: way.first for way in bypass.ways}
        self.replaced = bypass.replaced
        for connection in [*network.all_connections, *self.ways]:
            self.connections[connection] = self._place_connection(connection)
        self._one_current()
        self._within(synapses)
        sending = {owner(c.pre_obj) for c, place in self.connections.items() if place.on_array}
        self.sources = {e: worth for e, worth in self.sources.items() if e in sending}

    def on_array(self, thing: Any) -> bool:
        """Whether an ensemble or a connection is on the array."""
        place = self.ensembles.get(thing) or self.connections.get(thing)
        return place is not None and place.on_array

    def built_away(self, connection: nengo.Connection) -> bool:
        """Whether the host computes nothing of a connection."""
        return self.on_array(connection) or connection in self.replaced

    def incoming(self, ensemble: nengo.Ensemble) -> Iterator[nengo.Connection]:
        """Connections of the array into an ensemble."""
        return (c for c, place in self.connections.items() if place.on_array and owner(c.post_obj) is ensemble)

    def _place_ensemble(
        self, ensemble: nengo.Ensemble, wanted: set[nengo.Ensemble] | None, kept: set[nengo.Ensemble]
    ) -> Place:
        if ensemble in kept or (wanted is not None and ensemble not in wanted):
            return Place(on_array=False, why="asked for")
        try:
            self.neurons[ensemble] = neuron = array_neuron(ensemble.neuron_type, self.dt)
        except UnsuitableError as error:
            if wanted is not None:
                raise BuildError(
                    f"{ensemble} cannot be on the array: {error}. Give it another neuron_type, or leave it out of "
                    "array=, then the host simulates it"
                ) from None
            return Place(on_array=False, why=str(error))
        return Place(on_array=True, notes=_approximations(ensemble.neuron_type, neuron, self.dt))

    def _place_connection(self, connection: nengo.Connection) -> Place:
        if connection in self.replaced:
            return Place(on_array=False, why="direct connections around its node take its place")
        try:
            self.filters[connection] = self._suits(connection)
        except UnsuitableError as error:
            return Place(on_array=False, why=str(error))
        return Place(on_array=True)

    def _suits(self, connection: nengo.Connection) -> Filter:
        pre, post = owner(connection.pre_obj), owner(connection.post_obj)
        if isinstance(connection.post_obj, LearningRule):
            raise UnsuitableError("it teaches a learning rule")
        if post is None or not self.on_array(post):
            raise UnsuitableError(f"its target {connection.post_obj} is on the host")
        if pre is None:
            raise UnsuitableError(f"its source {connection.pre_obj} is on the host")
        self._check_source(connection, pre)
        if connection.learning_rule_type is not None:
            if self.learning == "host":
                raise UnsuitableError('its weights learn, and learning is on the "host"')
            if any(rule.modifies == "encoders" for rule in _rules(connection)):
                raise UnsuitableError("it teaches encoders")
        if reason := self._watched.get(connection) or self._watched.get(post):
            raise UnsuitableError(reason)
        if self.neurons[post].adapt:
            raise UnsuitableError(f"the current of {post} holds its adaptation")
        kinds = (Dense, NoTransform, Sparse) if isinstance(connection.pre_obj, Neurons) else (Dense, NoTransform)
        if type(connection.transform) not in kinds:
            raise UnsuitableError(f"its transform is a {type(connection.transform).__name__}")
        synapse = connection.synapse
        if synapse is None:
            return Filter(alpha=0, delay=0)
        if type(synapse) is not nengo.Lowpass:
            raise UnsuitableError(f"its synapse is {synapse}, a current of the array decays as a Lowpass")
        instant = synapse.tau <= 0.03 * self.dt  # Nengo's own limit below which a Lowpass only delays
        delay = int(pre in self.neurons)  # the host sends its spikes a tick later
        return Filter(alpha=0 if instant else decay(synapse.tau, self.dt, "tau"), delay=delay)

    def _check_source(self, connection: nengo.Connection, pre: nengo.Ensemble) -> None:
        """A source on the host must spike, and its spikes reach the array a tick later, as a Lowpass's output does."""
        if self.on_array(pre):
            return
        try:
            worth = spike_worth(pre.neuron_type, self.dt)
        except UnsuitableError as error:
            raise UnsuitableError(f"its source {pre} is on the host and {error}") from None
        if connection.synapse is None or not worth:
            raise UnsuitableError(f"its source {pre} is on the host, and it has no synapse")
        self.sources[pre] = worth

    def worth(self, connection: nengo.Connection) -> float:
        """Output of one spike of a connection's source."""
        pre = owner(connection.pre_obj)
        assert pre is not None
        return self.neurons[pre].output if pre in self.neurons else self.sources[pre]

    def _one_current(self) -> None:
        """A neuron has one current, so one decay: the one that most synapses into its ensemble ask for."""
        for ensemble in self.neurons:
            sizes: dict[int, int] = {}
            for connection in self.incoming(ensemble):
                alpha = self.filters[connection].alpha
                sizes[alpha] = sizes.get(alpha, 0) + synapse_count(connection)
            if len(sizes) < 2:
                continue
            chosen = max(sizes, key=lambda alpha: (sizes[alpha], alpha))
            for connection in list(self.incoming(ensemble)):
                if self.filters[connection].alpha != chosen:
                    why = f"its synapse differs from that of larger connections into {ensemble}, which has one current"
                    self.connections[connection] = Place(on_array=False, why=why)

    def _within(self, synapses: int) -> None:
        """Keep to the number of synapses there may be: the largest connections go to the host first."""
        there = sorted((c for c, p in self.connections.items() if p.on_array), key=synapse_count)
        total = 0
        for connection in there:
            total += synapse_count(connection)
            if total > synapses:
                factors = connection.size_mid if connection.pre_obj is owner(connection.pre_obj) else 0
                cheaper = f", against {factors} decoded values a tick as factors on the host" if factors else ""
                why = f"its {synapse_count(connection)} dense weights exceed the array's {synapses}{cheaper}"
                self.connections[connection] = Place(on_array=False, why=why)


def owner(thing: Any) -> nengo.Ensemble | None:
    """The ensemble that an end of a connection belongs to."""
    if isinstance(thing, Neurons):
        return thing.ensemble
    return thing if isinstance(thing, nengo.Ensemble) else None


def synapse_count(connection: nengo.Connection) -> int:
    """Synapses of a connection as a matrix from neuron to neuron."""
    pre, post = owner(connection.pre_obj), owner(connection.post_obj)
    assert pre is not None
    assert post is not None
    if isinstance(connection.transform, Sparse):
        return int(connection.transform.init.size if hasattr(connection.transform.init, "size") else 0) or (
            connection.size_in * connection.size_out
        )
    sources = connection.size_in if isinstance(connection.pre_obj, Neurons) else pre.n_neurons
    return int(sources * post.n_neurons)


def _rules(connection: nengo.Connection) -> list[Any]:
    """The learning rule types of a connection."""
    rules = connection.learning_rule_type
    if isinstance(rules, dict):
        return list(rules.values())
    return list(rules) if isinstance(rules, list | tuple) else [] if rules is None else [rules]


def _watched(network: nengo.Network) -> dict[Any, str]:
    """Connections and ensembles whose insides the host must compute, each with the reason."""
    reasons: dict[Any, str] = {}
    for probe in network.all_probes:
        if isinstance(probe.obj, nengo.Connection) and probe.attr == "output":
            reasons[probe.obj] = "its filtered output is probed"
        elif isinstance(probe.obj, nengo.Ensemble | Neurons) and probe.attr == "input":
            reasons[owner(probe.obj)] = f"the input of {owner(probe.obj)} is probed"
    for connection in network.all_connections:
        if any(rule.modifies == "encoders" for rule in _rules(connection)):
            reasons[owner(connection.post_obj)] = f"the encoders of {owner(connection.post_obj)} learn"
    return reasons


def _approximations(neuron_type: nengo.neurons.NeuronType, neuron: ArrayNeuron, dt: float) -> list[str]:
    """What differs from Nengo's neuron, in words."""
    if isinstance(neuron_type, nengo.SpikingRectifiedLinear):
        return ["one spike a tick at most", "negative currents from the array discharge the potential down to 0"]
    exact = float(np.exp(-dt / neuron_type.tau_rc))
    tau = -dt / np.log(neuron.beta / 4096) if neuron.beta else 0.0
    notes = [f"refractory {neuron.refractory} whole ticks for {neuron_type.tau_ref / dt:g}"]
    if abs(neuron.beta / 4096 - exact) > 1e-12:
        notes.append(f"tau_rc {tau:.5g} s for {neuron_type.tau_rc:g}")
    return notes
