"""The constants of an ONNX graph, read without the package onnx, which transcribing does not need.

A graph is a message of protocol buffers (protobuf.dev, "Encoding"): fields of a number, a type and a value. Of their
numbers (onnx.proto) these are needed: ModelProto.graph 7, GraphProto.initializer 5, TensorProto.dims 1, data_type 2,
name 8, raw_data 9.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["initialisers"]

_GRAPH, _INITIALIZER = 7, 5
_DIMS, _TYPE, _NAME, _RAW = 1, 2, 8, 9
_TYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 7: np.dtype("<i8"), 11: np.dtype("<f8")}
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


def initialisers(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """By name; those of other types than float32, float64 and int64, or kept in other ways, are left out.

    Raises OSError, and ValueError for a file that is no graph.
    """
    found = {}
    for number, graph in _fields(memoryview(path.read_bytes())):
        if number != _GRAPH or isinstance(graph, int):
            continue
        for field, tensor in _fields(graph):
            if field == _INITIALIZER and not isinstance(tensor, int) and (one := _tensor(tensor)) is not None:
                found[one[0]] = one[1]
    return found


def _tensor(message: memoryview) -> tuple[str, np.ndarray[Any, Any]] | None:
    shape: list[int] = []
    kind, name = 0, ""
    raw: memoryview | None = None
    for number, value in _fields(message):
        if number == _DIMS:
            # Several in one field, or each in its own.
            shape += [value] if isinstance(value, int) else _varints(value)
        elif number == _TYPE and isinstance(value, int):
            kind = value
        elif number == _NAME and not isinstance(value, int):
            name = bytes(value).decode("utf-8")
        elif number == _RAW and not isinstance(value, int):
            raw = value
    if raw is None or kind not in _TYPES:
        return None
    return name, np.frombuffer(bytes(raw), _TYPES[kind]).reshape(shape)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field: a number, or bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_EIGHT, _FOUR):
            size = 8 if kind == _EIGHT else 4
        else:
            raise ValueError("not a graph of ONNX")
        if at + size > len(message):
            raise ValueError("a graph of ONNX that is cut off")
        yield key >> 3, message[at : at + size]
        at += size


def _varints(message: memoryview) -> list[int]:
    found, at = [], 0
    while at < len(message):
        value, at = _varint(message, at)
        found.append(value)
    return found


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            break
    raise ValueError("not a graph of ONNX")
