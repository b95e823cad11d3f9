"""Requests and replies as named tensors, by the columns of a task."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trifold.errors import InvalidInput
from trifold.task import Columns, Kind

__all__ = ["inputs_of", "outputs_of", "requests_in", "tensors_of"]

_DATATYPES: Mapping[Kind, str] = {"text": "BYTES", "integer": "INT64", "number": "FP64", "json": "BYTES"}
_EMPTY: Mapping[Kind, Any] = {"text": "", "integer": -1, "number": -1.0, "json": "null"}
"""What stands where a reply has no value: tensors have no gaps."""


def inputs_of(columns: Columns) -> list[dict[str, Any]]:
    """The tensors that a request gives: the first field of each group that is needed."""
    return [{"name": group[0], "datatype": "BYTES", "shape": [-1]} for group in columns.needed]


def outputs_of(columns: Columns) -> list[dict[str, Any]]:
    """The tensors of a reply."""
    kinds = {**columns.reply, "model": "text"}
    return [{"name": name, "datatype": _DATATYPES[kind], "shape": [-1]} for name, kind in kinds.items()]


def requests_in(body: Mapping[str, Any], columns: Columns, most: int) -> list[dict[str, Any]]:
    """The raw requests of an inference request of the KServe protocol, version 2. Raises InvalidInput."""
    needed = [group[0] for group in columns.needed]
    tensors = dict(_tensors(body.get("inputs"), most))
    if missing := [name for name in needed if name not in tensors]:
        raise InvalidInput(f"inputs: the tensor {missing[0]!r} is missing.", f"Give {needed}.", field="inputs")
    if unknown := [name for name in tensors if name not in needed]:
        raise InvalidInput(f"inputs: unknown tensor {unknown[0]!r:.60}.", f"Give {needed}.", field="inputs")
    if len({len(values) for values in tensors.values()}) > 1:
        raise InvalidInput(
            "inputs: the tensors differ in length.", "Give one element for each request.", field="inputs"
        )
    given = body.get("parameters") or {}
    if not isinstance(given, Mapping):
        raise InvalidInput("parameters: expected an object.", field="parameters")
    options = {name: value for name, value in given.items() if name in columns.options}
    rows = zip(*(tensors[name] for name in needed), strict=True)
    return [{**dict(zip(needed, row, strict=True)), **options} for row in rows]


def _tensors(inputs: Any, most: int) -> Iterator[tuple[str, list[str]]]:
    if not isinstance(inputs, list) or not 1 <= len(inputs) <= 64:
        raise InvalidInput("inputs: expected a list of tensors.", field="inputs")
    for tensor in inputs:
        if not isinstance(tensor, Mapping) or not isinstance(tensor.get("name"), str):
            raise InvalidInput("inputs: expected objects with name, shape, datatype and data.", field="inputs")
        name = tensor["name"]
        if tensor.get("datatype") != "BYTES":
            raise InvalidInput(f"inputs: {name:.60}: expected datatype BYTES.", "Send strings.", field="inputs")
        values = _flat(tensor.get("data"))
        if values is None or not 1 <= len(values) <= most:
            raise InvalidInput(f"inputs: {name:.60}: expected 1 to {most:,} strings as data.", field="inputs")
        if not _fits(tensor.get("shape"), len(values)):
            raise InvalidInput(
                f"inputs: {name:.60}: the shape is not that of its {len(values)} strings.", field="inputs"
            )
        yield name, values


def _flat(data: Any) -> list[str] | None:
    """A list of strings, also as rows of one string each; None for anything else."""
    if not isinstance(data, list):
        return None
    flat = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in data]
    return flat if all(isinstance(value, str) for value in flat) else None


def _fits(shape: Any, count: int) -> bool:
    return shape in ([count], [count, 1], [1, count])


def tensors_of(
    rows: Sequence[Mapping[str, Any]], columns: Columns, wanted: Sequence[str] | None
) -> list[dict[str, Any]]:
    """The outputs of replies given as rows of cells; what is empty is "" or -1. wanted: names, or None for all."""
    kinds: dict[str, Kind] = {**columns.reply, "model": "text"}
    names = list(kinds) if wanted is None else list(wanted)
    if unknown := [name for name in names if name not in kinds]:
        raise InvalidInput(f"outputs: unknown tensor {unknown[0]!r:.60}.", f"Known are {list(kinds)}.", field="outputs")
    return [
        {
            "name": name,
            "datatype": _DATATYPES[kinds[name]],
            "shape": [len(rows)],
            "data": [_value(row.get(name), kinds[name]) for row in rows],
        }
        for name in names
    ]


def _value(value: Any, kind: Kind) -> Any:
    if value is None:
        return _EMPTY[kind]
    return json.dumps(value, ensure_ascii=False) if kind == "json" else value
