"""The image's file: what is saved comes back, and damage is refused."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from spikeloom.compiler.compile import compile
from spikeloom.contract.config import FORMAT_VERSION
from spikeloom.contract.errors import ImageError
from spikeloom.contract.numerics import Profile
from spikeloom.driver.board import Board
from spikeloom.image import Image, open_image

from .model_array import ModelArray
from .random_networks import random_network, random_samples


def make(seed: int = 3) -> Image:
    return compile(random_network(seed, Profile.SPIKELOOM), "auto:2x1:4")


def rewrite(path: Path, **changes: object) -> None:
    """Change entries of the manifest, leaving all else."""
    with np.load(path) as file:
        arrays = dict(file)
    manifest = json.load(io.BytesIO(arrays["manifest"].tobytes())) | changes
    arrays["manifest"] = np.frombuffer(json.dumps(manifest).encode(), dtype=np.uint8)
    np.savez_compressed(path, **arrays)


@pytest.mark.parametrize("seed", range(8))
def test_round_trip(tmp_path: Path, seed: int) -> None:
    image = make(seed)
    image.save(tmp_path / "a.npz")
    again = open_image(tmp_path / "a.npz")
    assert again.config == image.config
    assert again.digest == image.digest
    assert tuple(again.slices) == tuple(image.slices)
    assert again.input_keys == image.input_keys
    assert again.used == image.used
    assert again.memories.keys() == image.memories.keys()
    assert again.text == image.text
    for at, words in image.memories.items():
        np.testing.assert_array_equal(again.memories[at], words)
    again.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    samples = random_samples(image.network, seed)
    with Board(ModelArray(again.config), again) as a, Board(ModelArray(image.config), image) as b:
        assert (a.run(samples, record=("v",)).cycles == b.run(samples, record=("v",)).cycles).all()


def test_report_names_every_resource() -> None:
    image = make()
    resources = image.report["resources"]
    assert set(resources) == {
        "rows", "words", "projections", "coordinates", "entries", "keys", "slots", "index", "accumulator",
    }  # fmt: skip
    assert all(0 <= r["share"] <= 1 for r in resources.values())
    assert all(name in image.text for name in resources)
    assert image.report["neurons"] == sum(p.size for p in image.network.populations)


def test_cut_short_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "image.npz"
    make().save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        with pytest.raises(ImageError, match="spikeloom compile"):
            open_image(path)


def test_damaged_anywhere(tmp_path: Path) -> None:
    """Either the damage is found, or it was in a byte that carries nothing (of the archive's own book-keeping)."""
    path = tmp_path / "image.npz"
    image = make()
    image.save(path)
    whole, found = path.read_bytes(), 0
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(whole), 150):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.integers(8)]) + whole[at + 1 :])
        try:
            again = open_image(path)
        except ImageError:
            found += 1
            continue
        for key, words in image.memories.items():
            np.testing.assert_array_equal(again.memories[key], words)
    assert found > 50


def test_other_versions_and_contents(tmp_path: Path) -> None:
    path = tmp_path / "image.npz"
    make().save(path)
    rewrite(path, input_keys={})
    with pytest.raises(ImageError, match="do not match their hash"):
        open_image(path)
    rewrite(path, image=99)
    n = FORMAT_VERSION
    with pytest.raises(ImageError, match=rf"versions \(99, {n}\), this program reads \(2, {n}\).*spikeloom compile"):
        open_image(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(ImageError, match="not an image"):
        open_image(path)
    with pytest.raises(ImageError, match="there is no such image"):
        open_image(tmp_path / "none.npz")
    with pytest.raises(ImageError, match="not an image"):
        open_image(tmp_path)
