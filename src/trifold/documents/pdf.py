"""PDF files as text: the lines of each page with their places, from PDFium, put together as paragraphs."""

from __future__ import annotations

import re
from collections.abc import Callable
from ctypes import c_double
from math import cos, hypot, sin
from typing import Any

from trifold.documents.document import Unreadable
from trifold.documents.layout import SUPERSCRIPTS
from trifold.documents.paragraphs import Line, put_together
from trifold.documents.running import without_running_lines

__all__ = ["read_pdf"]

_PASSWORD, _SECURITY = 4, 5
"""PDFium's errors of documents that are locked."""
_HYPHEN = 0x02
"""What PDFium makes of a hyphen that ends a line; no line end follows it then."""
_UNREAD = re.compile("[\ue000-\uf8ff\ufffd\ufffe\uffff\x00-\x08\x0e-\x1f]")
_MANY = 0.1
_LIGATURES = ("ff", "fi", "fl", "ffi", "ffl", "st", "st")
_GLYPHS: dict[int, str | None] = {
    **{0xFB00 + i: letters for i, letters in enumerate(_LIGATURES)},
    **dict.fromkeys((0xF0B7, 0xF0A7, 0xF0D8, 0xF076), "\N{BULLET}"),  # of Symbol and Wingdings
    **dict.fromkeys((0xAD, 0x200B), None),  # hints for breaking lines
    **dict.fromkeys((0xA0, 0x09), " "),
}
_BULLET = re.compile("^[\x80-\x9f](?= )")
"""A glyph of a symbol font that is taken for a control."""
_DIGITS = re.compile(r"(?<=\S)[0-9]+")


def read_pdf(content: bytes, seal: Callable[[], None]) -> tuple[str, tuple[str, ...]]:
    """The text of a PDF file, and warnings. seal: called when nothing is to be loaded any more.

    Raises Unreadable for one that is damaged, locked, or only pictures.
    """
    import pypdfium2 as pdfium

    seal()
    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        if error.err_code in (_PASSWORD, _SECURITY):
            raise Unreadable("unreadable", "the PDF is locked with a password. Save it without one.") from None
        raise Unreadable("unreadable", "the PDF is damaged or cut off. Get it again, or save it anew.") from None
    pages: list[list[Line]] = []
    broken = pictures = 0
    forms = document.get_formtype() != pdfium.raw.FORMTYPE_NONE
    for number in range(len(document)):
        try:
            page = document[number]
            if forms:
                pdfium.raw.FPDFPage_Flatten(page, pdfium.raw.FLAT_NORMALDISPLAY)  # what was filled in becomes text
                page.close()
                page = document[number]
            lines = _lines(page)
            pictures += not lines and any(page.get_objects([pdfium.raw.FPDF_PAGEOBJ_IMAGE], max_depth=2))
            page.close()
        except pdfium.PdfiumError:
            broken += 1
            continue
        pages.append(lines)
    if not any(pages):
        raise _no_text(len(document), broken, pictures)
    body, running = without_running_lines(pages)
    text = "\n\n".join((put_together(body), *running))
    return text, tuple(_warnings(text, len(document), broken, pictures))


def _no_text(count: int, broken: int, pictures: int) -> Unreadable:
    if broken or not count:
        return Unreadable("unreadable", "the PDF is damaged: none of its pages can be read. Get it again.")
    if not pictures:
        return Unreadable("unreadable", "the PDF holds no text: its pages are empty, or drawings.")
    return Unreadable(
        "unreadable",
        "the PDF has no text layer: its pages are pictures, as a scanner makes them. Text in pictures is not "
        "recognised here (no OCR): have another program recognise it first.",
    )


def _warnings(text: str, count: int, broken: int, pictures: int) -> list[str]:
    found = []
    if broken:
        found.append(f"{broken:,} of {count:,} pages are damaged and were left out.")
    if pictures:
        found.append(f"{pictures:,} of {count:,} pages are pictures without text; text in pictures is not recognised.")
    if len(_UNREAD.findall(text)) > _MANY * len(text):
        found.append("Many characters could not be read: the fonts of this PDF do not say which letters they show.")
    return found


def _lines(page: Any) -> list[Line]:
    """The lines of a page, in the order in which they stand in the file."""
    from pypdfium2 import raw

    opened = page.get_textpage()  # closes the text page when it is let go
    textpage, code_at = opened.raw, raw.FPDFText_GetUnicode
    codes = [code_at(textpage, i) for i in range(opened.count_chars())]
    lines: list[Line] = []
    start = 0
    for i, code in enumerate([*codes, 0x0A]):
        if code not in (_HYPHEN, 0x0A, 0x0D):
            continue
        first, last = start, i
        while first < last and codes[first] in (0x20, 0xA0):
            first += 1
        while first < last and codes[last - 1] in (0x20, 0xA0):
            last -= 1
        if first < last:
            hyphen = code == _HYPHEN
            lines.append(_line(raw, textpage, codes, first, last, hyphen=hyphen))
        start = i + 1
    opened.close()
    return lines


def _line(raw: Any, textpage: Any, codes: list[int], first: int, last: int, *, hyphen: bool) -> Line:
    """The line of these characters. Places are turned so that the line runs from left to right."""
    text = "".join(map(_character, codes[first:last]))
    for found in _DIGITS.finditer(text):
        start, end = found.span()
        raised = next((i for i in range(start, end) if _is_raised(raw, textpage, first + i)), end)
        text = text[:raised] + text[raised:end].translate(SUPERSCRIPTS) + text[end:]
    angle = raw.FPDFText_GetCharAngle(textpage, first)
    x, y = _origin(raw, textpage, first)
    edge = _edge(raw, textpage, last - 1)
    right, top = _origin(raw, textpage, last - 1)
    c, s = cos(angle), sin(angle)  # the angle is counted clockwise
    if c < 0.999:
        x, y, right = x * c - y * s, y * c + x * s, right * c - top * s
    else:
        right = max(right, edge)
    size = max(_size(raw, textpage, i) for i in (first, (first + last) // 2, last - 1))
    return Line(_BULLET.sub("\N{BULLET}", text).translate(_GLYPHS), x, right, y, size or 1.0, hyphen=hyphen)


def _character(code: int) -> str:
    return "\N{REPLACEMENT CHARACTER}" if 0xD800 <= code < 0xE000 or code > 0x10FFFF else chr(code)


def _is_raised(raw: Any, textpage: Any, at: int) -> bool:
    """Whether a character is a superscript of the one before."""
    size, before = _size(raw, textpage, at), _size(raw, textpage, at - 1)
    if not 0 < size < 0.9 * before:
        return False
    return _origin(raw, textpage, at)[1] - _origin(raw, textpage, at - 1)[1] > 0.15 * before


def _origin(raw: Any, textpage: Any, at: int) -> tuple[float, float]:
    x, y = c_double(), c_double()
    raw.FPDFText_GetCharOrigin(textpage, at, x, y)
    return x.value, y.value


def _edge(raw: Any, textpage: Any, at: int) -> float:
    """Where a letter ends."""
    rect = raw.FS_RECTF()
    raw.FPDFText_GetLooseCharBox(textpage, at, rect)
    right: float = rect.right
    return right


def _size(raw: Any, textpage: Any, at: int) -> float:
    """Of the font, as it is shown."""
    matrix = raw.FS_MATRIX()
    if not raw.FPDFText_GetMatrix(textpage, at, matrix):
        return 0.0
    size: float = raw.FPDFText_GetFontSize(textpage, at) * hypot(matrix.c, matrix.d)
    return size
