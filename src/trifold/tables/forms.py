"""Which form a file of rows is written in, told from its name, and what its columns are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, cast, get_args

from trifold.errors import DataError

__all__ = ["Column", "Compression", "Form", "Kind", "form_of"]

Kind = Literal["jsonl", "csv", "parquet", "predictions"]
Compression = Literal["gzip", "bz2", "xz", "zstd"]

_KINDS: dict[str, Kind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
_COMPRESSIONS: dict[str, Compression] = {
    ".gz": "gzip",
    ".bz2": "bz2",
    ".xz": "xz",
    ".zst": "zstd",
    ".zstd": "zstd",
}


@dataclass(frozen=True, slots=True)
class Form:
    """How rows become bytes.

    kind: `predictions` is one JSON object of answers by id, as the official SQuAD evaluation script reads it.
    compression: of the whole file; None for Parquet, which compresses inside. delimiter: between the cells of a CSV.
    """

    kind: Kind
    compression: Compression | None = None
    delimiter: str = ","


@dataclass(frozen=True, slots=True)
class Column:
    """A column of what is written. kind: "any" is found out from the values where the form needs to know it."""

    name: str
    kind: Literal["text", "integer", "number", "json", "any"] = "any"


def form_of(name: str, kind: str | None = None) -> Form:
    """The form of a file by the endings of its name; kind: one of `Kind`, whatever the name says of it.

    `-`, standard output, is JSON lines where no kind is given. Raises DataError for a name that tells no form.
    """
    if kind is not None and kind not in get_args(Kind):
        raise DataError(f"format: expected one of {', '.join(get_args(Kind))}, found {_shown(kind)}.")
    chosen = cast("Kind | None", kind)
    if name == "-":
        return Form(chosen or "jsonl")
    path = PurePath(name.lower())
    compression = _COMPRESSIONS.get(path.suffix)
    ending = path.with_suffix("").suffix if compression else path.suffix
    chosen = chosen or _KINDS.get(ending)
    if chosen is None:
        raise DataError(_untold(name, ending))
    if chosen == "parquet" and compression:
        raise DataError(f"{_shown(name)}: Parquet is compressed inside. Leave {path.suffix} off the name.")
    return Form(chosen, compression, "\t" if chosen == "csv" and ending == ".tsv" else ",")


def _untold(name: str, ending: str) -> str:
    if ending == ".json":
        return (
            f"{_shown(name)}: a .json file can hold many things. Choose a name that ends in .jsonl for one row a line, "
            "or say --format predictions for one object of answers by id."
        )
    return (
        f"{_shown(name)}: expected a name that ends in {', '.join(_KINDS)} (all but .parquet also with "
        f"{', '.join(_COMPRESSIONS)} after it), found {repr(ending) if ending else 'no such ending'}. "
        "Choose such a name, or say the format with --format."
    )


def _shown(name: str) -> str:
    return name if len(name) <= 60 else f"...{name[-57:]}"
