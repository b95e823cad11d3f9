"""Files of one JSON object a line."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from trifold.printable import printable
from trifold.tables.compression import Damage
from trifold.tables.rows import RowFault

__all__ = [
    "DECODER",
    "TOO_DEEP",
    "Reading",
    "as_fields",
    "count_json_lines",
    "numbered_lines",
    "read_json_lines",
    "undecodable",
]

Reading = tuple[int | str, Mapping[str, Any] | RowFault]
"""What a reader gives for a row: where it stands, and its columns or why there are none."""

LONGEST_LINE = 64_000_000
"""Bytes of one line; a passage may have 10 MB."""
_DEEPEST = 200
"""Levels of lists and objects in a row; far below where Python's own recursion ends, which depends on the caller."""
_BOM = b"\xef\xbb\xbf"
_KINDS = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number", type(None): "null"}
_CONSTANTS = {"NaN": None, "Infinity": "Infinity", "-Infinity": "-Infinity"}

DECODER = json.JSONDecoder(parse_constant=_CONSTANTS.__getitem__)
"""JSON has no NaN and no infinity, though Python writes them: null, and text."""


def read_json_lines(stream: io.BufferedIOBase, skip: int = 0) -> Iterator[Reading | None]:
    """The rows by their line; None for each of the first `skip` ones, which are not parsed."""
    number = passed = 0
    try:
        for number, line in numbered_lines(stream):
            if line is not None and (not line or line.isspace()):
                continue
            if passed < skip:
                passed += 1
                yield None
            else:
                yield number, _parsed(line)
    except Damage as damage:
        yield None if passed < skip else (number + 1, damage.fault())


def count_json_lines(stream: io.BufferedIOBase) -> int:
    """How many rows there are."""
    return sum(1 for _ in read_json_lines(stream, skip=1 << 62))


def numbered_lines(stream: io.BufferedIOBase, longest: int = LONGEST_LINE) -> Iterator[tuple[int, bytes | None]]:
    """The lines with their ends, from 1; None for one of more than `longest` bytes, which is not held.

    A byte order mark is dropped.
    """
    number = 1
    line = stream.readline(longest + 1).removeprefix(_BOM)
    while line or number == 1:
        if len(line) > longest and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(1 << 20)
            yield number, None
        else:
            yield number, line
        line = stream.readline(longest + 1)
        number += 1


def as_fields(value: Any) -> Mapping[str, Any] | RowFault:
    """A JSON value as the columns of a row, or why it cannot be."""
    if not isinstance(value, dict):
        return RowFault(
            f"expected a JSON object, found {_KINDS.get(type(value), 'another value')}",
            'Write the row as {"name of a column": value, ...}.',
        )
    if _is_deep(value):
        return TOO_DEEP
    return value


def undecodable(error: UnicodeDecodeError, line: int = 1, named: str = "the line") -> RowFault:
    """The fault of a row that is not UTF-8. line: number of its first line where it has several."""
    before = error.object[: error.start]
    breaks = before.count(b"\n")
    place = f"line {line + breaks}" if breaks else named
    position = error.start - before.rfind(b"\n")
    return RowFault(
        f"expected text in UTF-8, found byte 0x{error.object[error.start]:02X} at position {position} of {place}",
        "Save the file as UTF-8.",
    )


TOO_DEEP = RowFault(f"it is nested more than {_DEEPEST} levels deep", "Leave the nested columns out.")


def _parsed(line: bytes | None) -> Mapping[str, Any] | RowFault:
    if line is None:
        return RowFault(
            f"the line is longer than {LONGEST_LINE // 1_000_000} MB",
            "Write one JSON object a line, and cut its passage into shorter ones.",
        )
    try:
        return as_fields(DECODER.decode(line.rstrip().decode()))
    except UnicodeDecodeError as error:
        return undecodable(error)
    except json.JSONDecodeError as error:
        found = printable(error.doc[error.pos : error.pos + 30].rstrip())
        rest = f", found {found!r}" if found else ", found the end of the line"
        reason = f"the line is not JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}{rest}"
        return RowFault(reason, "Write one JSON object a line.")
    except ValueError:
        return RowFault("it has a number of too many digits", "Write long numbers as text, in quotes.")
    except RecursionError:
        return TOO_DEEP


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True
