"""Opens what a user names: networks of all three kinds, and files of samples."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ..busy import activity
from ..compiler.compile import compile as compile_network
from ..compiler.nir_import import load
from ..compiler.nir_quantised import import_quantised, is_quantised
from ..compiler.quantise import quantise
from ..compiler.schedule import Kind
from ..contract.boards import BOARDS
from ..contract.errors import FitError, ImageError, NetworkError, SampleError
from ..contract.network import QuantisedNetwork
from ..experiment import is_experiment, open_experiment
from ..image import Image, open_image
from .show import console

CALIBRATION = 100
"""Samples that the quantiser looks at, at most."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """A file of samples: ``(n, ticks, *shape)``, and labels ``(n,)`` and the inputs' kind where it has them."""

    samples: np.ndarray
    labels: np.ndarray | None
    kind: str | None = None

    def first(self, limit: int | None) -> Data:
        return replace(self, samples=self.samples[:limit], labels=None if self.labels is None else self.labels[:limit])

    def accuracy(self, counts: np.ndarray | None, potentials: np.ndarray | None = None) -> float | None:
        """Percent of samples whose label has the most spikes, or where there are none the highest last potential.

        Ties go to the lower class; ``counts (n, *shape)``, ``potentials (n, ticks, *shape)``.
        """
        if self.labels is None or (counts is None and potentials is None):
            return None
        scores = potentials[:, -1] if counts is None and potentials is not None else np.asarray(counts)
        return float((scores.reshape(len(scores), -1).argmax(1) == self.labels).mean() * 100)


def open_samples(path: Path, limit: int | None = None) -> Data:
    """Read an ``.npz`` with ``spikes`` or ``x``, ``labels``, and ``kind`` where values do not tell it (``graded``).

    Raises :class:`SampleError`.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            name = next((n for n in ("spikes", "x") if n in arrays), None)
            if name is None:
                raise SampleError(f"{path}: holds {sorted(arrays)}, must hold spikes or x (n, ticks, ...)")
            kind = str(arrays["kind"]) if "kind" in arrays else None
            data = Data(samples=arrays[name], labels=arrays.get("labels"), kind=kind)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise SampleError(f"{path}: not a readable .npz file of samples: {error}") from error
    return data.first(limit)


def open_network(path: Path, **readings: Any) -> Any:
    """A trained network; what was assumed is printed."""
    network = load(path, **readings)
    console.print(network.summary(), markup=False)
    return network


def layer_bits(text: str, many: bool = False) -> Any:
    """Widths of weights: ``8``, or ``hidden=4,output=8`` as a dict; with ``many`` a list ``16,8,4``."""
    parts = text.split(",")
    try:
        if many:
            return [int(part) for part in parts]
        if "=" not in text:
            return int(text)
        return {name.strip(): int(bits) for name, bits in (part.rsplit("=", 1) for part in parts)}
    except ValueError:
        want = "numbers such as 8,4,2" if many else "a number, or layer=number,layer=number"
        raise NetworkError(f"weight bits: must be {want}, not {text!r}") from None


def open_quantised(
    path: Path, data: Data | None, weight_bits: Any = 8, options: dict[str, Any] | None = None, **readings: Any
) -> QuantisedNetwork:
    """A quantised network from any kind of file; a trained one is quantised here, and what was assumed is printed.

    ``options``: more of what ``quantise`` takes.
    """
    if path.suffix == ".onnx":
        raise NetworkError(f"{path}: a trained ANN: spikeloom convert makes a quantised network and samples of it")
    if path.suffix == ".nir" and path.is_file() and is_quantised(path):
        return import_quantised(path)
    if is_experiment(path):
        return open_experiment(path).network
    if path.suffix != ".npz":
        network = open_network(path, **readings)
        calibration = None if data is None else data.samples[:CALIBRATION]
        kind = None if data is None else data.kind
        quantised = quantise(network, calibration, weight_bits=weight_bits, input_kind=kind, **(options or {}))
        for warning in quantised.report.get("warnings", []):
            console.print(f"warning: {warning}", style="yellow", markup=False)
        return quantised
    try:
        return open_image(path).network
    except ImageError:
        try:
            return QuantisedNetwork.load(path)
        except ImageError as error:
            raise NetworkError(f"{path}: neither a .nir file, an image nor a quantised network: {error}") from error


def open_mapped(
    path: Path,
    target: str | None,
    data: Data | None,
    weight_bits: Any = 8,
    *,
    schedule: str = "auto",
    place_by: int = 0,
    options: dict[str, Any] | None = None,
    **readings: Any,
) -> Image:
    """An image from any kind of file: read as it is, or compiled for ``target`` (auto where None).

    ``place_by``: how many samples to measure the activity on that placement goes by. ``options``: more of what
    ``quantise`` takes, where None leaves it to the target.
    """
    if path.suffix == ".npz" and target is None:
        try:
            return open_image(path)
        except ImageError as error:
            if _is_image(path):
                raise error
    said = {name: value for name, value in (options or {}).items() if value is not None}
    network = open_quantised(path, data, weight_bits, _for_board(target, weight_bits) | said, **readings)
    if not place_by:
        return compile_network(network, target or "auto", as_kind(schedule))
    if data is None:
        raise SampleError("placing by activity needs --samples FILE.npz with spikes or x (n, ticks, ...)")
    busy = activity(network, data.samples[:place_by])
    return compile_network(network, target or "auto", as_kind(schedule), busy)


def _for_board(target: str | None, weight_bits: Any) -> dict[str, Any]:
    """What quantise takes for a board whose rows share their parameters: a scale a layer, and the preset's widths."""
    preset = BOARDS.get(target or "")
    if preset is None or preset.config.core.parameters_per_neuron:
        return {}
    numerics = preset.config.numerics
    if isinstance(weight_bits, int):
        numerics = replace(numerics, weight_bits=weight_bits)
    return {"scale": "layer", "numerics": numerics}


def as_kind(schedule: str) -> Kind:
    """A schedule that was typed. Raises :class:`FitError` for an unknown one."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    for kind in kinds:
        if kind == schedule:
            return kind
    raise FitError(f"schedule: must be one of {', '.join(kinds)}, not {schedule!r}")


def _is_image(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "manifest.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return True
