"""One-file experiments: they run again, and every kind of change is seen and said."""

import json
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest
from random_networks import random_network, random_samples
from typer.testing import CliRunner

import spikeloom as sl
from spikeloom.cli.app import app
from spikeloom.compiler.nir_quantised import import_quantised
from spikeloom.contract.errors import ImageError
from spikeloom.contract.network import InputKind
from spikeloom.contract.numerics import Profile
from spikeloom.experiment import is_experiment, open_experiment, save_experiment, verify_experiment


@pytest.fixture(autouse=True, scope="module")
def commands():
    from spikeloom.cli import experiment, verify  # noqa: F401


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Two outputs, one of them a potential; inputs of two kinds."""
    for seed in range(100):
        network = random_network(seed, Profile.SPIKELOOM)
        x = random_samples(network, seed)
        active = sl.golden.run(network, x).spikes
        kinds = {i.kind for i in network.inputs}
        if len(network.outputs) > 1 and InputKind.COUNTS in kinds and active["out"].any():
            save_experiment(tmp_path / "e.npz", network, x, "a random network")
            return tmp_path / "e.npz"
    raise AssertionError("no such network was drawn")


def change(path: Path, name: str, edit) -> None:
    with np.load(path) as opened:
        arrays = dict(opened)
    arrays[name] = edit(arrays[name])
    np.savez_compressed(path, **arrays)


def about(path: Path, edit) -> None:
    def changed(manifest: np.ndarray) -> np.ndarray:
        values = json.loads(manifest.tobytes())
        edit(values)
        return np.frombuffer(json.dumps(values).encode(), dtype=np.uint8)

    change(path, "experiment", changed)


def test_runs_again(saved: Path) -> None:
    verdict = verify_experiment(saved)
    assert verdict.good
    assert verdict.versions == verdict.damage == verdict.first == []
    opened = open_experiment(saved)
    assert verdict.compared == sum(a.size for a in opened.expected.values()) > 0
    assert {name.split("/")[0] for name in opened.expected} == {"spikes", "v"}
    assert is_experiment(saved)


@pytest.mark.parametrize("part", ["network", "samples", "expected"])
def test_a_changed_part_is_named(saved: Path, part: str) -> None:
    with np.load(saved) as opened:
        name = next(n for n in opened.files if n.startswith(f"{part}/") and n != "network/network" and opened[n].size)
    change(saved, name, lambda a: np.where(np.arange(a.size).reshape(a.shape) == 0, a == 0, a).astype(a.dtype))
    verdict = verify_experiment(saved)
    assert not verdict.good
    assert [line.split(":")[0] for line in verdict.damage] == [part]


def test_other_spikes_are_counted_and_placed(saved: Path) -> None:
    change(saved, "expected/spikes/out", lambda a: ~a)
    verdict = verify_experiment(saved)
    size = open_experiment(saved).expected["spikes/out"].size
    assert verdict.differences == size
    assert verdict.first[0].startswith(f"spikes/out: {size} of {size} differ; first in sample 0, tick 0, neuron (0")


def test_other_programs_are_told_and_no_fault(saved: Path) -> None:
    about(saved, lambda values: values["versions"].update(numpy="0.1") or values.update(model="0"))
    verdict = verify_experiment(saved)
    assert verdict.good
    assert verdict.versions[0] == f"numpy: saved with 0.1, this is {np.__version__}"
    assert "golden model's source text" in verdict.versions[1]


def test_files_that_are_none(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(saved.read_bytes()[:-200])
    assert not is_experiment(tmp_path / "x.npz")
    with pytest.raises(ImageError, match=r"x\.npz: not an experiment"):
        open_experiment(tmp_path / "x.npz")
    about(saved, lambda values: values.update(experiment=99))
    with pytest.raises(ImageError, match="experiment of format 99"):
        open_experiment(saved)


def invoke(*arguments: str, status: int = 0) -> dict:
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == status, result.output
    return json.loads(result.output.strip().splitlines()[-1])


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A small trained network and samples for it, as arguments of a command."""
    rng = np.random.default_rng(1)
    nodes = {
        "input": nir.Input({"input": np.array([5])}), "w": nir.Linear(rng.normal(size=(4, 5))),
        "lif": nir.LIF(*(np.full(4, value) for value in (4.0, 4.0, 0.0, 1.0, 0.0))),
        "output": nir.Output({"output": np.array([4])}),
    }  # fmt: skip
    nir.write(tmp_path / "net.nir", nir.NIRGraph(nodes, list(pairwise(nodes)), {"spikeloom.dt": 1.0}))
    np.savez(tmp_path / "x.npz", spikes=rng.integers(0, 2, (6, 20, 5)))
    return [str(tmp_path / "net.nir"), "-s", str(tmp_path / "x.npz")]


def test_from_the_command_line(tmp_path: Path, files: list[str]) -> None:
    path = tmp_path / "e.npz"
    made = invoke("experiment", *files, "-n", "3", "-o", str(path))
    assert set(made["hashes"]) == {"network", "samples", "expected"}
    assert invoke("verify", str(path))["compared"] == 3 * 20 * 4
    change(path, "expected/spikes/output", lambda a: ~a)
    invoke("export", str(path), "-o", str(tmp_path / "again.nir"))  # a command takes the network out of the file
    network = open_experiment(path).network
    assert (import_quantised(tmp_path / "again.nir").projections[0].weights == network.projections[0].weights).all()
    found = invoke("verify", str(path), status=1)
    assert (found["good"], found["differences"]) == (False, 3 * 20 * 4)
    assert "expected: sha256" in found["damage"][0]


def test_an_exported_network_is_taken_as_it_is(tmp_path: Path, files: list[str]) -> None:
    first, second = tmp_path / "a.nir", tmp_path / "b.nir"
    said = invoke("export", *files, "-o", str(first))
    assert said["beyond"] == ["lif: decays, rounded after each tick"]
    invoke("export", str(first), "-o", str(second))  # quantised already: nothing is quantised again
    a, b = import_quantised(first), import_quantised(second)
    assert all((x.weights == y.weights).all() for x, y in zip(a.projections, b.projections, strict=True))
    assert all((x.theta == y.theta).all() for x, y in zip(a.populations, b.populations, strict=True))


@pytest.mark.full
def test_on_gateware_too(saved: Path) -> None:
    found = invoke("verify", str(saved), "-t", "auto:1x1")
    assert found["good"]
    assert found["compared"] == 2 * verify_experiment(saved).compared


@pytest.mark.parametrize("command", ["experiment", "export"])
def test_commands_have_help(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output
