"""``spikeloom report`` and ``spikeloom boards``: what a network became, and where it can go."""

from ..contract.boards import BOARDS
from .app import AsJson, Calibration, Decay, Dt, Fire, LayerBits, Limit, Network, Reset, Samples, Scale, Target, app
from .inputs import layer_bits, open_mapped, open_samples
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
    scale: Scale = "neuron",
    as_json: AsJson = False,
) -> None:
    """Print what quantising did to each layer, and the share of every resource of the array."""
    data = open_samples(samples, limit) if samples else None
    kept = None if target == "auto" and network.suffix == ".npz" else target
    options = {"calibration": calibration, "scale": scale}
    image = open_mapped(
        network, kept, data, layer_bits(weight_bits), options=options, dt=dt, decay=decay, reset=reset, fire=fire
    )
    layers_table(image.network.report)
    console.print(image.text, markup=False)
    finish({"report": dict(image.report), "quantise": dict(image.network.report)}, as_json)


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
