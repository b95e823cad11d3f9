"""Makes raw requests of the rows of a table, and rows of the output of their replies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from trifold.errors import DataError, InvalidInput, TrifoldError
from trifold.tables.rows import Row, RowFault
from trifold.task import Columns

__all__ = ["Shape", "fault_of", "key_of"]

ID = "id"
_FAILED = "Ask it alone. If it fails again, report it as a defect of trifold."


@dataclass(frozen=True, slots=True)
class Shape:
    """How rows are read and written.

    renamed: field -> the column that it stands in, for those that the user named. options: fields of every raw
    request. keep: columns that are carried through; None for all that are not read.
    """

    columns: Columns
    renamed: Mapping[str, str]
    options: Mapping[str, Any]
    keep: Sequence[str] | None

    def names(self, field: str) -> Sequence[str]:
        """The columns that a field may stand in."""
        if field in self.renamed:
            return (self.renamed[field],)
        return (ID,) if field == ID else self.columns.request[field]

    def lacking(self, columns: Iterable[str]) -> Sequence[str] | None:
        """The first group of fields of which none has a column."""
        there = set(columns)
        for group in self.columns.needed:
            if not any(name in there for field in group for name in self.names(field)):
                return group
        return None

    def request(self, row: Row) -> dict[str, Any]:
        """The raw request of a row, not yet checked."""
        found: dict[str, Any] = {}
        for field in self.columns.request:
            given = [row.fields[name] for name in self.names(field) if row.fields.get(name) is not None]
            if given:
                found[field] = next((value for value in given if value != ""), given[0])
        for group in self.columns.needed:  # an empty cell is none where another column says it
            if any(found.get(field, "") != "" for field in group):
                found = {field: value for field, value in found.items() if field not in group or value != ""}
        return {**self.options, **found}

    def fault(self, row: Row) -> RowFault | None:
        """Why the row cannot be read, as far as it is read or kept."""
        if row.fault is not None or not any(isinstance(value, RowFault) for value in row.fields.values()):
            return row.fault
        names = {name for field in (ID, *self.columns.request) for name in self.names(field)}
        wanted = [
            row.fields.get(name) for name in row.fields if self.keep is None or name in names or name in self.keep
        ]
        return next((value for value in wanted if isinstance(value, RowFault)), None)

    def identifier(self, row: Row) -> str | int:
        """A row's own id, else its number."""
        value = row.fields.get(self.names(ID)[0])
        if value is None or value == "":
            return row.number
        if isinstance(value, float) and value.is_integer():  # a table with gaps makes fractions of whole numbers
            return int(value)
        return value if isinstance(value, str | int) and not isinstance(value, bool) else json.dumps(value)

    def kept(self, row: Row) -> dict[str, Any]:
        """The columns that are carried through, under names that no other column of the output has."""
        if self.keep is None:
            read = {name for field in (ID, *self.columns.request) for name in self.names(field)}
            return {self.free(name): value for name, value in row.fields.items() if name not in read}
        return {self.free(name): row.fields.get(name) for name in self.keep}

    def free(self, name: str) -> str:
        """The name that a kept column has in the output."""
        base = name
        while base.startswith("input_"):
            base = base.removeprefix("input_")
        return f"input_{name}" if base == ID or base in self.columns.reply else name

    def check(self, files: Iterable[tuple[str, Sequence[str]]]) -> None:
        """Refuse files without a column that every row needs. Raises DataError."""
        for file, columns in files:
            group = self.lacking(columns)
            if group is not None:
                names = " or ".join(name for field in group for name in self.names(field))
                found = ", ".join(columns)[:200]
                raise DataError(
                    f"{file}: expected a column {names}, found {found or 'none'}. "
                    f"Name the column that holds it: --column {group[0]}=NAME"
                )
            if missing := [name for name in self.keep or () if name not in columns]:
                raise DataError(f"{file}: there is no column {missing[0]} to keep. It has: {', '.join(columns)[:200]}.")


def key_of(raw: Mapping[str, Any]) -> bytes:
    """The same for requests that ask the same."""
    text = json.dumps(raw, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=16).digest()


def fault_of(error: Exception) -> RowFault:
    """Why a request could not be answered."""
    if isinstance(error, InvalidInput):
        return RowFault(error.reason, error.remedy)
    return RowFault(str(error), _FAILED if isinstance(error, TrifoldError) else "")
