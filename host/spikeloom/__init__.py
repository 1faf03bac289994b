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
    from .assessment import assess as assess
    from .bits import search_bits as search_bits
    from .busy import activity as activity
    from .compiler.ann.convert import convert as convert
    from .compiler.compile import compile as compile
    from .compiler.nir_export import export_nir as export_nir
    from .compiler.nir_import import load as load
    from .compiler.nir_quantised import import_quantised as import_quantised
    from .compiler.quantise import quantise as quantise
    from .connection import connect as connect
    from .contract.config import ArrayConfig as ArrayConfig
    from .contract.config import CoreConfig as CoreConfig
    from .contract.errors import SpikeloomError as SpikeloomError
    from .contract.network import QuantisedNetwork as QuantisedNetwork
    from .counting import count as count
    from .counting import count_result as count_result
    from .experiment import open_experiment as open_experiment
    from .experiment import save_experiment as save_experiment
    from .experiment import verify_experiment as verify_experiment
    from .fitting import fit as fit
    from .image import Image as Image
    from .image import open_image as open_image

_HOMES = {
    "ArrayConfig": "spikeloom.contract.config",
    "CoreConfig": "spikeloom.contract.config",
    "Image": "spikeloom.image",
    "QuantisedNetwork": "spikeloom.contract.network",
    "SpikeloomError": "spikeloom.contract.errors",
    "assess": "spikeloom.assessment",
    "compile": "spikeloom.compiler.compile",
    "connect": "spikeloom.connection",
    "export_nir": "spikeloom.compiler.nir_export",
    "convert": "spikeloom.compiler.ann.convert",
    "activity": "spikeloom.busy",
    "count": "spikeloom.counting",
    "count_result": "spikeloom.counting",
    "fit": "spikeloom.fitting",
    "golden": "spikeloom_sim.golden",
    "import_quantised": "spikeloom.compiler.nir_quantised",
    "load": "spikeloom.compiler.nir_import",
    "open_experiment": "spikeloom.experiment",
    "open_image": "spikeloom.image",
    "quantise": "spikeloom.compiler.quantise",
    "reference": "spikeloom.reference",
    "save_experiment": "spikeloom.experiment",
    "search_bits": "spikeloom.bits",
    "verify": "spikeloom_sim.verify",
    "verify_experiment": "spikeloom.experiment",
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
