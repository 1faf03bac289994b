"""From a name to a board that holds an image."""

from __future__ import annotations

from typing import Any

from .contract.boards import BOARDS
from .contract.errors import ConfigError
from .driver.board import Board
from .driver.transport import SerialTransport, Transport
from .image import Image


def connect(where: str, image: Image, **options: Any) -> Board:
    """Open a board and load an image.

    ``where`` is "sim" (the array compiled to native code, in this process), "sim-pins" (the board's top compiled, with
    its UART behind a pseudo-terminal) or "serial:PORT" (a real one). ``options`` go to
    :class:`~spikeloom.driver.board.Board`; ``build_progress`` is told what a simulated board is being built from, and
    ``baud`` is for a serial port.

    Raises :class:`ConfigError` for another name, :class:`LinkError` and :class:`ImageError` as the board does.
    """
    build_progress = options.pop("build_progress", None)
    baud = options.pop("baud", None)
    transport: Transport
    if where == "sim":
        from spikeloom_sim.simulated import open_array

        transport = open_array(image.config, build_progress)
    elif where == "sim-pins":
        from spikeloom_sim.pins import open_pins

        transport = open_pins(image.config, build_progress)
    elif where.startswith("serial:") and len(where) > len("serial:"):
        transport = SerialTransport(where.removeprefix("serial:"), baud or next(iter(BOARDS.values())).baud)
    else:
        raise ConfigError(f"board {where!r}: must be sim, sim-pins or serial:PORT, such as serial:/dev/ttyUSB0")
    return Board(transport, image, **options)
