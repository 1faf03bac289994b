"""``spikeloom generate``: SystemVerilog and what belongs to it."""

from pathlib import Path
from typing import Annotated

import typer

from .app import AsJson, Decay, Dt, Fire, Limit, Network, PlaceBy, Reset, Samples, Schedule, Target, WeightBits, app
from .inputs import open_mapped, open_samples
from .show import console, finish


@app.command()
def generate(
    network: Network,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.")] = Path("generated"),
    target: Target = "auto",
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
    """Write the array as SystemVerilog with its image, list of ports and FuseSoC core file."""
    from spikeloom_hdl.generate import write_package

    data = open_samples(samples, limit) if samples else None
    image = open_mapped(
        network,
        target,
        data,
        weight_bits,
        dt=dt,
        decay=decay,
        reset=reset,
        fire=fire,
        schedule=schedule,
        place_by=place_by,
    )
    files = write_package(image.config, output)
    image.save(output / "image.npz")
    for file in [*files, output / "image.npz"]:
        console.print(f"{file}: {file.stat().st_size:,} bytes", markup=False)
    finish({"files": [str(f) for f in files], "image": str(output / "image.npz")}, as_json)
