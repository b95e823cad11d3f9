"""Word files (.docx) as text: paragraphs, lists, tables, footnotes, endnotes, text boxes, without deleted text.

Headers and footers of pages, comments and pictures are left out.
"""

from __future__ import annotations

import codecs
import io
import re
import zipfile
import zlib
from collections.abc import Callable
from importlib import import_module

from trifold.documents.document import MB, Unreadable
from trifold.documents.layout import text_of_html

__all__ = ["read_docx"]

_PART = 64 * MB
"""Bytes of XML that one part of the archive may unpack to: a novel has about five million."""
_TYPES = "[Content_Types].xml"
_BACK = re.compile(r' ?<a href="#(?:foot|end)note-ref-[^"]*">↑</a>')
_OTHERS = (
    ("xl/", "an Excel workbook", "Save the sheet as PDF or as text."),
    ("ppt/", "a PowerPoint presentation", "Save it as PDF."),
    ("META-INF/container.xml", "an EPUB book", "Save its chapters as HTML."),
    ("content.xml", "an OpenDocument file", "Save it as .docx or PDF."),
)
_FORMULA = "math}oMath"
_LEFT_OUT = "Formulas are left out: they have no text of their own."


def read_docx(content: bytes, seal: Callable[[], None]) -> tuple[str, tuple[str, ...]]:
    """The text of a Word file, and warnings. seal: called when nothing is to be loaded any more.

    Raises Unreadable for other archives, and for damaged or monstrous ones.
    """
    from mammoth import convert_to_html

    text_of_html("")
    import_module("xml.dom.expatbuilder")  # else it is loaded when it is called
    for encoding in ("cp437", "utf-16"):  # of names in archives, and of XML
        codecs.lookup(encoding)
    seal()
    _check(content)
    try:
        made = convert_to_html(io.BytesIO(content), convert_image=lambda _: [])
    except RecursionError:
        raise Unreadable("unreadable", "the Word file is nested too deeply to be read.") from None
    except MemoryError:
        raise
    except Exception as error:  # it raises whatever the parts of the archive bring about
        raise Unreadable("unreadable", f"the Word file is damaged ({type(error).__name__}). Save it anew.") from None
    formulas = any(_FORMULA in message.message for message in made.messages)
    return text_of_html(_BACK.sub("", made.value)), (_LEFT_OUT,) if formulas else ()


def _check(content: bytes) -> None:
    """Refuse what is no Word file, and what would unpack to more than there is room for."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if not any(name.startswith("word/") for name in names):
                raise _other(names)
            for entry in archive.infolist():
                if entry.filename.endswith((".xml", ".rels")):
                    _measure(archive, entry)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError):
        raise Unreadable("unreadable", "the archive is damaged. Get the file again, or save it anew.") from None
    except RuntimeError:  # what zipfile says of encryption
        raise Unreadable("unreadable", "the archive is locked with a password. Save it without one.") from None


def _measure(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Refuse a part that unpacks to too much, whatever the archive says of its size."""
    left = _PART
    with archive.open(entry) as part:
        while left > 0 and (piece := part.read(1 << 16)):
            left -= len(piece)
    if left <= 0:
        raise Unreadable("too_large", f"a part of the Word file unpacks to more than {_PART / MB:g} MB of XML.")


def _other(names: list[str]) -> Unreadable:
    for start, what, remedy in _OTHERS:
        if any(name.startswith(start) for name in names):
            return Unreadable("unknown", f"expected a Word file, found {what}. {remedy}")
    return Unreadable("unknown", "expected a Word file, found a ZIP archive. Unpack it, and give what is in it.")
