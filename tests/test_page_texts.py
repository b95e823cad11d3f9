"""Texts on the page: files of each kind, opened and dropped, and texts that mean it ill."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install 'trifold[dev]')")

from playwright.sync_api import expect

from browser import Visit, visiting
from live_server import Serving
from page_views import Asking, texts
from trifold.models.folder import MANIFEST
from trifold.models.registry import find

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SENTENCE = "The lighthouse of Hollin was built by Ines Moura in 1931."


def docx() -> bytes:
    """A document of Word with one paragraph."""
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{types}"><Default Extension="rels" ContentType="application/vnd.openxml'
        f'formats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="{main}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{relations}"><Relationship Id="r" Type="{kind}" '
        'Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{space}"><w:body><w:p><w:r><w:t>{SENTENCE}</w:t></w:r></w:p>'
        "</w:body></w:document>",
    }
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return target.getvalue()


def pdf() -> bytes:
    """A page of PDF with one line."""
    text = f"BT /F1 12 Tf 72 720 Td ({SENTENCE}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    content, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(content))
        content += b"%d 0 obj%s endobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    tail = b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    return content + tail % (table, len(content))


FILES: dict[str, Callable[[], bytes]] = {
    "notes.txt": lambda: f"Notes 🎉\n\n{SENTENCE}\n".encode(),
    "notes.md": lambda: f"# Notes 🎉\n\n{SENTENCE}\n".encode(),
    "page.html": lambda: f"<!doctype html><title>Notes</title><script>1</script><p>{SENTENCE}</p>".encode(),
    "paper.pdf": pdf,
    "letter.docx": docx,
}


def drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file on the first passage, as a file manager would."""
    data = page.evaluate_handle(
        """([name, content]) => {
            const data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(atob(content), (one) => one.charCodeAt(0))], name));
            return data;
        }""",
        [name, base64.b64encode(content).decode()],
    )
    sheet = page.locator(".ask .sheet").first
    for event in ("dragenter", "dragover"):
        sheet.dispatch_event(event, {"dataTransfer": data})
    expect(sheet).to_have_class("sheet over")
    sheet.dispatch_event("drop", {"dataTransfer": data})


@pytest.mark.parametrize("how", ["opened", "dropped"])
def test_files_of_each_kind(visit: Visit, how: str) -> None:
    page = visit.open()
    asking = Asking(page)
    for name, content in FILES.items():
        if how == "dropped":
            drop(page, name, content())
        else:
            with page.expect_file_chooser() as chooser:
                asking.view.get_by_role("button", name="Open file").first.click()
            chooser.value.set_files({"name": name, "mimeType": "", "buffer": content()})
        expect(asking.view.locator(".sheet .note")).to_contain_text(f"{name}, ")
        assert SENTENCE in asking.view.locator(".sheet textarea").input_value(), name
        _, reply = asking.ask("Who built the lighthouse?")
        assert reply["answers"][0]["text"] == "Ines Moura", name
        assert asking.marked() == "Ines Moura", name


def test_a_file_that_cannot_be_read_is_told_in_a_sentence(visit: Visit) -> None:
    visit.expect(r"status of 4(15|22)")
    page = visit.open()
    asking = Asking(page)
    asking.write("", SENTENCE)
    for name, content in {"picture.png": b"\x89PNG\r\n\x1a\n" + bytes(200), "broken.pdf": pdf()[:60]}.items():
        drop(page, name, content)
        expect(asking.problem).to_contain_text(f"{name}: ")
        assert "{" not in asking.problem.inner_text()
    assert asking.view.locator(".sheet textarea").input_value() == SENTENCE  # what was there stays


HOSTILE = {
    "a script": "<script>window.hacked = 1</script>",
    "an image": '<img src=x onerror="window.hacked = 1"><svg onload="window.hacked = 1">',
    "a way out": "</div></main><iframe src=javascript:window.hacked=1></iframe><style>*{display:none}</style>",
    "a template": "{{constructor.constructor('window.hacked = 1')()}} ${window.hacked = 1}",
    "bidirectional overrides": "\u202eesrever\u202c \u2066isolated \u202b\u202b\u202b never closed",
    "combining marks without end": "Z" + "\u0301\u0489" * 500,
    "line ends": "\u2028\u2029\x0b\x0c\x1b[31m",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_only_text(visit: Visit, name: str) -> None:
    page = visit.open()
    asking = Asking(page)
    passage = f"{HOSTILE[name]} The report was written by {HOSTILE[name][:12]} Ada Lovelace in 1843. {HOSTILE[name]}"
    elements = page.locator("script, img, iframe, style, svg").count()
    question = f"Who wrote it, {HOSTILE[name][:60]}?"
    sent, reply = asking.ask(" ".join(question.split()), passage)
    assert texts(asking.view.locator(".passage")) == sent["passage"]
    best = reply["answers"][0] if reply["answers"] else None
    if best is not None:
        assert asking.marked() == best["text"] == sent["passage"][best["start"] : best["end"]]
    asking.correcting.get_by_role("button").first.click()
    expect(asking.correcting.locator(".saved")).to_be_visible()
    for view in ("Compare", "Corrections", "Ask"):
        page.locator(".views").get_by_text(view).click()
    page.get_by_text("The same from a program").click()
    assert page.locator("script, img, iframe, style, svg").count() == elements
    assert page.evaluate("window.hacked") is None
    assert page.locator(".views").is_visible()


def test_what_turns_the_direction_of_a_text_does_not_turn_the_page(visit: Visit) -> None:
    page = visit.open()
    asking = Asking(page)
    asking.ask(*("Who wrote it?", "It was written by \u202eAda Lovelace\u202d in 1843."))
    asking.ask("Who \u202eeno\u202d wrote it?")
    expect(asking.history).to_have_count(2)
    left = [
        asking.history.nth(index).locator("bdi").first.evaluate("one => one.getBoundingClientRect().left")
        for index in (0, 1)
    ]
    assert left[0] == left[1]


@pytest.mark.parametrize("size", [(1280, 860), (390, 844)])
def test_a_word_of_100_000_characters(browser: Browser, site: Serving, size: tuple[int, int]) -> None:
    with visiting(browser, site.url, size) as visit:
        page = visit.open()
        asking = Asking(page)
        passage = f"{'a' * 50_000}🎉{'b' * 50_000} was written by Ada Lovelace."
        asking.ask("Who wrote it?", passage)
        assert texts(asking.view.locator(".passage")) == passage
        expect(asking.view.locator("mark.best").first).to_be_in_viewport()
        wide: int = page.evaluate("document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth")
        assert wide <= 0


def test_a_hostile_card_of_a_model_is_only_text(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "ill@1"
    shutil.copytree(find("default").path, folder)
    card = "\n\n".join(
        [
            "# A model <script>window.hacked = 1</script>",
            *HOSTILE.values(),
            "[click](javascript:window.hacked=1) [there](data:text/html,<script>1</script>) ![x](http://example.org/x.png)",
            "| a | b |\n|---|---|\n| <b>x</b> | `<img src=x>` |",
        ]
    )
    (folder / "README.md").write_bytes(content := card.encode())
    facts = json.loads((folder / MANIFEST).read_text("utf-8"))
    facts |= {"name": "ill", "version": "1", "description": HOSTILE["a script"], "license": HOSTILE["an image"]}
    facts["files"]["README.md"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(facts), encoding="utf-8")
    with Serving("--model", str(folder)) as server, visiting(browser, server.url) as visit:
        page = visit.open("/#models")
        page.get_by_text("The card").click()
        shown = page.locator(".markdown")
        expect(shown).to_contain_text("<script>window.hacked = 1</script>")
        expect(page.locator(".models")).to_contain_text(HOSTILE["an image"])
        assert page.locator("main img, main iframe, main script, main style").count() == 0
        assert shown.locator("a").count() == 0
        assert page.evaluate("window.hacked") is None
