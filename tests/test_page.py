"""The page in a real browser: it comes up at once, whole, readable for everybody, and asks nothing of anybody else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from browser import NARROW, Visit, axe_violations, visiting
from live_server import Serving
from prefix_proxy import behind

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_the_tests_hear_what_goes_wrong(visit: Visit) -> None:
    """What the other tests rest on."""
    foreign = "http://example.org/x.png"
    page = visit.open()
    page.evaluate(f"document.body.append(Object.assign(new Image(), {{src: '{foreign}'}}))")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    page.evaluate("setTimeout(() => { throw new Error('as asked'); })")
    page.evaluate("fetch('nowhere').then(() => undefined)")
    assert page.evaluate("window.ran") is None
    said = "\n".join(visit.complaints)
    for complaint in ("img-src 'self'", "script-src 'self'", "404 (Not Found)", "exception: as asked"):
        assert complaint in said
    with pytest.raises(AssertionError, match="asked elsewhere"):
        visit.check()
    visit.requests.remove(foreign)
    with pytest.raises(AssertionError, match="script-src"):
        visit.check()
    visit.complaints.clear()


@pytest.mark.parametrize("size", [None, NARROW])
def test_it_is_usable_within_a_second(browser: Browser, site: Serving, size: tuple[int, int] | None) -> None:
    with visiting(browser, site.url, *([size] if size else [])) as visit:
        page = visit.open()
        assert "trifold" in page.title()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit: Visit, scheme: str) -> None:
    page = visit.open()
    assert re.match(r"light|dark", scheme)
    assert axe_violations(page, "dark" if scheme == "dark" else "light") == []


def test_it_stands_behind_a_prefix(browser: Browser, site: Serving) -> None:
    with behind("/tools/reader", site.port) as address:
        origin = address.removesuffix("/tools/reader")
        with visiting(browser, origin) as visit:
            visit.open("/tools/reader/")
            assert len(visit.requests) > 1
            assert {url for url in visit.requests if not url.startswith(f"{address}/")} == set()
