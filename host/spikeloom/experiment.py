"""One file an experiment: the quantised network, the inputs, what came out, versions and hashes.

Whoever has the file can run it again, anywhere: :func:`verify_experiment` says what differs, the programs, the file or
the results.
"""

from __future__ import annotations

import hashlib
import json
import platform
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .contract.errors import ImageError
from .contract.network import QuantisedNetwork
from .contract.samples import Samples, check_samples

EXPERIMENT_VERSION = 1
PARTS = ("network", "samples", "expected")
PACKAGES = ("spikeloom", "numpy", "scipy", "nir")


@dataclass(frozen=True, kw_only=True, eq=False)
class Experiment:
    """What a file holds.

    Attributes:
        network: what is run.
        samples: ``(n, ticks, *shape)`` by input.
        expected: ``spikes/OUTPUT`` ``bool (n, ticks, *shape)`` (uint8 where several may come), ``v/OUTPUT``
            ``float64`` of the same shape.
        about: note, date, versions, and the hashes of the parts as they were when it was saved.
    """

    network: QuantisedNetwork
    samples: Mapping[str, np.ndarray]
    expected: Mapping[str, np.ndarray]
    about: Mapping[str, Any]


@dataclass(kw_only=True)
class Verdict:
    """What a repeated run has shown.

    Attributes:
        versions: lines about programs that differ from those of the saved run; no fault by themselves.
        damage: parts of the file that are not what was saved.
        compared: values compared; ``differences`` of them differ.
        first: where, a line an output.
    """

    versions: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    compared: int = 0
    differences: int = 0
    first: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.damage and not self.differences


def save_experiment(path: str | Path, network: QuantisedNetwork, samples: Samples, note: str = "") -> Experiment:
    """Run samples on the golden model and write all that it takes to do so again.

    Args:
        path: the ``.npz`` file to write.
        samples: ``(n, ticks, *shape)``, or such arrays by input name.
        note: what others should know: where network and samples come from.
    """
    shapes = {i.name: i.shape for i in network.inputs}
    given = {
        name: array.reshape(*array.shape[:2], *shapes[name]) for name, array in check_samples(network, samples).items()
    }
    about: dict[str, Any] = {"note": note, "made": datetime.now(UTC).isoformat(timespec="seconds"), **programs()}
    made = Experiment(network=network, samples=given, expected=run_golden(network, given), about=about)
    arrays = _arrays(made)
    about["hashes"] = {part: _hash(arrays, part) for part in PARTS}
    manifest = {"experiment": EXPERIMENT_VERSION, **about}
    arrays["experiment"] = np.frombuffer(json.dumps(manifest).encode(), dtype=np.uint8)
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return made


def open_experiment(path: str | Path) -> Experiment:
    """Read a file of :func:`save_experiment`; whether it is undamaged, :func:`verify_experiment` says.

    Raises :class:`ImageError`.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as opened:
            arrays = dict(opened)
        about = json.loads(arrays.pop("experiment").tobytes())
        if about["experiment"] != EXPERIMENT_VERSION:
            raise ImageError(f"{path}: experiment of format {about['experiment']}, this program reads 1")
        about["found"] = {part: _hash(arrays, part) for part in PARTS}
        return Experiment(
            network=QuantisedNetwork.from_arrays(_part(arrays, "network")),
            samples=_part(arrays, "samples"),
            expected=_part(arrays, "expected"),
            about=about,
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ImageError(f"{path}: not an experiment, or a damaged one: {error}") from error


def is_experiment(path: str | Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "experiment.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def verify_experiment(experiment: Experiment | str | Path) -> Verdict:
    """Run an experiment's samples on the golden model of today, and compare with what it gave when it was saved."""
    if not isinstance(experiment, Experiment):
        experiment = open_experiment(experiment)
    about, now, verdict = experiment.about, programs(), Verdict()
    for name, version in about["versions"].items():
        if now["versions"].get(name) != version:
            verdict.versions.append(f"{name}: saved with {version}, this is {now['versions'].get(name)}")
    if about["model"] != now["model"]:
        verdict.versions.append("the golden model's source text is not the one that it was saved with")
    for part, was in about["hashes"].items():
        if about["found"][part] != was:
            verdict.damage.append(f"{part}: sha256 is {about['found'][part][:16]}, was {was[:16]} when it was saved")
    compare(verdict, experiment.expected, run_golden(experiment.network, experiment.samples))
    return verdict


def compare(verdict: Verdict, want: Mapping[str, np.ndarray], got: Mapping[str, np.ndarray], who: str = "") -> None:
    """Add to a verdict how results by ``spikes/OUTPUT`` and ``v/OUTPUT`` differ from those expected."""
    for name in sorted(set(want) | set(got)):
        a, b = want.get(name), got.get(name)
        if a is None or b is None or a.shape != b.shape:
            verdict.differences += 1
            verdict.first.append(f"{who}{name}: shape {getattr(b, 'shape', None)}, saved {getattr(a, 'shape', None)}")
            continue
        verdict.compared += a.size
        differing = np.argwhere(a != b)
        verdict.differences += len(differing)
        if len(differing):
            sample, tick, *at = differing[0].tolist()
            verdict.first.append(
                f"{who}{name}: {len(differing)} of {a.size} differ; first in sample {sample}, tick {tick}, "
                f"neuron {tuple(at)}: {b[tuple(differing[0])]}, saved {a[tuple(differing[0])]}"
            )


def run_golden(network: QuantisedNetwork, samples: Samples) -> dict[str, np.ndarray]:
    """What the golden model gives, by ``spikes/OUTPUT`` and ``v/OUTPUT``."""
    from spikeloom_sim import golden

    result = golden.run(network, samples)
    return by_output(network, result.spikes, result.v)


def by_output(network: QuantisedNetwork, spikes: Any, v: Any) -> dict[str, np.ndarray]:
    """Results of a run, one array or a dict of them each, by ``spikes/OUTPUT`` and ``v/OUTPUT``."""
    found = {}
    for output in network.outputs:
        field, value = ("v", v) if output in network.states else ("spikes", spikes)
        found[f"{field}/{output}"] = np.asarray(value[output] if isinstance(value, Mapping) else value)
    return found


def programs() -> dict[str, Any]:
    """Versions of what takes part, the machine, and a hash of the golden model's source text."""
    import spikeloom_sim.golden as golden

    from . import contract

    text = hashlib.sha256()
    for package in (contract, golden):
        for path in sorted(Path(str(package.__file__)).parent.glob("*.py")):
            text.update(path.name.encode() + path.read_bytes())
    versions = {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()}
    return {"versions": versions, "machine": platform.machine(), "model": text.hexdigest()}


def _version(package: str) -> str:
    if package == "spikeloom":
        from . import __version__

        return __version__
    return metadata.version(package)


def _arrays(experiment: Experiment) -> dict[str, np.ndarray]:
    return {
        **{f"network/{name}": array for name, array in experiment.network.to_arrays().items()},
        **{f"samples/{name}": np.asarray(array) for name, array in experiment.samples.items()},
        **{f"expected/{name}": np.asarray(array) for name, array in experiment.expected.items()},
    }


def _part(arrays: Mapping[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{part}/"): array for name, array in arrays.items() if name.startswith(f"{part}/")}


def _hash(arrays: Mapping[str, np.ndarray], part: str) -> str:
    """SHA-256 over names, types, shapes and values, in the order of the names."""
    found = hashlib.sha256()
    for name, array in sorted(_part(arrays, part).items()):
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
