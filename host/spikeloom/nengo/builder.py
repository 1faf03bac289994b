"""Nengo's own build, with the array's part taken out of it.

Everything is built by Nengo's functions, so signals, decoders, seeds and parameters are Nengo's. Then the operators of
what is on the array are removed, and one operator that steps the array takes their place.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import nengo
import numpy as np
from nengo.builder import Builder, Model
from nengo.builder.connection import build_connection, get_eval_points, get_targets
from nengo.builder.connection import build_solver as build_reference_solver
from nengo.builder.learning_rules import build_learning_rule
from nengo.builder.network import build_network
from nengo.builder.neurons import SimNeurons, build_neurons
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal
from nengo.connection import LearningRule
from nengo.ensemble import Neurons
from nengo.exceptions import BuildError
from nengo.rc import rc
from nengo.solvers import Solver
from nengo.transforms import Dense
from nengo.utils.simulator import operator_dependency_graph

from .backend import Backend
from .operator import Latch, Learned, Member, Source, StepArray
from .quantise import integer_weights, population_names, quantise
from .report import Report
from .split import Split


class ArrayBuilder(Builder):
    """Nengo's builder, with build functions of our own in front of Nengo's."""

    builders: ClassVar[ChainMap[type, Callable[..., Any]]] = ChainMap({}, Builder.builders)

    @classmethod
    def register(cls, nengo_class: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorator for a build function that stands before Nengo's, which stays."""

        def register_builder(function: Callable[..., Any]) -> Callable[..., Any]:
            cls.builders.maps[0][nengo_class] = function
            return function

        return register_builder


class Plan:
    """What a model carries through its build: the backend, the split, and how to split.

    Parameters:
        backend: what the array runs on.
        options: keyword arguments of :class:`Split`.
    """

    def __init__(self, backend: Backend, options: dict[str, Any]) -> None:
        self.backend, self.options = backend, options
        self.split: Split | None = None
        self.neurons: dict[nengo.Ensemble, SimNeurons] = {}
        self.decoders: dict[nengo.Connection, Any] = {}
        self.rules_from: int | None = None
        self.report: Report | None = None

    def __getstate__(self) -> dict[str, Any]:
        """A model is pickled once it is built: what the build needed stays behind."""
        return {
            "backend": self.backend,
            "options": {},
            "split": None,
            "neurons": {},
            "decoders": {},
            "report": self.report,
        }


@ArrayBuilder.register(nengo.Network)
def build_split_network(model: Model, network: nengo.Network, progress: Any = None) -> None:
    """A network; around the outermost one, the split and the array's operator."""
    outermost = model.toplevel is None
    plan: Plan = model.spikeloom
    if outermost:
        plan.split = Split(network, model.dt, **plan.options)
    build_network(model, network, progress)
    if outermost:
        assert plan.split is not None
        for way, first in plan.split.ways.items():
            model.seeds[way], model.seeded[way] = model.seeds[first], model.seeded[first]
            model.build(way)
        _add_array(model, plan)


@ArrayBuilder.register(nengo.LIF)
@ArrayBuilder.register(nengo.SpikingRectifiedLinear)
def build_array_neurons(model: Model, neuron_type: Any, neurons: Neurons, **signals: Any) -> None:
    """Neurons: their signals, and on the host their operator."""
    before = len(model.operators)
    build_neurons(model, neuron_type, neurons, **signals)
    plan: Plan = model.spikeloom
    if plan.split is not None and plan.split.on_array(neurons.ensemble):
        (plan.neurons[neurons.ensemble],) = model.operators[before:]
        del model.operators[before:]


@ArrayBuilder.register(nengo.Connection)
def build_split_connection(model: Model, connection: nengo.Connection) -> None:
    """A connection: its weights, and on the host its operators."""
    plan: Plan = model.spikeloom
    before, plan.rules_from = len(model.operators), None
    build_connection(model, connection)
    if plan.split is not None and plan.split.built_away(connection):
        del model.operators[before : plan.rules_from]


@ArrayBuilder.register(LearningRule)
def build_rule_apart(model: Model, rule: LearningRule) -> None:
    """A learning rule; its operators stay on the host, whatever becomes of those of its connection in front of it."""
    plan: Plan = model.spikeloom
    if plan.rules_from is None:
        plan.rules_from = len(model.operators)
    build_learning_rule(model, rule)


@ArrayBuilder.register(Solver)
def build_array_solver(model: Model, solver: Solver, connection: nengo.Connection, rng: Any) -> Any:
    """Decoders for the rates that the array's neurons have: Nengo's function, but for the activities."""
    plan: Plan = model.spikeloom
    ensemble = connection.pre_obj
    if plan.split is None or not plan.split.on_array(ensemble):
        return build_reference_solver(model, solver, connection, rng)
    first = plan.split.ways.get(connection, connection)
    if first in plan.decoders:  # the ways that begin with one connection have its decoders
        return plan.decoders[first]
    built = model.params[ensemble]
    points = get_eval_points(model, connection, rng)
    targets = get_targets(connection, points, dtype=rc.float_dtype)
    if solver.weights and not solver.compositional:
        if not isinstance(connection.transform, Dense):
            raise BuildError("Non-compositional solvers only work with Dense transforms")
        targets = np.dot(targets, connection.transform.sample(rng=rng).T)
        targets = np.dot(targets, model.params[connection.post_obj].scaled_encoders.T[connection.post_slice])
    x = points @ (built.encoders.T / ensemble.radius)
    rates = plan.split.neurons[ensemble].rates(built.gain * x + built.bias)
    cached = model.decoder_cache.wrap_solver(_solve) if model.seeded[connection] else _solve
    decoders, info = cached(connection, built.gain, built.bias, rates, targets, rng=rng)
    plan.decoders[first] = points, decoders.T, info
    return plan.decoders[first]


def _solve(connection: nengo.Connection, gain: Any, bias: Any, rates: np.ndarray, targets: np.ndarray, rng: Any) -> Any:
    """Decoders from activities, with the parameters that Nengo's cache makes its key of."""
    if not np.count_nonzero(rates):
        raise BuildError(
            f"Building {connection}: 'activities' matrix is all zero for {connection.pre_obj}. "
            "This is because no evaluation points fall in the firing ranges of any neurons."
        )
    return connection.solver(rates, targets, rng=rng)


def _add_array(model: Model, plan: Plan) -> None:
    """The array's operator, and latches where the host's answer to its spikes would be due in the same tick."""
    split = plan.split
    assert split is not None
    if not plan.neurons:
        plan.report = Report.of(split, {}, {}, None)
        return
    network, scaled, rounded = quantise(model, split, plan.backend.numerics)
    late = _same_tick(model.operators, list(plan.neurons.values()))
    members = []
    read = {signal.base for op in model.operators for signal in op.reads}
    for ensemble, op in plan.neurons.items():
        current = op.J
        if op in late:
            current = Signal(initial_value=model.params[ensemble].bias, name=f"{ensemble}.neuron_in_late")
            model.operators.append(Latch(op.J, current))
            split.ensembles[ensemble].notes.append(
                "the host's currents are one tick late: they answer its spikes at once"
            )
        clamp = not list(split.incoming(ensemble)) and isinstance(ensemble.neuron_type, nengo.SpikingRectifiedLinear)
        if clamp:
            split.ensembles[ensemble].notes.remove("negative currents from the array discharge the potential down to 0")
        shown = any(signal.base in read for signal in op.state.values())
        members.append(
            Member(
                scaled=scaled[ensemble],
                current=current,
                output=op.output,
                states=op.state,
                clamp=clamp,
                shown=shown,
            )
        )
    plan.backend.prepare(network)
    learned = [
        Learned(
            projection=projection,
            weights=model.sig[connection]["weights"],
            integers=partial(integer_weights, model, split, connection, scaled, plan.backend.numerics),
        )
        for projection, connection in enumerate(rounded)
        if connection.learning_rule_type is not None
    ]
    names = population_names(split)
    sources = [_source(model, ensemble, names[ensemble], worth) for ensemble, worth in split.sources.items()]
    model.operators.append(StepArray(plan.backend, members, learned, sources))
    plan.report = Report.of(split, scaled, rounded, network)


def _source(model: Model, ensemble: nengo.Ensemble, name: str, worth: float) -> Source:
    """Spikes of the host, kept for the next tick: they count there, as behind a synapse of Nengo."""
    output = model.sig[ensemble.neurons]["out"]
    late = Signal(shape=output.shape, name=f"{ensemble}.spikes_late")
    model.operators.append(Latch(output, late))
    return Source(name=name, output=late, worth=worth)


def _same_tick(operators: list[Operator], neurons: list[SimNeurons]) -> set[SimNeurons]:
    """Neurons whose current depends on spikes of the same tick through operators of the host."""
    graph = operator_dependency_graph(operators)
    outputs = {op.output.base for op in neurons}
    front = [op for op in operators if any(s.base in outputs for s in op.reads)]
    reached = set(front)
    while front:
        front = [after for op in front for after in graph[op] if after not in reached and not _only_updates(op)]
        reached |= set(front)
    # A dependency on an update is one on the order within the tick, not on its value.
    written = {s.base for op in reached for s in [*op.sets, *op.incs]}
    return {op for op in neurons if op.J.base in written}


def _only_updates(op: Operator) -> bool:
    return not op.sets and not op.incs
