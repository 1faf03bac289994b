"""``spikeloom verify``: gateware against the golden model, on one array or on several."""

from typing import Annotated

import numpy as np
import typer

from ..contract.errors import SampleError
from .app import AsJson, BoardName, Decay, Dt, Fire, Network, Reset, Samples, Schedule, WeightBits, app
from .inputs import open_mapped, open_samples
from .show import console, finish, progress, status, table


@app.command()
def verify(
    network: Network,
    samples: Samples = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", "-t", help="As for compile; several arrays must give the same output."),
    ] = None,
    board: BoardName = "sim",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Use the first samples only.")] = 10,
    dt: Dt = None,
    decay: Decay = None,
    reset: Reset = None,
    fire: Fire = None,
    weight_bits: WeightBits = 8,
    schedule: Schedule = "auto",
    as_json: AsJson = False,
) -> None:
    """Compare every state of every neuron at every tick; exit status 1 where anything differs.

    Of a file of ``spikeloom experiment``, run it again and say what differs: golden model, and each --target.
    """
    from spikeloom_sim.verify import verify as compare

    from ..connection import connect
    from ..experiment import is_experiment
    from .experiment import verify_file

    if is_experiment(network):
        return verify_file(network, target, board, limit, as_json)
    if samples is None:
        raise SampleError("verify: give --samples FILE.npz with spikes or x (n, ticks, ...)")
    data = open_samples(samples, limit)
    rows, outputs, lines = [], [], []
    targets: list[str | None] = [*target] if target else [None]
    for name in targets:
        image = open_mapped(
            network, name, data, weight_bits, dt=dt, decay=decay, reset=reset, fire=fire, schedule=schedule
        )
        with status(f"building {name or 'the array'}") as tell:
            opened = connect(board, image, build_progress=tell)
        with opened, progress(f"{image.config.cores} cores") as step:
            found = compare(image, data.samples, opened, step)
        rows.append((image.config.cores, image.config.core.lanes, found.compared, found.count))
        lines += found.first
        outputs.append(found.outputs)
    columns = ("cores", "lanes", "values compared", "differences")
    table(f"{len(data.samples)} samples, gateware against golden", columns, rows)
    for line in lines:
        console.print(line, style="red", markup=False)
    same = all(_same(outputs[0], other) for other in outputs[1:])
    if len(outputs) > 1:
        console.print(f"the outputs of all {len(outputs)} arrays are {'equal' if same else 'NOT equal'}")
    differences = sum(row[3] for row in rows)
    finish({"differences": differences, "outputs_equal": same, "arrays": rows, "first": lines}, as_json)
    if differences or not same:
        raise typer.Exit(1)


def _same(a: list, b: list) -> bool:
    def equal(x, y) -> bool:
        if isinstance(x, dict):
            return x.keys() == y.keys() and all(np.array_equal(x[k], y[k]) for k in x)
        return np.array_equal(x, y)

    return all(equal(x, y) for x, y in zip(a, b, strict=True))
