"""The page's files as the server gives them out; what they do in a browser is in test_page.py."""

from __future__ import annotations

import gzip
import http.client
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs trifold[serve]")

from conftest import Run
from live_server import Reply, Serving, Wire
from trifold.interfaces.http import pages as pages_module
from trifold.interfaces.http.pages import pages
from trifold.plugins import installed
from trifold.task import Panel, Paneled
from trifold.tasks.qa.render import in_words

KEY = "a-key-of-the-page-test"
SHELL = Path(pages_module.__file__).parent / "page"
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "font-src": "'self'",
    "form-action": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One with keys, of which the page needs none; its models need not be loaded either."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"user tests {KEY}\n")
    with Serving("--api-key-file", str(keys), ready=False) as running:
        yield running


def get(server: Serving, path: str, method: str = "GET", **headers: str) -> Reply:
    """One request, whose path goes out as it is given."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        given = {name.lower(): value for name, value in reply.getheaders()}
        return Reply(reply.status, given, reply.read())
    finally:
        connection.close()


def panels() -> dict[str, Panel]:
    return {name: plugin.panel() for name, plugin in installed().items() if isinstance(plugin, Paneled)}


def addresses() -> dict[str, Path]:
    """Everything that is served, by its path."""
    found = {f"/page/{path.relative_to(SHELL).as_posix()}": path for path in SHELL.rglob("*") if path.is_file()}
    for task, panel in panels().items():
        for path in panel.files.rglob("*"):
            if path.is_file():
                found[f"/page/tasks/{task}/{path.relative_to(panel.files).as_posix()}"] = path
    del found["/page/index.html"]
    return {address: path for address, path in found.items() if path.suffix != ".ts"}  # types are for tsc alone


def test_the_page_is_the_index_with_the_scripts_of_all_panels(server: Serving) -> None:
    reply = get(server, "/")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    index = (SHELL / "index.html").read_text("utf-8")
    before, marker, after = index.partition("<!-- panels -->")
    assert marker
    page = reply.body.decode()
    assert page.startswith(before)
    assert page.endswith(after)
    scripts = page[len(before) : len(page) - len(after)]
    sources = re.findall(r'<script type="module" src="([^"]+)"></script>', scripts)
    assert sources == [f"page/tasks/{task}/{panel.script}" for task, panel in panels().items()]
    assert "page/tasks/qa/panel.js" in sources


def test_whatever_the_page_names_is_there_and_stands_behind_any_prefix(server: Serving) -> None:
    page = get(server, "/").body.decode()
    named = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert named
    for address in named:
        assert not address.startswith("/"), f"{address} would not be found behind a prefix"
        assert ":" not in address, f"{address} leads elsewhere"
        assert get(server, f"/{address}").status == 200, address


def test_every_file_is_served_as_it_is_with_its_type(server: Serving) -> None:
    types = {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".svg": "image/svg+xml; charset=utf-8",
        ".txt": "text/plain; charset=utf-8",
        ".woff2": "font/woff2",
    }
    assert addresses()
    for address, path in addresses().items():
        reply = get(server, address)
        assert (reply.status, reply.headers["content-type"]) == (200, types[path.suffix]), address
        assert reply.body == path.read_bytes(), address


@pytest.mark.parametrize("path", ["/", "/page/tasks/qa/panel.js"])
def test_the_headers_close_what_the_page_does_not_need(server: Serving, path: str) -> None:
    headers = get(server, path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert all(part.strip().endswith("=()") for part in headers["permissions-policy"].split(","))
    assert "camera=()" in headers["permissions-policy"]


@pytest.mark.parametrize("path", ["/", "/page/tasks/qa/panel.js"])
def test_what_the_browser_holds_is_not_sent_again(server: Serving, path: str) -> None:
    first = get(server, path)
    tag = first.headers["etag"]
    assert re.fullmatch(r'W/"[0-9a-f]{32}"', tag)
    assert first.headers["cache-control"] == "no-cache"
    for held in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = get(server, path, If_None_Match=held)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["cache-control"] == "no-cache"
        assert again.headers["vary"] == "Accept-Encoding"
        assert "content-security-policy" in again.headers
    for held in ('"other"', f'"{"0" * 32}"', "", tag[:-2]):
        assert get(server, path, If_None_Match=held).status == 200


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, GZIP;q=0.8, *;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("identity", False),
        ("br", False),
        ("", False),
    ],
)
def test_it_is_compressed_for_whom_takes_it(server: Serving, accepted: str, zipped: bool) -> None:
    plain = get(server, "/")
    reply = get(server, "/", Accept_Encoding=accepted)
    assert reply.headers.get("content-encoding") == ("gzip" if zipped else None)
    assert (gzip.decompress(reply.body) if zipped else reply.body) == plain.body
    assert reply.headers["etag"] == plain.headers["etag"]
    assert reply.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert (len(reply.body) < len(plain.body)) is zipped


def test_head_says_the_same_without_the_body(server: Serving) -> None:
    for path in ("/", "/page/tasks/qa/panel.js"):
        whole = get(server, path)
        head = get(server, path, "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.body))
        assert head.headers["etag"] == whole.headers["etag"]
    assert get(server, "/", "POST").status == 405


@pytest.mark.parametrize(
    "path",
    [
        "/page/",
        "/page",
        "/page/index.html",
        "/page/nothing.js",
        "/page/tasks/qa/",
        "/page/tasks/qa/../qa/panel.js",
        "/page/../pages.py",
        "/page/%2e%2e/pages.py",
        "/page/..%2fpages.py",
        "/page/tasks/qa/..%2f..%2f..%2ftasks%2fqa%2fplugin.py",
        "/page//etc/passwd",
        "/page/%2fetc%2fpasswd",
        "/page/..\\pages.py",
        "/page/tasks/qa/panel.js%00.css",
        "/page/tasks/qa/panel.js/",
        "/page/tasks/none/panel.js",
    ],
)
def test_nothing_else_can_be_had(server: Serving, path: str) -> None:
    reply = get(server, path)
    assert reply.status in (401, 404)  # where it is no path of the page, first of all a key is wanted
    assert b"import" not in reply.body
    assert b"root:" not in reply.body


def test_the_page_needs_no_key_and_gives_none_away(server: Serving) -> None:
    assert get(server, "/").status == 200
    assert get(server, "/v1/models").status == 401
    assert get(server, "/v1/answer", "POST").status == 401
    assert KEY.encode() not in get(server, "/").body


def test_a_foreign_name_of_the_host_is_refused(server: Serving) -> None:
    assert get(server, "/", Host="evil.example").status == 403


def test_the_description_of_the_api_does_not_name_the_page(server: Serving) -> None:
    reply = get(server, "/openapi.json")
    assert reply.status == 200
    assert b'"/page' not in reply.body
    assert b'"/":' not in reply.body
    assert get(server, "/docs").status == 200


def test_the_page_comes_before_the_models_are_loaded_and_its_address_is_told(server: Serving) -> None:
    assert f"trifold listens at http://127.0.0.1:{server.port}/ (open it in a browser; " in server.log()


def test_a_server_without_the_page() -> None:
    with Serving("--no-web", ready=False, check=False) as running:
        for path in ("/", "/page/tasks/qa/panel.js"):
            assert get(running, path).status == 404
        assert get(running, "/docs").status == 200
        assert f"listens at http://127.0.0.1:{running.port} (http" in running.log()
    with Serving(env={"TRIFOLD_NO_WEB": "1"}, ready=False, check=False) as running, Wire(running) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.reply().status == 404


def test_a_browser_is_opened_once_the_page_can_answer(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/part\nmv {tmp_path}/part {tmp_path}/opened\n')
    browser.chmod(0o755)
    with Serving("--browser", env={"BROWSER": f"{browser} %s"}) as running:
        opened = tmp_path / "opened"
        limit = time.monotonic() + 20
        while not opened.exists() and time.monotonic() < limit:
            time.sleep(0.02)
        assert opened.read_text() == f"{running.url}/"


def test_a_browser_for_no_page_is_refused(run: Run) -> None:
    done = run("serve", "--port", "0", "--browser", "--no-web")
    assert done.returncode == 2
    assert "--browser opens the page, which --no-web leaves out" in done.stderr


def test_only_files_of_known_kinds_are_read(tmp_path: Path) -> None:
    for name in ("panel.js", "deep/er/style.css", "secret.py", "notes.md", ".hidden", "no_suffix", "panel.js.map"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "folder.js").mkdir()
    assert [name for name, _ in pages_module._files(tmp_path)] == ["deep/er/style.css", "panel.js"]


def test_names_of_tasks_and_scripts_cannot_leave_their_place(tmp_path: Path) -> None:
    (tmp_path / "panel.js").write_text("export {};")
    text = pages_module._scripts({'a"><script>': Panel(tmp_path, "panel.js"), "ä b": Panel(tmp_path, 'x"y.js')})
    assert text.count("<script") == 2
    assert 'src="page/tasks/%C3%A4%20b/x%22y.js"' in text
    assert pages({"echo": Panel(tmp_path, "panel.js")}).routes


def test_the_page_puts_scores_in_the_words_of_the_command_line() -> None:
    source = (panels()["qa"].files / "words.js").read_text("utf-8")
    words = [(float(least), word) for least, word in re.findall(r'\[([0-9.]+), "([a-z ]+)"\]', source)]
    assert words[-1][0] == 0
    assert len(words) > 3
    for least, word in words:
        assert in_words(least) == word
    assert all(in_words(least - 1e-9) != word for least, word in words[:-1])
