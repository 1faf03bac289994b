"""What the commands print: tables, progress, and with ``--json`` one object as the last line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

console = Console(highlight=False)
_errors = Console(stderr=True, highlight=False)


def complain(error: Exception) -> None:
    _errors.print("error:", str(error), style="red", markup=False)


def table(title: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """A table; numbers are aligned to the right."""
    result = Table(title=title, title_justify="left", title_style="bold")
    for n, column in enumerate(columns):
        numeric = all(isinstance(row[n], (int, float, np.number)) or row[n] == "" for row in rows)
        result.add_column(column, justify="right" if numeric else "left")
    for row in rows:
        result.add_row(*(_text(value) for value in row))
    console.print(result)


def figures(title: str, values: Mapping[str, Any]) -> None:
    """Names and values, a line each."""
    table(title, ("figure", "value"), [(name, _text(value)) for name, value in values.items()])


def layers_table(report: Mapping[str, Any]) -> None:
    """A quantiser's report: a column a layer, decisions where they were measured, and a line for all that was cut."""
    layers = report.get("layers", [])
    if layers:
        names = [name for name, value in layers[0].items() if name != "name" and not isinstance(value, (list, dict))]
        rows = [(name, *(_short(layer.get(name, "")) for layer in layers)) for name in names]
        alone = [layer.get("alone") for layer in layers]
        if all(alone):
            rows += [(f"{key}, this layer alone", *(_short(a[key]) for a in alone)) for key in alone[0]]
        title = f"quantised layers, calibration {report.get('calibration', 'max')}"
        table(title, ("figure", *(layer["name"] for layer in layers)), rows)
    if decisions := report.get("decisions"):
        rows = [(kind, *(_short(value) for value in values.values())) for kind, values in decisions.items()]
        table(f"decisions on {report['decided_on']} samples", ("network", *decisions["float"]), rows)
    for line in report.get("warnings", []):
        console.print(f"warning: {line}", style="yellow", markup=False)


def _short(value: Any) -> str:
    """Small figures need more digits than two."""
    if isinstance(value, float) and value and abs(value) < 10:
        return f"{value:.4g}"
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return f"{value:,.2f}"
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def finish(values: Mapping[str, Any], as_json: bool) -> None:
    """The last line, where somebody asked for it."""
    if as_json:
        print(json.dumps(values, default=_plain))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for work that tells ``(done, of)``."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=_errors) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


@contextmanager
def status(what: str) -> Iterator[Callable[[str], None]]:
    """A line that changes, for work that tells what it does."""
    with _errors.status(what) as line:
        yield lambda text: line.update(f"{what}: {text}")
