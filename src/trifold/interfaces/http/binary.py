"""The extension of KServe's protocol for tensors as bytes, which follow the JSON of a request or a reply."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from starlette.responses import Response

from trifold.errors import InvalidInput
from trifold.interfaces.http.parsing import object_in
from trifold.interfaces.http.replies import Refusal
from trifold.jsontext import to_json

__all__ = ["EXTENSION", "LENGTH", "OCTETS", "binary_reply", "body_in", "outputs_in_bytes"]

EXTENSION = "binary_tensor_data"
LENGTH = "Inference-Header-Content-Length"
"""The header that says how many bytes of JSON come before those of the tensors."""
OCTETS = "application/octet-stream"

_NUMBERS = {"INT64": "q", "FP64": "d"}


def body_in(content: bytes, length: str | None, *, values: int, elements: int) -> dict[str, Any]:
    """A request with the strings of its tensors as JSON would have them.

    length: the header's value. values: of JSON at most. elements: of a tensor; one more is read where there are too
    many, so that they are refused as in JSON. Raises Refusal, InvalidInput.
    """
    if length is None:
        return object_in(content, values)
    size = _size(length, len(content))
    body = object_in(content[:size], values)
    rest = memoryview(content)[size:]
    for tensor in _given_in_bytes(body):
        taken = tensor["parameters"]["binary_data_size"]
        if taken > len(rest):
            raise Refusal("malformed", f"the bytes of the tensors end before those of {_name(tensor)}.")
        if tensor.get("datatype") == "BYTES":  # others are refused for that, as they are in JSON
            tensor["data"] = _strings(rest[:taken], _name(tensor), elements)
        rest = rest[taken:]
    if rest:
        raise Refusal("malformed", f"{len(rest):,} bytes follow those of the last tensor.")
    return body


def _size(length: str, most: int) -> int:
    if not (length.isascii() and length.isdecimal() and len(length) < 20 and int(length) <= most):
        raise Refusal("malformed", f"{LENGTH}: expected at most the {most:,} bytes of the body, found {length[:40]!r}.")
    return int(length)


def _given_in_bytes(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    inputs = body.get("inputs")
    for tensor in inputs if isinstance(inputs, list) else ():
        parameters = tensor.get("parameters") if isinstance(tensor, dict) else None
        if not isinstance(parameters, dict) or "binary_data_size" not in parameters:
            continue
        size = parameters["binary_data_size"]
        if isinstance(size, bool) or not isinstance(size, int) or size < 0 or "data" in tensor:
            raise InvalidInput(
                f"inputs: {_name(tensor)}: expected binary_data_size as a number of bytes, and no data.", field="inputs"
            )
        yield tensor


def _name(tensor: Mapping[str, Any]) -> str:
    return f"{tensor.get('name')!r:.60}"


def _strings(part: memoryview, name: str, most: int) -> list[str]:
    """The elements of a tensor: each the number of its bytes, in four bytes, and these."""
    found: list[str] = []
    start = 0
    while start < len(part) and len(found) <= most:
        size = int.from_bytes(part[start : start + 4], "little")
        stop = start + 4 + size
        if stop > len(part):
            raise Refusal("malformed", f"inputs: {name}: the bytes end within element {len(found)}.")
        try:
            found.append(str(part[start + 4 : stop], "utf-8"))
        except UnicodeDecodeError:
            raise Refusal("malformed", f"inputs: {name}: element {len(found)} is not UTF-8.") from None
        start = stop
    return found


def outputs_in_bytes(body: Mapping[str, Any]) -> Callable[[str], bool]:
    """Which outputs a request wants as bytes, by name. Raises InvalidInput."""
    default = _flag(body.get("parameters"), "binary_data_output", "parameters", default=False)
    outputs = body.get("outputs") or ()  # a list of objects with names, as was checked
    flags = {o["name"]: _flag(o.get("parameters"), "binary_data", "outputs", default=default) for o in outputs}
    return lambda name: flags.get(name, default)


def _flag(parameters: object, name: str, field: str, *, default: bool) -> bool:
    value = parameters.get(name, default) if isinstance(parameters, Mapping) else default
    if not isinstance(value, bool):
        raise InvalidInput(f"{field}: {name}: expected true or false.", field=field)
    return value


def binary_reply(record: Mapping[str, Any], in_bytes: Callable[[str], bool]) -> Response:
    """A reply, some of whose tensors, at least one, follow its JSON as bytes."""
    parts: list[bytes] = []
    outputs = []
    for tensor in record["outputs"]:
        if in_bytes(tensor["name"]):
            parts.append(_bytes(tensor["data"], tensor["datatype"]))
            kept = {name: value for name, value in tensor.items() if name != "data"}
            outputs.append({**kept, "parameters": {"binary_data_size": len(parts[-1])}})
        else:
            outputs.append(tensor)
    header = to_json({**record, "outputs": outputs}).encode()
    return Response(b"".join((header, *parts)), headers={LENGTH: str(len(header))}, media_type=OCTETS)


def _bytes(data: list[Any], datatype: str) -> bytes:
    if datatype in _NUMBERS:
        return struct.pack(f"<{len(data)}{_NUMBERS[datatype]}", *data)
    texts = [text.encode() for text in data]
    return b"".join(part for text in texts for part in (len(text).to_bytes(4, "little"), text))
