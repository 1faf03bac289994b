"""The array as a simulated board in this process."""

from __future__ import annotations

from collections.abc import Callable

from spikeloom.contract.config import ArrayConfig
from spikeloom_hdl.array import Array

from .native import Engine, NativeBoard, build


def open_array(
    config: ArrayConfig, progress: Callable[[str], None] | None = None, engine: Engine = Engine.VERILATOR
) -> NativeBoard:
    """Compile the array (once for a configuration, then it is kept) and power it up."""
    return NativeBoard(build(Array(config), engine, progress=progress))
