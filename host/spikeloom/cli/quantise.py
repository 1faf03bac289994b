"""``spikeloom quantise`` and ``spikeloom convert``: a trained network in integers, and what that did to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ..assessment import assess
from ..bits import search_bits
from ..compiler.ann.convert import convert as convert_ann
from ..compiler.nir_import import load
from ..contract.errors import SampleError
from ..contract.network import QuantisedNetwork
from .app import AsJson, Calibration, Decay, Dt, Fire, LayerBits, Limit, Reset, Samples, Scale, SpikeBits, app
from .inputs import Data, layer_bits, open_samples
from .show import console, finish, layers_table, table

Output = Annotated[Path, typer.Option("--output", "-o", help="The quantised network to write.")]
Calibrate = Annotated[int, typer.Option("--calibrate", min=1, help="Scales are taken from the first samples.")]


@app.command()
def quantise(
    network: Annotated[Path, typer.Argument(help="A trained network (.nir).", show_default=False)],
    samples: Samples = None,
    output: Output = Path("quantised.npz"),
    limit: Limit = None,
    calibrate: Calibrate = 100,
    weight_bits: LayerBits = "8",
    calibration: Calibration = "max",
    scale: Scale = "neuron",
    spike_bits: SpikeBits = None,
    search: Annotated[bool, typer.Option("--search", help="Look for fewer bits, layer by layer.")] = False,
    memory_bits: Annotated[int | None, typer.Option(help="Search until the weights take no more bits.")] = None,
    max_loss: Annotated[float | None, typer.Option(help="Search while no more points of accuracy are lost.")] = None,
    choices: Annotated[str, typer.Option(help="Widths that the search tries.")] = "16,8,4,2,1",
    dt: Dt = None,
    decay: Decay = None,
    reset: Reset = None,
    fire: Fire = None,
    as_json: AsJson = False,
) -> None:
    """Quantise a network and measure it on samples: scales, errors, rates and decisions, predicted and measured."""
    if samples is None:
        raise SampleError("quantise: give --samples FILE.npz, on which it is calibrated and measured")
    data = open_samples(samples, limit)
    trained = load(network, dt=dt, decay=decay, reset=reset, fire=fire)
    console.print(trained.summary(), markup=False)
    options: dict[str, Any] = {"calibration": calibration, "scale": scale, "input_kind": data.kind}
    options["spike_bits"] = spike_bits
    base = data.samples[:calibrate]
    if search or memory_bits is not None or max_loss is not None:
        found = search_bits(
            trained, data.samples, data.labels, memory_bits=memory_bits, max_loss=max_loss,
            choices=layer_bits(choices, many=True), calibration_samples=base, **options,
        )  # fmt: skip
        result = found.quantised
        columns = ("layer", *found.bits, "memory_bits", "accuracy", "loss", "output_error")
        rows = [tuple((step | step["bits"])[name] or "" for name in columns) for step in found.path]
        table("search, a line a step", columns, rows)
        for step in found.refused:
            console.print(f"refused: {step['layer']} to {step['bits']} bits: {step['why']}", markup=False)
    else:
        bits = layer_bits(weight_bits)
        result = assess(
            trained, data.samples, data.labels, calibration_samples=base, alone=True, weight_bits=bits, **options
        )
    _write(result, output)
    finish({"network": output, "quantise": dict(result.report)}, as_json)


@app.command()
def convert(
    network: Annotated[Path, typer.Argument(help="A trained ANN (.onnx).", show_default=False)],
    samples: Annotated[
        Path | None, typer.Option("--samples", "-s", help="An .npz file: x (n, ...) as the ANN takes it, and labels.")
    ] = None,
    ticks: Annotated[int, typer.Option(min=1, help="Length of a sample.")] = 8,
    output: Output = Path("converted.npz"),
    encoded: Annotated[Path | None, typer.Option(help="Write the samples, encoded, to this .npz.")] = None,
    limit: Limit = None,
    calibrate: Calibrate = 500,
    input: Annotated[str | None, typer.Option(help="once, repeated or currents.")] = None,
    percentile: Annotated[float, typer.Option(help="Of a ReLU's activations, becomes its threshold.")] = 99.9,
    per: Annotated[str, typer.Option(help="layer or channel: what shares a threshold.")] = "layer",
    start: Annotated[str, typer.Option(help="half the threshold, or zero.")] = "half",
    levels: Annotated[int, typer.Option(help="Largest count of an input event, 1 to 255.")] = 255,
    weight_bits: LayerBits = "8",
    calibration: Calibration = "max",
    scale: Scale = "neuron",
    as_json: AsJson = False,
) -> None:
    """Convert an ANN to spiking neurons, quantise it, and measure all three on samples."""
    if samples is None:
        raise SampleError("convert: give --samples FILE.npz with x (n, ...) as the ANN takes it")
    data = open_samples(samples, limit)
    found = convert_ann(
        network, data.samples[:calibrate], input=input, percentile=percentile, per=per, start=start, levels=levels,
    )  # fmt: skip
    console.print(found.network.summary(), markup=False)
    trains = found.encode(data.samples, ticks)
    result = assess(
        found.network, trains, data.labels, calibration_samples=trains[:calibrate], weight_bits=layer_bits(weight_bits),
        calibration=calibration, scale=scale, input_kind=found.input_kind,
    )  # fmt: skip
    ann = _ann(data, found.ann(data.samples))
    if ann is not None:
        console.print(f"the ANN as it was trained: {ann:.2f} % right")
    _write(result, output)
    if encoded:
        labels = {} if data.labels is None else {"labels": data.labels}
        np.savez_compressed(encoded, spikes=trains, kind=str(found.input_kind), **labels)  # type: ignore[arg-type]
        console.print(f"samples written to {encoded}", markup=False)
    finish({"network": output, "ann_accuracy": ann, "ticks": ticks, "quantise": dict(result.report)}, as_json)


def _ann(data: Data, outputs: Any) -> float | None:
    return None if isinstance(outputs, dict) else data.accuracy(outputs)


def _write(network: QuantisedNetwork, output: Path) -> None:
    layers_table(network.report)
    network.save(output)
    console.print(f"quantised network written to {output}", markup=False)
