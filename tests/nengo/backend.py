"""Simulators for Nengo's own test suite: `nengo_simloader` of the files `*.ini` names one of these."""

import nengo


def reference(request):
    """Nengo's reference simulator, with the tests chosen as for another backend."""
    return nengo.Simulator


def golden(request):
    """The array as the golden model."""
    import spikeloom.nengo

    return spikeloom.nengo.Simulator


def gateware(request):
    """The array as gateware: one array for all tests, so that it is compiled once."""
    from functools import partial

    import spikeloom.nengo
    from spikeloom.contract.config import ArrayConfig, CoreConfig
    from spikeloom.contract.numerics import Numerics

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
