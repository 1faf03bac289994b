"""How busy a network is on samples: what placement and sizing go by where they are given it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .contract.network import InputKind, QuantisedNetwork
from .contract.samples import check_samples


def activity(network: QuantisedNetwork, samples: Any) -> dict[str, np.ndarray]:
    """Events a tick of each neuron of each input and population, ``float64 (size,)``, by the golden model.

    ``samples`` are ``(samples, ticks, *input shape)``, or a dict of such arrays by input name.
    """
    from spikeloom_sim import golden

    found = {}
    given = check_samples(network, samples)
    for i in network.inputs:
        if i.kind is not InputKind.CURRENTS:
            events = given[i.name] != 0 if i.graded else given[i.name]
            found[i.name] = events.mean(axis=(0, 1))
    fired = golden.run(network, samples).populations
    return found | {name: (result.spikes != 0).mean(axis=(0, 1)) for name, result in fired.items()}
