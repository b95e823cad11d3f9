"""A file as text, whatever it is."""

from __future__ import annotations

from trifold.documents.detection import detect
from trifold.documents.document import Bounds, Document, checked, tidy
from trifold.documents.plain import decode_unicode
from trifold.documents.process import Parsing

__all__ = ["read_document"]


def read_document(
    content: bytes,
    bounds: Bounds,
    *,
    name: str | None = None,
    media_type: str | None = None,
    parsing: Parsing | None = None,
) -> Document:
    """The text of a file. Unicode text is read here; everything else in a process of its own, within the bounds.

    name, media_type: as the file came; they choose only between forms of text. parsing: what ends it from another
    thread. Raises Unreadable; MissingExtra where the extra `documents` is not installed; EngineError for a defect.
    """
    kind = detect(content, name, media_type)
    unicode = decode_unicode(content) if kind == "text" else None
    if unicode is None:
        return (parsing or Parsing()).run(content, kind, bounds)
    text, warnings = tidy(unicode[0], exact=True), unicode[1]
    return Document(checked(text, bounds.text, bounds.text_flag), kind, warnings)
