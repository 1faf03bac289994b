"""``spikeloom bench cycles``: how well real networks use the lanes, and where every cycle goes."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..compiler.compile import compile as compile_network
from ..contract.errors import NetworkError
from ..contract.network import QuantisedNetwork
from .app import AsJson
from .bench import bench
from .bench_page import write_page
from .inputs import Data, open_quantised, open_samples
from .show import console, finish, status, table

LANES = (1, 8, 32, 128)
"""Lanes of the one core that digits is measured on, besides its default."""

Examples = Annotated[Path, typer.Option(help="Folder of examples: in each a .nir and samples.npz.")]
Only = Annotated[list[str] | None, typer.Option("--example", help="Names of examples, several times; all if none.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The page; results/cycles.json and plots go next to it.")]


def examples(folder: Path, only: list[str] | None) -> tuple[dict[str, Path], dict[str, str]]:
    """Networks of the examples that can be run, and why others cannot, which is printed, too."""
    found, skipped = {}, {}
    for path in sorted(p for p in folder.iterdir() if p.is_dir() and (only is None or p.name in only)):
        networks = sorted(path.glob("*.nir"))
        if len(networks) != 1:
            skipped[path.name] = f"has {len(networks)} .nir files"
        elif not (path / "samples.npz").exists():
            skipped[path.name] = "has no samples.npz"
        else:
            found[path.name] = networks[0]
    if unknown := set(only or []) - set(found) - set(skipped):
        raise NetworkError(f"example: {sorted(unknown)} are not in {folder}")
    for name, why in skipped.items():
        console.print(f"skipped: {name} {why}", style="yellow", markup=False)
    return found, skipped


def opened(network: Path) -> tuple[QuantisedNetwork, Data]:
    """An example's quantised network and its data."""
    data = open_samples(network.parent / "samples.npz")
    return open_quantised(network, data), data


@bench.command()
def cycles(
    folder: Examples = Path("examples"),
    only: Only = None,
    samples: Annotated[int, typer.Option("--samples", "-n", min=2, help="Samples of each example.")] = 20,
    lanes: Annotated[list[int] | None, typer.Option(help="Lanes that digits is measured on, several times.")] = None,
    output: Output = Path("docs/cycles.md"),
    as_json: AsJson = False,
) -> None:
    """Use of the lanes and the cause of every cycle, on the example networks."""
    from spikeloom_sim.cycles import measure
    from spikeloom_sim.measure import record

    names, skipped = examples(folder, only)
    chosen = list(lanes or LANES)
    figures = []
    for name, path in names.items():
        quantised, data = opened(path)
        targets = ["auto:1x1", *(f"auto:1x1:{n}" for n in chosen if name == "digits")]
        images = [compile_network(quantised, target) for target in ["auto", *targets]]
        if images[0].config == images[1].config:
            del images[0]
        for image in images:
            target = f"{image.config.width}x{image.config.height} cores of {image.config.core.lanes} lanes"
            with status(f"{name} on {target}") as tell:
                figures.append(measure(name, image, data.samples[:samples], tell))
    table(
        f"{samples} samples each",
        ("network", "grid", "lanes", "cycles", "events", "SOP", "words a cycle", "SOP a lane and cycle", "idle tick"),
        [
            (f.name, f.grid, f.lanes, f.cycles, f.events, f.synapses, f.walk_use, f.lane_use, f.idle_tick)
            for f in figures
        ],
    )
    if figures:
        names_of = tuple(figures[0].causes)
        rows = [(f.name, f.grid, f.lanes, *(f.causes[c] for c in names_of), f.link) for f in figures]
        table("cycles a sample and core", ("network", "grid", "lanes", *names_of, "link"), rows)
    options = "".join(f" --example {name}" for name in only or []) + f" -n {samples}"
    options += "".join(f" --lanes {n}" for n in lanes or [])
    result = record(f"spikeloom bench cycles{options}", {"networks": figures}) | {"skipped": skipped}
    keep(output, "cycles", result)
    finish(result, as_json)


def keep(page: Path, name: str, result: dict[str, Any]) -> None:
    """Write a result as JSON and the page that shows all of them."""
    results = page.parent / "results"
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    write_page(page, results)
    console.print(f"results: {results / name}.json, {page}", markup=False)
