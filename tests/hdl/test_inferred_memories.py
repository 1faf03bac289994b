"""Chips without a file of their own in ``memories/``: Yosys makes their block RAM and LUT RAM of the generic one."""

import json
from collections import Counter
from pathlib import Path

import pytest

from spikeloom.contract.layout import Field, Layout
from spikeloom.contract.ring import Geometry, Space
from spikeloom_hdl import pnr
from spikeloom_hdl.flows import FLOWS
from spikeloom_hdl.memories import Chip
from spikeloom_hdl.memory import RingMemory

CHIPS = {
    "gowin": (FLOWS["gowin"].synthesis, ("SDPB", "SDPX9B", "DPB", "DPX9B"), "RAM16SDP4"),
    "nexus": ("synth_nexus -family lifcl", ("PDPSC16K",), "DPR16X4"),
}
"""Yosys' command, its block RAMs, and its LUT RAM of 16 words of 4 bits."""


def cells(memory: RingMemory, chip: str, folder: Path) -> Counter[str]:
    netlist = pnr.synthesise(pnr.netlist(memory, Chip("gowin")), folder, CHIPS[chip][0])
    return Counter(cell["type"] for cell in json.loads(netlist.read_text())["modules"]["top"]["cells"].values())


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("writable", [False, True])
def test_block_ram(chip: str, writable: bool, tmp_path: Path) -> None:
    """1,024 records of 32 bits are two block RAMs of 18 Kbit, whether the core only reads them or writes them, too."""
    geometry = Geometry(1024, Layout((Field("a", 16),), 2), writable=writable)
    found = cells(RingMemory(Space.STATE, geometry, ahead=writable), chip, tmp_path)
    assert sum(found[name] for name in CHIPS[chip][1]) == 2
    assert not found[CHIPS[chip][2]]


@pytest.mark.parametrize("chip", CHIPS)
def test_lut_ram(chip: str, tmp_path: Path) -> None:
    """16 records of 12 bits that are there in the cycle in which they are asked for: three LUT RAMs, or few more."""
    geometry = Geometry(16, Layout((Field("a", 12),), 1), latency=0, writable=True)
    found = cells(RingMemory(Space.ACCUMULATOR, geometry, ahead=True), chip, tmp_path)
    assert 3 <= found[CHIPS[chip][2]] <= 4
