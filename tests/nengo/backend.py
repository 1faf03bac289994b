"""Simulators for Nengo's own test suite: `nengo_simloader` of the files `*.ini` names one of these."""

import nengo


def reference(request):
    """Nengo's reference simulator, with the tests chosen as for another backend."""
    return nengo.Simulator


def golden(request):
    """The array as the golden model."""
    import spikeloom.nengo

    return spikeloom.nengo.Simulator
