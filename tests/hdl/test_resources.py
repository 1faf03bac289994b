"""The compiler's account of memories against the gateware's cells: every RAM that a core is built of."""

import pytest
from amaranth.back import rtlil

from spikeloom.compiler.resources import rams
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.numerics import Numerics
from spikeloom_hdl.core import Core
from spikeloom_hdl.memories import Chip

CORES = {
    "shallow": CoreConfig(lanes=4, rows=8, words=600),
    "groups": CoreConfig(lanes=8, group=4, rows=40, words=1500, entries=300, sparse=True, slots=16),
    "deep": CoreConfig(
        lanes=2, rows=1200, words=9000, entries=1100, projections=40, coordinates=100, phases=4,
        parameters_per_neuron=False, numerics=Numerics(weight_bits=4, state_bits=18),
    ),
}  # fmt: skip


def cells(config: ArrayConfig, family: str, *names: str) -> int:
    text = rtlil.convert(Core(config), platform=Chip(family), emit_src=False)
    return sum(text.count(f"cell \\{name} ") for name in names)


@pytest.mark.parametrize("name", ["shallow", "groups", pytest.param("deep", marks=pytest.mark.full)])
def test_block_rams_of_ecp5(name: str) -> None:
    config = ArrayConfig(core=CORES[name])
    assert rams(config, "ecp5")["RAM"] == cells(config, "ecp5", "DP16KD") > 10


@pytest.mark.full
def test_rams_of_ice40() -> None:
    """Besides those of the ring's memories, a core has some for its counters and delays: as many in every core."""
    small = CoreConfig(lanes=4, rows=8, words=600, slots=2)
    large = CoreConfig(lanes=4, rows=300, words=3000, slots=2, entries=100)
    more = []
    for core in (small, large):
        config = ArrayConfig(core=core)
        found = rams(config, "ice40")
        assert found["SPRAM"] == cells(config, "ice40", "SB_SPRAM256KA")
        more.append(cells(config, "ice40", "SB_RAM40_4K") - found["EBR"])
    assert more[0] == more[1] >= 2
