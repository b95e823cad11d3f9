"""JSON as it reads, wherever it is written."""

from __future__ import annotations

import json

__all__ = ["to_json"]


def to_json(value: object, *, indent: int | None = None, encoding: str = "utf-8") -> str:
    """JSON with its characters as they are, or escaped where the encoding lacks one of them.

    UTF-8 lacks only halves of surrogate pairs, which JSON files can hold.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text
