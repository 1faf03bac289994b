"""The page of the cycles: tables and plots of what ``spikeloom bench cycles`` and ``bench predict`` have kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CAUSES = {
    "walking": "a weight word was visited",
    "set-up": "an event was under way, but no word was visited: look-ups, and walks of no words",
    "drains": "a visit waited for the drain of a row",
    "update": "no event under way; rows were drained, neurons updated or sums written",
    "emission": "neither; spikes were sent",
    "clearing": "states and sums were cleared in front of a sample",
    "barrier": "nothing of these in the core: the start's way, flits in routers, other cores still at work, "
    "and the news that all is idle",
}
"""Every busy cycle of a core is of exactly one cause."""

OTHERS = {
    "Spiker+, 784-128-10, 100 steps": 92_565,
}
"""Cycles an image that others have published."""

COLOURS = ("#2f6f4e", "#c8b560", "#c2703d", "#4a78a8", "#8fb8de", "#b9b9b9", "#7d6b8a")


def write_page(page: Path, results: Path) -> None:
    """Write the page anew from the results there are, with its plots next to these."""
    parts = ["# Cycles\n", _introduction()]
    if (kept := _kept(results / "cycles.json")) is not None:
        parts.append(_networks(kept, page, results))
    if (kept := _kept(results / "predictions.json")) is not None:
        parts.append(_predictions(kept))
    page.write_text("\n".join(parts))


def _kept(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.exists() else None


def _introduction() -> str:
    return (
        "Written by `spikeloom bench cycles` and `spikeloom bench predict`; edit `cli/bench_page.py`.\n\n"
        "*Busy cycles* are what DONE counts: all that are not at rest, between the reset of the states and the last\n"
        "tick's end. The simulated board offers the host's words without a gap and takes every answer at once, so the\n"
        "counts are the same in every run.\n"
    )


def _stamp(kept: dict[str, Any]) -> str:
    tools = ", ".join(f"{name} {version}" for name, version in kept["tools"].items())
    return f"`{kept['command']}`, {kept['date']}, {kept['machine']}; {tools}.\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(map(_text, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _label(figures: dict[str, Any]) -> str:
    return f"{figures['name']}, {figures['grid']}, {figures['lanes']} lanes"


def _networks(kept: dict[str, Any], page: Path, results: Path) -> str:
    networks = kept["networks"]
    causes, use = results / "cycles-causes.png", results / "cycles-use.png"
    _plot_causes(networks, causes)
    _plot_use(networks, use)
    rows = [
        [
            f["name"], f["grid"], f["lanes"], f["samples"], f["ticks"], f["cycles"], f["events"], f["synapses"],
            f"{f['walk_use']:.3f}", f"{f['lane_use']:.3f}", f["idle_tick"],
        ]
        for f in networks
    ]  # fmt: skip
    rows += [[name, "", "", "", "", cycles, "", "", "", "", ""] for name, cycles in OTHERS.items()]
    columns = (
        "network", "grid", "lanes", "samples", "ticks", "cycles", "events", "SOP", "words a cycle",
        "SOP a lane and cycle", "idle tick",
    )  # fmt: skip
    shares = [
        [_label(f), *(f"{value / max(1, sum(f['causes'].values())):.1%}" for value in f["causes"].values()), f["link"]]
        for f in networks
    ]
    skipped = "".join(f"\nNot measured: {name} {why}.\n" for name, why in kept["skipped"].items() if name != "common")
    return "\n".join(
        [
            "## Real networks\n",
            _stamp(kept),
            "Cycles, events and SOP are a sample's, of the whole array. *Words a cycle* is WORDS / (WORDS + WAITS):\n"
            "of the cycles with an event under way, those in which a word is visited; *SOP a lane and cycle* also\n"
            "counts lanes that have no synapse. *Idle tick*: busy cycles of a tick of a sample without spikes.\n",
            _table(columns, rows),
            f"![Use of the lanes]({use.relative_to(page.parent)})\n",
            skipped,
            "## Where the cycles go\n",
            "\n".join(f"- **{cause}**: {text}" for cause, text in CAUSES.items()) + "\n",
            "Shares of all busy cycles of all cores; *link*: cycles a sample at rest, in which words pass that are no\n"
            "spikes (commands, answers, biases, recorded states) at the in-process board's word a cycle.\n",
            _table(("network", *CAUSES, "link"), shares),
            f"![Causes of all cycles]({causes.relative_to(page.parent)})\n",
        ]
    )


def _predictions(kept: dict[str, Any]) -> str:
    rows = [
        [
            p["name"], p["grid"], p["lanes"], p["ticks"], p["counted"], p["predicted"], p["differ"], p["worst"],
            f"{p['seconds']:.2f}",
        ]
        for p in kept["predictions"]
    ]  # fmt: skip
    columns = (
        "network", "grid", "lanes", "ticks", "counted", "predicted", "ticks that differ", "by at most", "s a sample",
    )  # fmt: skip
    return "\n".join(
        [
            "## The cycle model\n",
            _stamp(kept),
            "`spikeloom.compiler.cycles.predict` makes the busy cycles of each tick from an image's tables and the\n"
            "spikes of the golden model: no gateware, no clock, a time for each flit, event and row that follows from\n"
            "those in front of it. Seconds are those of golden model and cycle model together.\n",
            _table(columns, rows),
        ]
    )


def _plot_causes(networks: Sequence[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 0.9 + 0.42 * len(networks)), layout="constrained")
    left = [0.0] * len(networks)
    for cause, colour in zip(CAUSES, COLOURS, strict=True):
        widths = [100 * f["causes"][cause] / max(1, sum(f["causes"].values())) for f in networks]
        axes.barh([_label(f) for f in networks], widths, left=left, color=colour, label=cause)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of busy cycles")
    figure.legend(loc="outside upper center", ncols=len(CAUSES), frameon=False, fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _plot_use(networks: Sequence[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    labels = [_label(f) for f in networks]
    for offset, name, text, colour in (
        (-0.2, "walk_use", "words a cycle", COLOURS[0]), (0.2, "lane_use", "SOP a lane and cycle", COLOURS[3]),
    ):  # fmt: skip
        axes.bar(
            [n + offset for n in range(len(networks))], [f[name] for f in networks], 0.38, color=colour, label=text
        )
    axes.set_xticks(range(len(labels)), labels, rotation=25, ha="right", fontsize="small")
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("while events are under way")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)
