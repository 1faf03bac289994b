"""The model of the project's source text: a sine into 100 LIF neurons, ten seconds, plotted.

``python seed.py [golden | sim | sim-pins | serial:PORT]``; only the simulator's line differs from a Nengo program.
"""

import sys

import matplotlib
import nengo
import numpy as np

import spikeloom.nengo

matplotlib.use("Agg")
import matplotlib.pyplot as plt

with nengo.Network(seed=0) as model:
    stimulus = nengo.Node(np.sin)
    ensemble = nengo.Ensemble(100, dimensions=1)
    nengo.Connection(stimulus, ensemble)
    probe = nengo.Probe(ensemble, synapse=0.03)

with spikeloom.nengo.Simulator(model, board=sys.argv[1] if len(sys.argv) > 1 else "golden") as sim:
    sim.run(10)

print(sim.report.text)
plt.plot(sim.trange(), sim.data[probe])
plt.xlabel("time (s)")
plt.savefig("seed.png")
