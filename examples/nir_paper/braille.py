"""Experiment 03: the recurrent networks on the one Braille recording that is to be had, spike for spike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np

import spikeloom as sl
from spikeloom.compiler.graph import FloatInput, FloatProjection, Network

HERE = Path(__file__).parent
HIDDEN = "lif1.lif"
NETWORKS = ("bias_zero", "noBias_subtract")
CONVENTIONS = {
    ("bias_zero", "snntorch"): ({"reset": "value"}, 0),
    ("bias_zero", "norse"): ({"reset": "value"}, 0),
    ("bias_zero", "spyx"): ({"reset": "subtract"}, 1),
    ("noBias_subtract", "norse"): ({"reset": "value"}, 0),  # its subtraction was not exported: it ran with zero
    ("noBias_subtract", "spyx"): ({"reset": "subtract"}, 1),
}
"""Readings and ticks by which a platform is late; the others are compared with the reading in the file's name."""

QUIRKS = {("bias_zero", "norse"): "no recurrent bias in the first tick"}


def rows(data: Any, widths: tuple[int, ...] = (16, 8)) -> list[dict[str, Any]]:
    """For every published activity: spikes that differ and the cosine, in float and with weights of ``widths`` bits."""
    found = []
    for network in NETWORKS:
        for key in sorted(n for n in data if n.startswith(f"03/activity/{network}/")):
            platform = key.rsplit("/", 1)[1]
            told = {"reset": "value" if network == "bias_zero" else "subtract"}
            readings, late = CONVENTIONS.get((network, platform), (told, 0))
            row: dict[str, Any] = {
                "network": network, "platform": platform, "reading": f"reset {readings['reset']}",
                "accuracy on 140": float(data[f"03/accuracy/{network}/{platform}"]),
                "spikes": int((data[key] != 0).sum()),
            }  # fmt: skip
            row["reading"] += f", {late} late" if late else ""
            quirk = QUIRKS.get((network, platform))
            row["reading"] += f", {quirk}" if quirk else ""
            published = data[key][late:] != 0
            for name, spikes in activities(network, readings, data["03/input"], bool(quirk), widths).items():
                row[f"{name}, spikes differ"] = int(np.count_nonzero(spikes[: 256 - late] != published))
                row[f"{name}, cosine"] = _cosine(spikes[: 256 - late], published)
            found.append(row)
    return found


def activities(
    name: str, readings: dict[str, str], recording: np.ndarray, quirk: bool, widths: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Spikes ``(256, neurons)`` of the recurrent layer, in float and with weights of some widths."""
    path = HERE / f"braille_noDelay_{name}.nir"
    network, samples = sl.load(path, **readings), {"input": recording[None]}
    if quirk:
        network = without_first_bias(network, path, readings)
        samples["first"] = (np.arange(len(recording)) == 0)[None, :, None].astype(np.uint8)
    found = {"float": sl.reference.run(network, samples)}
    for bits in widths:
        found[f"{bits} bit"] = sl.golden.run(sl.quantise(network, samples, weight_bits=bits), samples)
    return {kind: run.populations[HIDDEN].spikes[0] for kind, run in found.items()}


def without_first_bias(network: Network, path: Path, readings: dict[str, str]) -> Network:
    """The network with an input that takes the recurrent bias away: Norse has no recurrent state in the first tick."""
    graph = nir.read(path, type_check=False)
    graph.nodes["lif1.w_rec"].bias = np.zeros_like(graph.nodes["lif1.w_rec"].bias)
    bias = network.population(HIDDEN).bias_u - sl.load(graph, **readings).population(HIDDEN).bias_u
    away = FloatProjection(source="first", target=HIDDEN, weights=-bias[:, None])
    return replace(
        network,
        inputs=[*network.inputs, FloatInput(name="first", shape=(1,))],
        projections=[*network.projections, away],
    )


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / np.sqrt(float(a.sum()) * float(b.sum())))
