"""``spikeloom experiment`` and ``spikeloom export``: results and networks for others."""

from pathlib import Path
from typing import Annotated

import typer

from ..contract.errors import SampleError
from .app import AsJson, Decay, Dt, Fire, Limit, Network, Reset, Samples, WeightBits, app
from .inputs import open_quantised, open_samples
from .show import console, finish, progress, status, table


@app.command()
def experiment(
    network: Network,
    samples: Samples = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("experiment.npz"),
    note: Annotated[str, typer.Option(help="What others should know about it.")] = "",
    limit: Limit = None,
    dt: Dt = None,
    decay: Decay = None,
    reset: Reset = None,
    fire: Fire = None,
    weight_bits: WeightBits = 8,
    as_json: AsJson = False,
) -> None:
    """Write network, inputs, expected spikes, versions and hashes to one file, which ``verify FILE`` runs again."""
    from ..experiment import save_experiment

    if samples is None:
        raise SampleError("experiment: give --samples FILE.npz with spikes or x (n, ticks, ...)")
    data = open_samples(samples)
    quantised = open_quantised(network, data, weight_bits, dt=dt, decay=decay, reset=reset, fire=fire)
    made = save_experiment(output, quantised, data.first(limit).samples, note or f"{network.name}, {samples.name}")
    table(f"experiment written to {output}", ("part", "sha256"), list(made.about["hashes"].items()))
    finish({"file": output, **made.about}, as_json)


@app.command()
def export(
    network: Network,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .nir file to write.")] = Path("quantised.nir"),
    samples: Samples = None,
    dt: Dt = None,
    decay: Decay = None,
    reset: Reset = None,
    fire: Fire = None,
    weight_bits: WeightBits = 8,
    as_json: AsJson = False,
) -> None:
    """Write the quantised network as NIR, so that others simulate what the hardware does."""
    from ..compiler.nir_export import beyond, export_nir

    data = open_samples(samples) if samples else None
    quantised = open_quantised(network, data, weight_bits, dt=dt, decay=decay, reset=reset, fire=fire)
    graph = export_nir(quantised, output)
    lines = beyond(quantised)
    console.print(f"{len(graph.nodes)} nodes written to {output}, in state units", markup=False)
    console.print("beyond what NIR's own fields say (see metadata):" if lines else "NIR's own fields say all of it")
    for line in lines:
        console.print(f"  {line}", markup=False)
    finish({"file": output, "nodes": len(graph.nodes), "beyond": lines}, as_json)


def verify_file(path: Path, targets: list[str] | None, board: str, limit: int | None, as_json: bool) -> None:
    """Run an experiment again, on the golden model and on the arrays of ``targets``; exit status 1 if it differs."""
    from spikeloom_sim.verify import verify as compare_states

    from ..compiler.compile import compile as compile_network
    from ..connection import connect
    from ..experiment import by_output, compare, open_experiment, verify_experiment

    opened = open_experiment(path)
    about = opened.about
    console.print(f"{about['note']}; saved {about['made']}", markup=False)
    verdict = verify_experiment(opened)
    rows = [("golden model", verdict.compared, verdict.differences)]
    for name in targets or []:
        image = compile_network(opened.network, name)
        part = {key: array[:limit] for key, array in opened.samples.items()}
        with status(f"building {name}") as tell:
            device = connect(board, image, build_progress=tell)
        with device, progress(name) as step:
            found = compare_states(image, part, device, step)
        before = (verdict.compared, verdict.differences)
        for n, output in enumerate(found.outputs):
            got = by_output(opened.network, output, output)
            compare(verdict, {k: a[n : n + 1] for k, a in opened.expected.items()}, got, f"{name}, sample {n}: ")
        verdict.differences += found.count
        verdict.first += found.first
        rows.append((f"gateware {name}", verdict.compared - before[0], verdict.differences - before[1]))
    table(str(path), ("run", "values compared", "differences"), rows)
    for line in verdict.versions:
        console.print(f"version: {line}", style="yellow", markup=False)
    for line in [*verdict.damage, *verdict.first]:
        console.print(line, style="red", markup=False)
    finish({"good": verdict.good, **vars(verdict)}, as_json)
    if not verdict.good:
        raise typer.Exit(1)
