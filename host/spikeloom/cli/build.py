"""``spikeloom build``: a bitstream with open tools."""

from pathlib import Path
from typing import Annotated

import typer

from .app import AsJson, Decay, Dt, Fire, Limit, Network, PlaceBy, Reset, Samples, Schedule, WeightBits, app
from .inputs import open_mapped, open_samples
from .show import console, figures, finish, status


@app.command()
def build(
    network: Network,
    board: Annotated[str, typer.Option("--board", "-b", help="A board: see spikeloom boards.")] = "ulx3s_85f",
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to build in.")] = Path("build"),
    samples: Samples = None,
    limit: Limit = None,
    dt: Dt = None,
    decay: Decay = None,
    reset: Reset = None,
    fire: Fire = None,
    weight_bits: WeightBits = 8,
    schedule: Schedule = "auto",
    place_by: PlaceBy = 0,
    as_json: AsJson = False,
) -> None:
    """Synthesise, place and route the board's top for this network; write bitstream and image."""
    from spikeloom_hdl.boards.build import build_bitstream

    data = open_samples(samples, limit) if samples else None
    image = open_mapped(
        network,
        board,
        data,
        weight_bits,
        dt=dt,
        decay=decay,
        reset=reset,
        fire=fire,
        schedule=schedule,
        place_by=place_by,
    )
    with status(f"building for {board}") as tell:
        result = build_bitstream(image.config, board, output, tell)
    image.save(output / "image.npz")
    values = result.figures()
    figures(f"{board}", values)
    console.print(f"image: {output / 'image.npz'}", markup=False)
    finish({**values, "image": str(output / "image.npz")}, as_json)
