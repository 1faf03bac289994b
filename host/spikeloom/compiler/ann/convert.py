"""A trained ANN as spiking neurons: each activation becomes an integrate-and-fire population, its value a spike rate.

A neuron with the threshold ``theta`` that subtracts what it fires at gives ``theta * spikes / ticks`` for its
activation ``min(max(sum, 0), theta)``. Started at half its threshold it rounds to the nearest number of spikes and not
down (Deng and Gu, 2021). Nothing here leaks, so a start at ``theta / 2`` is the same, spike for spike, as a start at 0
and firing at ``theta / 2``, still subtracting ``theta``: that is what is built, and no initial state is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from spikeloom.contract.errors import NetworkError, SampleError
from spikeloom.contract.network import InputKind
from spikeloom.contract.neuron import Reset

from ..graph import Assumption, FloatInput, FloatPopulation, FloatProjection, Network
from ..linear import Combination, Shape, dense_if_full
from .activations import PER, Ann, check_images, thresholds
from .fold import Activation, Folded, Gain, fold
from .onnx_file import Graph, read

INPUTS = ("once", "repeated", "currents")
"""How an image enters.

``once``: in the first tick, a graded event a pixel; the synaptic current of the neurons that hear it does not decay and
holds it. ``repeated``: the same events in every tick. ``currents``: real numbers in every tick, whose weighted sums the
host computes.
"""

STARTS = ("half", "zero")
LEVELS = 255
"""Largest payload of a graded event."""

CALIBRATION_SAMPLES = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Converted:
    """A converted network and what goes with it.

    Attributes:
        network: for ``sl.reference.run`` and ``sl.quantise``; its ``assumptions`` list thresholds and readings.
        input: one of :data:`INPUTS`.
        input_kind: what ``sl.quantise`` is to be told.
        scales: by input, what one count of a graded event stands for, and what a count of 0 does.
        thresholds: by population, what one spike stands for, ``(size,)``.
    """

    network: Network
    input: str
    input_kind: InputKind
    scales: Mapping[str, tuple[float, float]]
    thresholds: Mapping[str, np.ndarray]
    levels: int
    _ann: Ann = field(repr=False)

    def encode(self, images: np.ndarray | Mapping[str, np.ndarray], ticks: int) -> Any:
        """Samples ``(n, ticks, *shape)`` for images as the ANN takes them; dicts by input for several inputs.

        The axes of ``shape`` are channels first, also where those of the images are channels last.

        Raises :class:`SampleError` for a pixel outside the range that the conversion saw.
        """
        if ticks < 1:
            raise SampleError(f"ticks must be at least 1, not {ticks}")
        shapes = {i.name: i.shape for i in self.network.inputs}
        folded = self._ann.folded
        arrays = check_images(folded.inputs, _by_name(folded.inputs, images), folded.orders)
        samples = {name: self._encode(name, array, ticks, shapes[name]) for name, array in arrays.items()}
        return samples if len(samples) > 1 else next(iter(samples.values()))

    def _encode(self, name: str, array: np.ndarray, ticks: int, shape: Shape) -> np.ndarray:
        if self.input_kind is InputKind.CURRENTS:
            frames, dtype = array, "float64"
        else:
            step, low = self.scales[name]
            frames, dtype = np.rint((array - low) / step), "uint8"
            for n, at in np.argwhere((frames < 0) | (frames > self.levels))[:1]:
                raise SampleError(
                    f"input {name}: image {n}, value {at}: {array[n, at]:g} is outside {low:g} to "
                    f"{low + step * self.levels:g}, the range that was seen when converting: give input_range"
                )
        samples = np.zeros((len(array), ticks, *shape), dtype=dtype)
        frames = frames.reshape(len(array), 1, *shape)
        samples[:, : 1 if self.input == "once" else ticks] = frames
        return samples

    def ann(self, images: np.ndarray | Mapping[str, np.ndarray]) -> Any:
        """The outputs ``(n, size)`` of the ANN as it was trained, in double precision, a dict where it has several."""
        outputs = self._ann.run(_by_name(self._ann.folded.inputs, images))
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))

    @property
    def decisions_by(self) -> str:
        """How a class is read: ``v`` where an output is a potential, otherwise ``counts``."""
        return "v" if self.network.states else "counts"


def convert(
    source: str | Path | Any,
    samples: np.ndarray | Mapping[str, np.ndarray],
    input: str | None = None,
    percentile: float = 99.9,
    per: str = "layer",
    start: str = "half",
    levels: int = LEVELS,
    input_range: tuple[float, float] | None = None,
) -> Converted:
    """Convert a trained ANN.

    Args:
        source: an ONNX file, or an ``onnx.ModelProto``.
        samples: images ``(n, *shape)`` as the ANN takes them, or by input name; the first 500 tell the ranges of
            inputs and activations.
        input: see :data:`INPUTS`; ``once`` unless a layer hears the input and spikes, then ``repeated``.
        percentile: of a ReLU's activations, becomes its threshold; a ``Clip`` has its own bound.
        per: ``layer`` or ``channel``: what shares a threshold.
        start: ``half`` the threshold, or ``zero``.
        levels: steps of a graded event, 1 to 255.
        input_range: least and largest pixel; that of the samples unless given.

    Raises:
        NetworkError: the file or a node of it cannot be converted; says which, why and what to do.
    """
    for name, value, choices in ("per", per, PER), ("start", start, STARTS), ("input", input or "once", INPUTS):
        if value not in choices:
            raise NetworkError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    if not 0 < percentile <= 100:
        raise NetworkError(f"percentile must be above 0 and at most 100, not {percentile}")
    if not 1 <= levels <= LEVELS:
        raise NetworkError(f"levels must be 1 to {LEVELS}, not {levels}")
    graph = read(source)
    images = _by_name(graph.inputs, samples)
    images = {name: np.asarray(array)[:CALIBRATION_SAMPLES] for name, array in images.items()}
    ann = Ann(fold(graph))
    if not ann.folded.activations:
        raise NetworkError("the network has no Relu or Clip: nothing in it would spike")
    found = {
        a.name: thresholds(a, values, percentile, per)
        for a, values in zip(ann.folded.activations, ann.activations(images).values(), strict=True)
    }
    kind = _input(input, ann.folded)
    scales = {name: _scale(name, array, input_range, levels) for name, array in images.items()}
    notes = [
        *(Assumption(name="threshold", value=f"{t.min():g}" + (f" .. {t.max():g}" if t.min() < t.max() else ""),
                     origin=how, nodes=(name,)) for name, (t, how) in found.items()),
        Assumption(name="start", value=start, origin="as told: fires at half its threshold first" if start == "half"
                   else "as told"),
        Assumption(name="reset", value="subtract", origin="a rate needs what is left over"),
        *(Assumption(name="input", value=f"{kind}, {step:g} a count from {low:g}", origin=f"{levels} levels",
                     nodes=(name,)) for name, (step, low) in scales.items() if kind != "currents"),
        *(Assumption(name="output", value="left out", origin="it changes no decision", nodes=(node,))
          for node in ann.folded.ignored),
    ]  # fmt: skip
    spikes = {name: t for name, (t, _) in found.items()}
    return Converted(
        network=_network(graph, spikes, scales if kind != "currents" else {}, kind, start, notes),
        input=kind,
        input_kind=InputKind.CURRENTS if kind == "currents" else InputKind.GRADED,
        scales=scales,
        thresholds=spikes,
        levels=levels,
        _ann=ann,
    )


def _by_name(inputs: Mapping[str, Shape], images: np.ndarray | Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    if isinstance(images, Mapping):
        return images
    if len(inputs) != 1:
        raise SampleError(f"the network has inputs {', '.join(inputs)}: give a dict of images by name")
    return {next(iter(inputs)): images}


def _input(told: str | None, folded: Folded) -> str:
    """The coding: an input can be held by neurons that hear nothing else."""
    sums = [(a.name, a.arriving) for a in folded.activations]
    sums += [(name, s.value) for name, s in folded.outputs.items() if s.activation is None]
    mixed = [
        name for name, value in sums if _sources(value) & set(folded.inputs) and _sources(value) - set(folded.inputs)
    ]
    if mixed and told == "once":
        raise NetworkError(
            f"node {mixed[0]}: it hears the input and spikes, and a current that holds the one would add up the "
            "others: give input='repeated'"
        )
    return told or ("repeated" if mixed else "once")


def _scale(name: str, array: np.ndarray, told: tuple[float, float] | None, levels: int) -> tuple[float, float]:
    """What a count stands for, and a count of 0: so that 0 stays 0 where nothing is negative."""
    low, high = told if told else (min(0.0, float(array.min())), float(array.max()))
    if not high > low:
        raise NetworkError(f"input {name}: its range is {low:g} to {high:g}: give samples that differ, or input_range")
    return (high - low) / levels, low


def _network(
    graph: Graph,
    spikes: Mapping[str, np.ndarray],
    scales: Mapping[str, tuple[float, float]],
    kind: str,
    start: str,
    notes: list[Assumption],
) -> Network:
    gains = {name: Gain(factor=step, offset=low) for name, (step, low) in scales.items()}
    gains |= {name: Gain(factor=theta) for name, theta in spikes.items()}
    folded = fold(graph, gains)
    stored = {name: tuple(shape[a] for a in folded.orders[name]) for name, shape in folded.inputs.items()}
    populations = [_neurons(a, spikes[a.name], kind, folded.inputs, start) for a in folded.activations]
    sums = {a.name: (a.shape, a.arriving) for a in folded.activations}
    outputs, states = {}, []
    for name, signal in folded.outputs.items():
        if signal.activation is not None:
            outputs[name] = signal.activation
            continue
        own = name if name not in spikes and name not in folded.inputs else f"{name}.sum"
        outputs[name], sums[own] = own, (signal.shape, signal.value)
        states.append(name)
        held = kind == "once" and bool(_sources(signal.value) & set(folded.inputs))
        populations.append(
            FloatPopulation(
                name=own, shape=signal.shape, kind="I", reset=Reset.NONE, bias=signal.value.constant,
                alpha=float(held),
            )
        )  # fmt: skip
    return Network(
        inputs=[FloatInput(name=name, shape=shape) for name, shape in stored.items()],
        populations=populations,
        projections=[e for name, (shape, value) in sums.items() for e in _projections(name, shape, value)],
        outputs=outputs,
        states=states,
        assumptions=notes,
    )


def _neurons(a: Activation, theta: np.ndarray, kind: str, inputs: Mapping[str, Shape], start: str) -> FloatPopulation:
    """The population of an activation.

    Neurons that hear the input alone have the same drive in every tick: if it is negative they never fire, and if it is
    not, the potential never falls below ``-theta``. So that floor changes no spike, and it bounds the state.
    """
    held = kind == "once" and bool(_sources(a.arriving) & set(inputs))
    steady = _sources(a.arriving) <= set(inputs)
    return FloatPopulation(
        name=a.name, shape=a.shape, kind="IF", alpha=float(held), theta=theta / 2 if start == "half" else theta,
        v_sub=theta, v_min=-theta if steady else -np.inf, bias=a.arriving.constant, reset=Reset.SUBTRACT, fire=">=",
    )  # fmt: skip


def _sources(value: Combination) -> set[str]:
    return {name for name, _ in value.terms}


def _projections(target: str, shape: Shape, value: Combination) -> list[FloatProjection]:
    result = []
    for (source, _), term in value.terms.items():
        weights, convolution, pool = term.onto(shape)
        if pool is not None and pool.overlaps:  # a source in several windows: the sums of its weights are quantised
            weights, convolution, pool = dense_if_full(sparse.csr_array(term.full())), None, None
        result.append(
            FloatProjection(source=source, target=target, weights=weights, convolution=convolution, pool=pool)
        )
    return result
