"""Simulators for Nengo's own tests: ``nengo_simloader`` of the files ``*.ini`` names one of these."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import nengo

ARRAY_TESTS = "SPIKELOOM_ARRAY_TESTS"
"""Environment: a file that gets the name of every test that puts neurons on the array."""


def reference(request: Any) -> Any:
    """Nengo's reference simulator, with the tests chosen as for another backend."""
    return nengo.Simulator


def golden(request: Any) -> Any:
    """The array as the golden model."""
    import spikeloom.nengo

    _keep_names()
    return spikeloom.nengo.Simulator


def gateware(request: Any) -> Any:
    """The array as gateware: one array for all tests, so that it is compiled once."""
    import spikeloom.nengo
    from spikeloom.contract.config import ArrayConfig, CoreConfig
    from spikeloom.contract.numerics import Numerics

    _keep_names()
    core = CoreConfig(
        lanes=16,
        rows=64,
        words=16384,
        group=4,
        phases=4,
        projections=64,
        coordinates=128,
        entries=2048,
        sparse=True,
        numerics=Numerics(weight_bits=16, fraction_bits=0, accumulator_bits=24),
    )
    return partial(spikeloom.nengo.Simulator, board="sim", target=ArrayConfig(key_bits=6, index_bits=10, core=core))


def _keep_names() -> None:
    """Write the running test's name where a network reaches the array."""
    from spikeloom.nengo.backend import Backend

    if not (path := os.environ.get(ARRAY_TESTS)):
        return
    prepare = Backend.prepare

    def kept(self: Backend, network: Any) -> None:
        prepare(self, network)
        with open(path, "a") as file:
            print(os.environ["PYTEST_CURRENT_TEST"].rsplit(" ", 1)[0], file=file)

    Backend.prepare = kept
