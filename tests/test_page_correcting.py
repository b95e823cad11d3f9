"""Corrections on the page: made by selecting, kept by the server, reviewed, changed, taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install 'trifold[dev]')")

from playwright.sync_api import expect

from browser import Visit, visiting
from live_server import Serving
from page_views import Asking, select_words, selected, texts

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

QUESTION = "Who opened the café?"
PASSAGE = "☕️👩🏽‍🍳 Our cafe\u0301 was opened by Zoë 🎹 Lindström in 2016 🇸🇪. Her brother Åke bakes 🍮."


@pytest.fixture(autouse=True)
def none_yet(site: Serving) -> Iterator[None]:
    """No test sees another one's corrections."""
    yield
    for one in kept(site):
        assert site.send("DELETE", f"/v1/corrections/{one['id']}?revision={one['revision']}")[0] == 204


def kept(site: Serving) -> list[dict[str, Any]]:
    """The corrections as the API gives them, the latest first."""
    found: list[dict[str, Any]] = site.get("/v1/corrections?limit=100")[2]["corrections"]
    return found


def saved(asking: Asking) -> None:
    expect(asking.correcting.locator(".saved")).to_be_visible()


def corrections(page: Page) -> Any:
    """Go to the view; its entries."""
    page.locator(".views").get_by_text("Corrections").click()
    return page.locator(".corrections > li")


def test_the_right_words_are_selected_with_the_mouse(visit: Visit, site: Serving) -> None:
    page = visit.open()
    asking = Asking(page)
    _, reply = asking.ask(QUESTION, PASSAGE)
    words = "Åke bakes 🍮"
    select_words(asking.view.locator(".passage"), words)
    assert selected(page) == words
    expect(asking.correcting.locator(".chosen")).to_have_text(words)
    asking.button("Save as the right answer").click()
    saved(asking)
    expect(asking.correcting).to_contain_text(f"Saved: “{words}”")
    (correction,) = kept(site)
    start = PASSAGE.index(words)
    assert correction["answers"] == [{"text": words, "start": start, "end": start + len(words)}]
    assert (correction["question"], correction["passage"]) == (QUESTION, PASSAGE)
    assert correction["predicted"]["text"] == reply["answers"][0]["text"]
    assert correction["predicted"]["score"] == reply["answers"][0]["score"]
    assert correction["model"] == reply["model"]


def test_the_right_words_are_selected_with_the_keyboard(visit: Visit, site: Serving) -> None:
    page = visit.open()
    asking = Asking(page)
    asking.ask(QUESTION, PASSAGE)
    asking.view.locator(".passage").focus()
    page.keyboard.press("ControlOrMeta+Home")
    for _ in range(2):  # two emoji, of several code points
        page.keyboard.press("ArrowRight")
    for _ in range(len(" Our cafe")):
        page.keyboard.press("Shift+ArrowRight")
    expect(asking.correcting.locator(".chosen")).to_have_text("Our cafe\u0301")
    page.keyboard.press("Tab")
    save = asking.button("Save as the right answer")
    save.focus()
    page.keyboard.press("Enter")
    saved(asking)
    (answer,) = kept(site)[0]["answers"]
    assert answer["text"] == "Our cafe\u0301"
    assert PASSAGE[answer["start"] : answer["end"]] == answer["text"]


def test_an_answer_is_confirmed_and_that_is_taken_back(visit: Visit, site: Serving) -> None:
    asking = Asking(visit.open())
    _, reply = asking.ask(QUESTION, PASSAGE)
    asking.button("Yes, it is").click()
    saved(asking)
    best = reply["answers"][0]
    assert kept(site)[0]["answers"] == [{key: best[key] for key in ("text", "start", "end")}]
    asking.button("Take it back").click()
    expect(asking.button("Yes, it is")).to_be_visible()
    assert kept(site) == []


def test_the_passage_does_not_say(visit: Visit, site: Serving) -> None:
    asking = Asking(visit.open())
    asking.ask(QUESTION, PASSAGE)
    asking.button("The passage does not say").click()
    saved(asking)
    expect(asking.correcting).to_contain_text("Saved: the passage does not say.")
    asking.ask("Who is the mayor of Paris?")
    asking.button("Yes, it does not say").click()
    saved(asking)
    found = kept(site)
    assert [one["answers"] for one in found] == [[], []]
    assert found[0]["predicted"]["text"] == ""


def test_the_later_word_counts(visit: Visit, site: Serving) -> None:
    asking = Asking(visit.open())
    asking.ask(QUESTION, PASSAGE)
    asking.button("Yes, it is").click()
    saved(asking)
    select_words(asking.view.locator(".passage"), "Her brother")
    asking.button("Save as the right answer").click()
    expect(asking.correcting).to_contain_text("It takes the place of the earlier correction.")
    (correction,) = kept(site)
    assert correction["answers"][0]["text"] == "Her brother"


def test_nothing_of_several_passages_says(visit: Visit, site: Serving) -> None:
    asking = Asking(visit.open())
    asking.ask(QUESTION, PASSAGE, "Dogs are welcome.")
    asking.button("The passages do not say").click()
    saved(asking)
    assert {one["passage"] for one in kept(site)} == {PASSAGE, "Dogs are welcome."}


def test_corrections_are_reviewed_and_edited(visit: Visit, site: Serving) -> None:
    page = visit.open()
    asking = Asking(page)
    asking.ask(QUESTION, PASSAGE)
    asking.button("Yes, it is").click()
    saved(asking)
    asking.correcting.get_by_text("See all corrections").click()
    (entry,) = corrections(page).all()
    expect(entry).to_contain_text("the model said the same")
    right = kept(site)[0]["answers"][0]["text"]
    assert texts(entry.locator("mark")) == right
    entry.get_by_role("button", name="Edit").click()
    entry.get_by_label("Question").fill("Who bakes?")
    select_words(entry.locator(".passage"), "Åke")
    expect(entry.locator(".chosen")).to_contain_text("Right: Åke")
    entry.get_by_label("Note").fill("by hand")
    entry.get_by_role("button", name="Save").click()
    expect(entry.locator("h2")).to_have_text("Who bakes?")
    expect(entry).to_contain_text("by hand")
    assert texts(entry.locator("mark")) == "Åke"
    (correction,) = kept(site)
    start = PASSAGE.index("Åke")
    assert correction["answers"] == [{"text": "Åke", "start": start, "end": start + 3}]
    assert (correction["question"], correction["note"], correction["revision"]) == ("Who bakes?", "by hand", 2)
    entry.get_by_role("button", name="Edit").click()
    entry.get_by_role("button", name="The passage does not say").click()
    entry.get_by_role("button", name="Save").click()
    expect(entry.get_by_role("button", name="Edit")).to_be_visible()  # the form names what it offers in the same words
    expect(entry).to_contain_text("the passage does not say")
    assert kept(site)[0]["answers"] == []


def test_two_pages_that_edit_the_same_do_not_undo_each_other(visit: Visit, browser: Browser, site: Serving) -> None:
    visit.expect("status of 409")
    page = visit.open()
    asking = Asking(page)
    asking.ask(QUESTION, PASSAGE)
    asking.button("Yes, it is").click()
    saved(asking)
    mine = corrections(page).first
    mine.get_by_role("button", name="Edit").click()
    with visiting(browser, site.url) as other:
        theirs = corrections(other.open()).first
        theirs.get_by_role("button", name="Edit").click()
        theirs.get_by_label("Note").fill("theirs")
        theirs.get_by_role("button", name="Save").click()
        expect(theirs).to_contain_text("theirs")
    mine.get_by_label("Note").fill("mine")
    mine.get_by_role("button", name="Save").click()
    expect(mine.locator(".problem")).to_be_visible()
    assert kept(site)[0]["note"] == "theirs"


def test_one_is_deleted_and_put_back(visit: Visit, site: Serving) -> None:
    page = visit.open()
    asking = Asking(page)
    asking.ask(QUESTION, PASSAGE)
    asking.button("Yes, it is").click()
    saved(asking)
    before = kept(site)[0]
    entry = corrections(page).first
    entry.get_by_role("button", name="Delete").click()
    expect(entry).to_contain_text("Deleted.")
    assert kept(site) == []
    entry.get_by_role("button", name="Put it back").click()
    expect(entry.locator("h2")).to_have_text(QUESTION)
    after = kept(site)[0]
    assert {name: after[name] for name in ("question", "passage", "answers", "predicted")} == {
        name: before[name] for name in ("question", "passage", "answers", "predicted")
    }


def test_they_are_searched_and_there_may_be_many(visit: Visit, site: Serving) -> None:
    for number in range(25):
        body = {"question": f"Which number is {number}?", "passage": f"Number {number} stands here.", "answers": []}
        assert site.ask(body, "/v1/corrections")[0] == 201
    page = visit.open()
    entries = corrections(page)
    expect(entries).to_have_count(20)
    page.get_by_role("button", name="More").click()
    expect(entries).to_have_count(25)
    page.get_by_label("Search").fill("number 17")
    expect(entries).to_have_count(1)
    expect(page.get_by_text("1 correction found")).to_be_visible()
    page.get_by_label("Search").fill("nowhere")
    expect(page.get_by_text("0 corrections found")).to_be_visible()


def test_they_are_downloaded_as_a_data_set(visit: Visit, site: Serving, tmp_path: Path) -> None:
    page = visit.open()
    asking = Asking(page)
    asking.ask(QUESTION, PASSAGE)
    asking.button("Yes, it is").click()
    saved(asking)
    corrections(page)
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download the data set").click()
    caught.value.save_as(tmp_path / "data.json")
    data = json.loads((tmp_path / "data.json").read_text("utf-8"))
    (asked,) = data["data"][0]["paragraphs"][0]["qas"]
    best = kept(site)[0]["answers"][0]
    assert asked["question"] == QUESTION
    assert asked["answers"] == [{"text": best["text"], "answer_start": best["start"]}]


def test_the_command_that_learns_from_them_is_shown(visit: Visit, site: Serving) -> None:
    for number in range(3):
        passage = f"The keeper of tower {number} is Ines Moura."
        start = passage.index("Ines")
        answer = {"text": "Ines Moura", "start": start, "end": start + 10}
        site.ask({"question": "Who is the keeper?", "passage": passage, "answers": [answer]}, "/v1/corrections")
    page = visit.open()
    corrections(page)
    listing = site.get("/v1/corrections")[2]
    shown = page.locator("section[aria-label=Corrections] .card").first
    if listing["command"] is None:
        expect(shown).to_contain_text(listing["missing"])
    else:
        expect(shown.locator(".command code").first).to_have_text(listing["command"])
    expect(shown).to_contain_text(listing["file"]["path"])


def test_a_server_that_keeps_none_offers_nothing(browser: Browser) -> None:
    with Serving("--no-corrections") as server, visiting(browser, server.url) as visit:
        page = visit.open()
        asking = Asking(page)
        asking.ask(QUESTION, PASSAGE)
        page.wait_for_load_state("networkidle")
        expect(asking.correcting).to_be_hidden()
        page.locator(".views").get_by_text("Corrections").click()
        expect(page.get_by_text("This server keeps no corrections")).to_be_visible()
