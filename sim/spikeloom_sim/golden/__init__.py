"""The golden model: a quantised network run in NumPy, integer for integer what the gateware does.

It knows populations and projections, nothing of cores, lanes, keys or routes, so that its agreement with the gateware
proves the mapping too. :func:`step` is one update of one population, :func:`run` a whole network on samples.
"""

from .network import run
from .neuron import Parameters, State, Step, step
from .result import GoldenResult, PopulationResult
from .stepper import Stepper

__all__ = ["GoldenResult", "Parameters", "PopulationResult", "State", "Step", "Stepper", "run", "step"]
