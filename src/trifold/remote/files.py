"""Has a service take the text out of a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from trifold.errors import DataError, InvalidInput
from trifold.remote.exchange import Call, Flow, fetch
from trifold.remote.settings import Settings
from trifold.remote.shapes import entry, listed, record

__all__ = ["ExtractedText", "File", "extract_at", "opened"]

File: TypeAlias = str | os.PathLike[str] | bytes
"""A path, or what a file holds."""


@dataclass(frozen=True, slots=True)
class ExtractedText:
    """The text of a file, which every passage may be. kind: `text`, `markdown`, `html`, `pdf` or `docx`.

    warnings: what may be missing or otherwise than it was.
    """

    text: str
    kind: str
    warnings: tuple[str, ...]


def opened(file: File, name: str | None) -> tuple[bytes, str | None]:
    """What a file holds, and its name. Raises DataError, InvalidInput."""
    if isinstance(file, bytes):
        return file, name
    if not isinstance(file, str | os.PathLike):
        raise InvalidInput(f"file: expected a path or bytes, found {type(file).__name__}.", field="file")
    path = Path(file)
    try:
        return path.read_bytes(), name or path.name
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: cannot be read ({reason}).") from None


def extract_at(settings: Settings, content: bytes, name: str | None, timeout: float | None) -> Flow[ExtractedText]:
    """The text of what a file holds."""
    try:
        query = "" if not name else f"?name={quote(name[-255:], safe='')}"
    except UnicodeEncodeError:  # a name that is no text on this system says nothing
        query = ""
    call = Call("POST", f"/v1/extract{query}", content, media_type="application/octet-stream")
    return fetch(call, settings, _read, timeout=timeout)


def _read(value: object) -> ExtractedText:
    found = record(value, "the reply")
    warnings = tuple(str(item) for item in listed(found.get("warnings", []), "warnings"))
    return ExtractedText(entry(found, "text", str), entry(found, "kind", str), warnings)
