"""``spikeloom bench pnr``: how big and how fast a core is on a chip."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .app import AsJson
from .bench import bench
from .show import console, finish, status, table


@bench.command("pnr")
def bench_pnr(
    lanes: Annotated[list[int] | None, typer.Option(help="Lanes of a core, several times.")] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(help="A whole chip in place of cores, several times: LFE5U-85F, LFE5U-25F, UP5K, GW2AR-18."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 1 to this.")] = 3,
    placer: Annotated[
        str, typer.Option(help="nextpnr's placer: static gives faster cores than heap, and places fuller chips.")
    ] = "static",
    router: Annotated[
        str, typer.Option(help="nextpnr's router: router1 gives faster cores, and may not end.")
    ] = "router2",
    freq: Annotated[
        float,
        typer.Option(help="MHz to ask for; 0: what is known to be in reach. Far more has nextpnr search on and on."),
    ] = 0.0,
    output: Annotated[Path, typer.Option("--output", "-o", help="The results, JSON; finished points are kept.")] = Path(
        "docs/results/pnr.json"
    ),
    docs: Annotated[Path, typer.Option(help="Where the page and its picture go.")] = Path("docs"),
    folder: Annotated[Path, typer.Option(help="Netlists and logs of the tools.")] = Path("build/pnr"),
    as_json: AsJson = False,
) -> None:
    """Place and route one core of each width, one run at a time; a second call goes on where the first one stopped."""
    from spikeloom.contract.errors import ConfigError
    from spikeloom_hdl import pnr_bench

    for name in part or []:
        if name not in pnr_bench.PARTS:
            raise ConfigError(f"part must be one of {list(pnr_bench.PARTS)}, not {name!r}")
    kinds: list[dict[str, Any]] = [{"part": name} for name in part or []]
    kinds += [{"lanes": n} for n in lanes or ([] if part else [1, 4, 8, 16, 32])]
    points = [
        pnr_bench.Point(**kind, seed=seed, placer=placer, router=router, freq=freq)
        for kind in kinds
        for seed in range(1, seeds + 1)
    ]
    chosen = "".join(f" --{name} {value}" for kind in kinds for name, value in kind.items()) if lanes or part else ""
    command = f"spikeloom bench pnr{chosen} --seeds {seeds} --placer {placer} --router {router}"
    command += f" --freq {freq:g}" if freq else ""
    with status("bench pnr") as tell:
        record = pnr_bench.run(points, output, folder, command, tell)
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "place_and_route.md").write_text(pnr_bench.page(record))
    pnr_bench.plot(record, docs / "place_and_route.png")
    lines = pnr_bench.summary(record)
    columns = ("part", "lanes", "COMB", "LC", "FF", "RAM", "DSP", "worst_mhz", "ksops_per_cell", "gsops")
    table("place and route", columns, [tuple(line.get(name, "") for name in columns) for line in lines])
    console.print(f"results: {output}", markup=False)
    finish(json.loads(json.dumps({"cores": lines, "tools": record["tools"]})), as_json)
