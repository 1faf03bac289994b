"""The application that the commands join, and the options that several of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Spiking neural networks on FPGAs: import, quantise, map, simulate, verify, build.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Network = Annotated[
    Path, typer.Argument(help="A trained network (.nir), a quantised one or an image (.npz).", show_default=False)
]
Samples = Annotated[
    Path | None, typer.Option("--samples", "-s", help="An .npz file: spikes or x (n, ticks, ...), and labels.")
]
Target = Annotated[str, typer.Option("--target", "-t", help="A board's name, or auto, auto:WxH[:LANES[:GROUP]].")]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Use the first samples only.")]
BoardName = Annotated[str, typer.Option("--board", "-b", help="sim, sim-pins or serial:PORT.")]
Dt = Annotated[float | None, typer.Option(help="Seconds a tick, where the file does not say.")]
Decay = Annotated[str | None, typer.Option(help="euler, exact or exact_decay, where the file does not say.")]
Reset = Annotated[str | None, typer.Option(help="value, subtract, subtract_delayed or none.")]
Fire = Annotated[str | None, typer.Option(help="'>', '>=', or multi: several spikes a tick, as sinabs sends them.")]
Schedule = Annotated[str, typer.Option(help="pipelined, layered or auto.")]
PlaceBy = Annotated[
    int, typer.Option(min=0, help="Measure activity on so many samples: cores are placed so that traffic is small.")
]
WeightBits = Annotated[int, typer.Option(help="1, 2, 4, 8 or 16.")]
LayerBits = Annotated[
    str, typer.Option("--weight-bits", help="1, 2, 4, 8 or 16; or 1 to 16 by layer: hidden=4,output=8.")
]
Calibration = Annotated[str, typer.Option(help="Of scales: max, percentile:NUMBER or mse.")]
SpikeBits = Annotated[
    int | None, typer.Option(min=1, max=8, help="Of the number of spikes of one tick; by default what samples need.")
]
Scale = Annotated[str, typer.Option(help="neuron or layer: what shares a scale.")]
BoardScale = Annotated[
    str | None,
    typer.Option("--scale", help="neuron or layer: what shares a scale; otherwise what the target takes."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Make the last line of output one JSON object of the figures.")]
