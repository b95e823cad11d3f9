"""A phone model's distributions as a graph, so that the engine computes them: no torch, and the same for every task."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trifold.errors import MissingExtra, ModelDamaged
from trifold.tasks.asr.making.initialisers import initialisers
from trifold.tasks.asr.making.names import INPUT, OUTPUT
from trifold.tasks.asr.refining.maps import Map
from trifold.tasks.asr.refining.mixtures import Mixtures
from trifold.tasks.asr.refining.phones import PhoneModel

__all__ = ["read_graph", "write_graph"]

_OPSET = 17


def write_graph(model: PhoneModel, path: Path) -> None:
    """Frames, shape (batch, frames, D), to scaled log p(frame | state), shape (batch, frames, S), float32.

    A normal distribution with a diagonal covariance is linear in a frame and its squares; frames are mapped first where
    the distributions are of mapped ones. Raises MissingExtra.
    """
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise MissingExtra("learning without transcripts", "asr") from error
    mixtures = model.sounds
    states, components, width = mixtures.means.shape
    precision = (1 / mixtures.variances).reshape(-1, width)
    centre = (mixtures.means / mixtures.variances).reshape(-1, width)
    fixed = np.log(mixtures.weights) - 0.5 * (
        np.log(2 * np.pi * mixtures.variances) + mixtures.means**2 / mixtures.variances
    ).sum(2)
    constants = {
        "weights": np.concatenate([centre, -0.5 * precision], 1).T.astype(np.float32),
        "bias": fixed.reshape(-1).astype(np.float32),
        "scale": np.array(model.scale, np.float32),
        "parts": np.array([0, 0, states, components], np.int64),
    }
    seen, nodes = INPUT, []
    if model.space is not None:
        seen = "seen"
        constants |= {
            "matrix": model.space.matrix.T.astype(np.float32),
            "offset": model.space.offset.astype(np.float32),
        }
        nodes = [
            helper.make_node("MatMul", [INPUT, "matrix"], ["turned"]),
            helper.make_node("Add", ["turned", "offset"], [seen]),
        ]
    nodes += [
        helper.make_node("Mul", [seen, seen], ["squares"]),
        helper.make_node("Concat", [seen, "squares"], ["both"], axis=2),
        helper.make_node("MatMul", ["both", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["flat"]),
        helper.make_node("Reshape", ["flat", "parts"], ["each"]),
        helper.make_node("ReduceLogSumExp", ["each"], ["sum"], axes=[3], keepdims=0),
        helper.make_node("Mul", ["sum", "scale"], [OUTPUT]),
    ]
    graph = helper.make_graph(
        nodes,
        "phones",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", "frames", width])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", "frames", states])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
    onnx.checker.check_model(made)
    path.write_bytes(made.SerializeToString())


def read_graph(path: Path) -> tuple[Mixtures, float, Map | None]:
    """The distributions of a graph that `write_graph` wrote, its scale, and the map of frames that they are of. Raises
    ModelDamaged. Without onnx."""
    try:
        constants = {name: value.astype(np.float64) for name, value in initialisers(path).items()}
        linear, halves = np.split(constants["weights"].T, 2, axis=1)
        shape = (*constants["parts"][2:].astype(int).tolist(), linear.shape[1])
        variances = -0.5 / halves
        means = linear * variances
        fixed = constants["bias"] + 0.5 * (np.log(2 * np.pi * variances) + means**2 / variances).sum(1)
        weights = np.exp(fixed.reshape(shape[:2]))
        found = Mixtures(weights / weights.sum(1, keepdims=True), means.reshape(shape), variances.reshape(shape))
        scale = float(constants["scale"])
        space = Map(constants["matrix"].T, constants["offset"]) if "matrix" in constants else None
        width = shape[2]
        if space is not None and (space.matrix.shape, space.offset.shape) != ((width, width), (width,)):
            raise ValueError("its map and its distributions do not fit together")
        # One that cannot be taken back, which adapting does, is none.
        mapped = () if space is None else (space.matrix, space.offset, space.undone().matrix)
        numbers = (found.weights, found.means, found.variances, scale, *mapped)
        if not (found.variances > 0).all() or not all(np.isfinite(one).all() for one in numbers):
            raise ValueError("its distributions are none")
        return found, scale, space
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        raise ModelDamaged(f"{path}: not the graph of a recogniser ({error}). Get the model again.") from None
