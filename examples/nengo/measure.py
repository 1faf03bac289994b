"""The figures of docs/nengo.md: ``python measure.py [seed | gateware | rates | models | placed | pace] ...``.

All by default.

Each keeps its result in ``docs/results/nengo_<name>.json``; ``seed`` and ``rates`` draw a picture beside the page.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import models
import nengo
import numpy as np

import spikeloom.nengo
from spikeloom.compiler import resources
from spikeloom.compiler.compile import compile as compile_network
from spikeloom.compiler.cycles import predict
from spikeloom.contract.boards import LFE5U_85F
from spikeloom.nengo.neurons import array_neuron

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parents[2] / "docs"
SEEDS = 10
ASKED_MHZ = 100.0
BOARD_HZ = 25e6
"""The ULX3S's clock."""
TARGET = "auto:1x1:20:2"
"""An LFE5U-85F holds such an array for eight ensembles of 100 neurons in a chain, with weights of 16 bits."""


def seed() -> dict[str, Any]:
    """The seed model: both errors over ten seeds, and the plots of the first one side by side."""
    errors: dict[str, list[float]] = {"nengo": [], "array": []}
    _, axes = plt.subplots(1, 2, figsize=(10, 3.2), sharey=True)
    for number in range(SEEDS):
        case = models.seed_model(number)
        for axis, (name, simulator) in zip(axes, simulators().items(), strict=True):
            with simulator(case.network, progress_bar=False) as sim:
                sim.run(case.seconds)
                t, got = sim.trange(), sim.data[case.probe]
            errors[name].append(rms(got[:, 0] - case.ideal(t)))
            if number == 0:
                axis.plot(t, got, linewidth=0.8)
                axis.plot(t, case.ideal(t), "k", linewidth=0.6)
                axis.set(title=f"{name}: RMSE {errors[name][0]:.4f}", xlabel="time (s)")
    plt.tight_layout()
    plt.savefig(DOCS / "nengo_seed.png", dpi=110)
    plt.close()
    mean = {name: float(np.mean(values)) for name, values in errors.items()}
    return {"errors": errors, "mean": mean, "ratio": mean["array"] / mean["nengo"]}


def gateware(seconds: float = 10.0) -> dict[str, Any]:
    """The seed model and a channel on gateware: spikes that differ from the golden model's."""
    rows = []
    for name, make, length in (
        ("seed model", models.seed_model, seconds),
        ("communication channel", models.channel, 1.0),
    ):
        case = make(0)
        spikes, elapsed = {}, {}
        for board in ("golden", "sim"):
            with spikeloom.nengo.Simulator(case.network, progress_bar=False, board=board) as sim:
                start = time.perf_counter()
                sim.run(length)
                elapsed[board] = time.perf_counter() - start
                spikes[board] = sim.data[case.spikes] > 0
                if board == "sim":
                    cycles = np.array(sim.plan.backend.stepper.cycles)
        rows.append(
            {
                "model": name,
                "seconds": length,
                "spikes": int(spikes["golden"].sum()),
                "differences": int((spikes["golden"] != spikes["sim"]).sum()),
                "cycles a tick": float(cycles.mean()),
                "most cycles a tick": int(cycles.max()),
                "golden, seconds of the host a second": elapsed["golden"] / length,
                "gateware, seconds of the host a second": elapsed["sim"] / length,
            }
        )
    return {"models": rows}


def rates(seconds: float = 2.0) -> dict[str, Any]:
    """Counts of LIF neurons under constant currents: the array's, its closed form, and Nengo's."""
    currents = np.concatenate([np.linspace(0.9, 3, 60), np.linspace(3.1, 30, 60)])
    with nengo.Network(seed=1) as network:
        ensemble = nengo.Ensemble(
            len(currents), 1, gain=np.ones(len(currents)), bias=currents, encoders=np.ones((len(currents), 1)),
            neuron_type=nengo.LIF(initial_state={"voltage": nengo.dists.Choice([0])}),
        )  # fmt: skip
        probe = nengo.Probe(ensemble.neurons)
    counts = {}
    for name, simulator in simulators().items():
        with simulator(network, progress_bar=False) as sim:
            sim.run(seconds)
            counts[name] = (sim.data[probe] > 0).sum(axis=0)
    closed = array_neuron(ensemble.neuron_type, 0.001).rates(currents) * seconds
    nengos = nengo.LIF().rates(currents[None], np.ones(len(currents)), np.zeros(len(currents)))[0] * seconds
    away = np.abs(counts["array"] - closed)
    _, axis = plt.subplots(figsize=(6, 3.6))
    axis.plot(currents, nengos / seconds, label="Nengo, closed form")
    axis.plot(currents, closed / seconds, drawstyle="steps-mid", label="array, closed form in whole ticks")
    axis.plot(currents, counts["array"] / seconds, "k.", markersize=3, label="array, counted")
    axis.set(xlabel="current (thresholds)", ylabel="spikes a second")
    axis.legend()
    plt.tight_layout()
    plt.savefig(DOCS / "nengo_rates.png", dpi=110)
    plt.close()
    relative = (closed - nengos)[nengos > 0] / nengos[nengos > 0]
    return {
        "currents": len(currents), "seconds": seconds, "most counts away from the closed form": float(away.max()),
        "rate of the array less nengo's, relative":
            {"mean": float(relative.mean()), "least": float(relative.min()), "most": float(relative.max())},
    }  # fmt: skip


def compare() -> dict[str, Any]:
    """Errors of the five models, over ten seeds."""
    rows = []
    for name, make in models.CASES.items():
        errors = {key: [make(n).error(simulator) for n in range(SEEDS)] for key, simulator in simulators().items()}
        mean = {key: float(np.mean(values)) for key, values in errors.items()}
        rows.append(
            {
                "model": name,
                "mean": mean,
                "worst": {k: max(v) for k, v in errors.items()},
                "ratio": mean["array"] / mean["nengo"],
            }
        )
        print(rows[-1], flush=True)
    return {"seeds": SEEDS, "models": rows}


def chain(count: int) -> tuple[nengo.Network, list[nengo.Probe]]:
    """Ensembles of 100 neurons, each feeding the next one, behind a node."""
    with nengo.Network(seed=2) as network:
        stimulus = nengo.Node(lambda t: np.sin(20 * t))
        ensembles = [nengo.Ensemble(100, 1) for _ in range(count)]
        for source, target in pairwise([stimulus, *ensembles]):
            nengo.Connection(source, target)
        return network, [nengo.Probe(e.neurons) for e in ensembles]


def placed(seeds: int = 3) -> dict[str, Any]:
    """The clock of the array that holds a chain of eight, on an LFE5U-85F of speed 6: each seed's, and the worst."""
    from spikeloom_hdl import pnr
    from spikeloom_hdl.array import Array
    from spikeloom_hdl.flows import FLOWS
    from spikeloom_hdl.memories import Chip

    with spikeloom.nengo.Simulator(chain(8)[0], progress_bar=False) as sim:
        config = compile_network(sim.plan.backend.network, TARGET, "pipelined").config
    flow = FLOWS["ecp5"]
    source = pnr.netlist(Array(config), Chip("ecp5"))
    design = pnr.synthesise(source, DOCS.parent / "build" / "nengo", flow.fast_synthesis)
    runs = [pnr.place(flow, design, n + 1, freq=ASKED_MHZ) for n in range(seeds)]
    fmax = [run.fmax_mhz for run in runs]
    return {"target": TARGET, "used": runs[0].used, "asked MHz": ASKED_MHZ, "MHz": fmax, "worst MHz": min(fmax)}


def pace(ticks: int = 200) -> dict[str, Any]:
    """Cycles a tick of chains of ensembles, told from the golden model's spikes.

    Times real time at the board's clock, and at the one of :func:`placed`.
    """
    placed_mhz = json.loads((DOCS / "results" / "nengo_placed.json").read_text())["worst MHz"]
    rows = []
    for count in (1, 8, 64):
        network, probes = chain(count)
        with spikeloom.nengo.Simulator(network, progress_bar=False) as sim:
            start = time.perf_counter()
            sim.run_steps(ticks)
            elapsed = time.perf_counter() - start
            names = [p.name for p in sim.plan.backend.network.populations]
            fired = {name: sim.data[probe] > 0 for name, probe in zip(names, probes, strict=True)}
            image = compile_network(sim.plan.backend.network, TARGET, "pipelined")
        cycles = predict(image, {"": np.zeros((ticks, 0))}, fired, apart=range(ticks))[1:]
        used = resources.predict(image.config, "ecp5")
        rows.append(
            {
                "ensembles": count, "spikes a tick": float(np.mean([f.sum(axis=1) for f in fired.values()]) * count),
                "DP16KD": used["RAM"], "fits": used["RAM"] <= LFE5U_85F.resources["RAM"],
                "cycles a tick": float(cycles.mean()), "most": int(cycles.max()),
                "times real time at 25 MHz": 1e-3 * BOARD_HZ / float(cycles.mean()),
                f"times real time at {placed_mhz} MHz": 1e3 * placed_mhz / float(cycles.mean()),
                "golden, times real time": 1e-3 * ticks / elapsed,
            }
        )  # fmt: skip
        print(rows[-1], flush=True)
    return {"dt": 0.001, "target": TARGET, "rows": rows}


def simulators() -> dict[str, Callable[..., Any]]:
    return {"nengo": nengo.Simulator, "array": spikeloom.nengo.Simulator}


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


MEASURES = {"seed": seed, "gateware": gateware, "rates": rates, "models": compare, "placed": placed, "pace": pace}


def main(names: list[str]) -> None:
    nengo.rc.set("decoder_cache", "enabled", "False")
    for name in names or MEASURES:
        result = {
            "date": date.today().isoformat(),
            "command": f"python examples/nengo/measure.py {name}",
            "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
            "tools": {tool: version(tool) for tool in ("nengo", "numpy")},
        } | MEASURES[name]()
        (DOCS / "results" / f"nengo_{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        print(name, json.dumps(result)[:600], flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
