"""One value of a row as text: in JSON, in a cell of a CSV, in a Parquet column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trifold.jsontext import to_json

__all__ = ["cell_text", "json_text", "whole_text"]


def json_text(value: Any) -> str:
    """A value in JSON; null where it is NaN or infinite, for which JSON has no word."""
    text = to_json(value)
    return to_json(_finite(value)) if "NaN" in text or "Infinity" in text else text


def cell_text(value: Any, *, as_json: bool = False) -> str | None:
    """A value as the text of one cell: texts as they are, all else in JSON; None where it is null.

    as_json: texts in JSON too, so that every cell of the column can be read as JSON.
    """
    if value is None:
        return None
    if isinstance(value, str) and not as_json:
        return whole_text(value)
    text = json_text(value)
    return None if text == "null" else text


def whole_text(text: str) -> str:
    r"""The text with halves of surrogate pairs, which UTF-8 lacks, written out as `\ud83d`."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
