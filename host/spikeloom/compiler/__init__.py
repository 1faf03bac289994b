"""From a trained network to what an array runs: import, quantise, map. A module a stage.

It reads :mod:`spikeloom.contract` and never the golden model or the gateware.
"""
