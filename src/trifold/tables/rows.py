"""One row of a table as it stands in a file, readable or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Row", "RowFault", "Unnest"]


@dataclass(frozen=True, slots=True)
class RowFault:
    """Why a row cannot be used: what was expected and found, and what to do about it."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    number: of the row among all rows of all inputs, from 1. fields: its columns; empty where it could not be read, and
    a RowFault in place of a single cell that could not, which matters only to those who want that column.
    file: name of the file as it was given, None for standard input. line: where it stands: the line of a text file
    (of a CSV record, its first), the row of a Parquet file, both from 1, or the place in a JSON document.
    fault: why it could not be read.
    """

    number: int
    fields: Mapping[str, Any]
    file: str | None
    line: int | str
    fault: RowFault | None = None


Unnest = Callable[[Any], Iterable[tuple[str, Any]] | None]
"""The rows inside one element of a JSON document, each with its place there; None for an element that is itself a row.

What is no mapping is no row. Never raises."""
