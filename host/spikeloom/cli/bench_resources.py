"""``spikeloom bench resources``: what arrays take on a chip, and the model that is fitted to it."""

from pathlib import Path
from typing import Annotated

import typer

from .app import AsJson
from .bench import bench
from .show import console, finish


@bench.command("resources")
def bench_resources(
    family: Annotated[list[str] | None, typer.Option(help="ecp5, ice40: several times; both if none.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The table, JSON; finished points are kept.")] = Path(
        "docs/results/resources.json"
    ),
    folder: Annotated[Path, typer.Option(help="Netlists and logs of the tools.")] = Path("build/resources"),
    as_json: AsJson = False,
) -> None:
    """Synthesise and pack arrays of many shapes, one at a time; a second call goes on where the first one stopped."""
    from spikeloom_hdl import resources_bench

    from ..contract.errors import ConfigError

    names = family or list(resources_bench.POINTS)
    if unknown := set(names) - set(resources_bench.POINTS):
        raise ConfigError(f"family must be one of {list(resources_bench.POINTS)}, not {sorted(unknown)}")
    command = "spikeloom bench resources" + "".join(f" --family {name}" for name in family or [])
    for name in names:
        record = resources_bench.run(name, output, folder, command, lambda text: console.print(text, markup=False))
    finish(record, as_json)
