"""``spikeloom bench compile``: seconds and memory from a network's file to an image."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer

from ..compiler.compile import compile as compile_network
from ..compiler.nir_import import load
from ..compiler.quantise import quantise
from ..contract.network import InputPopulation, Population, Projection, QuantisedNetwork
from .app import AsJson
from .bench import bench
from .inputs import CALIBRATION, open_samples
from .show import console, finish, table

LARGE_LAYERS, LARGE_SYNAPSES, LARGE_TARGET = 10, 1_000_000, "auto:8x8"


@bench.command("compile")
def bench_compile(
    folder: Annotated[Path, typer.Option(help="Folder of examples.")] = Path("examples"),
    output: Annotated[Path, typer.Option("--output", "-o", help="The results, JSON.")] = Path(
        "docs/results/compile.json"
    ),
    as_json: AsJson = False,
) -> None:
    """Time import, quantising and mapping of digits, N-MNIST and a network of a million synapses on 64 cores."""
    from spikeloom_sim.measure import record

    rows = [trained(name, folder / name) for name in ("digits", "nmnist")]
    with TemporaryDirectory() as place:
        path = Path(place) / "large.npz"
        large_network().save(path)
        rows.append(large(path))
    names = tuple(rows[0])
    table("from file to image", names, [tuple(row.values()) for row in rows])
    result = record("spikeloom bench compile", {}) | {"compile": rows}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"results: {output}", markup=False)
    finish(result, as_json)


def trained(name: str, folder: Path) -> dict[str, Any]:
    """An example: read, quantise on its samples, map on as many cores as "auto" takes."""
    (path,) = folder.glob("*.nir")
    data = open_samples(folder / "samples.npz")
    network, read = timed(lambda: load(path))
    quantised, quantising = timed(
        lambda: quantise(network, data.samples[:CALIBRATION], weight_bits=8, input_kind=data.kind)
    )
    return figures(name, quantised, read, quantising, "auto")


def large(path: Path) -> dict[str, Any]:
    """A quantised network from its file onto 64 cores."""
    network, read = timed(lambda: QuantisedNetwork.load(path))
    return figures("ten layers", network, read, 0.0, LARGE_TARGET)


def figures(name: str, network: QuantisedNetwork, read: float, quantising: float, target: str) -> dict[str, Any]:
    image, mapping = timed(lambda: compile_network(network, target))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "network": name, "synapses": image.report["synapses"], "cores": image.config.cores,
        "read s": round(read, 3), "quantise s": round(quantising, 2), "map s": round(mapping, 2),
        "map / read": round(mapping / read, 1), "peak MB": round(peak),
    }  # fmt: skip


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """A result, and the processor's seconds that it took: other programs on the machine do not count."""
    before = time.process_time()
    return work(), time.process_time() - before


def large_network() -> QuantisedNetwork:
    """Ten dense layers of equal size, a million synapses in all."""
    rng = np.random.default_rng(1)
    size = round((LARGE_SYNAPSES / LARGE_LAYERS) ** 0.5)
    names = ["in", *(f"layer{n}" for n in range(LARGE_LAYERS))]
    return QuantisedNetwork(
        inputs=[InputPopulation(name="in", shape=(size,))],
        populations=[Population(name=n, shape=(size,), theta=1000, v_min=-8000, beta=3600) for n in names[1:]],
        projections=[
            Projection(source=a, target=b, weights=rng.integers(-127, 128, (size, size))) for a, b in pairwise(names)
        ],
        outputs={"out": names[-1]},
    )
