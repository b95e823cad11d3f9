"""The candidates of `documents.py`, and the files and texts that they are given."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = [
    "ALL",
    "ENCODINGS",
    "HTML",
    "PDF",
    "SAMPLES",
    "WORD",
    "WORD_BODY",
    "WORD_GONE",
    "WORD_KEPT",
    "WORD_LINE",
    "pdf_file",
    "word_file",
]

Reader = Callable[[bytes], str]


def _nothing() -> None:
    """Candidates are not sealed."""


def _pdf(content: bytes) -> str:
    from trifold.documents.pdf import read_pdf

    return read_pdf(content, _nothing)[0]


def _pypdfium2(content: bytes) -> str:
    import pypdfium2

    return "\n".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(content))


def _pypdf(content: bytes) -> str:
    pypdf = import_module("pypdf")

    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)


def _pdfminer(content: bytes) -> str:
    return str(import_module("pdfminer.high_level").extract_text(io.BytesIO(content)))


def _layout(content: bytes) -> str:
    from trifold.documents.layout import text_of_html

    return text_of_html(content.decode())


def _beautiful(content: bytes) -> str:
    bs4 = import_module("bs4")

    return str(bs4.BeautifulSoup(content.decode(), "html.parser").get_text())


def _inscriptis(content: bytes) -> str:
    inscriptis = import_module("inscriptis")

    return str(inscriptis.get_text(content.decode()))


def _html_text(content: bytes) -> str:
    html_text = import_module("html_text")

    return str(html_text.extract_text(content.decode()))


def _word(content: bytes) -> str:
    from trifold.documents.word import read_docx

    return read_docx(content, _nothing)[0]


def _python_docx(content: bytes) -> str:
    docx = import_module("docx")

    def text(part: Any) -> str:
        if not hasattr(part, "rows"):
            return str(part.text)
        return "\n".join("\t".join(cell.text for cell in row.cells) for row in part.rows)

    return "\n".join(text(part) for part in docx.Document(io.BytesIO(content)).iter_inner_content())


def _docx2python(content: bytes) -> str:
    with import_module("docx2python").docx2python(io.BytesIO(content)) as document:
        return str(document.text)


PDF: Mapping[str, Reader] = {
    "pypdfium2, paragraphs (trifold)": _pdf,
    "pypdfium2": _pypdfium2,
    "pypdf": _pypdf,
    "pdfminer.six": _pdfminer,
}
HTML: Mapping[str, Reader] = {
    "selectolax, layout (trifold)": _layout,
    "Beautiful Soup, html.parser": _beautiful,
    "inscriptis (lxml)": _inscriptis,
    "html-text (lxml)": _html_text,
}
WORD: Mapping[str, Reader] = {"mammoth (trifold)": _word, "python-docx": _python_docx, "docx2python": _docx2python}
ALL: Mapping[str, Reader] = {**PDF, **HTML, **WORD}


def _chardet(content: bytes) -> str:
    from trifold.documents.plain import decode

    return decode(content, markup=False)[0]


def _normalizer(content: bytes) -> str:
    from charset_normalizer import from_bytes

    return str(from_bytes(content).best() or "")


ENCODINGS: Mapping[str, Reader] = {
    "chardet (trifold)": _chardet,
    "charset-normalizer": _normalizer,
    "always Windows-1252": lambda content: content.decode("cp1252", "replace"),
}
SAMPLES = (
    ("The company’s profit rose by 12 % — “more than expected”, said José Núñez. ", ("cp1252", "mac_roman")),
    ("It costs £12 at the café. ", ("cp1252",)),
    ("Le président a été réélu après une soirée très animée; le coût dépasse 30 millions. ", ("cp1252", "cp850")),
    ("Die Bürger müssen künftig höhere Gebühren für Straßen zahlen, erklärte er. ", ("cp1252", "mac_roman", "cp850")),
    ("El niño pidió más información. ¿Cuándo llegará la solución? ", ("cp1252",)),
    ("Prezydent ogłosił, że w przyszłym roku powstaną trzy nowe linie. ", ("cp1250", "iso8859-2")),
    ("Vláda dnes schválila rozpočet na příští rok, řekl žlutý kůň. ", ("cp1250", "iso8859-2")),
    ("Правительство утвердило бюджет на следующий год. ", ("cp1251", "koi8_r", "iso8859-5", "cp866")),
    ("Η κυβέρνηση ενέκρινε τον προϋπολογισμό για το επόμενο έτος. ", ("cp1253", "iso8859-7")),
    ("Hükümet gelecek yılın bütçesini onayladı. Eğitim harcamaları artacak. ", ("cp1254",)),
    ("הממשלה אישרה את התקציב לשנה הבאה. ", ("cp1255",)),
    ("وافقت الحكومة على ميزانية العام المقبل. ", ("cp1256",)),
    ("政府は来年度の予算案を決定した。教育費は増える見込みだという。", ("shift_jis", "euc_jp")),
    ("政府批准了明年的预算。教育支出将增加百分之十。", ("gb18030",)),
    ("政府批准了明年的預算。教育支出將增加百分之十。", ("big5",)),
    ("정부는 내년 예산을 승인했다. 교육 지출은 증가할 것이다. ", ("euc_kr",)),
)


def _p(*runs: str) -> str:
    return f"<w:p>{''.join(runs)}</w:p>"


def _r(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


WORD_LINE = _p(_r("The quick brown fox "), _r("jumps over the lazy dog, ") * 8)
WORD_BODY = "".join(
    (
        _p(_r("heading-"), _r("1")),
        _p('<w:hyperlink r:id="rId9">', _r("link-2"), "</w:hyperlink>"),
        _p(f'<w:ins w:id="1" w:author="a">{_r("inserted-3")}</w:ins>'),
        _p('<w:del w:id="2" w:author="a"><w:r><w:delText>deleted-x</w:delText></w:r></w:del>', _r("rest-4")),
        f"<w:sdt><w:sdtContent>{_p(_r('control-5'))}</w:sdtContent></w:sdt>",
        _p(f"<w:sdt><w:sdtContent>{_r('inline-6')}</w:sdtContent></w:sdt>"),
        _p(
            "<w:r><w:pict><v:shape><v:textbox><w:txbxContent>",
            _p(_r("box-7")),
            "</w:txbxContent></v:textbox></v:shape></w:pict></w:r>",
        ),
        f"<w:tbl><w:tr><w:tc>{_p(_r('cell-8'))}</w:tc><w:tc>{_p(_r('cell-9'))}</w:tc></w:tr></w:tbl>",
        _p(_r("noted"), '<w:r><w:footnoteReference w:id="2"/></w:r>'),
    )
)
WORD_KEPT = (
    *("heading-1", "link-2", "inserted-3", "rest-4", "control-5", "inline-6", "box-7", "cell-8", "cell-9", "note-10"),
)
WORD_GONE = ("deleted-x",)

_MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_SPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:v="urn:schemas-microsoft-com:vml" '
    f'xmlns:r="{_OFFICE}"'
)


def word_file(body: str) -> bytes:
    """A Word file with this body and a footnote."""
    relation = '<Relationship Id="{}" Type="' + _OFFICE + '/{}" Target="{}"/>'
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{_MAIN}.document.main+xml"/>'
        f'<Override PartName="/word/footnotes.xml" ContentType="{_MAIN}.footnotes+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_RELATIONS}">'
        + relation.format("rId1", "officeDocument", "word/document.xml")
        + "</Relationships>",
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{_RELATIONS}">'
        + relation.format("rId2", "footnotes", "footnotes.xml")
        + relation.format("rId9", "hyperlink", "http://x.example/").replace("/>", ' TargetMode="External"/>')
        + "</Relationships>",
        "word/document.xml": f"<w:document {_SPACES}><w:body>{body}</w:body></w:document>",
        "word/footnotes.xml": f'<w:footnotes {_SPACES}><w:footnote w:id="2">{_p(_r("note-10"))}</w:footnote>'
        "</w:footnotes>",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def pdf_file(text: str) -> bytes:
    """A PDF file of one line."""
    from fpdf import FPDF

    document = FPDF()
    document.add_page()
    document.set_font("Times", size=12)
    document.cell(text=text)
    return bytes(document.output())
