"""Text out of files: each kind reads well, and no file does harm."""

from __future__ import annotations

import contextlib
import io
import random
import re
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from document_files import docx, locked_pdf, pdf, picture_pdf, raw_pdf, typeset
from trifold.documents.detection import detect
from trifold.documents.document import MB, Bounds, Document, Unreadable, tidy
from trifold.documents.paragraphs import Line, put_together
from trifold.documents.process import Parsing
from trifold.documents.reading import read_document
from trifold.documents.running import without_running_lines
from trifold.errors import EngineError

BOUNDS = Bounds(text=MB, text_flag="--more")
LOCKED = "The key is under the mat."


def read(content: bytes, name: str | None = None, media_type: str | None = None) -> Document:
    return read_document(content, BOUNDS, name=name, media_type=media_type)


def refused(content: bytes, name: str | None = None, bounds: Bounds = BOUNDS) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read_document(content, bounds, name=name)
    assert "\n" not in str(caught.value)
    return caught.value


# Plain text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_text_is_read_to_the_letter(encoding: str) -> None:
    text = "  Ünïcödé \U0001f600\n\n\n\ntwo  blanks, a\ttab \nэто текст "
    found = read((text + "and then some Latin letters. " * 30).encode(encoding), "a.txt")
    assert found.text.startswith(text)
    assert found.kind == "text"
    assert bool(found.warnings) == (encoding in ("utf-16-le", "utf-16-be"))


def test_line_ends_and_forbidden_characters() -> None:
    assert read(b"one\r\ntwo\rthree\n").text == "one\ntwo\nthree\n"
    assert tidy("a\0b\ud800c\n\n\n\nd  \n", exact=False) == "ab\N{REPLACEMENT CHARACTER}c\n\nd"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("The company’s profit rose — “more than expected”, said José Núñez at the café. ", "cp1252"),
        ("Правительство утвердило бюджет на следующий год. ", "koi8_r"),
        ("政府は来年度の予算案を決定した。教育費は増える見込みだという。", "shift_jis"),
    ],
)
def test_other_encodings_are_told_by_their_bytes(text: str, encoding: str) -> None:
    found = read(("Plain ASCII.\n" * 3000 + text).encode(encoding))
    assert found.text.endswith(text)
    assert "does not say its encoding" in found.warnings[0]


def test_invalid_bytes_are_read_as_something_with_a_warning() -> None:
    found = read(b"Ada \xff\xfe wrote \x81\x8d it.")
    assert found.text.startswith("Ada ")
    assert found.warnings


def test_damaged_utf_16() -> None:
    assert "UTF-16" in str(refused("Ada wrote it.".encode("utf-16")[:-1]))


# Markdown and HTML


def test_markdown_without_its_markup() -> None:
    source = (
        "---\ntitle: hidden\n---\n# A *title*\n\nIt was **written** by\n[Ada](http://x.example) in `1843`.\n\n"
        "- one\n- two\n  1. three\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\ncode  kept\n```\n<b>bold</b> x &amp; y\n"
    )
    assert read(source.encode(), "a.md").text == (
        "A title\n\nIt was written by Ada in 1843.\n\n• one\n• two\n  1. three\n\na\tb\n1\t2\n\n"
        "code  kept\n\nbold x & y"
    )
    assert read(source.encode(), None, "text/markdown").kind == "markdown"
    assert read(source.encode()).text == source


def test_html_as_it_is_seen() -> None:
    page = (
        "<!DOCTYPE html><title>no</title><style>p{}</style><script>var x = '<p>no</p>'</script>"
        "<h1>Caf&eacute; &amp; r&#233;sum&#xe9;</h1><p>First   <b>para</b><i>graph</i>,<br>a line<p>Second&nbsp;one. "
        "<span hidden>no</span><span style='display: none'>no</span><noscript>no</noscript><template>no</template>"
        "<table><tr><th>Name<th>Price<tr><td>Boat<td><p>12</p><p>euros</p></table><ul><li>One<li>Two<ol><li>in</ol></ul>"
        "<ol start=3><li>three</ol><pre>a  b\n  c</pre>10<sup>6</sup> H<sub>2</sub>O soft&shy;ly a&lt;b<!-- no -->"
        "</body></html><p>after"
    )
    assert read(page.encode()).text == (
        "Café & résumé\n\nFirst paragraph,\na line\n\nSecond one.\n\nName\tPrice\nBoat\t12 euros\n\n• One\n• Two\n"
        "  1. in\n\n3. three\n\na  b\n  c\n\n10⁶ H2O softly a<b\n\nafter"
    )


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("<meta charset='windows-1251'>", "cp1251"),
        ("<meta http-equiv=Content-Type content='text/html; charset=iso-8859-1'>", "cp1252"),
        ("<meta charset=utf-8>", "cp1252"),
        ("", "utf-8"),
        ("<meta charset=iso-8859-1>", "utf-8"),
        ("<meta charset=idna>", "utf-8"),
        ("", "utf-16"),
    ],
)
def test_html_in_the_encoding_that_it_declares(head: str, encoding: str) -> None:
    text = "Это написано." if encoding == "cp1251" else "“Élan” was written in a café."
    assert read(f"<html><head>{head}</head><p>{text}</p></html>".encode(encoding)).text == text


# Word


def paragraph(text: str, more: str = "") -> str:
    return f'<w:p><w:r><w:t xml:space="preserve">{text}</w:t></w:r>{more}</w:p>'


def test_word_paragraphs_tables_notes_and_changes() -> None:
    changed = (
        '<w:ins w:id="1" w:author="a"><w:r><w:t>written</w:t></w:r></w:ins>'
        '<w:del w:id="2" w:author="a"><w:r><w:delText>no</w:delText></w:r></w:del><w:r><w:t> by Ada.</w:t></w:r>'
    )
    row = f"<w:tc>{paragraph('Boat')}</w:tc><w:tc>{paragraph('12')}{paragraph('euros')}</w:tc>"
    body = (
        paragraph("It was ", changed)
        + paragraph("One", "<w:r><w:br/><w:t>line</w:t></w:r>")
        + f"<w:tbl><w:tr>{row}</w:tr></w:tbl>"
        + f"<w:sdt><w:sdtContent>{paragraph('In a control.')}</w:sdtContent></w:sdt>"
        + paragraph("Noted", '<w:r><w:footnoteReference w:id="2"/></w:r>')
    )
    found = read(docx(body, footnotes=f'<w:footnote w:id="2">{paragraph("The note.")}</w:footnote>'), "a.bin")
    assert found.text == (
        "It was written by Ada.\n\nOne\nline\n\nBoat\t12 euros\n\nIn a control.\n\nNoted[1]\n\n1. The note."
    )
    assert found.kind == "docx"


# PDF


SENTENCES = (
    "The light\u00adhouse of Blank\u00advik was built in 1892 by an engi\u00adneer whose draw\u00adings are lost.",
    "Its lamp, which burnt pe\u00adtro\u00adleum at first, could be seen from twelve miles away on a clear night.",
    "The keep\u00ader lived there with his family, two goats and a li\u00adbrary of three hun\u00addred books.",
    "When the mayor visited in 1951, she found the stairs, all two hundred and one of them, freshly painted.",
    "Nobody has lived there since the lamp became elec\u00adtric, though the gar\u00adden is still tended.",
)


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("indent", [0, 5])
def test_pdf_sentences_are_whole_whatever_line_and_page_they_stand_on(columns: int, indent: float) -> None:
    rng = random.Random(columns)
    paragraphs = [" ".join(rng.choices(SENTENCES, k=rng.randint(3, 9))) for _ in range(24)]
    found = read(typeset(*paragraphs, columns=columns, head="The Harbour Book", indent=indent)).text
    body, _, head = found.rpartition("\n\n")
    assert head == "The Harbour Book 1"
    whole = "\n".join(paragraphs).replace("\u00ad", "")
    assert re.sub(r"\s+", " ", body) == whole.replace("\n", " ")
    for sentence in SENTENCES:
        assert body.count(sentence.replace("\u00ad", "")) == whole.count(sentence.replace("\u00ad", ""))
    assert len(paragraphs) <= len(re.findall(r"[^\n]+", body)) <= len(paragraphs) + 8  # the ends of pages and columns


def test_pdf_headings_lists_and_short_lines_stay_apart() -> None:
    lines = [
        (72, 700, 18, "On boats"),
        (72, 670, 11, "There are many kinds of boats in the harbour of the town, and most of them are"),
        (72, 656, 11, "made of wood:"),
        (72, 640, 11, "\u2022 sailing boats, of which the oldest was built before the war and is still"),
        (80, 626, 11, "in use"),
        (72, 612, 11, "\u2022 rowing boats"),
        (72, 580, 11, "Ada Lovelace"),
        (72, 566, 11, "12 Harbour Street"),
        (72, 552, 11, "London"),
    ]
    assert read(pdf(lines)).text == (
        "On boats\n\nThere are many kinds of boats in the harbour of the town, and most of them are made of wood:\n"
        "• sailing boats, of which the oldest was built before the war and is still in use\n• rowing boats\n\n"
        "Ada Lovelace\n12 Harbour Street\nLondon"
    )


def line(text: str, y: float, *, x: float = 72, right: float = 540, size: float = 11, hyphen: bool = False) -> Line:
    return Line(text, x, right, y, size, hyphen=hyphen)


def test_hyphens_at_line_ends() -> None:
    words = {
        ("the decision is in ver", "sion one, which is well made and"): "version",
        ("the report of the S", "Plus system was found to be good"): "S-Plus",
        ("we speak of the year 1990", "91 in what comes now and is here"): "1990-91",
        ("it is a non", "linear thing that nobody had seen"): "non-linear",
        ("some of the state", "of-the-art ships of the harbour are"): "state-of-the-art",
    }
    for (one, two), whole in words.items():
        text = put_together([[line(one, 700, hyphen=True), line(two, 686)]])
        assert whole in text, text
    known = [line("a co-operation of two is a co-operation", 714), line("there is much co", 700, hyphen=True)]
    assert "much co-operation" in put_together([[*known, line("operation in this harbour of ours", 686)]])


def test_sentences_go_on_past_footnotes_and_page_ends() -> None:
    first = [
        line("A long sentence about the harbour begins at the foot of this page and", 100),
        line("1 A note in small letters about something else.", 60, size=8),
    ]
    second = [line("goes on at the top of the next one.", 700, right=300), line("Another one follows.", 686, right=200)]
    assert put_together([first, second]) == (
        "A long sentence about the harbour begins at the foot of this page and goes on at the top of the next one. "
        "Another one follows.\n\n1 A note in small letters about something else."
    )


def test_running_lines_are_taken_out_once_said() -> None:
    pages = [
        [line("Contract 4711", 750), line(f"Text of page {word} that is long enough", 400), line(f"{i} of 3", 40)]
        for i, word in enumerate(("one", "two", "three"), 1)
    ]
    left, said = without_running_lines(pages)
    assert [[one.text for one in page] for page in left] == [
        [f"Text of page {word} that is long enough"] for word in ("one", "two", "three")
    ]
    assert said == ["Contract 4711", "1 of 3"]
    assert without_running_lines([pages[0]]) == ([list(pages[0])], [])


def test_superscripts() -> None:
    placed = [(72, 700, 12, "About 10"), (120, 705, 7, "6"), (126, 700, 12, "people came to see it.")]
    assert read(pdf(placed)).text == "About 10⁶ people came to see it."


@pytest.mark.parametrize(
    ("degrees", "turn", "places"),
    [
        (90, b"0 1 -1 0", [(100, 72), (114, 72), (128, 72)]),
        (270, b"0 -1 1 0", [(500, 700), (486, 700), (472, 700)]),
        (180, b"-1 0 0 -1", [(500, 100), (500, 114), (500, 128)]),
    ],
)
def test_pages_that_are_turned(degrees: int, turn: bytes, places: list[tuple[float, float]]) -> None:
    texts = ("The first line of a page that lies on its side is", "not its last one, and this is the second", "Short")
    placed = [(x, y, 12, text) for (x, y), text in zip(places, texts, strict=True)]
    assert read(pdf(placed, turn=turn, extra=b"/Rotate %d" % degrees)).text == f"{texts[0]} {texts[1]}\n{texts[2]}"


def test_pdf_forms_with_what_was_filled_in() -> None:
    label = b"BT /F1 12 Tf 1 0 0 1 72 700 Tm (Name of the author:) Tj ET"
    value = b"BT /F1 12 Tf 2 5 Td (Ada Lovelace) Tj ET"
    form = raw_pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R] >> >>",
            b"<< /Type /Pages /Kids [4 0 R] /Count 1 /Resources << /Font << /F1 3 0 R >> >> >>",
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R /Annots [6 0 R] >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(label), label),
            b"<< /Subtype /Widget /FT /Tx /T (name) /V (Ada) /Rect [190 695 400 715] /F 4 /AP << /N 7 0 R >> >>",
            b"<< /Type /XObject /Subtype /Form /BBox [0 0 210 20] /Resources << /Font << /F1 3 0 R >> >> "
            b"/Length %d >>\nstream\n%s\nendstream" % (len(value), value),
        ]
    )
    assert read(form).text == "Name of the author: Ada Lovelace"


def test_pdf_without_text_or_with_a_password() -> None:
    assert "no text layer" in str(refused(picture_pdf(2)))
    assert "empty, or drawings" in str(refused(pdf([])))
    some = read(pdf([(72, 700, 12, "Ada wrote it.")], []))
    assert (some.text, some.warnings) == ("Ada wrote it.", ())
    locked = refused(locked_pdf(LOCKED))
    assert (locked.why, "password" in str(locked)) == ("unreadable", True)


# Kinds


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 4


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (pdf([(72, 700, 12, "It is a PDF.")]), "wrong.txt", "pdf"),
        (b"\n\n" + pdf([(72, 700, 12, "It is a PDF.")]), None, "pdf"),
        (docx(paragraph("It is a Word file.")), "wrong.pdf", "docx"),
        (b"  <!-- x --> <!DOCTYPE html><p>It is HTML.", "wrong.txt", "html"),
        (b"<?xml version='1.0'?><html><p>It is HTML.</p></html>", None, "html"),
        (b"<p>It is HTML by its name.", "a.HTM", "html"),
        (b"<p>It is text.", None, "text"),
        (b"BM is how it begins, ID3 too.", None, "text"),
        (b"# It is Markdown", "a.b.md", "markdown"),
        (b"It is text.", "a.pdf", "text"),
    ],
)
def test_kinds_are_told_by_content_then_by_name(content: bytes, name: str | None, kind: str) -> None:
    found = read(content, name)
    assert found.kind == kind
    assert "It is" in found.text or "BM" in found.text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (PNG, "a PNG picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture"),
        (b"{\\rtf1 Ada}", "Rich Text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Office file"),
        (b"\x7fELF\x02\x01\x01\0\0", "a program"),
        (bytes(range(256)) * 40, "binary data"),
        (b"a\0b", "binary data"),
    ],
)
def test_other_kinds_are_named(content: bytes, says: str) -> None:
    error = refused(content, "letter.txt")
    assert error.why == "unknown"
    assert says in str(error)


def archive(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name.replace("__", "/"), content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (archive(xl__workbook=b"x"), "an Excel workbook"),
        (archive(ppt__slides=b"x"), "a PowerPoint presentation"),
        (archive(a=b"x"), "a ZIP archive"),
    ],
)
def test_other_archives_are_named(content: bytes, says: str) -> None:
    error = refused(content)
    assert (error.why, says in str(error)) == ("unknown", True)


def test_a_locked_word_file_is_told_from_an_old_one() -> None:
    content = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(99)
    assert "password" in str(refused(content))


@pytest.mark.parametrize("content", [b"", b" \n\t ", b"<html><script>x</script></html>", docx(paragraph(" "))])
def test_nothing_is_no_text(content: bytes) -> None:
    assert refused(content).why == "unreadable"


# Bounds


def test_a_text_that_is_too_long_says_how_long_it_is() -> None:
    for content in (b"word " * 300_000, b"<html>" + b"word " * 300_000):
        error = refused(content)
        assert error.why == "too_large"
        assert "1.5 MB of text, and a passage may have 1 MB. Give a part of it, or raise --more." in str(error)


def bomb_docx() -> bytes:
    return docx(paragraph("x" * 80_000_000))


def laughing_docx() -> bytes:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    prolog = f'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY e0 "ha">{entities}]>'
    return docx(paragraph("&e11;"), prolog=prolog)


def curious_docx(path: Path) -> bytes:
    """One that asks for another file."""
    return docx(paragraph("found: &x;"), prolog=f'<!DOCTYPE w [<!ENTITY x SYSTEM "{path.as_uri()}">]>')


def looping_pdf() -> bytes:
    return raw_pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 1000000 /Parent 3 0 R >>",
            b"<< /Type /Pages /Kids [2 0 R] /Count 1000000 /Parent 2 0 R >>",
        ]
    )


def swelling_pdf() -> bytes:
    """Its page unpacks to a hundred times its size, twice."""
    packed = zlib.compress(zlib.compress(b"BT /F1 12 Tf (Ada) Tj ET\n" * 4_000_000))
    return raw_pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            b"<< /Type /Page /Parent 2 0 R /Contents 5 0 R /Resources << /Font << /F1 3 0 R >> >> >>",
            b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n%s\nendstream" % (len(packed), packed),
        ]
    )


SMALL = Bounds(text=MB, memory=256 * MB, seconds=3)


@pytest.mark.parametrize(
    "content",
    [bomb_docx, laughing_docx, looping_pdf, swelling_pdf],
    ids=lambda make: make.__name__,
)
def test_bombs_are_refused(content: object) -> None:
    assert callable(content)
    refused(content(), bounds=SMALL)


def test_deep_trees() -> None:
    assert read(b"<html>" + b"<div>" * 10_000 + b"Ada" + b"</div>" * 10_000).text == "Ada"
    nested = read(b"<html>" + b"<ul><li>" * 2000 + b"Ada").text
    assert nested.endswith("Ada")
    refused(docx("<w:p>" * 20_000 + "</w:p>" * 20_000), bounds=SMALL)
    assert read(b">" * 100 + b" Ada", "a.md").text == "Ada"
    assert "too deeply" in str(refused(b">" * 5000 + b" Ada", "a.md"))


def test_a_tree_without_end_is_given_up_in_time() -> None:
    error = refused(b"<html>" + b"<div>" * 600_000, bounds=Bounds(text=MB, seconds=1))
    assert error.why == "too_large"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not bound the memory of a process")
def test_memory_is_bounded() -> None:
    page = b"<html><p>" + b"<i>a</i> b " * 150_000
    assert read_document(page, Bounds(text=10 * MB, memory=512 * MB)).kind == "html"
    error = refused(page, bounds=Bounds(text=10 * MB, memory=64 * MB))
    assert error.why == "too_large"
    assert "64 MB of memory" in str(error)


def test_an_external_entity_is_not_looked_at(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    try:
        found = read(curious_docx(secret)).text
    except Unreadable as error:
        found = str(error)
    assert "SECRET" not in found


def test_a_linked_picture_is_not_fetched(tmp_path: Path) -> None:
    """The process that parses can open neither files nor connections."""
    probe = (
        "import socket\n"
        "from trifold.documents.worker import _seal\n"
        "_seal()\n"
        "for attempt in (lambda: socket.socket(), lambda: open('/etc/passwd')):\n"
        "    try:\n        attempt()\n"
        "    except OSError as error:\n        print(error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["24", "24"]


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_are_read_or_refused(seed: int) -> None:
    rng = random.Random(seed)
    wholes = [typeset(*SENTENCES), docx(paragraph("Ada wrote it.") * 30), b"<html><table><tr><td>Ada</table>" * 9]
    for whole in wholes:
        broken = bytearray(whole[: rng.randrange(len(whole) // 2, len(whole))] if rng.random() < 0.5 else whole)
        for _ in range(rng.randrange(1, 60)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        with contextlib.suppress(Unreadable):
            assert read_document(bytes(broken), SMALL).text.strip()


def test_a_truncated_pdf() -> None:
    whole = pdf([(72, 700, 12, "Ada")])
    refused(whole[:20])
    assert read(whole[:-12]).text == "Ada"  # the end of the file can be done without


# The process


def test_a_parsing_can_be_ended_from_another_thread() -> None:
    parsing = Parsing()
    threading.Timer(0.5, parsing.end).start()
    began = time.monotonic()
    with pytest.raises(EngineError, match="ended"):
        parsing.run(b"<html>" + b"<div>" * 600_000, "html", BOUNDS)
    assert time.monotonic() - began < 15
    with pytest.raises(EngineError, match="ended"):
        parsing.run(b"Ada", "html", BOUNDS)


def test_many_at_once_leave_nothing_behind() -> None:
    found: list[str] = []

    def work(number: int) -> None:
        found.append(read(f"<html><p>number {number}".encode()).text)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [f"number {i}" for i in range(8)]


def test_keys_of_the_environment_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFOLD_API_KEY", "secret")
    seen: list[object] = []
    original = subprocess.Popen

    def popen(*args: object, **kwargs: object) -> object:
        seen.append(kwargs["env"])
        return original(*args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr("trifold.documents.process.subprocess.Popen", popen)
    assert read(b"<html>Ada").text == "Ada"
    assert "secret" not in str(seen)
    assert detect(b"Ada") == "text"
