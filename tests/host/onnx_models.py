"""ONNX models for the tests, written with ``onnx.helper``: what exporters write, without a framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper


def model(
    nodes: Sequence[tuple], constants: dict[str, np.ndarray], shape: tuple[int, ...], output: str = "out"
) -> ModelProto:
    """A model of ``(op, inputs, output, attributes)``, whose input is ``x (n, *shape)``."""
    made = [helper.make_node(op, ins, [out], name=f"/{out}/{op}", **attributes) for op, ins, out, attributes in nodes]
    graph = helper.make_graph(
        made, "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", "m"])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def reference(made: ModelProto, images: np.ndarray) -> np.ndarray:
    """Its first output, by the reference implementation of ``onnx``."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(made).run(None, {"x": images.astype(np.float32)})[0]


def convolutional(seed: int) -> ModelProto:
    """Random convolutions with batch norm, a residual branch, an average and a dense layer; input (2, 9, 8)."""
    rng = np.random.default_rng(seed)
    constants: dict[str, np.ndarray] = {}
    nodes: list[tuple[str, list[str], str, dict[str, Any]]] = []

    def weights(name: str, *shape: int) -> str:
        constants[name] = (rng.normal(0, 1, shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        return name

    def vector(name: str, size: int, low: float, high: float) -> str:
        constants[name] = rng.uniform(low, high, size).astype(np.float32)
        return name

    pads = [int(n) for n in rng.integers(0, 2, 4)]
    stride = [int(n) for n in rng.integers(1, 3, 2)]
    nodes.append(
        ("Conv", ["x", weights("k1", 6, 2, 3, 2), vector("b1", 6, -0.2, 0.4)], "c1", {"pads": pads, "strides": stride})
    )
    bn = [vector("g", 6, 0.5, 2), vector("s", 6, -0.2, 0.4), vector("m", 6, -0.1, 0.1), vector("v", 6, 0.5, 2)]
    nodes.append(("BatchNormalization", ["c1", *bn], "n1", {"epsilon": 1e-3}))
    if rng.random() < 0.5:
        constants |= {"zero": np.float32(0), "bound": np.float32(1.5)}
        nodes.append(("Clip", ["n1", "zero", "bound"], "a1", {}))
    else:
        nodes.append(("Relu", ["n1"], "a1", {}))
    groups = int(rng.choice([1, 2, 3]))
    nodes += [
        ("Conv", ["a1", weights("k2", 6, 6 // groups, 3, 3)], "c2", {"auto_pad": "SAME_UPPER", "group": groups}),
        ("Add", ["c2", "a1"], "sum", {}),
        ("Relu", ["sum"], "a2", {}),
        ("Dropout", ["a2"], "d2", {}),
    ]
    if rng.random() < 0.5:
        pool = {"kernel_shape": [2, 2], "strides": [1, 2], "pads": [1, 1, 1, 1], "count_include_pad": seed % 2}
        nodes += [("AveragePool", ["d2"], "p", pool), ("GlobalAveragePool", ["p"], "q", {})]
    else:
        nodes.append(("GlobalAveragePool", ["d2"], "q", {}))
    nodes += [
        ("Flatten", ["q"], "f", {}),
        ("Gemm", ["f", weights("w", 4, 6), vector("b", 4, -1, 1)], "y", {"transB": 1, "alpha": 2.0, "beta": 0.5}),
        ("Softmax", ["y"], "out", {}),
    ]
    return model(nodes, constants, (2, 9, 8), "out")
