"""Spikeloom: open hardware for spiking neural networks, from a trained network to a verified bitstream.

::

    import spikeloom as sl
    network = sl.load("net.nir", dt=1e-3)
    quantised = sl.quantise(network, samples, weight_bits=8)
    image = sl.compile(quantised, "ulx3s_85f")
    with sl.connect("sim", image) as board:
        result = board.run(samples)
    assert sl.verify(image, samples).count == 0

Every name below is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikeloom_sim import golden as golden
    from spikeloom_sim.verify import verify as verify

    from . import reference as reference
    from .busy import activity as activity
    from .compiler.compile import compile as compile
    from .compiler.nir_import import load as load
    from .compiler.quantise import quantise as quantise
    from .connection import connect as connect
    from .contract.config import ArrayConfig as ArrayConfig
    from .contract.config import CoreConfig as CoreConfig
    from .contract.errors import SpikeloomError as SpikeloomError
    from .contract.network import QuantisedNetwork as QuantisedNetwork
    from .counting import count as count
    from .counting import count_result as count_result
    from .fitting import fit as fit
    from .image import Image as Image
    from .image import open_image as open_image

_HOMES = {
    "ArrayConfig": "spikeloom.contract.config",
    "CoreConfig": "spikeloom.contract.config",
    "Image": "spikeloom.image",
    "QuantisedNetwork": "spikeloom.contract.network",
    "SpikeloomError": "spikeloom.contract.errors",
    "activity": "spikeloom.busy",
    "compile": "spikeloom.compiler.compile",
    "connect": "spikeloom.connection",
    "count": "spikeloom.counting",
    "count_result": "spikeloom.counting",
    "fit": "spikeloom.fitting",
    "golden": "spikeloom_sim.golden",
    "load": "spikeloom.compiler.nir_import",
    "open_image": "spikeloom.image",
    "quantise": "spikeloom.compiler.quantise",
    "reference": "spikeloom.reference",
    "verify": "spikeloom_sim.verify",
}

__all__ = sorted(_HOMES)  # pyright: ignore
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(_HOMES[name])
    value = home if name in ("golden", "reference") else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
