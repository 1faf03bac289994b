"""``spikeloom demo``: handwritten digits from the trained network to the gateware, with a picture."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from .. import reference
from ..compiler.compile import compile as compile_network
from ..compiler.nir_import import load
from ..compiler.quantise import quantise
from ..connection import connect
from ..contract.errors import SampleError
from .app import AsJson, BoardName, Target, app
from .inputs import CALIBRATION, Data, open_samples
from .run import summary
from .show import console, figures, finish, progress, status, table

EXAMPLES = Path(__file__).parents[3] / "examples"


@app.command()
def demo(
    target: Target = "auto:1x1",
    board: BoardName = "sim",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Images to stream.")] = 300,
    picture: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("demo.png"),
    as_json: AsJson = False,
) -> None:
    """Classify MNIST test images on a board and on its models, and show one of them."""
    from spikeloom_sim import golden

    folder = EXAMPLES / "digits"
    if not folder.is_dir():
        raise SampleError(f"{folder} is not there: the demo runs in a checkout of the project")
    data = open_samples(folder / "samples.npz", limit)
    network = load(folder / "digits.nir")
    console.print(network.summary(), markup=False)
    quantised = quantise(network, data.samples[:CALIBRATION])
    image = compile_network(quantised, target)
    console.print(image.text, markup=False)

    with status("building the simulated board") as tell:
        opened = connect(board, image, build_progress=tell)
    with opened:
        with progress("images") as step:
            result = opened.run(data.samples, progress=step)
        shown = opened.run(data.samples[:1], record=("u", "v", "r"))
    float_counts = reference.run(network, data.samples).counts
    expected = golden.run(quantised, data.samples)

    values = {
        "images": len(data.samples),
        "float accuracy, %": data.accuracy(float_counts),
        "golden accuracy, %": data.accuracy(expected.counts),
        "gateware accuracy, %": data.accuracy(result.counts),
        "mismatching spikes, gateware against golden": int((result.spikes != expected.spikes).sum()),
        **summary(result, len(data.samples)),
    }
    figures("MNIST digits, 784-128-10", values)
    counters = result.counters
    busy = counters["words"] / np.maximum(1, counters["words"] + counters["waits"])
    rows = [
        (n, int(counters["events"][n]), int(counters["synapses"][n]), int(counters["spikes"][n]), float(busy[n] * 100))
        for n in range(image.config.cores)
    ]
    table("cores", ("core", "events", "synaptic operations", "spikes", "words a busy cycle, %"), rows)
    _draw(picture, data, shown.populations)
    console.print(f"picture: {picture}", markup=False)
    finish({**values, "picture": str(picture)}, as_json)


def _draw(path: Path, data: Data, populations: dict) -> None:
    """Input raster, hidden raster and output membranes of the first image."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    hidden, output = populations.values()
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for axis, spikes, title in ((axes[0], data.samples[0], "input"), (axes[1], hidden.spikes[0], "hidden spikes")):
        ticks, neurons = np.nonzero(spikes.reshape(len(spikes), -1))
        axis.scatter(ticks, neurons, s=4, color="black", linewidths=0)
        axis.set(title=title, xlabel="tick", ylabel="neuron", xlim=(-0.5, len(spikes) - 0.5))
    axes[0].set_ylim(0, 1.4 * data.samples[0][0].size)
    inset = axes[0].inset_axes((0.02, 0.73, 0.26, 0.25))
    inset.imshow(data.samples[0].sum(0).reshape(28, 28), cmap="gray_r")
    inset.set(xticks=[], yticks=[])
    winner = output.spikes[0].sum(0).argmax()
    for n, v in enumerate(output.v[0].T):
        axes[2].plot(v, color="C3" if n == winner else "0.75", zorder=3 if n == winner else 2, label=f"{n}")
        fired = np.flatnonzero(output.spikes[0][:, n])
        axes[2].scatter(fired, v[fired], s=14, color="C3" if n == winner else "0.6", zorder=4)
    label = "" if data.labels is None else f", label {data.labels[0]}"
    axes[2].set(title=f"output membranes: {winner} wins{label}", xlabel="tick", ylabel="v, state units (dots: spikes)")
    figure.savefig(path, dpi=110)
    plt.close(figure)
