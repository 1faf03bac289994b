"""From a NIR graph to a :class:`Network`: fold what is linear, discretise what is not, say what was assumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import nir

from spikeloom.contract.errors import NetworkError

from .discretise import TIME_CONSTANTS, discretise, ratio
from .graph import FloatInput, FloatPopulation, FloatProjection, Network
from .linear import Combination, Shape, Term
from .loops import closing_edges
from .nir_file import read
from .nir_flatten import FlatGraph, flatten
from .nir_fold import fold
from .nir_nodes import NEURONS, check_supported, kind
from .nir_ports import add_missing_ports, ports
from .nir_shapes import infer_shapes
from .readings import Readings


def load(
    source: str | Path | nir.NIRGraph,
    dt: float | None = None,
    decay: str | None = None,
    reset: str | None = None,
    fire: str | None = None,
) -> Network:
    """Import a network.

    NIR leaves open how a tick is computed. Each reading is an argument, or else a metadata key ``spikeloom.dt``,
    ``spikeloom.decay``, ``spikeloom.reset``, ``spikeloom.fire`` of a node or of the graph, or else NIR's own text; the
    result's ``assumptions`` list them all.

    Args:
        source: a file's path, or a graph.
        dt: length of a tick, in the unit of the file's time constants.
        decay: ``euler``, ``exact`` or ``exact_decay``, see :data:`.readings.DECAYS`.
        reset: ``value`` (to ``v_reset``), ``subtract``, ``subtract_delayed`` (snnTorch's default) or ``none``.
        fire: ``>`` or ``>=``.

    Raises:
        NetworkError: the file or a node of it cannot be imported; says which and why.
    """
    arguments = {"dt": dt, "decay": decay, "reset": reset, "fire": fire}
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
    readings.find_dt(timed, lambda dt: [(name, ratio(name, node, dt)) for name, node in timed.items()])

    arriving = fold(flat, shapes)
    outputs = {name: _shown(flat, name, arriving[name]) for name in ports(flat, nir.Output)}
    populations: list[FloatPopulation] = []
    projections: list[FloatProjection] = []
    for name, node in flat.nodes.items():
        if kind(node) in NEURONS:
            neurons = discretise(name, node, shapes[name], readings)
            drive = arriving[name].scaled(neurons.gain)
            constant = "bias_u" if neurons.current else "bias"
            total = getattr(neurons.population, constant) + drive.constant
            populations.append(replace(neurons.population, **{constant: total}))
            projections += [_projection(source, name, term, shapes[name]) for source, term in drive.terms.items()]

    inputs = [FloatInput(name=name, shape=shapes[name]) for name in ports(flat, nir.Input)]
    edges = [(e.source, e.target) for e in projections]
    closing = closing_edges([i.name for i in inputs], outputs.values(), [p.name for p in populations], edges)
    for source, target in sorted(closing):
        readings.note("delay", "its spikes arrive in the next tick", "it closes a loop", f"{source} -> {target}")
    network = Network(
        inputs=inputs,
        populations=populations,
        projections=[replace(e, delay=int((e.source, e.target) in closing)) for e in projections],
        outputs=outputs,
        states=[name for name, shown in outputs.items() if kind(flat.nodes[shown]) in ("I", "LI", "CubaLI")],
        assumptions=readings.assumptions,
    )
    return _sorted(network)


def _projection(source: str, target: str, term: Term, shape: Shape) -> FloatProjection:
    weights, convolution, pool = term.onto(shape)
    return FloatProjection(source=source, target=target, weights=weights, convolution=convolution, pool=pool)


def _shown(flat: FlatGraph, name: str, arriving: Combination) -> str:
    """The population that an output shows."""
    source = arriving.identity()
    if source is None or kind(flat.nodes[source]) not in NEURONS:
        what = "no neuron node alone" if source is None else "an input"
        raise NetworkError(
            f"{flat.describe(name)}: it shows {what} (it is fed by {', '.join(flat.before(name))}); "
            "an output shows one neuron node: end in IF, LIF, ..., or in LI or I for a sum that is read as a potential"
        )
    return source


def _sorted(network: Network) -> Network:
    """The same network, populations and projections in the order in which they are computed."""
    populations = network.ordered()
    names = [p.name for p in network.inputs] + [p.name for p in populations]
    order = {name: at for at, name in enumerate(names)}
    projections = sorted(network.projections, key=lambda e: (order[e.target], order[e.source]))
    return replace(network, populations=populations, projections=projections)
