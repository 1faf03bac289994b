"""Nengo models on the array: a drop-in for ``nengo.Simulator``.

::

    import nengo
    import spikeloom.nengo

    with spikeloom.nengo.Simulator(model, board="sim") as sim:
        sim.run(10)

Needs ``pip install spikeloom[nengo]``. What runs where, and why, is ``sim.report.text``; see ``docs/nengo.md``.
"""

try:
    import nengo as _nengo  # noqa: F401
except ImportError as error:
    raise ImportError("spikeloom.nengo needs Nengo: pip install 'spikeloom[nengo]'") from error

from .simulator import Simulator

__all__ = ["Simulator"]
