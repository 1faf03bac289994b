"""``spikeloom fit``: the array that suits a network and a board best, before anything is built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..compiler.quantise import quantise
from ..contract.boards import ROOMS, room
from ..contract.errors import FitError, SampleError
from ..contract.network import QuantisedNetwork
from ..contract.numerics import DEFAULT, SMALL
from ..fitting import Candidate, Fit
from ..fitting import fit as find
from .app import AsJson, Decay, Dt, Fire, Network, Reset, Samples, app
from .inputs import CALIBRATION, Data, open_network, open_quantised, open_samples
from .show import console, finish, status, table


@app.command()
def fit(
    network: Network,
    samples: Samples = None,
    board: Annotated[str, typer.Option("--board", "-b", help=", ".join(ROOMS))] = "ulx3s_85f",
    goal: Annotated[str, typer.Option(help="rate, area or latency.")] = "rate",
    bits: Annotated[list[int] | None, typer.Option(help="Weight bits to try, several times; 8 if none.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Samples whose cycles are counted.")] = 2,
    clock: Annotated[float | None, typer.Option(help="MHz, instead of the clock from place and route.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the front into this file.")] = None,
    dt: Dt = None,
    decay: Decay = None,
    reset: Reset = None,
    fire: Fire = None,
    as_json: AsJson = False,
) -> None:
    """Choose cores, lanes, groups, memories, schedule and bits for a board; print the Pareto front."""
    if samples is None:
        raise SampleError("fit: give --samples FILE.npz with spikes or x (n, ticks, ...)")
    data = open_samples(samples)
    networks = networks_of(network, data, board, bits, dt=dt, decay=decay, reset=reset, fire=fire)
    if goal not in ("rate", "area", "latency"):
        raise FitError(f"goal must be rate, area or latency, not {goal!r}")
    with status(f"fitting to {board}") as tell:
        found = find(networks, data.samples[:limit], board, goal=goal, clock_mhz=clock, tell=tell)  # type: ignore[arg-type]
    names = tuple(found.best.figures())
    rows = [tuple(candidate.figures().values()) for candidate in found.front]
    table(f"{board}: {len(found.every)} of {found.tried} arrays fit; nothing beats these", names, rows)
    console.print(f"best by {goal}: {_text(found.best)}", markup=False)
    console.print(
        f"the link at {room(board).baud:,} baud lets in {found.link_rate:,.1f} of them a second", markup=False
    )
    if picture:
        plot(found, picture)
        console.print(f"picture: {picture}", markup=False)
    finish(found.to_dict(), as_json)


def networks_of(
    path: Path, data: Data, board: str, bits: list[int] | None, **readings: str | float | None
) -> list[QuantisedNetwork]:
    """The network in each number of bits; on a small chip narrow, and with a scale for each layer."""
    if path.suffix == ".npz":
        return [open_quantised(path, data)]
    source = open_network(path, **readings)
    small = room(board).chip.family == "ice40"
    return [
        quantise(
            source, data.samples[:CALIBRATION], scale="layer" if small else "neuron", input_kind=data.kind,
            numerics=replace(SMALL if small else DEFAULT, weight_bits=n),
        )
        for n in bits or [8]
    ]  # fmt: skip


def _text(candidate: Candidate) -> str:
    core, used = candidate.config.core, ", ".join(f"{value:,} {name}" for name, value in candidate.used.items())
    return (
        f"{candidate.target}, {candidate.schedule}, {core.numerics.weight_bits} bits: {core.rows} rows and "
        f"{core.words} words a core, {used}"
    )


def plot(found: Fit, target: Path) -> None:
    """All arrays that fit, and the front."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for some, style, label in ((found.every, ".", "fit"), (found.front, "o", "nothing beats these")):
        axes.plot([100 * c.area for c in some], [c.rate for c in some], style, label=label)
    named: set[str] = set()
    for c in found.front:
        name = f"{c.config.width}x{c.config.height} {c.config.core.lanes}/{c.config.core.group}"
        if name in named:  # of both schedules the faster one
            continue
        named.add(name)
        axes.annotate(
            name, (100 * c.area, c.rate), fontsize=7, xytext=(4 - 50 * (len(named) % 2), 3), textcoords="offset points"
        )
    axes.set(xlabel=f"% of the scarcest resource of {found.board}", ylabel="samples a second", yscale="log")
    axes.legend()
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
