"""Turns the linear layers of an ONNX graph into int8 products whose result for a row depends on that row alone.

Weights are rounded as `rounding` says, activations as `activations` decides. The operators are written themselves,
since ONNX Runtime's QDQ form needs its optimiser to find the same thing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from trifold.models.activations import Rows, Seen, Static, decide
from trifold.models.rounding import compensated

__all__ = ["quantise"]

Array: TypeAlias = np.ndarray[Any, Any]
_Members = Sequence[tuple[NodeProto, Array]]

_NARROWEST = 16
"""Layers with fewer outputs (a span head has two) stay fp32: they cost nothing and decide everything."""
_ROWS_PER_WINDOW = 24


def quantise(model: ModelProto, windows: Sequence[dict[str, Array]]) -> None:
    """Replace every linear layer of an fp32 graph, in place.

    windows: feeds of the graph with batch size 1, a few hundred, from training text.

    A layer becomes QuantizeLinear to uint8 and MatMulIntegerToFloat with int8 weights and a scale for each column,
    which adds the bias too where the activations' scale is static.
    """
    layers = _linear_layers(model)
    seen = _observe(model, list(dict.fromkeys(node.input[0] for node, _ in layers)), windows)
    by_input: dict[str, list[tuple[NodeProto, Array]]] = defaultdict(list)
    for node, weight in layers:
        by_input[node.input[0]].append((node, weight))
    surgery = _Surgery(model)
    for source, members in by_input.items():
        surgery.replace(source, members, seen[source])
    surgery.finish()


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


def _observe(model: ModelProto, names: Sequence[str], windows: Sequence[dict[str, Array]]) -> dict[str, Seen]:
    """Run the windows and look at the inputs of the layers."""
    probe = ModelProto()
    probe.CopyFrom(model)
    given = {entry.name for entry in model.graph.input}
    inside = [name for name in names if name not in given]
    for name in inside:
        probe.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    chance = np.random.default_rng(0)
    rows: dict[str, list[Array]] = defaultdict(list)
    largest: dict[str, Array] = {}
    ends: dict[str, tuple[float, float]] = {}
    for window in windows:
        found = dict(zip(inside, session.run(inside, window), strict=True)) | {
            n: window[n] for n in names if n in given
        }
        for name, values in found.items():
            flat = values.reshape(-1, values.shape[-1])
            rows[name].append(flat[chance.choice(len(flat), min(_ROWS_PER_WINDOW, len(flat)), replace=False)])
            largest[name] = np.maximum(largest.get(name, 0), np.abs(flat).max(0))
            low, high = ends.get(name, (0.0, 0.0))
            ends[name] = min(low, float(flat.min())), max(high, float(flat.max()))
    return {name: Seen(np.concatenate(rows[name]), largest[name], *ends[name]) for name in names}


class _Surgery:
    """Replaces layers of a graph; nothing is changed in its list of nodes before `finish`."""

    def __init__(self, model: ModelProto) -> None:
        self._model = model
        self._constants = {weight.name for weight in model.graph.initializer}
        self._users: dict[str, list[NodeProto]] = defaultdict(list)
        for node in model.graph.node:
            for name in node.input:
                self._users[name].append(node)
        self._replaced: dict[str, list[NodeProto]] = {}
        self._prefix = ""
        self._count = 0

    def replace(self, source: str, members: _Members, seen: Seen) -> None:
        """Replace the layers of one input."""
        self._prefix, self._count = f"int8.{self._count}", self._count + 1
        form = decide(seen, np.concatenate([weight for _, weight in members], axis=1))
        nodes = self._static(source, form) if isinstance(form, Static) else self._rows(source, form)
        for number, (node, weight) in enumerate(members):
            integers, steps = compensated(weight * form.factor[:, None], seen.rows / form.factor)
            inputs = [
                self._name("q"),
                self._constant(f"{number}.weight", integers),
                self._name("scale"),
                self._constant(f"{number}.steps", steps),
                self._name("zero"),
                self._constant(f"{number}.zeros", np.zeros(len(steps), np.int8)),
            ]
            if isinstance(form, Static):
                nodes += self._with_bias(node, inputs)
            else:
                product = self._name(f"{number}.product")
                nodes.append(helper.make_node("MatMulIntegerToFloat", inputs, [product], domain="com.microsoft"))
                nodes.append(helper.make_node("Mul", [product, self._name("row")], [node.output[0]]))
            self._replaced[node.output[0]] = nodes
            nodes = []

    def finish(self) -> None:
        graph = self._model.graph
        body = [new for node in graph.node for new in self._replaced.get(node.output[0], [node])]
        del graph.node[:]
        graph.node.extend(body)
        used = {name for node in graph.node for name in node.input}
        for weight in list(graph.initializer):
            if weight.name not in used:
                graph.initializer.remove(weight)

    def _name(self, part: str) -> str:
        return f"{self._prefix}.{part}"

    def _constant(self, part: str, value: Array | np.generic) -> str:
        array = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
        self._model.graph.initializer.append(numpy_helper.from_array(array, self._name(part)))
        return self._name(part)

    def _balanced(self, source: str, factor: Array) -> tuple[list[NodeProto], str]:
        if (factor == 1).all():
            return [], source
        names = [source, self._constant("factor", (1 / factor).astype(np.float32))]
        return [helper.make_node("Mul", names, [self._name("balanced")])], self._name("balanced")

    def _static(self, source: str, form: Static) -> list[NodeProto]:
        nodes, balanced = self._balanced(source, form.factor)
        scale, zero = self._constant("scale", np.float32(form.scale)), self._constant("zero", np.uint8(form.zero))
        return [*nodes, helper.make_node("QuantizeLinear", [balanced, scale, zero], [self._name("q")])]

    def _rows(self, source: str, form: Rows) -> list[NodeProto]:
        """The scale of each row as that of an axis: rows are made the first of two axes, and put back after.

        The products come out in units of the row's scale, by which they are multiplied.
        """
        nodes, balanced = self._balanced(source, form.factor)
        name, constant = self._name, self._constant
        constant("scale", np.float32(1))
        constant("zero", np.uint8(form.zero))
        share, least = constant("share", np.float32(1 / (255 - form.zero))), constant("least", np.float32(form.least))
        flat = constant("flat", np.array([-1, len(form.factor)], np.int64))
        each = constant("each", np.array([-1], np.int64))
        magnitude = name("magnitude") if form.two_sided else balanced
        if form.two_sided:
            nodes.append(helper.make_node("Abs", [balanced], [magnitude]))
        zeros = helper.make_tensor("value", TensorProto.UINT8, [1], [form.zero])
        return [
            *nodes,
            helper.make_node("ReduceMax", [magnitude], [name("highest")], keepdims=1, axes=[-1]),
            helper.make_node("Mul", [name("highest"), share], [name("wanted")]),
            helper.make_node("Max", [name("wanted"), least], [name("row")]),
            helper.make_node("Reshape", [name("row"), each], [name("scales")]),
            helper.make_node("Shape", [name("scales")], [name("count")]),
            helper.make_node("ConstantOfShape", [name("count")], [name("zeros")], value=zeros),
            helper.make_node("Reshape", [balanced, flat], [name("table")]),
            helper.make_node("QuantizeLinear", [name("table"), name("scales"), name("zeros")], [name("lines")], axis=0),
            helper.make_node("Shape", [balanced], [name("shape")]),
            helper.make_node("Reshape", [name("lines"), name("shape")], [name("q")]),
        ]

    def _with_bias(self, node: NodeProto, inputs: list[str]) -> list[NodeProto]:
        """The product of a layer, together with the bias that is added to it, if there is one."""
        users = self._users[node.output[0]]
        out = node.output[0]
        if len(users) == 1 and (bias := self._bias(users[0], out)) is not None:
            inputs.append(bias)
            user = users[0]
            if user.op_type == "Add":
                self._replaced[user.output[0]] = []
                out = user.output[0]
            else:
                gelu = helper.make_node("Gelu", [out], [user.output[0]], domain="com.microsoft")
                self._replaced[user.output[0]] = [gelu]
        return [helper.make_node("MatMulIntegerToFloat", inputs, [out], domain="com.microsoft")]

    def _bias(self, user: NodeProto, product: str) -> str | None:
        """The constant that an Add or a BiasGelu adds to a product for each column."""
        if user.op_type == "BiasGelu" and user.input[0] == product:
            return str(user.input[1])
        if user.op_type == "Add":
            (other,) = [name for name in user.input if name != product] or [""]
            if other in self._constants and self._columns(other):
                return str(other)
        return None

    def _columns(self, constant: str) -> bool:
        (tensor,) = (weight for weight in self._model.graph.initializer if weight.name == constant)
        return len(tensor.dims) == 1
