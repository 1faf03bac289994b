"""The command line: what it prints, what it leaves behind, how it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spikeloom import cli
from spikeloom.cli.app import app
from spikeloom.cli.inputs import open_samples
from spikeloom.contract.errors import SampleError, SpikeloomError
from spikeloom.contract.network import QuantisedNetwork
from spikeloom.image import open_image

EXAMPLES = Path(__file__).parents[2] / "examples"
SPEECH, SPEECH_SAMPLES = str(EXAMPLES / "speech" / "speech.nir"), str(EXAMPLES / "speech" / "samples.npz")


@pytest.fixture(autouse=True, scope="module")
def commands():
    from spikeloom.cli import (  # noqa: F401
        bench_compile,
        bench_cycles,
        bench_predict,
        bench_resources,
        build,
        compile,
        demo,
        fit,
        generate,
        report,
        run,
        verify,
    )  # fmt: skip


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def figures(output: str) -> dict:
    """The object on the last line that ``--json`` promises."""
    return json.loads(output.strip().splitlines()[-1])


@pytest.mark.parametrize(
    "command", ["demo", "compile", "generate", "run", "verify", "build", "boards", "report", "bench", "fit"]
)
def test_every_command_has_help(command: str) -> None:
    assert "Usage" in invoke(command, "--help")


@pytest.mark.parametrize("figures", ["simulators", "cycles", "predict", "resources", "compile"])
def test_every_bench_has_help(figures: str) -> None:
    assert "Usage" in invoke("bench", figures, "--help")


def test_compile_writes_an_image_and_says_what_was_assumed(tmp_path: Path) -> None:
    image = tmp_path / "speech.npz"
    output = invoke("compile", SPEECH, "-s", SPEECH_SAMPLES, "-n", "20", "-o", str(image), "-t", "auto:2x1", "--json")
    assert "assumed dt: 0.001 (metadata)" in output
    assert "assumed delay" in output
    assert figures(output)["report"]["cores"] == 2
    assert open_image(image).config.cores == 2


def test_schedule_and_placement_are_told_from_the_shell(tmp_path: Path) -> None:
    image = str(tmp_path / "speech.npz")
    options = ("-s", SPEECH_SAMPLES, "-n", "4", "-o", image, "-t", "auto:2x1:8", "--place-by", "1", "--json")
    layered = figures(invoke("compile", SPEECH, *options, "--schedule", "layered"))["report"]
    assert (layered["latency"], layered["resources"]["phases"]["used"]) == (0, 2)
    assert figures(invoke("compile", SPEECH, *options))["report"]["latency"] == 1
    with pytest.raises(SpikeloomError, match="schedule: must be one of pipelined, layered, auto"):
        invoke("compile", SPEECH, *options, "--schedule", "fast")


def test_report_counts(tmp_path: Path) -> None:
    counts = figures(invoke("report", SPEECH, "-s", SPEECH_SAMPLES, "-n", "2", "--json"))["counts"]["golden"]
    assert 0 < counts["effective_acs"] <= counts["performed"] < counts["dense"]


def test_run_reads_that_image(tmp_path: Path) -> None:
    image, results = tmp_path / "speech.npz", tmp_path / "results.npz"
    invoke("compile", SPEECH, "-s", SPEECH_SAMPLES, "-n", "20", "-o", str(image))
    output = invoke("run", str(image), "-s", SPEECH_SAMPLES, "-n", "20", "-o", str(results), "--json")
    values = figures(output)
    assert values["accuracy"] >= 80
    assert values["ticks"] == 64
    assert values["refused"] == values["unrouted"] == 0
    with np.load(results) as arrays:
        assert arrays["spikes"].shape == (20, 64, 10)


def test_verify_compares_several_arrays() -> None:
    output = invoke("verify", SPEECH, "-s", SPEECH_SAMPLES, "-n", "2", "-t", "auto:1x1", "-t", "auto:1x1:8", "--json")
    assert figures(output)["differences"] == 0
    assert figures(output)["outputs_equal"] is True


def test_report_shows_layers_and_resources() -> None:
    output = invoke("report", SPEECH, "-s", SPEECH_SAMPLES, "-n", "20", "-t", "ulx3s_85f", "--json")
    assert "lif1" in output
    assert "words" in output
    assert [layer["name"] for layer in figures(output)["quantise"]["layers"]] == ["lif1", "lif2"]


def test_a_board_whose_rows_share_their_parameters() -> None:
    """A network is quantised for it without being asked to: a scale a layer, states of the preset's width."""
    digits = [str(EXAMPLES / "digits" / name) for name in ("digits.nir", "samples.npz")]
    found = figures(invoke("report", digits[0], "-s", digits[1], "-n", "20", "-t", "icebreaker", "--json"))
    for layer in found["quantise"]["layers"]:
        assert layer["scale_min"] == layer["scale_max"]


def test_boards() -> None:
    assert "ulx3s_85f" in [row["board"] for row in figures(invoke("boards", "--json"))["boards"]]


def test_a_refusal_is_one_message(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("sys.argv", ["spikeloom", "run", SPEECH])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    said = capfd.readouterr().err
    assert "give --samples FILE.npz" in said
    assert "Traceback" not in said


def test_files_that_are_something_else(tmp_path: Path) -> None:
    wrong = tmp_path / "x.npz"
    np.savez(wrong, images=np.zeros(3))
    with pytest.raises(SampleError, match=r"\['images'\], must hold spikes or x"):
        open_samples(wrong)
    wrong.write_bytes(b"nothing")
    with pytest.raises(SampleError, match="not a readable"):
        open_samples(wrong)
    with pytest.raises(SpikeloomError, match=r"x\.npz"):
        invoke("report", str(wrong))


def test_a_quantised_network_is_taken_as_it_is(tmp_path: Path) -> None:
    image, network = tmp_path / "image.npz", tmp_path / "network.npz"
    invoke("compile", SPEECH, "-s", SPEECH_SAMPLES, "-n", "20", "-o", str(image))
    open_image(image).network.save(network)
    invoke("compile", str(network), "-o", str(tmp_path / "again.npz"))
    first, second = open_image(image).network, QuantisedNetwork.load(network)
    assert all(np.array_equal(a.weights, b.weights) for a, b in zip(first.projections, second.projections, strict=True))
