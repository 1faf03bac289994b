"""Experiment 01: one LIF neuron, the membrane and the spikes of every platform, tick for tick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import spikeloom as sl

HERE = Path(__file__).parent
FILE = HERE / "lif_norse.nir"
DT = 1e-4
NEURON = "1"


@dataclass(frozen=True, kw_only=True)
class Convention:
    """What a platform does with the file, as readings of ours and as offsets.

    Attributes:
        readings: arguments of :func:`spikeloom.load`.
        unit: what it shows for a membrane of 1.
        input_unit: what its file shows for an input of 1.
        v_late, spikes_late: ticks by which its membrane and its spikes are late.
    """

    readings: dict[str, str]
    unit: float = 1.0
    input_unit: float = 1.0
    v_late: int = 0
    spikes_late: int = 0

    def __str__(self) -> str:
        told = ", ".join(f"{name} {value}" for name, value in self.readings.items()) or "as assumed"
        late = f", spikes {self.spikes_late} late" if self.spikes_late else ""
        return told + late + (f", v {self.v_late} late" if self.v_late else "")


EXACT = {"decay": "exact"}
SUBTRACT = {"decay": "exact_decay", "reset": "subtract"}
CONVENTIONS = {
    "norse": Convention(readings={}),
    "snntorch": Convention(readings={}, unit=25),  # its gain is 1, not dt / tau
    "sinabs": Convention(readings=SUBTRACT, input_unit=1 / 25),
    "rockpool": Convention(readings=SUBTRACT),
    "nengo": Convention(readings=EXACT, unit=10),
    "spinnaker2": Convention(readings={}, unit=24.9951),  # its own rounding of the gain
    "spyx": Convention(readings={"reset": "subtract_delayed"}, spikes_late=1),
    "lava_cpu_float": Convention(readings={}, v_late=1, spikes_late=1),
    "lava_cpu_fixed": Convention(readings={}, unit=16000, v_late=1, spikes_late=1),
    "lava_loihi_fixed": Convention(readings={}, unit=16000, v_late=1, spikes_late=1),
    "exact": Convention(readings=EXACT),
}


def rows(data: Any, widths: tuple[int, ...] = (8, 16)) -> list[dict[str, Any]]:
    """For every platform: spikes that differ, and the largest difference of the membrane in thresholds.

    Of the float reference, and of the golden model with weights of ``widths`` bits.
    """
    found = []
    for platform, convention in CONVENTIONS.items():
        x, v, spikes = data[f"01/{platform}"].T
        network = sl.load(FILE, dt=DT, **convention.readings)
        samples = (x / convention.input_unit)[None, :, None]
        threshold = float(network.population(NEURON).theta[0])
        row: dict[str, Any] = {"platform": platform, "reading": str(convention), "spikes": int((spikes != 0).sum())}
        runs = {"float": sl.reference.run(network, samples, record=("v",)).populations[NEURON]}
        scales = {"float": 1.0}
        for bits in widths:
            quantised = sl.quantise(network, samples, weight_bits=bits)
            golden = sl.golden.run(quantised, samples, record=("v",)).populations[NEURON]
            runs[f"{bits} bit"] = golden
            scales[f"{bits} bit"] = np.abs(golden.v).max() / np.abs(runs["float"].v).max()
        for name, run in runs.items():
            late, v_late = convention.spikes_late, convention.v_late
            ticks = len(x)
            row[f"{name}, spikes differ"] = int(np.count_nonzero(run.spikes[0, : ticks - late, 0] != spikes[late:]))
            error = np.abs(run.v[0, : ticks - v_late, 0] / scales[name] - v[v_late:] / convention.unit)
            row[f"{name}, largest v error"] = float(error.max() / threshold)
        found.append(row)
    return found
