"""The example networks with their data, for the tests of whole runs."""

import gzip
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

import spikeloom as sl
from spikeloom.cli.inputs import Data, open_samples
from spikeloom.compiler.graph import Network
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.driver.result import Result

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("digits", "speech")


def _array(width: int, height: int, lanes: int, rows: int, words: int) -> ArrayConfig:
    core = CoreConfig(lanes=lanes, rows=rows, words=words, projections=16, slots=2)
    return ArrayConfig(width=width, height=height, key_bits=4, index_bits=10, core=core)


ARRAYS = {1: _array(1, 1, 16, 9, 6656), 2: _array(2, 1, 16, 5, 3584), 4: _array(2, 2, 8, 5, 4096)}
"""By number of cores; each runs both networks, so a bitstream is not for one network only."""


@dataclass(frozen=True)
class Example:
    network: Network
    data: Data
    quantised: sl.QuantisedNetwork


@cache
def example(name: str) -> Example:
    network = sl.load(EXAMPLES / name / f"{name}.nir")
    data = open_samples(EXAMPLES / name / "samples.npz")
    return Example(network, data, sl.quantise(network, data.samples[:100], weight_bits=8))


@cache
def all_test_images(name: str = "digits") -> tuple[np.ndarray, np.ndarray]:
    """Samples, as an example encodes them, and labels of the 10,000 MNIST test images."""
    folder = EXAMPLES / "digits"
    spec = importlib.util.spec_from_file_location(f"{name}_encode", EXAMPLES / name / "encode.py")
    assert spec
    assert spec.loader
    encoder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(encoder)
    images = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    return (
        encoder.encode(np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)),
        np.frombuffer(labels, np.uint8, offset=8),
    )


def lane_use(result: Result, lanes: int) -> float:
    """Synaptic operations a lane and cycle with an event under way, by the gateware's counters; printed, too."""
    words, waits, synapses = (int(result.counters[name].sum()) for name in ("words", "waits", "synapses"))
    use = synapses / lanes / (words + waits)
    print(f"{use:.4f} SOP per lane and cycle")
    return use
