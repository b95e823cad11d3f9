"""What kind of file some bytes are: by what they say themselves, then by the name that they came with."""

from __future__ import annotations

import re
from collections.abc import Mapping

from trifold.documents.document import Kind, Unreadable

__all__ = ["detect", "is_utf_8", "is_utf_16"]

_HEAD = 1024
_SUFFIXES: Mapping[str, Kind] = {
    "txt": "text",
    "text": "text",
    "md": "markdown",
    "markdown": "markdown",
    "mkd": "markdown",
    "html": "html",
    "htm": "html",
    "xhtml": "html",
}
"""Kinds that only the name tells apart; the others say what they are."""
_TYPES: Mapping[str, Kind] = {
    "text/markdown": "markdown",
    "text/x-markdown": "markdown",
    "text/html": "html",
    "application/xhtml+xml": "html",
}
_HTML = re.compile(rb"(?:\s|<\?xml[^>]*>|<!--.*?-->)*<(?:!doctype\s+html|html|head|body)[\s>]", re.I | re.S)
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a bitmap picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"{\\rtf", "Rich Text (RTF)"),
    (b"%!PS", "PostScript"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"7z\xbc\xaf'\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"PAR1", "Parquet"),
    (b"ID3", "an MP3 recording"),
    (b"OggS", "an Ogg recording"),
    (b"fLaC", "a FLAC recording"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3\0", "an SQLite database"),
)
_ASCII = (b"{\\rtf", b"%!PS")
"""Of these, the ones whose whole file may look like text."""
_READ = "Read are text, Markdown, HTML, PDF and Word (.docx)."


def detect(content: bytes, name: str | None = None, media_type: str | None = None) -> Kind:
    """The kind of a file. A Word file is one only if its archive turns out to hold a document.

    name: of the file. media_type: as its sender calls it. Both only choose between forms of text. Raises Unreadable
    for kinds that are not read here, and for an empty file.
    """
    if not content:
        raise Unreadable("unreadable", "the file is empty.")
    head = content[:_HEAD]
    if b"%PDF-" in head:
        return "pdf"
    if head.startswith(_ZIPS):
        return "docx"
    if head.startswith(_OLE):
        raise _compound(content)
    if order := is_utf_16(content):
        head = head.decode(order, "ignore").encode()
    else:
        if content[4:12] == b"ftypheic" or content[8:12] == b"WEBP":
            raise _foreign("a picture")
        for start, what in _FOREIGN:
            if head.startswith(start) and (start in _ASCII or _is_binary(head)):
                raise _foreign(what)
        if _is_binary(content):
            raise _foreign("binary data")
    if _HTML.match(head.removeprefix(b"\xef\xbb\xbf")):
        return "html"
    suffix = (name or "").rpartition(".")[2].lower()
    return _SUFFIXES.get(suffix) or _TYPES.get((media_type or "").partition(";")[0].strip().lower()) or "text"


def is_utf_16(content: bytes) -> str | None:
    """The byte order of UTF-16, as codecs call it: by its mark, or since every other byte is mostly NUL."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") and content[:4] != b"\xff\xfe\0\0":
        return "utf-16"
    head = content[: 2 * _HEAD]
    half = len(head) // 2
    if half >= 4:
        even, odd = head[::2].count(0), head[1::2].count(0)
        if odd > 0.7 * half > 14 * even:
            return "utf-16-le"
        if even > 0.7 * half > 14 * odd:
            return "utf-16-be"
    return None


def _is_binary(content: bytes) -> bool:
    """Whether some bytes are none of a text, in whatever encoding: many controls, or NUL but in UTF-8."""
    if b"\0" in content and not is_utf_8(content):
        return True
    head = content[: 8 * _HEAD]
    controls = len(head) - len(head.translate(None, delete=_CONTROLS))
    return controls > len(head) // 50


def is_utf_8(content: bytes) -> bool:
    """Whether bytes are text in UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


_CONTROLS = bytes(sorted({*range(32), 0x7F} - set(b"\t\n\r\f\v\b\x1b\x1a")))


def _compound(content: bytes) -> Unreadable:
    """About a file in the container of old Office files, which newer ones use to be locked."""
    if _ENCRYPTED in content:
        return Unreadable("unreadable", "the file is locked with a password. Save it without one, and try again.")
    what = "an old Office file, such as .doc"
    return Unreadable("unknown", f"expected a file of a kind that is read here, found {what}. Save it as .docx.")


def _foreign(what: str) -> Unreadable:
    hint = " Text in pictures is not recognised (no OCR)." if "picture" in what else ""
    return Unreadable("unknown", f"expected text, found {what}. {_READ}{hint}")
