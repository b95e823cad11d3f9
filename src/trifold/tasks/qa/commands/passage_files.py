"""Passages out of files: text as it is; Markdown, HTML, PDF and Word as the text that they show."""

from __future__ import annotations

from collections.abc import Iterable

from trifold.documents.detection import detect, is_utf_8, is_utf_16
from trifold.documents.document import MB, Bounds, Kind, Unreadable
from trifold.documents.reading import read_document
from trifold.errors import DataError, MissingExtra
from trifold.printable import printable
from trifold.task import Host
from trifold.tasks.qa.data.textfiles import read_bytes, read_text, text_in

__all__ = ["read_passages"]

_LARGEST = 100 * MB
"""Bytes of a file, whose text may be much shorter."""
_GZIP = b"\x1f\x8b"
_AS_IT_STANDS = (
    "Its markup is not removed: that needs packages which are not installed (pip install 'trifold[documents]')."
)


def read_passages(sources: Iterable[str], limit: int, host: Host) -> list[str]:
    """The texts of files, or of standard input for `-`; warnings are shown. Text in UTF-8 is read to the letter.

    limit: bytes of text at most. Raises DataError, MissingExtra.
    """
    from rich.markup import escape

    texts = []
    for source in sources:
        text, warnings = _read(source, limit)
        texts.append(text)
        for warning in warnings:
            host.err.print(f"[yellow]Warning:[/] {escape(printable(f'{source}: {warning}'))}", soft_wrap=True)
    return texts


def _read(source: str, limit: int) -> tuple[str, tuple[str, ...]]:
    """The text of one, and warnings."""
    if source == "-":
        return read_text(source, limit), ()
    content = read_bytes(source, _LARGEST)
    try:
        kind = _kind(content, source, limit)
        if kind == "text" and _is_plain(content, limit):
            return text_in(content, source, limit), ()
        if len(content) > _LARGEST:
            raise DataError(f"{printable(source)}: expected at most {_LARGEST / MB:g} MB, found more. Split it.")
        bounds = Bounds(text=limit, memory=2000 * MB, seconds=120)
        document = read_document(content, bounds, name=source)
    except Unreadable as error:
        raise DataError(f"{printable(source)}: {error}") from None
    except MissingExtra:
        if kind == "text":
            return text_in(content, source, limit), ()  # says what is no UTF-8
        if kind == "markdown":
            return text_in(content, source, limit), (_AS_IT_STANDS,)
        raise
    return document.text, document.warnings


def _kind(content: bytes, source: str, limit: int) -> Kind:
    """The kind of a file; what is empty, packed, or too large to look at is text. Raises Unreadable."""
    if not content or content.startswith(_GZIP):
        return "text"
    try:
        return detect(content, source)
    except Unreadable:
        if len(content) > limit:
            return "text"
        raise


def _is_plain(content: bytes, limit: int) -> bool:
    """Whether a text is UTF-8, or what is unpacked or refused as such."""
    return content.startswith(_GZIP) or len(content) > limit or (is_utf_8(content) and not is_utf_16(content))
