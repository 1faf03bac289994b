"""Write the ONNX files of this folder, as PyTorch's two exporters and Keras write them; weights are random.

    python tests/host/data/onnx/make.py FOLDER

wants torch, onnx, onnxscript and keras; the tests need none of them.
"""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras
import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions with batch norm and a residual branch."""

    def __init__(self, channels: int, wider: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, wider, 3, stride, 1, bias=False), nn.BatchNorm2d(wider))
        self.second = nn.Sequential(nn.Conv2d(wider, wider, 3, 1, 1, bias=False), nn.BatchNorm2d(wider))
        self.branch = nn.Conv2d(channels, wider, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))) + self.branch(x))


def residual() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU6(), Block(8, 8, 1), Block(8, 12, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(12, 5),
    )  # fmt: skip


def channels_last() -> keras.Sequential:
    layers = keras.layers
    return keras.Sequential([
        keras.Input((12, 12, 3)),
        layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False), layers.BatchNormalization(), layers.ReLU(),
        layers.Conv2D(8, 3, padding="same", activation="relu"), layers.AveragePooling2D(2),
        layers.Conv2D(12, 2, activation="relu"), layers.Flatten(), layers.Dropout(0.2), layers.Dense(5),
        layers.Softmax(),
    ])  # fmt: skip


def main() -> None:
    folder = Path(sys.argv[1])
    torch.manual_seed(1)
    keras.utils.set_random_seed(1)
    model, images = residual(), torch.rand(40, 3, 12, 12)
    model(images)  # in training mode: batch norm sees some statistics
    model.eval()
    names = {"input_names": ["x"], "output_names": ["y"]}
    axes = {"dynamic_axes": {"x": {0: "n"}, "y": {0: "n"}}}
    torch.onnx.export(model, (images[:2],), str(folder / "torch_script.onnx"), dynamo=False, **names, **axes)
    shapes = ({0: torch.export.Dim("n")},)
    torch.onnx.export(
        model, (images[:2],), str(folder / "torch_dynamo.onnx"), dynamo=True, external_data=False,
        dynamic_shapes=shapes, **names,
    )  # fmt: skip
    last = channels_last()
    last(images.permute(0, 2, 3, 1))
    last.export(str(folder / "keras.onnx"), format="onnx", verbose=False)


if __name__ == "__main__":
    main()
