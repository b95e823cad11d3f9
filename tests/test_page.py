"""The page in a real browser: it comes up at once, whole, readable for everybody, and asks nothing of anybody else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install 'trifold[dev]')")

from playwright.sync_api import expect

from browser import NARROW, WIDE, Visit, axe_violations, visiting
from live_server import Serving
from page_views import Asking, scrolls_sideways, select_words
from prefix_proxy import behind

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PASSAGE = "The report was written by Ada Lovelace in 1843. It describes how the machine would work out numbers."


def start(page: Page) -> None:
    expect(Asking(page).button("A warranty")).to_be_visible()


def answered(page: Page) -> None:
    Asking(page).example("A warranty")
    page.get_by_text("The same from a program").click()


def several(page: Page) -> None:
    asking = Asking(page)
    asking.ask("When does the ferry leave?", "The ferry leaves at 7:40.", "In summer the ferry leaves at 6:15.")
    asking.ask("Who is the mayor of Paris?")
    expect(asking.history).to_have_count(2)


def selecting(page: Page) -> None:
    asking = Asking(page)
    asking.ask("Who wrote it?", PASSAGE)
    select_words(asking.view.locator(".passage"), "Lovelace")
    expect(asking.button("Save as the right answer")).to_be_visible()


def wrong(page: Page) -> None:
    Asking(page).button("Ask").click()
    expect(Asking(page).problem).to_be_visible()


def comparing(page: Page) -> None:
    answered(page)
    Asking(page).button("Compare models").click()
    expect(page.locator(".pair > .card")).to_have_count(2)


def correcting(page: Page) -> None:
    asking = Asking(page)
    asking.ask("Who wrote it?", PASSAGE)
    asking.button("Yes, it is").click()
    expect(asking.correcting.locator(".saved")).to_be_visible()
    page.locator(".views").get_by_text("Corrections").click()
    expect(page.locator(".corrections > li")).not_to_have_count(0)


def editing(page: Page) -> None:
    correcting(page)
    page.locator(".corrections > li").first.get_by_role("button", name="Edit").click()


def models(page: Page) -> None:
    page.locator(".views").get_by_text("Models").click()
    page.get_by_text("The card").click()
    for heading in ("Data", "Files"):
        page.locator("summary").get_by_text(heading, exact=True).click()


VIEWS: list[Callable[[Page], None]] = [
    start,
    answered,
    several,
    selecting,
    wrong,
    comparing,
    correcting,
    editing,
    models,
]
"""Ways to the states of the page."""


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


def test_it_is_usable_at_once(browser: Browser, site: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """The seconds are printed; only what no machine would need is refused."""
    seconds = []
    for _ in range(3):
        with visiting(browser, site.url) as visit:  # each with an empty cache
            began = time.perf_counter()
            page = visit.open()
            start(page)
            seconds.append(time.perf_counter() - began)
            size = page.evaluate(
                "performance.getEntriesByType('resource').reduce((sum, one) => sum + one.transferSize, 0)"
            )
            assert 0 < size < 150_000
    with capsys.disabled():
        print(f"\nthe page is usable after {1000 * sorted(seconds)[1]:.0f} ms; {size:,} bytes were sent")  # noqa: T201
    assert min(seconds) < 10


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_each_view_is_for_everybody(browser: Browser, site: Serving, view: Callable[[Page], None]) -> None:
    """By axe-core, light and dark; and no screen has to be scrolled sideways, down to 320 pixels (WCAG 1.4.10)."""
    with visiting(browser, site.url, reduced_motion="reduce") as visit:
        page = visit.open()
        view(page)
        assert axe_violations(page, "light") + axe_violations(page, "dark") == []
        for width in (NARROW[0], 320):
            page.set_viewport_size({"width": width, "height": NARROW[1]})
            assert scrolls_sideways(page) == [], width
        assert axe_violations(page, "light") == []


def test_a_phone_has_room_for_the_answer(browser: Browser, site: Serving) -> None:
    with visiting(browser, site.url, NARROW, has_touch=True, is_mobile=True) as visit:
        page = visit.open()
        asking = Asking(page)
        asking.example("A warranty")
        assert scrolls_sideways(page) == []
        asking.answer.get_by_role("button").tap()
        expect(asking.view.locator("mark.best")).to_be_in_viewport()


def test_everything_goes_by_keyboard(visit: Visit) -> None:
    page = visit.open()
    start(page)

    def tab_to(name: str, most: int = 40) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            focused: str = page.evaluate(
                "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent) || "
                "document.activeElement.id"
            )
            if focused.strip() == name:
                shown = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert shown != "none", f"{name}: where the keyboard is cannot be seen"
                return
        raise AssertionError(f"{name!r} is not reached with Tab")

    tab_to("Skip to the content")
    tab_to("A warranty")
    page.keyboard.press("Enter")
    asking = Asking(page)
    expect(asking.answer).to_be_visible()
    tab_to("question")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Where is the service centre?")
    page.keyboard.press("Enter")
    expect(asking.history).to_have_count(2)
    tab_to("Yes, it is")
    page.keyboard.press("Enter")
    saved = asking.correcting.locator(".saved")
    expect(saved).to_be_focused()
    tab_to("See all corrections")
    page.keyboard.press("Enter")
    expect(page.locator(".corrections > li")).not_to_have_count(0)
    expect(page.locator(".views [aria-current]")).to_have_text("Corrections")


def test_the_colours_are_the_systems_or_what_one_chose(visit: Visit) -> None:
    page = visit.open()

    def paper() -> int:
        red: int = page.evaluate("Number(/\\d+/.exec(getComputedStyle(document.body).backgroundColor)[0])")
        return red

    for scheme, dark in (("dark", True), ("light", False)):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert (paper() < 100) is dark
    button = page.get_by_label("Colours")
    button.click()
    assert paper() > 200
    button.click()
    assert paper() < 100
    page.reload()
    assert paper() < 100
    button.click()
    assert paper() > 200


def test_views_have_addresses_of_their_own(visit: Visit) -> None:
    page = visit.open("/#models")
    expect(page.get_by_role("heading", level=1, name="Models")).to_be_visible()
    assert page.title() == "Models · trifold"
    page.locator(".views").get_by_text("Ask").click()
    expect(page.get_by_role("heading", level=1, name="Ask a text")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", level=1, name="Models")).to_be_visible()
    page.goto(f"{visit.server}/#nowhere")
    expect(page.get_by_role("heading", level=1, name="Ask a text")).to_be_visible()


def test_it_stands_behind_a_prefix(browser: Browser, site: Serving) -> None:
    with behind("/tools/reader", site.port) as address:
        origin = address.removesuffix("/tools/reader")
        with visiting(browser, origin, WIDE) as visit:
            page = visit.open("/tools/reader/")
            answered(page)
            code = page.locator(".snippets").inner_text()
            assert f"{address}/v1/answer" in code
            Asking(page).button("Compare models").click()
            page.locator(".views").get_by_text("Corrections").click()
            page.locator(".views").get_by_text("Models").click()
            expect(page.locator(".models dl").first).to_be_visible()
            assert {url for url in visit.requests if not url.startswith(f"{address}/")} == set()
