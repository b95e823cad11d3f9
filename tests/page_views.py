"""The views of the page, as a person uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Response

__all__ = ["Asking", "scrolls_sideways", "select_words", "selected"]


class Asking:
    """The first view."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.view = page.locator(".ask")
        self.question = page.locator("#question")
        self.answer = self.view.locator(".answer")
        self.verdict = self.view.locator(".verdict")
        self.problem = self.view.locator(".problem:visible")
        self.others = self.view.locator(".alternatives button")
        self.correcting = self.view.locator(".correct")
        self.history = self.view.locator(".history ol button")

    def button(self, name: str) -> Locator:
        return self.view.get_by_role("button", name=name, exact=True)

    def write(self, question: str, *passages: str) -> None:
        """Type a question and its passages over whatever is there."""
        for index, passage in enumerate(passages):
            if index == self.view.locator(".sheet").count():
                self.button("+ Another passage").click()
            sheet = self.view.locator(".sheet").nth(index)
            if not sheet.locator("textarea").is_visible():
                sheet.get_by_role("button", name="Edit").click()
            sheet.locator("textarea").fill(passage)
        self.question.fill(question)

    def ask(self, question: str, *passages: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Type and ask: what the page asked of the API, and the reply."""
        self.write(question, *passages)
        with self.page.expect_response(is_answer) as caught:
            self.question.press("Enter")
        return self.shown(caught.value)

    def example(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Click on an example: what the page asked of the API, and the reply."""
        with self.page.expect_response(is_answer) as caught:
            self.button(name).click()
        return self.shown(caught.value)

    def shown(self, response: Response) -> tuple[dict[str, Any], dict[str, Any]]:
        """Wait until a reply is on the screen."""
        sent, reply = response.request.post_data_json, response.json()
        assert sent is not None
        self.view.locator(".reply h2").get_by_text(reply["question"], exact=True).wait_for()
        return sent, reply

    def marked(self) -> str:
        """The words that are marked as what one looks at, over all passages."""
        return texts(self.view.locator(".passage mark.best"))

    def marked_too(self) -> list[str]:
        """The alternatives, marked in another colour."""
        found: list[str] = self.view.locator(".passage mark.other").evaluate_all(
            "all => all.map(one => one.textContent)"
        )
        return found


def is_answer(response: Response) -> bool:
    return response.url.endswith("/v1/answer")


def texts(found: Locator) -> str:
    """Their texts as they stand in the document, joined."""
    joined: str = found.evaluate_all("all => all.map(one => one.textContent).join('')")
    return joined


def select_words(passage: Locator, words: str) -> None:
    """Draw the mouse over words of a passage, which stand on one line."""
    passage.scroll_into_view_if_needed()
    box = passage.evaluate(
        """(element, words) => {
            const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
            const nodes = [];
            while (walker.nextNode()) nodes.push(walker.currentNode);
            const at = nodes.map((node) => node.data).join("").indexOf(words);
            const range = document.createRange();
            let before = 0;
            for (const node of nodes) {
                const [from, to] = [at - before, at + words.length - before];
                if (from >= 0 && from <= node.length) range.setStart(node, from);
                if (to >= 0 && to <= node.length) { range.setEnd(node, to); break; }
                before += node.length;
            }
            range.startContainer.parentElement.scrollIntoView({ block: "nearest" });
            const rect = range.getBoundingClientRect();
            return { left: rect.left, right: rect.right, middle: (rect.top + rect.bottom) / 2 };
        }""",
        words,
    )
    mouse = passage.page.mouse
    mouse.move(box["left"] + 0.5, box["middle"])
    mouse.down()
    mouse.move((box["left"] + box["right"]) / 2, box["middle"])
    mouse.move(box["right"] - 0.5, box["middle"])
    mouse.up()


def selected(page: Page) -> str:
    """What is selected in the document."""
    text: str = page.evaluate("String(document.getSelection())")
    return text


def scrolls_sideways(page: Page) -> list[str]:
    """What is wider than the screen, so that one would have to scroll the page sideways."""
    found: list[str] = page.evaluate(
        """() => {
            const root = document.scrollingElement;
            if (root.scrollWidth <= root.clientWidth) return [];
            return [...document.querySelectorAll("body *")]
                .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > root.clientWidth + 0.5)
                .map((one) => `${one.tagName}.${one.className}`)
                .concat("the page");
        }"""
    )
    return found
