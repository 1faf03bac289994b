"""``spikeloom bench``: measures what the documentation quotes; a command a kind of figures."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from .app import AsJson, app
from .show import console, finish, status, table

bench = typer.Typer(help="Measure what the documentation quotes.", no_args_is_help=True)
app.add_typer(bench, name="bench")


@bench.command()
def simulators(
    grid: Annotated[list[str] | None, typer.Option(help="WxH, several times.")] = None,
    lanes: Annotated[int, typer.Option(min=1, help="Lanes of a core.")] = 4,
    output: Annotated[Path, typer.Option("--output", "-o", help="The results, JSON.")] = Path(
        "docs/results/simulators.json"
    ),
    as_json: AsJson = False,
) -> None:
    """Compare the simulators: build time and cycles a second of Verilator and CXXRTL."""
    from spikeloom_sim.measure import engines, record

    names = grid or ["2x2", "4x4"]
    grids = [(int(w), int(h)) for w, h in (name.split("x") for name in names)]
    with status("bench") as tell, tempfile.TemporaryDirectory() as cache:
        figures = engines(Path(cache), grids, lanes, tell)
    rows = [(f.engine, f.grid, f.lanes, f.build_seconds, f.cycles, f.cycles_per_second) for f in figures]
    table("simulators", ("engine", "grid", "lanes", "build, s", "cycles", "cycles a second"), rows)
    options = "".join(f" --grid {name}" for name in names)
    result = record(f"spikeloom bench simulators{options} --lanes {lanes}", {"engines": figures})
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=2) + "\n")
    console.print(f"results: {output}", markup=False)
    finish(result, as_json)
