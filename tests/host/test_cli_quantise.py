"""``spikeloom quantise`` and ``spikeloom convert``: what they print, write and refuse."""

import json
from pathlib import Path

import numpy as np
import pytest
from onnx_models import model
from typer.testing import CliRunner

import spikeloom as sl
from spikeloom.cli import quantise as commands  # noqa: F401
from spikeloom.cli import report as reports  # noqa: F401
from spikeloom.cli.app import app
from spikeloom.cli.inputs import layer_bits, open_quantised
from spikeloom.contract.errors import NetworkError

SPEECH = Path(__file__).parents[2] / "examples" / "speech"
ARGUMENTS = [str(SPEECH / "speech.nir"), "-s", str(SPEECH / "samples.npz"), "-n", "24", "--calibrate", "12"]


def invoke(*arguments: str) -> tuple[str, dict]:
    """All that is printed, and the object on its last line."""
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output, json.loads(result.output.strip().splitlines()[-1])


def test_quantise_measures_and_writes_what_others_read(tmp_path: Path) -> None:
    path = tmp_path / "q.npz"
    output, figures = invoke(
        "quantise", *ARGUMENTS, "-o", str(path), "--weight-bits", "lif1=4", "--calibration", "percentile:99"
    )
    assert "decisions on 24 samples" in output
    assert "weights are clipped to 4 bits, calibration percentile:99" in output
    report = figures["quantise"]
    assert [line["bits"] for line in report["layers"]] == [4, 4]
    assert set(report["decisions"]) == {"float", "predicted", "measured"}
    assert sl.QuantisedNetwork.load(path).report["decisions"] == report["decisions"]
    again, _ = invoke("report", str(path), "-t", "auto:1x1")
    assert "decisions on 24 samples" in again


def test_search(tmp_path: Path) -> None:
    output, figures = invoke(
        "quantise", *ARGUMENTS, "-o", str(tmp_path / "q.npz"), "--max-loss", "5", "--choices", "8,4"
    )
    assert "search, a line a step" in output
    path = figures["quantise"]["bits_path"]
    assert path[0]["bits"] == {"lif1": 8, "lif2": 8}
    assert len(path) > 1
    assert figures["quantise"]["bits"] == path[-1]["bits"]


def test_convert(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    nodes = [("MatMul", ["x", "w"], "m", {}), ("Relu", ["m"], "a", {}), ("MatMul", ["a", "u"], "out", {})]
    w, u = (rng.normal(0, 1, shape).astype(np.float32) for shape in ((6, 20), (20, 3)))
    (tmp_path / "net.onnx").write_bytes(model(nodes, {"w": w, "u": u}, (6,)).SerializeToString())
    x = rng.integers(0, 16, (40, 6)) / 15
    np.savez(tmp_path / "x.npz", x=x, labels=(np.maximum(x @ w, 0) @ u).argmax(1))
    output, figures = invoke(
        "convert", str(tmp_path / "net.onnx"), "-s", str(tmp_path / "x.npz"), "--ticks", "64", "--levels", "15",
        "-o", str(tmp_path / "q.npz"), "--encoded", str(tmp_path / "samples.npz"),
    )  # fmt: skip
    assert figures["ann_accuracy"] == 100
    assert figures["quantise"]["decisions"]["measured"]["accuracy"] > 85
    assert "assumed threshold" in output
    with np.load(tmp_path / "samples.npz") as file:
        assert str(file["kind"]) == "graded"
        result = sl.golden.run(sl.QuantisedNetwork.load(tmp_path / "q.npz"), file["spikes"])
        measured = (result.v[:, -1].argmax(1) == file["labels"]).mean() * 100
    assert figures["quantise"]["decisions"]["measured"]["accuracy"] == pytest.approx(measured)
    with pytest.raises(NetworkError, match=r"net\.onnx: a trained ANN: spikeloom convert"):
        open_quantised(tmp_path / "net.onnx", None)


def test_bits_in_words() -> None:
    assert layer_bits("4") == 4
    assert layer_bits("a=4, b=2") == {"a": 4, "b": 2}
    assert layer_bits("16,8", many=True) == [16, 8]
    for text in ("four", "a=4,b"):
        with pytest.raises(NetworkError, match="a number, or layer=number"):
            layer_bits(text)
