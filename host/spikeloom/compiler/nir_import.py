"""From a NIR graph to a :class:`Network`: fold what is linear, discretise what is not, say what was assumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import nir

from spikeloom.contract.errors import NetworkError

from .discretise import TIME_CONSTANTS, discretise, ratio
from .graph import FloatInput, FloatPopulation, FloatProjection, Network
from .linear import Combination, Shape
from .nir_delays import has_delay, with_loops
from .nir_file import read
from .nir_flatten import FlatGraph, flatten
from .nir_fold import fold
from .nir_nodes import INTEGRATORS, NEURONS, check_supported, kind
from .nir_ports import add_missing_ports, ports
from .nir_shapes import infer_shapes
from .readings import Readings


def load(
    source: str | Path | nir.NIRGraph,
    dt: float | None = None,
    decay: str | None = None,
    reset: str | None = None,
    fire: str | None = None,
    delay: str | None = None,
) -> Network:
    """Import a network.

    NIR leaves open how a tick is computed. Each reading is an argument, or else a metadata key ``spikeloom.dt``,
    ``spikeloom.decay``, ``spikeloom.reset``, ``spikeloom.fire``, ``spikeloom.delay`` of a node or of the graph, or else
    NIR's own text; the result's ``assumptions`` list them all. What NIR has no field for is read from
    metadata of a node only: ``spikeloom.v_min``, ``spikeloom.v_sub``, ``spikeloom.refractory``, and of an Output
    ``spikeloom.shows``, ``v`` for the potential.

    Args:
        source: a file's path, or a graph.
        dt: length of a tick, in the unit of the file's time constants.
        decay: ``euler``, ``exact`` or ``exact_decay``, see :data:`.readings.DECAYS`.
        reset: ``value`` (to ``v_reset``), ``subtract``, ``subtract_delayed`` (snnTorch's default) or ``none``.
        fire: ``>``, ``>=``, or ``multi``: several spikes a tick, sinabs' rule, see :data:`.graph.FIRES`.
        delay: ``loop`` or ``synapse``, see :data:`.readings.DELAYS`.

    Raises:
        NetworkError: the file or a node of it cannot be imported; says which and why.
    """
    arguments = {"dt": dt, "decay": decay, "reset": reset, "fire": fire, "delay": delay}
    if isinstance(source, nir.NIRNode):
        return _import(source, arguments)
    if not isinstance(source, str | Path):
        raise NetworkError(f"load takes a path or a nir.NIRGraph, not {type(source).__name__}")
    if Path(source).suffix == ".onnx":
        raise NetworkError(f"{source}: a trained ANN: spikeloom.convert(path, samples) makes a spiking network of it")
    graph = read(source)
    try:
        return _import(graph, arguments)
    except NetworkError as error:
        raise NetworkError(f"{source}: {error}") from error


def _import(graph: nir.NIRNode, arguments: Mapping[str, object]) -> Network:
    if not isinstance(graph, nir.NIRGraph):
        raise NetworkError(f"a single {kind(graph)} node is no network: put it into a NIRGraph with Input and Output")
    flat = flatten(graph)
    for name, node in flat.nodes.items():
        check_supported(name, node)
    readings = Readings(arguments, flat.metadata)
    add_missing_ports(flat, readings)
    shapes = infer_shapes(flat, readings)
    timed = {name: node for name, node in flat.nodes.items() if kind(node) in TIME_CONSTANTS}
    late = [name for name, node in flat.nodes.items() if has_delay(name, node)]
    readings.find_dt([*timed, *late], lambda dt: [(name, ratio(name, node, dt)) for name, node in timed.items()])

    arriving = fold(flat, shapes, readings)
    _check_potentials(flat, arriving)
    outputs: dict[str, str] = {}
    states: list[str] = []
    populations: list[FloatPopulation] = []
    projections: list[FloatProjection] = []
    for name in ports(flat, nir.Output):
        source = arriving[name].identity()
        outputs[name] = source if source is not None and kind(flat.nodes[source]) in NEURONS else name
        if outputs[name] == name:
            populations.append(_read_out(name, shapes[name], arriving[name], readings))
            projections += _projections(name, arriving[name], shapes[name])
        told = flat.metadata.get(name, {}).get("spikeloom.shows")
        if kind(flat.nodes[outputs[name]]) in (*INTEGRATORS, "Output") or told == "v":
            states.append(name)
    for name, node in flat.nodes.items():
        if kind(node) in NEURONS:
            neurons = discretise(name, node, shapes[name], readings)
            drive = arriving[name].scaled(neurons.gain)
            constant = "bias_u" if neurons.current else "bias"
            total = getattr(neurons.population, constant) + drive.constant
            populations.append(replace(neurons.population, **{constant: total}))
            projections += _projections(name, drive, shapes[name])

    inputs = [FloatInput(name=name, shape=shapes[name]) for name in ports(flat, nir.Input)]
    projections = with_loops(inputs, outputs.values(), populations, projections, readings)
    network = Network(
        inputs=inputs,
        populations=populations,
        projections=projections,
        outputs=outputs,
        states=states,
        assumptions=readings.assumptions,
    )
    return _sorted(network)


def _check_potentials(flat: FlatGraph, arriving: Mapping[str, Combination]) -> None:
    """Refuse a potential that is sent on: neurons send spikes, and only an output reads an integrator."""
    for target, sums in arriving.items():
        for source, _ in sums.terms:
            alone = sums.identity() == source and kind(flat.nodes[target]) == "Output"
            if kind(flat.nodes[source]) in INTEGRATORS and not alone:
                raise NetworkError(
                    f"{flat.describe(source)}: its potential goes on to {target}, and neurons send spikes only; let an "
                    "Output read it as it is, or make it the current of the neurons behind it (CubaLIF)"
                )


def _projections(target: str, arriving: Combination, shape: Shape) -> list[FloatProjection]:
    found = []
    for (source, ticks), term in arriving.terms.items():
        weights, convolution, pool = term.onto(shape)
        found.append(
            FloatProjection(
                source=source, target=target, weights=weights, delay=ticks, convolution=convolution, pool=pool
            )
        )
    return found


def _read_out(name: str, shape: Shape, arriving: Combination, readings: Readings) -> FloatPopulation:
    """A population that keeps nothing and never fires: its potential is the sum that an output shows."""
    readings.note("output", "a sum, read as a potential", "it shows no neuron node alone", name)
    return FloatPopulation(name=name, shape=shape, kind="Output", beta=0.0, bias=arriving.constant)


def _sorted(network: Network) -> Network:
    """The same network, populations and projections in the order in which they are computed."""
    populations = network.ordered()
    names = [p.name for p in network.inputs] + [p.name for p in populations]
    order = {name: at for at, name in enumerate(names)}
    projections = sorted(network.projections, key=lambda e: (order[e.target], order[e.source]))
    return replace(network, populations=populations, projections=projections)
