"""``spikeloom bench fit``: what ``fit`` says of its best arrays, against synthesis, place and route, and simulation."""

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from ..compiler.compile import compile as compile_network
from ..contract.boards import room
from ..fitting import GOALS, Candidate
from ..fitting import fit as find
from .app import AsJson
from .bench import bench
from .fit import networks_of
from .inputs import open_samples
from .show import console, finish, status, table

ASKED_MHZ = 60.0
"""What place and route is asked for: it is to end."""


@bench.command("fit")
def bench_fit(
    network: Annotated[Path, typer.Argument(help="A .nir file.")] = Path("examples/digits/digits.nir"),
    samples: Annotated[Path, typer.Option("--samples", "-s")] = Path("examples/digits/samples.npz"),
    board: Annotated[str, typer.Option("--board", "-b")] = "ulx3s_85f",
    goal: Annotated[
        list[str] | None, typer.Option(help="Whose best to take, several times: rate, area, latency.")
    ] = None,
    bits: Annotated[list[int] | None, typer.Option(help="Weight bits to try.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Samples.")] = 2,
    route: Annotated[bool, typer.Option(help="Place and route, too: long.")] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The results, JSON, a board's in place of its last.")
    ] = (Path("docs/results/fit.json")),
    folder: Annotated[Path, typer.Option(help="Netlists and logs of the tools.")] = Path("build/fit"),
    as_json: AsJson = False,
) -> None:
    """Build and simulate the arrays that fit chooses, and compare them with what it says of them."""
    data = open_samples(samples)
    goals = goal or list(GOALS)
    rows: list[dict[str, Any]] = []
    with status(f"fitting to {board}") as tell:
        found = find(networks_of(network, data, board, bits), data.samples[:limit], board, tell=tell)
        for each in goals:
            candidate = found.best_by(each)  # type: ignore[arg-type]
            if any(row["target"] == candidate.target and row["schedule"] == candidate.schedule for row in rows):
                continue
            tell(f"{candidate.target}: simulation")
            row: dict[str, Any] = {
                "board": board,
                "goal": each,
                "target": candidate.target,
                "schedule": candidate.schedule,
            }
            row |= {"bits": candidate.config.numerics.weight_bits, "predicted": dict(candidate.used)}
            row |= _cycles(candidate, data.samples[:limit])
            tell(f"{candidate.target}: synthesis{', place and route' if route else ''}")
            row |= _build(candidate, board, folder, route)
            rows.append(row)
    known = json.loads(output.read_text())["rows"] if output.exists() else []
    flags = "".join(f" --bits {n}" for n in bits or []) + "".join(f" --goal {n}" for n in goal or [])
    command = f"spikeloom bench fit --board {board}{flags}{' --route' if route else ''}"
    rows = [row | {"date": date.today().isoformat(), "command": command} for row in rows]
    done = {(row["board"], row["target"], row["schedule"]) for row in rows}
    rows = [row for row in known if (row["board"], row["target"], row["schedule"]) not in done] + rows
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    lines = [
        (row["board"], row["target"], f"{row['cycles']['predicted']:,.1f} / {row['cycles']['simulated']:,.1f}",
         *(f"{row['predicted'][n]:,} / {row['built'][n]:,}" for n in row["built"]), row["fmax_mhz"] or "")
        for row in rows
    ]  # fmt: skip
    table("predicted / found", ("board", "target", "cycles", *rows[0]["built"], "MHz"), lines)
    console.print(f"results: {output}", markup=False)
    finish({"rows": rows}, as_json)


def _cycles(candidate: Candidate, samples: Any) -> dict[str, Any]:
    """Cycles a sample: as predicted, and as the simulated board counts them."""
    from ..connection import connect

    image = compile_network(candidate.network, candidate.config, candidate.schedule)
    with connect("sim", image) as device:
        simulated = float(device.run(samples).cycles.mean())
    return {"cycles": {"predicted": candidate.cycles, "simulated": simulated}}


def _build(candidate: Candidate, board: str, folder: Path, route: bool) -> dict[str, Any]:
    """Resources of the array behind its UART, in the registers of :class:`spikeloom_hdl.pnr.Harness`; and its clock."""
    from spikeloom_hdl import flows, pnr, resources_bench
    from spikeloom_hdl.boards.uart_top import UartTop
    from spikeloom_hdl.memories import Chip

    chip = room(board).chip
    source = pnr.netlist(UartTop(candidate.config, resources_bench.DIVISOR), Chip(chip.family))
    if not route:
        return {"built": resources_bench.pack(chip.family, source, folder), "fmax_mhz": None}
    if chip.family == "ecp5":
        device = {"Lattice LFE5U-85F": "85k", "Lattice LFE5U-25F": "25k"}[chip.name]
        flow, freq = flows.ecp5(device, ripup=False), ASKED_MHZ
    else:
        flow, freq = flows.FLOWS[chip.family], room(board).clock_hz / 1e6
    placed = pnr.place(flow, pnr.synthesise(source, folder, flow.synthesis), 1, freq=freq)
    return {"built": placed.used, "fmax_mhz": placed.fmax_mhz}
