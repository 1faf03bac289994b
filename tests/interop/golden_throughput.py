"""Samples a second of the golden model and of snnTorch on the CPU: one network, the same samples and threads, one run.

    python tests/interop/golden_throughput.py [--batch 256] [--threads 1] [--rounds 5] [--output FILE.json]

wants a Python with spikeloom's and snnTorch's packages. snnTorch runs the float network as its tutorials do, a layer
after the other, tick by tick, without gradients; the golden model its 8-bit version, with all that it counts. Both give
the spikes of the output at every tick. Rounds alternate, and the best of each counts. (The accuracies differ a little:
the network was trained with a threshold subtracted in the tick of the spike, and where a potential is above two
thresholds ``Leaky(reset_delay=False)`` compares what a second subtraction leaves.)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(args.threads)  # before NumPy and PyTorch are loaded

    import nir
    import numpy as np
    import snntorch
    import torch

    import spikeloom as sl

    torch.set_num_threads(args.threads)
    folder = ROOT / "examples" / "digits"
    with np.load(folder / "samples.npz") as file:
        samples, labels = file["spikes"][: args.batch], file["labels"][: args.batch]
    network = sl.load(folder / "digits.nir")
    quantised = sl.quantise(network, samples[:100], weight_bits=8)
    nodes = nir.read(folder / "digits.nir").nodes
    fc = [torch.nn.Linear(784, 128), torch.nn.Linear(128, 10)]
    for layer, name in zip(fc, ("fc1", "fc2"), strict=True):
        layer.weight.data = torch.tensor(nodes[name].weight)
        layer.bias.data = torch.tensor(nodes[name].bias)
    betas = [float(network.populations[n].beta[0]) for n in range(2)]
    lif = [snntorch.Leaky(beta=beta, threshold=1.0, reset_mechanism="subtract", reset_delay=False) for beta in betas]
    ticks_first = torch.tensor(samples, dtype=torch.float32).swapaxes(0, 1).contiguous()

    def by_snntorch() -> np.ndarray:
        with torch.no_grad():
            hidden, output = lif[0].init_leaky(), lif[1].init_leaky()
            spikes = []
            for x in ticks_first:
                s, hidden = lif[0](fc[0](x), hidden)
                s, output = lif[1](fc[1](s), output)
                spikes.append(s)
            return torch.stack(spikes).numpy()

    def by_golden() -> np.ndarray:
        return sl.golden.run(quantised, samples).spikes

    runs = {"snntorch": by_snntorch, "golden": by_golden}
    seconds: dict[str, float] = {}
    counts = {}
    for _ in range(args.rounds + 1):  # the first one warms up
        for name, run in runs.items():
            begin = time.perf_counter()
            spikes = run()
            seconds[name] = min(seconds.get(name, np.inf), time.perf_counter() - begin)
            counts[name] = spikes.sum(axis=0 if name == "snntorch" else 1)
    figures = {
        "network": "examples/digits/digits.nir, 784-128-10, 25 ticks",
        "batch": args.batch,
        "threads": args.threads,
        "snntorch samples/s": args.batch / seconds["snntorch"],
        "golden samples/s": args.batch / seconds["golden"],
        "golden / snntorch": seconds["snntorch"] / seconds["golden"],
        "accuracy snntorch (float)": float((counts["snntorch"].argmax(1) == labels).mean()),
        "accuracy golden (8 bits)": float((counts["golden"].argmax(1) == labels).mean()),
        "versions": {"snntorch": snntorch.__version__, "torch": torch.__version__, "numpy": np.__version__},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "command": " ".join(["python", "tests/interop/golden_throughput.py", *sys.argv[1:]]),
    }
    print(json.dumps(figures))
    if args.output:
        args.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
