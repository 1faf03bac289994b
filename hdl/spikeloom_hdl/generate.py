"""The gateware as SystemVerilog, for simulators and for other people's tools."""

import json
import os
from pathlib import Path
from typing import Any

from amaranth.back import verilog
from amaranth.lib import wiring

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.layout import COLUMN_BITS

from .array import Array


def systemverilog(top: wiring.Component, name: str = "top", platform: Any = None) -> str:
    """The source of a component and all below it: one file, the same text for the same gateware.

    Yosys writes ``always @*``, and a block that assigns constants alone then waits for a change that never comes.
    ``always_comb`` runs once at time 0, whatever it reads (Amaranth issue 418).
    """
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"  # a yosys on the path may write other text
    return verilog.convert(top, name=name, platform=platform, emit_src=False).replace("always @*", "always_comb")


def write_package(config: ArrayConfig, folder: Path, name: str = "spikeloom") -> list[Path]:
    """Write the array for use in another design: source, list of ports and widths, FuseSoC core file.

    Returns the paths. The streams ``rx`` and ``tx`` follow Amaranth's rules: a word passes in a cycle with ``valid``
    and ``ready``; ``valid`` holds, and its payload with it, until then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source, ports, core = folder / f"{name}.sv", folder / "ports.json", folder / f"{name}.core"
    source.write_text(systemverilog(Array(config), name))
    directions = {
        f"{stream}__{part}": {"direction": direction, "bits": bits}
        for stream, forward, back in (("rx", "input", "output"), ("tx", "output", "input"))
        for part, direction, bits in (("valid", forward, 1), ("ready", back, 1), ("payload", forward, COLUMN_BITS))
    }
    clock = {"clk": {"direction": "input", "bits": 1}, "rst": {"direction": "input", "bits": 1}}
    about = {"top": name, "digest": f"{config.digest:016x}", "ports": clock | directions, "config": config.to_dict()}
    ports.write_text(json.dumps(about, indent=2) + "\n")
    core.write_text(_CORE_FILE.format(name=name, source=source.name))
    return [source, ports, core]


_CORE_FILE = """\
CAPI=2:
name: ::{name}:0.1.0
description: Spikeloom array, see ports.json
filesets:
  rtl:
    files: [{source}]
    file_type: systemVerilogSource
targets:
  default:
    filesets: [rtl]
    toplevel: {name}
  lint:
    filesets: [rtl]
    toplevel: {name}
    default_tool: verilator
    tools: {{verilator: {{mode: lint-only, verilator_options: [-Wno-fatal]}}}}
"""
