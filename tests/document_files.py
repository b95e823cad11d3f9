"""Files of every kind, made in memory: PDF, Word, archives, and such as are meant to do harm."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence

__all__ = ["Placed", "docx", "locked_pdf", "pdf", "picture_pdf", "raw_pdf", "typeset"]

Placed = tuple[float, float, float, str]
"""Of a text: x and y in points from the lower left, the size of its letters, and what it says in Latin-1."""


def raw_pdf(objects: Sequence[bytes]) -> bytes:
    """A PDF file of these objects, the first of which is the catalogue."""
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def pdf(*pages: Sequence[Placed], turn: bytes = b"1 0 0 1", extra: bytes = b"") -> bytes:
    """A PDF file with texts at their places, in Helvetica.

    turn: the matrix of each text. extra: entries of each page's dictionary.
    """
    kids = b" ".join(b"%d 0 R" % (4 + 2 * i) for i in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for i, page in enumerate(pages):
        shown = b"\n".join(_shown(turn, *placed) for placed in page)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> %s >>" % (5 + 2 * i, extra)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(shown), shown))
    return raw_pdf(objects)


def _shown(turn: bytes, x: float, y: float, size: float, text: str) -> bytes:
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)").encode("cp1252")
    return b"BT /F1 %g Tf %s %g %g Tm (%s) Tj ET" % (size, turn, x, y, escaped)


def typeset(*paragraphs: str, columns: int = 1, size: float = 11, head: str = "", indent: float = 0) -> bytes:
    """A PDF file as a word processor would set these paragraphs: justified, over as many pages as are needed.

    Soft hyphens are places where words may be broken. head: stands on top of each page, with its number.
    """
    from fpdf import FPDF
    from fpdf.enums import Align

    class Pages(FPDF):
        def header(self) -> None:
            if head:
                self.set_font("Helvetica", size=9)
                self.cell(0, 8, f"{head} {self.page_no()}", new_x="LMARGIN", new_y="NEXT")

    document = Pages(format=(148, 210))
    document.set_author("a test")
    document.add_page()
    document.set_font("Times", size=size)
    with document.text_columns(ncols=columns, text_align="J", gutter=8) as text:
        for words in paragraphs:
            with text.paragraph(text_align=Align.J, bottom_margin=3, first_line_indent=indent) as paragraph:
                paragraph.write(words)
    return bytes(document.output())


def locked_pdf(text: str) -> bytes:
    """One that only a password opens."""
    from fpdf import FPDF

    document = FPDF()
    document.add_page()
    document.set_font("Helvetica", size=12)
    document.cell(text=text)
    document.set_encryption(owner_password="owner", user_password="user")
    return bytes(document.output())


def picture_pdf(pages: int = 1) -> bytes:
    """What a scanner makes: pictures alone."""
    from fpdf import FPDF
    from PIL import Image

    document = FPDF()
    for _ in range(pages):
        document.add_page()
        document.image(Image.new("RGB", (60, 80), "white"), w=150)
    return bytes(document.output())


_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = """<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Override PartName="/word/document.xml"
 ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"""
_PACKAGE = f"""<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Type="{_R}/officeDocument" Target="word/document.xml"/></Relationships>"""
_PARTS = f"""<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId2" Type="{_R}/footnotes" Target="footnotes.xml"/></Relationships>"""


def docx(body: str, *, footnotes: str = "", prolog: str = "", more: Mapping[str, bytes | str] | None = None) -> bytes:
    """A Word file. body: WordprocessingML, with the prefix w. prolog: before the root element. more: other parts."""
    parts: dict[str, bytes | str] = {
        "[Content_Types].xml": _TYPES,
        "_rels/.rels": _PACKAGE,
        "word/_rels/document.xml.rels": _PARTS,
        "word/document.xml": f'{prolog}<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>',
        "word/footnotes.xml": f'<w:footnotes xmlns:w="{_W}">{footnotes}</w:footnotes>',
        **(more or {}),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()
