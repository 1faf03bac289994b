"""``spikeloom compile``: a network becomes an image."""

from pathlib import Path
from typing import Annotated

import typer

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
    SpikeBits,
    Target,
    app,
)  # fmt: skip
from .inputs import layer_bits, open_mapped, open_samples
from .show import console, finish


@app.command()
def compile(
    network: Network,
    output: Annotated[Path, typer.Option("--output", "-o", help="The image to write.")] = Path("image.npz"),
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
    spike_bits: SpikeBits = None,
    schedule: Schedule = "auto",
    place_by: PlaceBy = 0,
    as_json: AsJson = False,
) -> None:
    """Import, quantise and map a network; write the image and print what it uses."""
    data = open_samples(samples, limit) if samples else None
    image = open_mapped(
        network,
        target,
        data,
        layer_bits(weight_bits),
        options={"calibration": calibration, "scale": scale, "spike_bits": spike_bits},
        dt=dt,
        decay=decay,
        reset=reset,
        fire=fire,
        schedule=schedule,
        place_by=place_by,
    )
    image.save(output)
    console.print(image.text, markup=False)
    console.print(f"image written to {output}", markup=False)
    finish({"image": output, "report": dict(image.report), "quantise": dict(image.network.report)}, as_json)
