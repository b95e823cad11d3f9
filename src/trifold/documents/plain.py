"""Bytes as text, in whatever encoding people have."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from trifold.documents.detection import is_utf_16
from trifold.documents.document import Unreadable

__all__ = ["decode", "decode_unicode", "read_text"]

_SAMPLE = 100_000
"""Bytes that decide on an encoding: detection is slow, and looks at no more than about twice as many."""
_DECLARED = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{1,40})|"""
                       rb"""<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9_.:-]{1,40})""", re.I)  # fmt: skip
_LATIN = ("iso8859-1", "ascii")
"""What browsers read as Windows-1252, because that is what is meant."""
_ODD = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf-7", "undefined", "mbcs", "oem")
"""Codecs of Python that are no encodings of files."""


def read_text(content: bytes, seal: Callable[[], None]) -> tuple[str, tuple[str, ...]]:
    """The text of a file that is not Unicode, and warnings. Needs the extra `documents`."""
    found = decode(content, markup=False)
    seal()
    return found


def decode_unicode(content: bytes) -> tuple[str, tuple[str, ...]] | None:
    """The text of bytes that are Unicode, without a byte order mark, and warnings; None where they are something else.

    Raises Unreadable for damaged UTF-16.
    """
    if order := is_utf_16(content):
        try:
            text = content.decode(order)
        except UnicodeDecodeError:
            raise Unreadable("unreadable", "the file is UTF-16 that is damaged or cut off. Get it again.") from None
        guessed = () if order == "utf-16" else (f"{_SEEMS} UTF-16 without a byte order mark.",)
        return text, guessed
    try:
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        return None


_SEEMS = "The file does not say its encoding, and was read as"


def decode(content: bytes, *, markup: bool) -> tuple[str, tuple[str, ...]]:
    """The text of bytes in any encoding, and warnings. Needs the extra `documents`.

    markup: the encoding may be declared at the start, as in HTML. Raises Unreadable for damaged UTF-16.
    """
    unicode = decode_unicode(content)
    declared = _declared(content) if markup else None
    if unicode is not None and (declared is None or not declared.startswith("iso2022")):  # which is all ASCII
        return unicode
    if declared is not None:
        text = content.decode(declared, "replace")
        return text, _damaged(text)
    encoding = _guess(content)
    text = content.decode(encoding, "replace")
    return text, (f"{_SEEMS} {encoding.upper()}. Save it as UTF-8 if words look wrong.", *_damaged(text))


def _damaged(text: str) -> tuple[str, ...]:
    lost = text.count("\N{REPLACEMENT CHARACTER}")
    return (f"{lost:,} characters of the file could not be read.",) if lost else ()


def _declared(content: bytes) -> str | None:
    """The encoding that HTML or XML declares, as codecs call it."""
    found = _DECLARED.search(content[:2048])
    if found is None:
        return None
    try:
        name = codecs.lookup((found[1] or found[2]).decode()).name
        b"".decode(name)  # raises for what is no encoding of text
    except LookupError:
        return None
    if name in _ODD or name.startswith("utf-"):  # UTF-8 it is not, and bytes of UTF-16 could not declare it
        return None
    return "cp1252" if name in _LATIN else name


def _guess(content: bytes) -> str:
    """The encoding that the bytes are most likely in; one byte in a book may decide, so lines of
    ASCII alone, which say nothing, are left out.
    """
    import chardet

    sample, size = [], 0
    for line in content.splitlines(keepends=True):
        if not line.isascii():
            sample.append(line[:_SAMPLE])
            size += len(line)
            if size > _SAMPLE:
                break
    found = chardet.detect(b"".join(sample)[: 2 * _SAMPLE], prefer_superset=True)["encoding"]
    try:
        name = codecs.lookup(found or "cp1252").name
        b"".decode(name)
    except LookupError:
        return "cp1252"
    return name if name not in _ODD else "cp1252"
