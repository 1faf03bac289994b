"""``spikeloom bench resources``: what arrays take on a chip, and the model that is fitted to it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..compiler.resources import fit, held_out
from ..contract.config import ArrayConfig
from .app import AsJson
from .bench import bench
from .show import console, finish, table

MODEL = Path(__file__).parents[1] / "compiler" / "resources.json"
"""The file that :mod:`spikeloom.compiler.resources` reads."""

WHOLE = 0.75
"""Clock of a whole board over that of its core alone: the ULX3S's preset, 16 lanes, ran at 63.7 MHz, cores of 8 and 32
lanes at 89.8 and 75.1 (README, docs/place_and_route.md)."""


@bench.command("resources")
def bench_resources(
    family: Annotated[list[str] | None, typer.Option(help="ecp5, ice40: several times; both if none.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The table, JSON; finished points are kept.")] = Path(
        "docs/results/resources.json"
    ),
    folder: Annotated[Path, typer.Option(help="Netlists and logs of the tools.")] = Path("build/resources"),
    points: Annotated[int | None, typer.Option(min=3, help="Only the first ones of each family.")] = None,
    target: Annotated[Path, typer.Option("--model", help="Where the fitted coefficients go.")] = MODEL,
    as_json: AsJson = False,
) -> None:
    """Synthesise and pack arrays of many shapes, one at a time, and fit the model of resources to them.

    A second call goes on where the first one stopped.
    """
    from spikeloom_hdl import resources_bench

    from ..contract.errors import ConfigError

    names = family or list(resources_bench.POINTS)
    if unknown := set(names) - set(resources_bench.POINTS):
        raise ConfigError(f"family must be one of {list(resources_bench.POINTS)}, not {sorted(unknown)}")
    command = "spikeloom bench resources" + "".join(f" --family {name}" for name in family or [])
    command += f" --points {points}" if points else ""

    def tell(text: str) -> None:
        console.print(text, markup=False)

    for name in names:
        resources_bench.run(name, output, folder, command, tell, points)
    figures = {name: fitted(name, output) for name in names}
    known = json.loads(target.read_text()) if target.exists() else {"families": {}}
    known["families"] |= {name: result["model"] for name, result in figures.items()}
    target.write_text(json.dumps(known | {"command": command}, indent=1) + "\n")
    finish({name: result["errors"] for name, result in figures.items()}, as_json)


def fitted(family: str, store: Path) -> dict[str, Any]:
    """Coefficients and clocks of a family, and a table of each array's error where it is predicted from all others."""
    record = json.loads(store.read_text())
    points = [(ArrayConfig.from_dict(p["config"]), p["used"]) for p in record["points"] if p["family"] == family]
    rows, worst = [], dict.fromkeys(points[0][1], 0.0)
    for (config, used), guess in zip(points, held_out(family, points), strict=True):
        errors = {name: guess[name] / used[name] - 1 if used[name] else 0.0 for name in used}
        worst = {name: max(worst[name], abs(error)) for name, error in errors.items()}
        shape = (f"{config.width}x{config.height}", config.core.lanes, config.core.group, config.core.words)
        rows.append((*shape, *(f"{used[n]:,} {errors[n]:+.1%}" for n in used)))
    columns = ("cores", "lanes", "group", "words", *worst)
    table(f"{family}: used, and the error where all others predict it", columns, rows)
    console.print(f"worst: {', '.join(f'{name} {error:.1%}' for name, error in worst.items())}", markup=False)
    return {
        "model": {"coefficients": fit(family, points), "clock": clocks(family, store.parent)},
        "errors": {"held out, worst": worst, "points": len(points)},
    }


def clocks(family: str, results: Path) -> dict[str, Any]:
    """The slowest seed of cores by their lanes, in MHz, and how much slower a whole board is."""
    from spikeloom_hdl.pnr_bench import summary

    lines = [line for line in summary(json.loads((results / "pnr.json").read_text())) if line["family"] == family]
    cores = [line for line in lines if not line["part"]]
    each = [{"lanes": line["lanes"], "mhz": line["worst_mhz"]} for line in cores or lines]
    return {"cores": sorted(each, key=lambda entry: entry["lanes"]), "whole": WHOLE if cores else 1.0}
