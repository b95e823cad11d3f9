"""Takes pictures of the page: each view light and dark, wide and narrow.

    PYTHONPATH=tests python recipes/screenshots.py [--all FOLDER]     (make screenshots)

Writes the four pictures of README.md to docs/images, and all of them to FOLDER (a new temporary one by default). Needs
Debian's chromium and the extra `dev`; the server and the browser are those of the tests. Two models are served: the
embedded one, and the same with windows of 90 tokens, which loses what stands farther apart and does not always agree.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from browser import NARROW, WIDE, launched, visiting
from live_server import Serving
from page_views import Asking, select_words
from trifold.models.folder import MANIFEST
from trifold.models.registry import find

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
LARGEST = 150_000
"""Bytes of a picture that is kept in the repository."""
SIZES = {"wide": WIDE, "narrow": NARROW}
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
README = {"ask": "ask-light-wide", "correct": "correct-light-wide", "compare": "compare-dark-wide"}
README |= {"models": "models-light-narrow"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="where to put all pictures")
    folder: Path = parser.parse_args().all or Path(tempfile.mkdtemp(prefix="trifold-screenshots-"))
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp())
    try:
        other = str(short_sighted(place))
        with launched() as browser, Serving("--model", "default", "--model", other) as server:
            for name, view in VIEWS.items():
                take(browser, server, folder, name, view)
    finally:
        shutil.rmtree(place)
    IMAGES.mkdir(exist_ok=True)
    for name, picture in README.items():
        content = (folder / f"{picture}.png").read_bytes()
        assert len(content) < LARGEST, f"{picture}: {len(content):,} bytes"
        (IMAGES / f"{name}.png").write_bytes(content)
    print(
        f"{len(list(folder.glob('*.png')))} pictures in {folder}, {len(README)} of them in {IMAGES.relative_to(ROOT)}"
    )


def short_sighted(place: Path) -> Path:
    """The embedded model with short windows, as a model of its own."""
    folder = place / "short@1"
    shutil.copytree(find("default").path, folder)
    facts = json.loads((folder / MANIFEST).read_text("utf-8"))
    facts |= {"name": "short", "version": "1", "description": "The embedded model with windows of 90 tokens."}
    facts["task_settings"]["window"] = {"length": 90, "stride": 16}
    (folder / MANIFEST).write_text(json.dumps(facts), encoding="utf-8")
    return folder


def take(browser: Browser, server: Serving, folder: Path, name: str, view: Callable[[Page], None]) -> None:
    """One view in every size and colour."""
    for size, pixels in SIZES.items():
        with visiting(browser, server.url, pixels, reduced_motion="reduce") as visit:
            view(visit.open())
            visit.page.mouse.move(0, 0)
            for scheme in SCHEMES:
                visit.page.emulate_media(color_scheme=scheme)
                visit.page.screenshot(path=folder / f"{name}-{scheme}-{size}.png", animations="disabled")


# The views ------------------------------------------------------------------------------------------------------------


def start(page: Page) -> None:
    Asking(page).button("A warranty").wait_for()


def ask(page: Page) -> None:
    Asking(page).example("A warranty")
    narrow_to(page, ".answer")


def alternatives(page: Page) -> None:
    asking = Asking(page)
    asking.example("A café with emoji")
    asking.ask("How much is the crème brûlée?")
    narrow_to(page, ".answer")


def none(page: Page) -> None:
    Asking(page).example("Not in the text")
    narrow_to(page, ".verdict")


def several(page: Page) -> None:
    asking = Asking(page)
    asking.example("Two timetables")
    asking.ask("What does a bicycle cost?")
    asking.ask("What is closed for repairs?")
    narrow_to(page, ".history")


def correct(page: Page) -> None:
    asking = Asking(page)
    asking.example("A warranty")
    asking.ask("How long is the warranty of the kettle?")  # of which it says how long the repair takes
    select_words(asking.view.locator(".passage"), "three years")
    asking.button("Save as the right answer").evaluate("one => one.scrollIntoView({ block: 'end' })")
    page.mouse.wheel(0, 40)


def program(page: Page) -> None:
    Asking(page).example("A warranty")
    page.get_by_text("The same from a program").click()
    page.locator(".snippets").scroll_into_view_if_needed()


def compare(page: Page) -> None:
    asking = Asking(page)
    asking.example("A warranty")
    asking.ask("What is not covered?")
    asking.button("Compare models").click()
    page.locator(".pair > .card").nth(1).wait_for()
    narrow_to(page, ".compare .verdict")


def corrections(page: Page) -> None:
    asking = Asking(page)
    asking.example("A warranty")
    asking.button("Yes, it is").click()
    asking.correcting.locator(".saved").wait_for()
    asking.ask("How long is the warranty of the kettle?")
    select_words(asking.view.locator(".passage"), "three years")
    asking.button("Save as the right answer").click()
    asking.correcting.locator(".saved").wait_for()
    page.locator(".views").get_by_text("Corrections").click()
    page.locator(".corrections > li").nth(1).wait_for()


def models(page: Page) -> None:
    page.locator(".views").get_by_text("Models").click()
    plot = page.locator(".plot")
    plot.wait_for()
    narrow_to(page, ".plot")


def narrow_to(page: Page, selector: str) -> None:
    """On a small screen, what the picture is about."""
    if (page.viewport_size or {"width": 0})["width"] == NARROW[0]:
        page.locator(selector).first.evaluate("one => one.scrollIntoView({ block: 'center' })")


VIEWS: dict[str, Callable[[Page], None]] = {
    "start": start,
    "ask": ask,
    "alternatives": alternatives,
    "none": none,
    "several": several,
    "correct": correct,
    "program": program,
    "compare": compare,
    "corrections": corrections,
    "models": models,
}

if __name__ == "__main__":
    try:
        main()
    except pytest.skip.Exception as missing:  # as the tests would be, without a browser
        sys.exit(str(missing))
