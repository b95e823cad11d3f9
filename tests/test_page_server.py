"""The page and its server: keys, models, a server that ends and comes back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
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
    from playwright.sync_api import Browser

ASKED = ("Who wrote it?", "The report was written by Ada Lovelace in 1843.")
KEY = "the-key-of-the-page-tests"


@pytest.fixture
def cautious(tmp_path: Path) -> Path:
    """The embedded model, which answers nothing where it has the least doubt that the passage says."""
    folder = tmp_path / "cautious@1"
    shutil.copytree(find("default").path, folder)
    facts = json.loads((folder / MANIFEST).read_text("utf-8"))
    facts |= {"name": "cautious", "version": "1"}
    facts["task_settings"]["calibration"]["threshold"] = 0.01
    (folder / MANIFEST).write_text(json.dumps(facts), encoding="utf-8")
    return folder


@pytest.fixture
def locked(browser: Browser, tmp_path: Path) -> Iterator[Serving]:
    """A server with keys."""
    keys = tmp_path / "keys"
    keys.write_text(f"user tests {KEY}\n")
    with Serving("--api-key-file", str(keys)) as server:
        yield server


def test_a_key_is_asked_for_and_kept_for_the_tab_alone(browser: Browser, locked: Serving) -> None:
    with visiting(browser, locked.url) as visit:
        visit.expect("status of 401")
        page = visit.open()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("This server asks for a key")
        expect(dialog.get_by_label("Key")).to_be_focused()
        dialog.get_by_label("Key").fill("a-wrong-key-of-nobody")
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("It does not know the key")
        dialog.get_by_label("Key").fill(KEY)
        dialog.get_by_role("button", name="Use this key").click()
        expect(dialog).to_have_count(0)
        asking = Asking(page)
        asking.ask(*ASKED)
        assert asking.marked() == "Ada Lovelace"
        asking.button("Yes, it is").click()
        expect(asking.correcting.locator(".saved")).to_be_visible()
        page.locator(".views").get_by_text("Corrections").click()
        with page.expect_download():
            page.get_by_role("button", name="Download the data set").click()
        assert KEY not in page.content()
        assert KEY not in page.url
        assert page.evaluate("JSON.stringify(localStorage)").find(KEY) == -1
        assert not any(KEY in url for url in visit.requests)
        page.locator(".views").get_by_text("Ask").click()
        page.reload()  # the tab still has the key
        asking.ask("When was it written?")
        page.get_by_role("button", name="Forget key").click()
        asking.question.press("Enter")
        expect(dialog).to_be_visible()
    assert KEY not in locked.log()


def test_without_a_key_the_page_says_what_is_missing(browser: Browser, locked: Serving) -> None:
    with visiting(browser, locked.url) as visit:
        visit.expect("status of 401")
        page = visit.open()
        page.get_by_role("dialog").get_by_role("button", name="Not now").click()
        asking = Asking(page)
        expect(asking.problem).to_contain_text("answers only with a key")
        page.get_by_role("button", name="Key", exact=True).click()
        page.get_by_role("dialog").get_by_label("Key").fill(KEY)
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_have_count(0)
        asking.ask(*ASKED)
        assert asking.marked() == "Ada Lovelace"


def test_a_server_that_ends_and_comes_back(browser: Browser) -> None:
    with Serving() as first:
        port = first.port
        with visiting(browser, first.url) as visit:
            visit.expect("ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|status of 503")
            page = visit.open()
            asking = Asking(page)
            asking.ask(*ASKED)
            first.stop()
            asking.question.fill("When was it written?")
            asking.question.press("Enter")
            expect(asking.problem).to_contain_text("The server cannot be reached")
            banner = page.locator(".banner")
            expect(banner).to_contain_text("what you typed is still here")
            assert asking.question.input_value() == "When was it written?"
            with Serving("--port", str(port)) as second:
                assert second.port == port
                expect(banner).to_be_hidden()
                expect(asking.answer.locator("bdi")).to_have_text("1843")  # asked again by itself
                expect(asking.problem).to_have_count(0)
                asking.ask("Who wrote the report?")
                assert asking.marked() == "Ada Lovelace"


def test_a_server_that_is_full_says_when_to_come_again(visit: Visit) -> None:
    visit.expect("status of 429")
    page = visit.open()
    asking = Asking(page)
    asking.ask(*ASKED)
    body = json.dumps({"error": "the queue is full.", "error_type": "overloaded"})
    headers = {"Content-Type": "application/json", "Retry-After": "3"}
    page.route("**/v1/answer", lambda route: route.fulfill(status=429, headers=headers, body=body))
    asking.question.press("Enter")
    expect(asking.problem).to_have_text("The queue is full. (Try again in 3 s.)")


def test_what_is_no_trifold_is_said(visit: Visit) -> None:
    page = visit.open()
    asking = Asking(page)
    asking.write(*ASKED)
    page.route("**/v1/answer", lambda route: route.fulfill(status=200, body="<h1>Welcome to the hotel</h1>"))
    asking.question.press("Enter")
    expect(asking.problem).to_contain_text("What answers here is not trifold")


def test_two_models_that_agree(visit: Visit) -> None:
    page = visit.open()
    asking = Asking(page)
    _, reply = asking.ask(*ASKED)
    asking.button("Compare models").click()
    view = page.locator(".compare")
    expect(view.locator(".verdict").first).to_have_text("Both quote the same words, and are as sure of them.")
    expect(view.locator("#model-a")).to_have_value("default")
    expect(view.locator("#model-b")).to_have_value("second")
    assert texts(view.locator(".passage mark.a.b")) == reply["answers"][0]["text"]
    for card in view.locator(".pair > .card").all():
        expect(card.locator(".answer bdi")).to_have_text(reply["answers"][0]["text"])
        expect(card).to_contain_text("answered in")


def test_two_models_that_differ(browser: Browser, cautious: Path) -> None:
    with Serving("--model", "default", "--model", str(cautious)) as server, visiting(browser, server.url) as visit:
        page = visit.open("/#compare")
        view = page.locator(".compare")
        view.locator(".sheet textarea").fill(ASKED[1])
        view.get_by_label("Question").fill(ASKED[0])
        page.keyboard.press("Enter")
        expect(view.locator(".verdict").first).to_have_text("Only A finds an answer.")
        assert texts(view.locator(".passage mark.a")) == "Ada Lovelace"
        assert view.locator(".passage mark.b").count() == 0
        expect(view.locator(".pair > .b")).to_contain_text("The passage does not say.")
        view.locator("#model-b").select_option("default")
        view.get_by_role("button", name="Compare").click()
        expect(view.locator(".verdict").first).to_contain_text("Both quote the same words")


def test_one_model_has_nothing_to_be_compared_with(browser: Browser) -> None:
    with Serving() as server, visiting(browser, server.url) as visit:
        page = visit.open("/#compare")
        expect(page.locator(".compare .warning")).to_contain_text("Only one model is served")
        page.locator(".views").get_by_text("Ask").click()
        asking = Asking(page)
        asking.ask(*ASKED)
        expect(asking.button("Compare models")).to_have_count(0)
        expect(asking.view.locator("#model")).to_be_hidden()


def test_the_models_and_how_good_they_were_found(visit: Visit, site: Serving) -> None:
    page = visit.open()
    page.locator(".views").get_by_text("Models").click()
    view = page.locator(".models")
    card = site.get("/v1/models/default/card")[2]
    expect(view).to_contain_text(card["facts"]["description"])
    measured = [metric for metric in card["facts"]["metrics"] if metric["data"] == "squad-dev-v2.0.json.gz"]
    row = view.locator("tr").filter(has_text="squad-dev-v2.0.json.gz").first
    expect(row).to_contain_text(f"{measured[0]['f1']:.1f}")
    expect(row).to_contain_text(f"{measured[0]['ece']:.3f}")
    plot = view.get_by_role("img", name="Calibration on")
    expect(plot).to_be_visible()
    chosen = view.get_by_label("Data").evaluate("one => one.selectedOptions[0].textContent")
    bins = next(m["reliability"] for m in card["facts"]["metrics"] if m.get("reliability") and m["data"] in chosen)
    assert plot.locator("circle").count() == len(bins)
    expect(view.locator(".command").first).to_contain_text(card["facts"]["command"])
    view.get_by_text("Files", exact=True).click()
    expect(view).to_contain_text(card["facts"]["files"]["model.safetensors"]["sha256"])
    view.get_by_text("The card").click()
    expect(view.locator(".markdown h3").first).to_be_visible()
    view.get_by_role("link", name="second").click()
    expect(view.locator("dl").first).to_contain_text("second")
