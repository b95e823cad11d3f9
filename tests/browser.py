"""A real browser for the tests of the page, which hears every request it makes and every complaint it has."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

__all__ = ["AXE", "NARROW", "WIDE", "Visit", "axe_violations", "chromium", "launched", "visiting"]

AXE = Path(__file__).parents[1] / ".cache" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
"""What recipes/page_libraries.py fetches."""

WIDE, NARROW = (1280, 860), (390, 844)

_FLAGS = (
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # not even for what the browser wants for itself
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    *(("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()),  # which root cannot have
)


def chromium() -> str:
    """The browser's path; the test is skipped where there is none."""
    pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install 'trifold[dev]')")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("there is no chromium here; on Debian: apt-get install chromium")
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    """The browser, started; nothing is ever downloaded.

    Playwright's loop occupies the thread as long as it runs, so that no other test of the session could use asyncio: a
    module of tests starts it and ends it.
    """
    path = chromium()
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=20_000)  # a busy machine is not a failure

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """A person's visit to the page of a server.

    page: Playwright's. requests: the addresses of all that the browser asked for, in order. complaints: errors and
    warnings of the console (breaches of the policy among them) and exceptions that nothing caught. expected: patterns
    of complaints that are part of the test.
    """

    page: Page
    server: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """Take complaints that this expression finds for part of the test."""
        self.expected.append(pattern)

    def open(self, path: str = "/") -> Page:
        """Go to the page."""
        self.page.goto(self.server + path)
        return self.page

    def check(self) -> None:
        """Nothing was asked of another host, and nothing went wrong unexpectedly."""
        foreign = [url for url in self.requests if not _belongs(url, self.server)]
        assert not foreign, f"the page asked elsewhere: {foreign[:5]}"
        unexpected = [text for text in self.complaints if not any(re.search(one, text) for one in self.expected)]
        assert not unexpected, "\n".join(unexpected[:10])


def _belongs(url: str, server: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "blob":  # made by the page itself, such as a file to download
        return url.startswith(f"blob:{server}/")
    return f"{parts.scheme}://{parts.netloc}" == server


@contextmanager
def visiting(browser: Browser, server: str, size: tuple[int, int] = WIDE, **options: Any) -> Iterator[Visit]:
    """A visit in a profile of its own; its end checks it. options: of Playwright's `new_context`."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, service_workers="block", accept_downloads=True, **options
    )
    context.set_default_timeout(20_000)
    visit = Visit(context.new_page(), server)

    def complain(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            visit.complaints.append(f"console: {message.text} ({message.location.get('url', '')})")

    # Of the context: windows that the page opens are heard too.
    context.on("request", lambda request: visit.requests.append(request.url))
    context.on("console", complain)
    context.on("weberror", lambda error: visit.complaints.append(f"exception: {error.error}"))
    visit.page.on("websocket", lambda socket: visit.requests.append(socket.url))
    try:
        yield visit
        visit.check()
    finally:
        context.close()


def axe_violations(page: Page, scheme: Literal["light", "dark"]) -> list[str]:
    """What axe-core finds serious or worse in the page as it stands, in that colour scheme, a line each.

    Its script goes in through the debugger, as all of Playwright's do: the page's policy holds for what the page itself
    loads, and stays in force.
    """
    if not AXE.is_file():
        pytest.skip("axe-core is not here: python recipes/page_libraries.py fetches it")
    page.emulate_media(color_scheme=scheme)
    page.evaluate(AXE.read_text("utf-8") + "; undefined")
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{scheme}: {found['id']} ({found['impact']}): {node['html'][:200]} {node['failureSummary'][:300]}"
        for found in result["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]
