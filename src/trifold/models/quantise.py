"""Turns the linear layers of an ONNX graph into int8 products whose result for a row depends on that row alone.

Each row of activations (one token) gets a scale of its own, computed as it passes. A dynamic scale for the whole
tensor, the common choice, would let a window's answer change with its neighbours in the batch. Static scales would
do too, but keep fewer answers and save hardly any time (docs/decisions.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

__all__ = ["compensated", "quantise", "quantise_weight"]

Array: TypeAlias = np.ndarray[Any, Any]

_NARROWEST = 16
"""Layers with fewer outputs (a span head has two) stay fp32: they cost nothing and decide everything."""
_ALPHAS = (0.35, 0.5, 0.65, 0.8)
"""How much of the difficulty SmoothQuant moves from activations to weights."""
_DAMPING = 0.01
_ROWS_PER_WINDOW = 24
_ROWS_TO_FIT = 800


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a layer's input looked like on the calibration windows: sampled rows, each channel's largest magnitude."""

    rows: Array
    largest: Array


def quantise(model: ModelProto, windows: Sequence[dict[str, Array]]) -> None:
    """Replace every linear layer of an fp32 graph, in place.

    windows: feeds of the graph with batch size 1, a few hundred, from training text.

    Each layer becomes a factor for each channel (SmoothQuant), QuantizeLinear to uint8 with a scale for each row, and
    MatMulIntegerToFloat with int8 weights and a scale for each column: the operators themselves, since ONNX Runtime's
    QDQ form needs its optimiser to find the same thing.
    """
    layers = _linear_layers(model)
    seen = _observe(model, list(dict.fromkeys(node.input[0] for node, _ in layers)), windows)
    by_input: dict[str, list[tuple[NodeProto, Array]]] = defaultdict(list)
    for node, weight in layers:
        by_input[node.input[0]].append((node, weight))
    replaced: dict[str, list[NodeProto]] = {}
    for number, (source, members) in enumerate(by_input.items()):
        new = _quantised(model, f"int8.{number}", source, members, seen[source])
        for (node, _), nodes in zip(members, new, strict=True):
            replaced[node.output[0]] = nodes
    body = [new for node in model.graph.node for new in replaced.get(node.output[0], [node])]
    del model.graph.node[:]
    model.graph.node.extend(body)
    used = {name for node in model.graph.node for name in node.input}
    for weight in list(model.graph.initializer):
        if weight.name not in used:
            model.graph.initializer.remove(weight)


def _linear_layers(model: ModelProto) -> list[tuple[NodeProto, Array]]:
    constants = {weight.name: weight for weight in model.graph.initializer}
    return [
        (node, numpy_helper.to_array(constants[node.input[1]]).astype(np.float32))
        for node in model.graph.node
        if node.op_type == "MatMul"
        and node.input[1] in constants
        and len(constants[node.input[1]].dims) == 2
        and constants[node.input[1]].dims[1] >= _NARROWEST
    ]


def _observe(model: ModelProto, names: Sequence[str], windows: Sequence[dict[str, Array]]) -> dict[str, _Seen]:
    """Run the windows and look at the inputs of the layers."""
    probe = ModelProto()
    probe.CopyFrom(model)
    for name in names:
        probe.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    chance = np.random.default_rng(0)
    rows: dict[str, list[Array]] = defaultdict(list)
    largest: dict[str, Array] = {}
    for window in windows:
        for name, values in zip(names, session.run(names, window), strict=True):
            flat = values.reshape(-1, values.shape[-1])
            rows[name].append(flat[chance.choice(len(flat), min(_ROWS_PER_WINDOW, len(flat)), replace=False)])
            largest[name] = np.maximum(largest.get(name, 0), np.abs(flat).max(0))
    return {name: _Seen(np.concatenate(rows[name]), largest[name]) for name in names}


def _quantised(
    model: ModelProto, prefix: str, source: str, members: Sequence[tuple[NodeProto, Array]], seen: _Seen
) -> list[list[NodeProto]]:
    """The nodes that take the place of each layer of one input; the first layer's hold the quantisation itself."""

    def constant(name: str, value: Array | np.generic) -> str:
        array = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
        model.graph.initializer.append(numpy_helper.from_array(array, f"{prefix}.{name}"))
        return f"{prefix}.{name}"

    factor = _factor(seen, np.concatenate([weight for _, weight in members], axis=1))
    step, zero = constant("scale", np.float32(1 / 127)), constant("zero", np.uint8(128))
    balanced, row = f"{prefix}.balanced", f"{prefix}.row"
    # x / absmax(row) fills [-1, 1] and is quantised at a fixed step; the product is multiplied back at the end.
    nodes = [
        helper.make_node("Mul", [source, constant("factor", 1 / factor)], [balanced]),
        helper.make_node("Abs", [balanced], [f"{prefix}.abs"]),
        helper.make_node("ReduceMax", [f"{prefix}.abs"], [f"{prefix}.top"], keepdims=1, axes=[-1]),
        helper.make_node("Max", [f"{prefix}.top", constant("least", np.float32(1e-9))], [row]),
        helper.make_node("Div", [balanced, row], [f"{prefix}.unit"]),
        helper.make_node("QuantizeLinear", [f"{prefix}.unit", step, zero], [f"{prefix}.q"]),
    ]
    replaced = []
    for number, (node, weight) in enumerate(members):
        integers, steps = compensated(weight * factor[:, None], seen.rows / factor)
        inputs = [
            f"{prefix}.q",
            constant(f"{number}.weight", integers),
            step,
            constant(f"{number}.step", steps),
            zero,
            constant(f"{number}.zero", np.zeros(integers.shape[1], np.int8)),
        ]
        product = f"{prefix}.{number}.product"
        nodes.append(helper.make_node("MatMulIntegerToFloat", inputs, [product], domain="com.microsoft"))
        nodes.append(helper.make_node("Mul", [product, row], [node.output[0]]))
        replaced.append(nodes)
        nodes = []
    return replaced


def quantise_weight(weight: Array) -> tuple[Array, Array]:
    """Symmetric int8 with a step for each column, which saturates on no processor.

    weight: shape (inputs, outputs). Returns int8 values of that shape and steps of shape (outputs,).

    Without VNNI, x86 multiplies by vpmaddubsw: the products of two neighbouring rows with unsigned activations are
    added in 16 bits. 255 * (sum of the like-signed weights of a pair) stays below 2^15 exactly when that sum is at
    most 128. Weights of seven bits ensure that by doubling every step; bounding the sums of pairs ensures it too
    and keeps nearly eight bits, since two large neighbours of one sign are rare.
    """
    if weight.shape[0] % 2:
        integers, steps = quantise_weight(np.concatenate([weight, np.zeros_like(weight[:1])]))
        return integers[:-1], steps
    step = np.maximum(np.maximum(_pair_sums(weight) / 127.4, np.abs(weight).max(0) / 127), 1e-9)
    while True:
        integers = np.clip(np.rint(weight / step), -127, 127)
        over = _pair_sums(integers) > 128
        if not over.any():
            return integers.astype(np.int8), step.astype(np.float32)
        step = np.where(over, step * 1.004, step)


def compensated(weight: Array, rows: Array) -> tuple[Array, Array]:
    """As `quantise_weight`, each rounding error made up for by the weights that are rounded after it.

    weight: shape (inputs, outputs). rows: shape (n, inputs), what the layer multiplies. Minimises the error of the
    product, not of the weights (GPTQ: Frantar et al. 2023, algorithm 1, without blocks).
    """
    _, step = quantise_weight(weight)
    left = weight.astype(np.float64)
    hessian = rows.T.astype(np.float64) @ rows / len(rows)
    hessian += np.eye(len(weight)) * (_DAMPING * np.trace(hessian) / len(weight) + 1e-9)
    inverse = np.linalg.cholesky(np.linalg.inv(hessian)).T
    integers = np.zeros(weight.shape)
    for i in range(len(weight)):
        lowest, highest = np.full(weight.shape[1], -127.0), np.full(weight.shape[1], 127.0)
        if i % 2:  # the pair's like-signed sum stays within 128, as above
            before = integers[i - 1]
            lowest, highest = (
                np.maximum(lowest, -128 - np.minimum(before, 0)),
                np.minimum(highest, 128 - np.maximum(before, 0)),
            )
        integers[i] = np.clip(np.rint(left[i] / step), lowest, highest)
        error = (left[i] - integers[i] * step) / inverse[i, i]
        left[i + 1 :] -= np.outer(inverse[i, i + 1 :], error)
    return integers.astype(np.int8), step


def _pair_sums(weight: Array) -> Array:
    """For each column, the largest sum of like-signed neighbours (rows 2i and 2i + 1)."""
    pairs = weight.reshape(-1, 2, weight.shape[1])
    largest: Array = np.maximum(np.maximum(pairs, 0).sum(1).max(0), np.maximum(-pairs, 0).sum(1).max(0))
    return largest


def _balance(seen: _Seen, weight: Array, alpha: float) -> Array:
    """SmoothQuant's factor for each channel (Xiao et al. 2023, eq. 4), with a geometric mean of 1."""
    factor = np.maximum(seen.largest, 1e-4) ** alpha / np.maximum(np.abs(weight).max(1), 1e-6) ** (1 - alpha)
    balanced: Array = (factor / np.exp(np.log(factor).mean())).astype(np.float32)
    return balanced


def _factor(seen: _Seen, weight: Array) -> Array:
    """SmoothQuant's factor with the least squared error of the layer's output on the sampled rows."""
    rows = seen.rows[:: max(1, len(seen.rows) // _ROWS_TO_FIT)]
    wanted = rows @ weight
    best: tuple[float, Array] | None = None
    for alpha in _ALPHAS:
        factor = _balance(seen, weight, alpha)
        integers, steps = quantise_weight(weight * factor[:, None])
        balanced = rows / factor
        scale = np.maximum(np.abs(balanced).max(axis=1, keepdims=True) / 127, 1e-9)
        error = float((((np.rint(balanced / scale) * scale) @ (integers * steps) - wanted) ** 2).mean())
        if best is None or error < best[0]:
            best = (error, factor)
    assert best is not None
    return best[1]
