"""``spikeloom run``: samples through a simulated or real board."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ..connection import connect
from ..contract.errors import SampleError
from ..driver.result import Result
from ..image import Image
from .app import AsJson, BoardName, Decay, Dt, Fire, Limit, Network, Reset, Samples, Schedule, WeightBits, app
from .inputs import open_mapped, open_samples
from .show import figures, finish, progress, status


@app.command()
def run(
    network: Network,
    samples: Samples = None,
    board: BoardName = "sim",
    target: Annotated[str | None, typer.Option("--target", "-t", help="As for compile; an image has its own.")] = None,
    limit: Limit = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the results to this .npz.")] = None,
    dt: Dt = None,
    decay: Decay = None,
    reset: Reset = None,
    fire: Fire = None,
    weight_bits: WeightBits = 8,
    schedule: Schedule = "auto",
    as_json: AsJson = False,
) -> None:
    """Stream samples through a board and print accuracy, cycles and counters."""
    if samples is None:
        raise SampleError("run: give --samples FILE.npz with spikes or x (n, ticks, ...)")
    data = open_samples(samples, limit)
    image = open_mapped(
        network, target, data, weight_bits, dt=dt, decay=decay, reset=reset, fire=fire, schedule=schedule
    )
    result = run_on(board, image, data.samples)
    values = summary(result, len(data.samples))
    if not isinstance(result.counts, dict) and not isinstance(result.v, dict):
        values["accuracy"] = data.accuracy(result.counts, result.v)
    figures(f"{len(data.samples)} samples on {board}", {k: v for k, v in values.items() if v is not None})
    if output:
        np.savez_compressed(output, **arrays(result))
    finish(values, as_json)


def run_on(board: str, image: Image, samples: np.ndarray, record: tuple[str, ...] = ()) -> Result:
    """Samples through a board, with the progress of its build and of the samples."""
    with status("building the simulated board") as tell:
        opened = connect(board, image, build_progress=tell)
    with opened, progress("samples") as step:
        return opened.run(samples, record=record, progress=step)


def summary(result: Result, samples: int) -> dict:
    """Averages a sample of what the counters say."""
    counters = {name: int(values.sum()) for name, values in result.counters.items()}
    return {
        "ticks": result.ticks,
        "cycles per sample": float(result.cycles.mean()),
        "synaptic operations per sample": counters["synapses"] / samples,
        "events per sample": counters["events"] / samples,
        "spikes per sample": counters["spikes"] / samples,
        "saturations": counters["saturations"],
        "refused": counters["refused"],
        "unrouted": counters["unrouted"],
    }


def arrays(result: Result) -> dict[str, Any]:
    """The results as named arrays; several outputs as ``spikes/NAME``."""
    found: dict[str, Any] = {"cycles": result.cycles}
    for name in ("spikes", "counts", "v"):
        value = getattr(result, name)
        if isinstance(value, dict):
            found |= {f"{name}/{output}": array for output, array in value.items()}
        elif value is not None:
            found[name] = value
    return found
