"""The bus of a core's memories, driven on the bench as a ring node does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from cocotb.triggers import RisingEdge

from spikeloom.contract.ring import Geometry, Space
from spikeloom_hdl.bus import read_latency
from spikeloom_hdl.memories import Chip

from .bench import parameter

FIELDS = ("valid", "write", "space", "address", "data")


class BusDriver:
    """Accesses over ``dut.bus``, while nothing else is under way in the device.

    Parameters
    ----------
    dut : the device; its clock runs.
    geometry : what :func:`spikeloom.contract.ring.spaces` says of it.
    """

    def __init__(self, dut: Any, geometry: Mapping[Space, Geometry]):
        self.dut, self.geometry = dut, geometry
        self._edge = RisingEdge(dut.clk)
        self.latency = read_latency(Chip(parameter("family")))

    async def write(self, space: Space, words: np.ndarray, address: int = 0) -> None:
        """Write words, one a cycle."""
        self._put(valid=1, write=1, space=int(space))
        for n, word in enumerate(np.asarray(words).reshape(-1).tolist()):
            self._put(address=address + n, data=word)
            await self._edge
        self._put(valid=0)

    async def read(self, space: Space, count: int, address: int = 0) -> np.ndarray:
        """Read words, one a cycle: ``uint32 (count,)``."""
        words = []
        for n in range(count + self.latency):
            self._put(valid=int(n < count), write=0, space=int(space), address=address + n)
            await self._edge
            if n >= self.latency:
                words.append(int(self.dut.bus__read_data.value))
        return np.array(words, dtype=np.uint32)

    async def write_records(self, space: Space, values: Mapping[str, Any], first: int = 0) -> None:
        """Write records from their fields, as :meth:`Layout.pack` takes them."""
        shape = self.geometry[space]
        words = shape.layout.pack(values)
        padded = np.zeros((len(words), shape.stride), dtype=np.uint32)
        padded[:, : words.shape[1]] = words
        await self.write(space, padded, first * shape.stride)

    async def read_records(self, space: Space) -> dict[str, np.ndarray]:
        """All records of a space, field by field."""
        shape = self.geometry[space]
        words = await self.read(space, shape.depth * shape.stride)
        return shape.layout.unpack(words.reshape(shape.depth, shape.stride))

    def _put(self, **values: int) -> None:
        for name, value in values.items():
            getattr(self.dut, f"bus__{name}").value = value
