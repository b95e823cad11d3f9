"""Lets an ONNX graph take its weights from `model.safetensors`, so that a model folder holds them once.

ONNX stores large tensors as "external data": a file name, an offset and a length. The tensors of a safetensors file
lie in it just so.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

__all__ = ["WEIGHTS", "share_weights"]

WEIGHTS = "model.safetensors"

Array: TypeAlias = np.ndarray[Any, Any]

_TYPES = {"F16": (np.float16, TensorProto.FLOAT16), "F32": (np.float32, TensorProto.FLOAT)}
_SMALLEST = 16
"""Tensors with fewer values stay in the graph: sharing them saves nothing, and small ones match by chance."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A tensor in the safetensors file: where its bytes are, its ONNX type, its values."""

    name: str
    offset: int
    size: int
    kind: int
    values: Array


def share_weights(model: ModelProto, folder: Path) -> int:
    """Point every fp32 weight of a graph whose values are in the folder's safetensors file at that file.

    Weights are matched by exact value, as stored or transposed, not by name: so it holds for any architecture,
    and after fusions that rename or turn weights. A stored fp16 tensor gets a Cast (and a Transpose), which ONNX
    Runtime computes once when it loads the graph. A table that is only gathered from keeps its stored type with the
    Cast behind the Gather, so that word embeddings are never expanded.

    Changes `model`; returns how many weights are shared.
    """
    stored = _stored_tensors(folder / WEIGHTS)
    found = _by_value(stored)
    graph = model.graph
    users: dict[str, list[tuple[NodeProto, int]]] = defaultdict(list)
    for node in graph.node:
        for position, name in enumerate(node.input):
            users[name].append((node, position))
    first: list[NodeProto] = []
    behind: dict[str, NodeProto] = {}
    declared: set[str] = set()
    shared = 0
    for weight in list(graph.initializer):
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _SMALLEST:
            continue
        match = found.get(_key(numpy_helper.to_array(weight)))
        if match is None:
            continue
        tensor, turned = match
        graph.initializer.remove(weight)
        source = f"stored.{tensor.name}"
        if source not in declared:
            declared.add(source)
            graph.initializer.append(_external(source, tensor))
        gathered = not turned and all(n.op_type == "Gather" and at == 0 for n, at in users[weight.name])
        if gathered:
            for node, _ in users[weight.name]:
                node.input[0] = source
                if tensor.kind != TensorProto.FLOAT:
                    behind.update(_cast_behind(node))
        else:
            first += _restore(source, weight.name, turned, tensor.kind)
        shared += 1
    body = [n for node in graph.node for n in (node, behind.get(node.output[0])) if n is not None]
    del graph.node[:]
    graph.node.extend(first + body)
    return shared


def _stored_tensors(path: Path) -> list[_Stored]:
    """The float tensors of a safetensors file, mapped into memory (format: header size, JSON header, bytes)."""
    with path.open("rb") as stream:
        (size,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(size))
    content = np.memmap(path, np.uint8, "r")
    tensors = []
    for name, facts in header.items():
        if name == "__metadata__" or facts["dtype"] not in _TYPES:
            continue
        dtype, kind = _TYPES[facts["dtype"]]
        begin, end = (8 + size + offset for offset in facts["data_offsets"])
        values = np.frombuffer(content[begin:end], dtype).reshape(facts["shape"])
        tensors.append(_Stored(name, begin, end - begin, kind, values))
    return tensors


def _by_value(stored: list[_Stored]) -> dict[tuple[tuple[int, ...], bytes], tuple[_Stored, bool]]:
    """Tensor and whether it must be turned, by shape and values; a match as stored goes before a turned one."""
    found: dict[tuple[tuple[int, ...], bytes], tuple[_Stored, bool]] = {}
    for tensor in stored:
        if tensor.values.size >= _SMALLEST and tensor.values.ndim == 2:
            found.setdefault(_key(tensor.values.T), (tensor, True))
    for tensor in stored:
        if tensor.values.size >= _SMALLEST:
            found[_key(tensor.values)] = (tensor, False)
    return found


def _key(values: Array) -> tuple[tuple[int, ...], bytes]:
    exact = np.ascontiguousarray(values, np.float32)
    return exact.shape, hashlib.sha256(exact.reshape(-1).data).digest()


def _external(name: str, tensor: _Stored) -> TensorProto:
    proto = TensorProto(name=name, data_type=tensor.kind, dims=tensor.values.shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", WEIGHTS), ("offset", tensor.offset), ("length", tensor.size)):
        proto.external_data.add(key=key, value=str(value))
    return proto


def _cast_behind(gather: NodeProto) -> dict[str, NodeProto]:
    """Make a Gather give the stored type under another name, and a Cast give what it gave before."""
    out = gather.output[0]
    gather.output[0] = f"{out}.stored"
    return {gather.output[0]: helper.make_node("Cast", [gather.output[0]], [out], to=TensorProto.FLOAT)}


def _restore(source: str, name: str, turned: bool, kind: int) -> list[NodeProto]:
    """Nodes that make the fp32 weight `name` of a stored tensor; turned while it is small."""
    if kind == TensorProto.FLOAT:
        return [helper.make_node("Transpose" if turned else "Identity", [source], [name])]
    if not turned:
        return [helper.make_node("Cast", [source], [name], to=TensorProto.FLOAT)]
    between = f"{name}.turned"
    return [
        helper.make_node("Transpose", [source], [between]),
        helper.make_node("Cast", [between], [name], to=TensorProto.FLOAT),
    ]
