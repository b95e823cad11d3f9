"""`POST /v1/extract`: files of every kind, and every way in which it says no; the server goes on whatever comes."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import trifold
from document_files import docx, locked_pdf, pdf, picture_pdf
from live_server import Serving, Wire, is_error

ADA = "The report was written by Ada Lovelace in 1843."
OCTETS = "application/octet-stream"
WORD = f"<w:p><w:r><w:t>{ADA}</w:t></w:r></w:p>"
ENDLESS = b"<html>" + b"<div>" * 200_000
"""A page that takes minutes."""


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    flags = ("--max-file-mb", "5", "--max-passage-mb", "0.1", "--deadline", "30")
    with Serving(*flags, env={"TRIFOLD_THREADS": "2"}) as running:
        yield running


def extract(
    server: Serving, content: bytes, query: str = "", kind: str | None = OCTETS, **headers: str
) -> tuple[int, dict[str, str], Any]:
    """Status, headers by lower-case name, body."""
    given = {} if kind is None else {"Content-Type": kind}
    own = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{server.url}/v1/extract{query}", content, {**given, **own}, method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.addheaders = []
    try:
        with opener.open(request, timeout=40) as reply:
            status, found, body = reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            status, found, body = error.code, error.headers, error.read()
    return status, {name.lower(): value for name, value in found.items()}, json.loads(body)


def children(server: Serving) -> list[int]:
    """The processes that the server has started."""
    found = Path(f"/proc/{server.pid}/task").glob("*/children")
    return [int(word) for path in found for word in path.read_text("ascii").split()]


def settled(server: Serving) -> bool:
    """Whether no process is left, soon."""
    end = time.monotonic() + 20
    while children(server):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize(
    ("content", "query", "kind", "found"),
    [
        (ADA.encode(), "?name=a.txt", "text/plain; charset=utf-8", "text"),
        (ADA.encode(), "", OCTETS, "text"),
        (ADA.encode("utf-16"), "", OCTETS, "text"),
        (f"**{ADA}**".encode(), "?name=a.md", OCTETS, "markdown"),
        (f"**{ADA}**".encode(), "", "text/markdown", "markdown"),
        (f"<p>{ADA}".encode(), "", "text/html", "html"),
        (f"<!doctype html><p>{ADA}".encode(), "?name=a.txt", OCTETS, "html"),
        (docx(WORD), "?name=report%20one.docx", OCTETS, "docx"),
        (pdf([(72, 700, 12, ADA)]), "?name=%C3%A9t%C3%A9.pdf", "application/pdf", "pdf"),
    ],
)
def test_files_of_each_kind(server: Serving, content: bytes, query: str, kind: str, found: str) -> None:
    status, headers, reply = extract(server, content, query, kind)
    assert status == 200, reply
    name = {"?name=%C3%A9t%C3%A9.pdf": "été.pdf", "?name=report%20one.docx": "report one.docx"}.get(query, query[6:])
    assert reply == {"text": ADA, "kind": found, **({"name": name} if query else {}), "warnings": []}
    assert "total;dur=" in headers["server-timing"]


@pytest.mark.parametrize("content", [b"\0" + ADA.encode() * 3, ADA.encode("utf-8") + b"\xed\xa0\xbd\xff\r\n"])
def test_what_comes_out_is_a_passage(server: Serving, content: bytes) -> None:
    status, _, reply = extract(server, content)
    assert status == 200
    assert ("\0" in reply["text"], bool(reply["warnings"])) == (False, b"\xff" in content)
    status, _, answer = server.ask({"question": "Who wrote it?", "passage": reply["text"]})
    assert status == 200
    assert answer["answers"][0]["text"] == "Ada Lovelace"


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        (b"", 422, "empty"),
        (b" \n", 422, "no text"),
        (b"%PDF-1.7 and nothing more", 422, "damaged"),
        (locked_pdf(ADA), 422, "password"),
        (picture_pdf(), 422, "no text layer"),
        (b"PK\x03\x04 and nothing more", 422, "damaged"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 415, "a PNG picture"),
        (bytes(range(256)) * 9, 415, "binary data"),
        (b"word " * 30_000, 413, "0.15 MB of text, and a passage may have 0.1 MB. Give a part of it, or raise --max-p"),
        (docx(WORD * 5000), 413, "raise --max-passage-mb"),
        (b"x" * 5_000_001, 413, "larger than 5 MB. Send less at once, or raise --max-file-mb"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_refusals(server: Serving, content: bytes, status: int, says: str) -> None:
    found, _, reply = extract(server, content, "?name=x.txt")
    assert (found, is_error(found, reply)) == (status, True), reply
    assert says in reply["error"]


@pytest.mark.parametrize(
    ("query", "kind", "headers", "status", "field"),
    [
        ("", "image/png", {}, 415, None),
        ("", "multipart/form-data; boundary=x", {}, 415, None),
        ("", "application/json", {}, 415, None),
        ("", OCTETS, {"Content_Encoding": "gzip"}, 415, None),
        ("?name=", OCTETS, {}, 422, "name"),
        ("?name=" + "x" * 256, OCTETS, {}, 422, "name"),
        ("?name=a&name=b", OCTETS, {}, 422, "name"),
        ("?file=a", OCTETS, {}, 422, "file"),
        ("?name=%ff", OCTETS, {}, 400, None),
        ("", OCTETS, {"X_Timeout": "soon"}, 422, "X-Timeout"),
    ],
)
def test_requests_that_do_not_fit(
    server: Serving, query: str, kind: str, headers: dict[str, str], status: int, field: str | None
) -> None:
    found, _, reply = extract(server, ADA.encode(), query, kind, **headers)
    assert (found, is_error(found, reply)) == (status, True), reply
    assert reply.get("field") == field


def test_no_content_type_will_do(server: Serving) -> None:
    with Wire(server) as wire:
        wire.send(b"POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(ADA))
        wire.send(ADA.encode())
        reply = wire.reply()
    assert (reply.status, json.loads(reply.body)["text"]) == (200, ADA)


def test_a_deadline_that_passes_ends_the_process(server: Serving) -> None:
    status, _, reply = extract(server, ENDLESS, X_Timeout="1")
    assert (status, is_error(status, reply)) == (504, True)
    assert settled(server)


def test_a_client_that_leaves_ends_the_process(server: Serving) -> None:
    with Wire(server) as wire:
        wire.send(b"POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(ENDLESS))
        wire.send(ENDLESS)
        end = time.monotonic() + 20
        while not children(server):
            assert time.monotonic() < end
            time.sleep(0.01)
    assert settled(server)


def test_so_many_wait_and_more_are_refused(server: Serving) -> None:
    """Two are parsed, sixteen wait; then there is 429 at once, and answers go on."""
    replies: list[tuple[int, dict[str, str], Any]] = []

    def ask() -> None:
        replies.append(extract(server, ENDLESS, X_Timeout="6"))

    threads = [threading.Thread(target=ask) for _ in range(22)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 6
    while not replies and time.monotonic() < end:
        assert server.ask()[0] == 200
        assert len(children(server)) <= 2
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    statuses = sorted(status for status, _, _ in replies)
    assert statuses.count(429) == 4, statuses
    assert set(statuses) <= {413, 429, 504}
    assert all(int(headers["retry-after"]) >= 1 for status, headers, _ in replies if status == 429)
    assert settled(server)
    assert extract(server, ADA.encode())[0] == 200


def test_the_clients_extract(server: Serving, tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text(f"**{ADA}**")
    with trifold.Client(server.url) as client:
        found = client.extract(path)
        assert (found.text, found.kind, found.warnings) == (ADA, "markdown", ())
        assert client.extract(str(path)) == found
        assert client.extract(path.read_bytes()).kind == "text"
        assert client.extract(path.read_bytes(), name="\udcff.md").kind == "text"
        assert client.extract(path.read_bytes(), name="a.md") == found
        assert client.ask("Who wrote it?", found.text).answers[0].text == "Ada Lovelace"
        with pytest.raises(trifold.DataError, match="cannot be read"):
            client.extract(tmp_path / "nothing")
        with pytest.raises(trifold.InvalidInput, match="password"):
            client.extract(locked_pdf(ADA))
        with pytest.raises(trifold.ServiceError, match="PNG"):
            client.extract(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
        with pytest.raises(trifold.InvalidInput, match="expected a path or bytes"):
            client.extract(3)  # type: ignore[arg-type]

    async def asynchronously() -> str:
        async with trifold.AsyncClient(server.url) as client:
            return (await client.extract(path)).text

    assert asyncio.run(asynchronously()) == ADA


def test_texts_and_names_are_not_logged(server: Serving) -> None:
    extract(server, b"SECRET words", "?name=SECRET.txt")
    extract(server, b"%PDF-1.7 SECRET", "?name=SECRET.pdf")
    log = server.log()
    assert "POST /v1/extract 422" in log
    assert "SECRET" not in log
    metrics = server.get("/metrics")[2]
    assert 'trifold_requests_total{route="/v1/extract",status="200"}' in metrics


def test_the_setting_has_a_twin_and_is_told() -> None:
    with Serving(env={"TRIFOLD_MAX_FILE_MB": "0.01"}) as server:
        assert server.get("/info")[2]["limits"]["max_file_mb"] == 0.01
        status, _, reply = extract(server, b"word " * 3000)
        assert status == 413
        assert "0.01 MB" in reply["error"]
