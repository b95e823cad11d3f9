"""What happens on the page while something else is going on: nothing that was typed is lost, nothing stale is shown."""

from __future__ import annotations

import base64
import json
import time
import zlib
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install 'trifold[dev]')")

from playwright.sync_api import expect

from browser import Visit
from live_server import Serving
from page_views import Asking, texts

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

QUESTION, PASSAGE = "Who wrote it?", "The report was written by Ada Lovelace in 1843."


def held(page: Page, address: str) -> list[Route]:
    """Requests to this address, which wait until a test lets them go on."""
    waiting: list[Route] = []
    page.route(address, lambda route: waiting.append(route))
    return waiting


def until(page: Page, waiting: list[Route], count: int = 1) -> None:
    end = time.monotonic() + 20
    while len(waiting) < count:
        assert time.monotonic() < end
        page.wait_for_timeout(20)


def link(screen: dict[str, object]) -> str:
    packing = zlib.compressobj(wbits=-15)
    content = packing.compress(json.dumps(screen).encode()) + packing.flush()
    return "/#ask/" + base64.urlsafe_b64encode(content).decode().rstrip("=")


def test_a_text_that_is_edited_while_a_question_is_asked_stays(visit: Visit) -> None:
    page = visit.open()
    asking = Asking(page)
    waiting = held(page, "**/v1/answer")
    asking.write(QUESTION, PASSAGE)
    asking.question.press("Enter")
    until(page, waiting)
    field = asking.view.locator(".sheet textarea")
    field.fill("Another text.")
    visit.expected.append("ERR_FAILED|ERR_ABORTED")
    page.unroute("**/v1/answer")
    page.wait_for_timeout(500)
    expect(field).to_be_visible()
    assert field.input_value() == "Another text."
    expect(asking.answer).not_to_be_visible()
    expect(asking.button("Ask")).to_be_enabled()


def test_text_that_was_not_asked_about_comes_back_from_an_earlier_question(visit: Visit) -> None:
    asking = Asking(visit.open())
    asking.ask(QUESTION, PASSAGE)
    asking.ask("When was it written?")
    asking.write("And now?", "A long letter that I am writing.")
    asking.history.last.click()
    expect(asking.view.locator(".reply h2")).to_have_text(QUESTION)
    asking.button("Put my text back").click()
    assert asking.view.locator(".sheet textarea").input_value() == "A long letter that I am writing."
    assert asking.question.input_value() == "And now?"


def test_what_was_typed_after_a_link_outlives_a_reload(visit: Visit) -> None:
    page = visit.open(link({"question": QUESTION, "passages": [PASSAGE]}))
    asking = Asking(page)
    expect(asking.answer).to_be_visible()
    asking.write("Who else?", "My own text.")
    page.reload()
    assert asking.view.locator(".sheet textarea").input_value() == "My own text."
    assert asking.question.input_value() == "Who else?"


def test_a_hostile_link_neither_freezes_the_page_nor_asks_much(visit: Visit) -> None:
    page = visit.open(link({"question": "\n".join(["Who wrote it?"] * 500), "passages": [PASSAGE, *[" "] * 100_000]}))
    asking = Asking(page)
    expect(asking.answer).to_be_visible()
    assert sum(url.endswith("/v1/answer") for url in visit.requests) == 1
    page.goto("about:blank")
    page = visit.open(link({"question": QUESTION, "passages": [PASSAGE] * 100_000}))
    expect(asking.problem).to_contain_text("This link is cut or damaged")


def test_a_comparison_of_a_text_that_was_edited_is_not_shown(visit: Visit) -> None:
    page = visit.open()
    asking = Asking(page)
    asking.ask(QUESTION, PASSAGE)
    page.locator(".views").get_by_text("Compare").click()
    compare = page.locator(".compare")
    field = compare.locator(".sheet textarea")
    expect(field).to_have_value(PASSAGE)  # what was last asked
    waiting = held(page, "**/v1/answer")
    compare.get_by_role("button", name="Compare", exact=True).click()
    until(page, waiting, 2)
    field.fill(f"Well. {PASSAGE}")
    page.unroute("**/v1/answer")
    page.wait_for_timeout(500)
    expect(field).to_be_visible()
    expect(compare.locator(".pair .card")).to_have_count(0)


def test_stepping_through_answers_keeps_the_focus(visit: Visit) -> None:
    page = visit.open()
    asking = Asking(page)
    asking.ask("Who is in command?", "Ines Moura is in command until May. Pavel Horak is in command until August.")
    following = asking.view.get_by_label("The next answer")
    following.focus()
    page.keyboard.press("Enter")
    expect(asking.view.locator(".others .note")).to_contain_text("2 of")
    expect(following).to_be_focused()
    page.keyboard.press("Enter")
    expect(asking.view.locator(".others .note")).not_to_contain_text("2 of")


def test_an_open_edit_is_not_swept_away(visit: Visit, site: Serving) -> None:
    correction = {"question": QUESTION, "passage": PASSAGE, "answers": []}
    status, _, made = site.send("POST", "/v1/corrections", correction)
    assert status == 201
    try:
        page = visit.open("/#corrections")
        page.get_by_role("button", name="Edit", exact=True).click()
        page.get_by_label("Note").fill("half a note")
        page.evaluate("document.dispatchEvent(new CustomEvent('trifold:back'))")
        page.wait_for_timeout(500)
        assert page.get_by_label("Note").input_value() == "half a note"
    finally:
        site.send("DELETE", f"/v1/corrections/{made['id']}?revision={made['revision']}")


def test_taking_back_leaves_earlier_corrections(visit: Visit, site: Serving) -> None:
    other = "The report was read by everybody."
    status, _, made = site.send("POST", "/v1/corrections", {"question": QUESTION, "passage": other, "answers": []})
    assert status == 201
    try:
        asking = Asking(visit.open())
        asking.ask(QUESTION, PASSAGE, other)
        asking.button("The passages do not say").click()
        expect(asking.correcting).to_contain_text("It takes the place of the earlier correction.")
        expect(asking.correcting).to_contain_text("the passages do not say")
        expect(asking.correcting.get_by_text("Take it back")).to_have_count(0)
        assert made["id"] in [one["id"] for one in site.get("/v1/corrections")[2]["corrections"]]
    finally:
        for one in site.get("/v1/corrections")[2]["corrections"]:
            site.send("DELETE", f"/v1/corrections/{one['id']}?revision={one['revision']}")


def test_a_text_that_is_read_is_typed_into(visit: Visit) -> None:
    page = visit.open()
    asking = Asking(page)
    asking.ask(QUESTION, PASSAGE)
    asking.view.locator(".passage mark.best").click()
    page.keyboard.press("Control+End")
    page.keyboard.type(" Hello")
    page.keyboard.press("Control+Backspace")
    page.keyboard.type("Bye")
    assert asking.view.locator(".sheet textarea").input_value() == f"{PASSAGE} Bye"
    expect(asking.answer).not_to_be_visible()


def test_an_input_method_does_not_change_what_is_read(visit: Visit) -> None:
    """A composition cannot be declined by the page."""
    page = visit.open()
    asking = Asking(page)
    asking.ask(QUESTION, PASSAGE)
    asking.view.locator(".passage mark.best").click()
    session = page.context.new_cdp_session(page)
    session.send("Input.imeSetComposition", {"text": "にほ", "selectionStart": 2, "selectionEnd": 2})
    session.send("Input.insertText", {"text": "日本"})
    field = asking.view.locator(".sheet textarea")
    expect(field).to_be_visible()
    value = field.input_value()
    assert value.replace("日本", "", 1) == PASSAGE, value
    assert texts(asking.view.locator(".sheet label")) == "Passage"
