"""Networks of a few nodes in the ONNX format, whose answers numpy computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

GAINS = np.random.default_rng(0).normal(size=(1, 3)).astype(np.float32)
"""What the loudness of a waveform is multiplied by, for each of three classes."""


def save(path: Path, shape: Sequence[Any], gains: Any = GAINS, *, outputs: int = 1, extra: str = "") -> Path:
    """Save a network that says the loudness of its input times the gains.

    Args:
        path: of the file.
        shape: of its input `x`; None: any.
        gains: (1, n_classes).
        outputs: how many it has: `y`, and before it `loudness`.
        extra: name of another input that it needs.
    """
    axes = numpy_helper.from_array(np.arange(1, len(shape)), "axes")
    line = numpy_helper.from_array(np.array([-1, 1]), "line")
    value = helper.make_tensor_value_info
    inputs = [value("x", TensorProto.FLOAT, shape)]
    last = "z"
    nodes = [
        helper.make_node("ReduceSumSquare", ["x", "axes"], ["sum"], keepdims=0),
        helper.make_node("Shape", ["x"], ["size"], start=len(shape) - 1),
        helper.make_node("Cast", ["size"], ["length"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["sum", "length"], ["mean"]),
        helper.make_node("Reshape", ["mean", "line"], ["loudness"]),
        helper.make_node("MatMul", ["loudness", "gains"], [last]),
    ]
    if extra:
        inputs.append(value(extra, TensorProto.FLOAT, [1]))
        nodes.append(helper.make_node("Add", [last, extra], ["y"]))
    else:
        nodes.append(helper.make_node("Identity", [last], ["y"]))
    infos = [value("loudness", TensorProto.FLOAT, [None, 1]), value("y", TensorProto.FLOAT, [None, None])][
        -outputs:
    ]
    constants = [axes, line, numpy_helper.from_array(gains, "gains")]
    graph = helper.make_graph(nodes, "toy", inputs, infos, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save_model(model, path)
    return path
