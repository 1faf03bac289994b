"""``spikeloom report`` and ``spikeloom boards``: what a network became, and where it can go."""

from typing import Annotated, Any

import typer

from ..contract.boards import BOARDS
from ..counting import count, count_result
from ..image import Image
from .app import (
    AsJson,
    BoardScale,
    Calibration,
    Decay,
    Dt,
    Fire,
    LayerBits,
    Limit,
    Network,
    PlaceBy,
    Reset,
    Samples,
    Schedule,
    Target,
    app,
)  # fmt: skip
from .inputs import Data, layer_bits, open_mapped, open_samples
from .run import run_on
from .show import console, finish, layers_table, table


@app.command()
def report(
    network: Network,
    target: Target = "auto",
    samples: Samples = None,
    limit: Limit = None,
    dt: Dt = None,
    decay: Decay = None,
    reset: Reset = None,
    fire: Fire = None,
    weight_bits: LayerBits = "8",
    calibration: Calibration = "max",
    scale: BoardScale = None,
    schedule: Schedule = "auto",
    place_by: PlaceBy = 0,
    board: Annotated[
        str | None, typer.Option("--board", "-b", help="Count on this board, too: sim, sim-pins or serial:PORT.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what quantising did to each layer, the share of every resource, and with samples NeuroBench's counts."""
    data = open_samples(samples, limit) if samples else None
    kept = None if target == "auto" and network.suffix == ".npz" else target
    image = open_mapped(
        network,
        kept,
        data,
        layer_bits(weight_bits),
        options={"calibration": calibration, "scale": scale},
        dt=dt,
        decay=decay,
        reset=reset,
        fire=fire,
        schedule=schedule,
        place_by=place_by,
    )
    layers_table(image.network.report)
    console.print(image.text, markup=False)
    counted = _counts(image, data, board) if data else {}
    finish({"report": dict(image.report), "quantise": dict(image.network.report), "counts": counted}, as_json)


def _counts(image: Image, data: Data, board: str | None) -> dict[str, dict[str, Any]]:
    """Operations and sparsities by the golden model, and by a board where one is named: they must be equal."""
    found = {"golden": count(image.network, data.samples).figures()}
    if board:
        result = run_on(board, image, data.samples, record=("spikes",))
        found[board] = count_result(image.network, data.samples, result).figures()
    names = found["golden"]
    rows = [(name, *(_figure(values[name]) for values in found.values())) for name in names]
    table(f"counts, a sample of {len(data.samples)}", ("figure", *found), rows)
    if board and found["golden"] != found[board]:
        console.print("golden model and board differ", style="red")
    return found


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if value <= 1 else f"{value:,.1f}"


@app.command()
def boards(as_json: AsJson = False) -> None:
    """List the boards that have a configuration."""
    rows = [
        (name, b.description, f"{b.config.width}x{b.config.height}", b.config.core.lanes, b.clock_hz / 1e6, b.baud)
        for name, b in sorted(BOARDS.items())
    ]
    columns = ("board", "description", "cores", "lanes", "MHz", "baud")
    table("boards", columns, rows)
    finish({"boards": [dict(zip(columns, row, strict=True)) for row in rows]}, as_json)
