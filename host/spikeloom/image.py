"""The image: what a board's memories hold for one network, and the file of it.

The compiler writes it, the driver and the simulated boards read it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .contract.config import FORMAT_VERSION, ArrayConfig
from .contract.errors import ImageError, SpikeloomError
from .contract.grid import Grid
from .contract.network import QuantisedNetwork
from .contract.ring import Space

IMAGE_VERSION = 2
"""Version of the file; :data:`FORMAT_VERSION` is that of the board's formats."""

NO_KEY = -1
"""The key of a slice or an input whose spikes nobody receives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A box of a population's neurons in whole rows of one core, from ``row0`` on; they send their indices under
    ``key``."""

    population: str
    grid: Grid
    core: int
    row0: int
    key: int
    latency: int
    phase: int = 0

    @property
    def size(self) -> int:
        return self.grid.size

    def rows(self, lanes: int) -> int:
        return self.grid.rows(lanes)

    def places(self, lanes: int) -> np.ndarray:
        """``row * lanes + lane`` on the core of each neuron, in the order of ``grid.neurons()``."""
        return self.row0 * lanes + self.grid.places(lanes)


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """A network on an array.

    Attributes:
        config: the array that it fits.
        network: the network that it runs.
        memories: words of each core's spaces, ``uint32 (depth, stride)``; states, counters and accumulators are not
            among them.
        used: records of each of them, from 0, that the network can reach; the others may hold anything.
        slices: where the neurons are, in the order of the network's populations.
        input_keys: key of each input, or :data:`NO_KEY` where its spikes have no target.
        input_grids: which index each neuron of an input has.
        report: use of every resource.
    """

    config: ArrayConfig
    network: QuantisedNetwork
    memories: Mapping[tuple[int, Space], np.ndarray]
    used: Mapping[tuple[int, Space], int]
    slices: Sequence[Slice]
    input_keys: Mapping[str, int]
    input_grids: Mapping[str, Grid]
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def latency(self) -> int:
        """Ticks by which the deepest population runs behind the input stream, and flush ticks of a run."""
        return max((s.latency for s in self.slices), default=0)

    @property
    def phases(self) -> int:
        """Phases of a tick."""
        return max((s.phase for s in self.slices), default=0) + 1

    @property
    def latencies(self) -> dict[str, int]:
        """Ticks by which each population runs behind the input stream."""
        return {s.population: s.latency for s in self.slices}

    @property
    def digest(self) -> int:
        """Digest of the configuration: the board's must be the same."""
        return self.config.digest

    def slices_of(self, population: str) -> list[Slice]:
        return [s for s in self.slices if s.population == population]

    @property
    def text(self) -> str:
        """The report as lines to read."""
        return report_text(self.report)

    def save(self, path: str | Path) -> None:
        """Write the image to one ``.npz`` file: a manifest in JSON and arrays."""
        arrays: dict[str, Any] = {f"network/{name}": array for name, array in self.network.to_arrays().items()}
        for (core, space), words in self.memories.items():
            arrays[f"memory/{core}/{space.name}"] = words[: self.used[core, space]]
        manifest = {
            "image": IMAGE_VERSION, "format": FORMAT_VERSION, "digest": f"{self.digest:016x}",
            "config": self.config.to_dict(), "slices": [asdict(s) for s in self.slices],
            "input_keys": dict(self.input_keys), "report": dict(self.report),
            "input_grids": {name: asdict(grid) for name, grid in self.input_grids.items()},
            "depths": {f"memory/{core}/{space.name}": len(words) for (core, space), words in self.memories.items()},
        }  # fmt: skip
        manifest["sha256"] = _hash(manifest, arrays)
        arrays["manifest"] = np.frombuffer(json.dumps(manifest).encode(), dtype=np.uint8)
        with open(path, "wb") as file:
            np.savez_compressed(file, **arrays)


def open_image(path: str | Path) -> Image:
    """Read a file of :meth:`Image.save`. Raises :class:`ImageError` where it is damaged or of another version."""
    again = "write it again with `spikeloom compile`"
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = dict(content)
        manifest = json.loads(arrays.pop("manifest").tobytes())
        versions = manifest["image"], manifest["format"]
    except FileNotFoundError as error:
        raise ImageError(f"{path}: there is no such image; write one with `spikeloom compile`") from error
    except Exception as error:  # damage makes zipfile, zlib, NumPy and json raise what they like
        raise ImageError(f"{path}: not an image, or damaged ({error}); {again}") from error
    if versions != (IMAGE_VERSION, FORMAT_VERSION):
        raise ImageError(
            f"{path}: an image of versions {versions}, this program reads {(IMAGE_VERSION, FORMAT_VERSION)}; {again}"
        )
    if manifest.pop("sha256", None) != _hash(manifest, arrays):
        raise ImageError(f"{path}: the contents do not match their hash, the file is damaged; {again}")
    try:
        return _rebuild(manifest, arrays)
    except (SpikeloomError, KeyError, TypeError, ValueError) as error:
        raise ImageError(f"{path}: the manifest does not fit the arrays ({error}); {again}") from error


def _rebuild(manifest: dict[str, Any], arrays: dict[str, np.ndarray]) -> Image:
    memories, used = {}, {}
    for name, depth in manifest["depths"].items():
        _, core, space = name.split("/")
        at, words = (int(core), Space[space]), arrays[name]
        used[at] = len(words)
        memories[at] = np.zeros((depth, words.shape[1]), dtype=np.uint32)
        memories[at][: len(words)] = words
    prefix = "network/"
    network = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
    return Image(
        config=ArrayConfig.from_dict(manifest["config"]),
        network=QuantisedNetwork.from_arrays(network),
        memories=memories,
        used=used,
        slices=tuple(Slice(**{**s, "grid": _grid(s["grid"])}) for s in manifest["slices"]),
        input_keys=manifest["input_keys"],
        input_grids={name: _grid(entry) for name, entry in manifest["input_grids"].items()},
        report=manifest["report"],
    )


def _grid(entry: Mapping[str, Any]) -> Grid:
    return Grid(**{name: tuple(values) for name, values in entry.items()})


def _hash(manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def report_text(report: Mapping[str, Any]) -> str:
    """A report of :func:`spikeloom.compile` as lines: use and share of every resource."""
    lines = [
        f"{report['neurons']} neurons and {report['synapses']} synapses on {report['cores']} cores, "
        f"{report['latency']} ticks behind the input at most",
        f"{'resource':<12} {'used':>8} {'of':>8} {'share':>7}   each core",
    ]
    for name, entry in report["resources"].items():
        lines.append(
            f"{name:<12} {entry['used']:>8} {entry['limit']:>8} {entry['share']:>7.1%}   {_each(entry['per_core'])}"
        )
    if "traffic" in report:
        flits = report["traffic"]
        lines.append(
            f"flits a tick: the busiest router sends {flits['busiest router after']} of them, "
            f"{flits['busiest router before']} before cores changed places; all routers {flits['all routers after']}, "
            f"{flits['all routers before']} before"
        )
    return "\n".join(lines)


def _each(values: Sequence[int]) -> str:
    """Use of each core, or of the least and the most used ones where there are many."""
    if len(values) > 16:
        return f"{min(values)} to {max(values)}, {sum(values) / len(values):.1f} on average"
    return " ".join(map(str, values)) or "(of the array)"
