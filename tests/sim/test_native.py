# amaranth: UnusedElaboratable=no
"""What the kept simulators are found by."""

from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom_hdl.array import Array
from spikeloom_hdl.boards.uart_top import UartTop
from spikeloom_sim.native.build import _gateware


def test_the_same_gateware_is_found_again() -> None:
    assert _gateware(Array(ArrayConfig())) == _gateware(Array(ArrayConfig()))
    assert _gateware(UartTop(ArrayConfig(), 8)) == _gateware(UartTop(ArrayConfig(), 8))


def test_any_other_is_not() -> None:
    tops = [Array(ArrayConfig()), Array(ArrayConfig(core=CoreConfig(lanes=4))), Array(ArrayConfig(width=2))]
    tops += [UartTop(ArrayConfig(), 8), UartTop(ArrayConfig(), 9)]
    assert len({tuple(_gateware(top)) for top in tops}) == len(tops)
