"""``spikeloom bench predict``: the cycle model against the gateware's count, tick by tick."""

import time
from pathlib import Path
from typing import Annotated

import typer

from ..compiler.compile import compile as compile_network
from .app import AsJson
from .bench import bench
from .bench_cycles import Examples, Only, Output, examples, keep, opened
from .show import finish, status, table

TARGETS = ("auto:1x1", "auto:2x1", "auto:2x2", "auto:4x4:4")


@bench.command()
def predict(
    folder: Examples = Path("examples"),
    only: Only = None,
    target: Annotated[list[str] | None, typer.Option("--target", "-t", help="Arrays, several times.")] = None,
    samples: Annotated[int, typer.Option("--samples", "-n", min=1, help="Samples of each example.")] = 2,
    output: Output = Path("docs/cycles.md"),
    as_json: AsJson = False,
) -> None:
    """Compare cycles that the model makes of the golden model's spikes with those that the gateware counts."""
    from spikeloom_sim.cycles import Prediction, measured, predicted
    from spikeloom_sim.measure import record

    names, skipped = examples(folder, only)
    rows = []
    for name, path in names.items():
        quantised, data = opened(path)
        for chosen in target or TARGETS:
            image, some = compile_network(quantised, chosen), data.samples[:samples]
            with status(f"{name} on {chosen}") as tell:
                want = measured(image, some, tell)
                tell("predicting")
                before = time.perf_counter()
                got = predicted(image, some)
                seconds = time.perf_counter() - before
            rows.append(Prediction.of(name, image, got, want, seconds))
    table(
        f"{samples} samples each",
        ("network", "grid", "lanes", "ticks", "counted", "predicted", "ticks that differ", "s a sample"),
        [(r.name, r.grid, r.lanes, r.ticks, r.counted, r.predicted, r.differ, r.seconds) for r in rows],
    )
    options = "".join(f" --example {name}" for name in only or []) + f" -n {samples}"
    options += "".join(f" -t {t}" for t in target or [])
    result = record(f"spikeloom bench predict{options}", {"predictions": rows}) | {"skipped": skipped}
    keep(output, "predictions", result)
    finish(result, as_json)
