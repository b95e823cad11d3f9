"""The report before and after a training: its words, its figures, its page."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.data.repairs import Gold
from trifold.tasks.qa.measuring.changes import excerpt
from trifold.tasks.qa.measuring.evaluation import Evaluation, Graded
from trifold.tasks.qa.measuring.metrics import span_counts
from trifold.tasks.qa.measuring.plots import ticks
from trifold.tasks.qa.measuring.report import Report, compare, print_report
from trifold.tasks.qa.records import Answer

EVIL = "<script>alert(1)</script>\"'&\x00\x1b[31m\u202e[/red]\ud800"
FACTS: dict[str, Any] = {
    "title": "privacy",
    "model": "privacy@1",
    "base": "default@1",
    "arguments": {"seed": 0},
    "seconds": 90.0,
    "data": [{"file": "train.jsonl", "role": "training", "rows": 300, "sha256": "ab" * 32}],
    "warnings": ["3 passages are in both files"],
    "history": [
        {"epoch": 0.5, "train_loss": 2.0, "domain_f1": None},
        {"epoch": 1, "train_loss": 1.0, "domain_f1": 0.5, "general_f1": 0.9},
    ],
}


def asked(n: int, *, silent: int = 0, text: str = "Ann") -> list[Example]:
    """n questions, the last `silent` of them without an answer."""
    passage = f"It was {text}, not Bob."
    golds = (Gold(text, 7),)
    return [Example(f"q{i}", f"Who was {i}?", passage, golds if i < n - silent else ()) for i in range(n)]


def replies(
    examples: Sequence[Example], right: Sequence[bool], *, wrong: str = "Bob", score: float = 0.7
) -> Evaluation:
    """An evaluation that is right or wrong where it is said; silence is the right reply to what has no answer."""
    graded = []
    for example, good in zip(examples, right, strict=True):
        text = example.golds[0].text if example.golds and good else "" if good else wrong
        start = example.passage.find(text)
        answers = (Answer(text, start, start + len(text), score, 0),) if text else ()
        graded.append(Graded(example.id, text, score, float(good), float(good), bool(example.golds), answers))
    return Evaluation("m@0", tuple(graded), 1.0)


@cache
def report(old: tuple[bool, ...], new: tuple[bool, ...], silent: int = 0) -> Report:
    examples = asked(len(old), silent=silent)
    sections = {"domain": replies(examples, old)}, {"domain": replies(examples, new)}
    return compare(*sections, examples={"domain": examples}, facts=FACTS)


HALF, MORE = (True, False) * 100, (True, True, True, False) * 50


def test_the_conclusion_says_no_more_than_the_interval_allows() -> None:
    rose = report(HALF, MORE).conclusion[0]
    assert rose.startswith("On 200 held-out questions of the domain F1 rose from 50.0 to 75.0 (95 %: +19.")
    assert "Clearly better there too: exact match +25.0, has-answer F1 +25.0" in rose
    fell = report(MORE, HALF).conclusion[0]
    assert "F1 fell from 75.0 to 50.0" in fell
    assert "Clearly worse there: exact match -25.0" in fell
    chance = report(HALF, (*HALF[:-4], True, True, False, False)).conclusion
    assert "F1 stayed at 50.0" in report(HALF, HALF).conclusion[0]
    assert "F1 went from 50.0 to 50.0; this may be chance (95 %: -" in chance[0]


def test_few_questions_are_said_to_be_few() -> None:
    assert "12 held-out questions of the domain are too few" in report(HALF[:12], MORE[:12]).conclusion[1]
    assert "With 40 questions the interval is wide" in report(HALF[:40], MORE[:40]).conclusion[1]
    assert len(report(HALF, HALF).conclusion) == 1


def test_measures_and_intervals() -> None:
    old, new = (True,) * 80 + (False,) * 20, (True,) * 90 + (False,) * 10
    facts = report(old, new, 20).to_dict()["sections"]["domain"]["measures"]
    assert facts["f1"] == {
        "n": 100,
        "before": 80,
        "after": 90,
        "difference": 10,
        "interval": facts["f1"]["interval"],
        "outcome": "better",
    }
    assert 0 < facts["f1"]["interval"][0] < 10 < facts["f1"]["interval"][1] < 20
    assert (facts["has_answer_f1"]["n"], facts["has_answer_f1"]["outcome"]) == (80, "same")
    assert (facts["no_answer_f1"]["n"], facts["no_answer_f1"]["difference"]) == (20, 50)
    assert (facts["ece"]["difference"], facts["ece"]["outcome"]) == (pytest.approx(0.1), "worse")
    assert facts["coverage_at_90"]["after"] == 1
    assert facts["auroc"]["before"] == 0.5
    assert "no_answer_f1" not in report(HALF, MORE).to_dict()["sections"]["domain"]["measures"]
    assert "spans_f1" not in facts
    assert "verdict_accuracy" not in facts


def test_several_answers_and_verdicts_are_what_their_sections_are_about() -> None:
    examples = asked(60)

    def spans(texts: list[str]) -> Evaluation:
        counts = tuple(span_counts(texts, ["Ann", "Bob"]).tolist())
        return Evaluation("m", tuple(Graded(e.id, "Ann", 0.5, 0, 0, True, (), None, counts) for e in examples), 1.0)

    def verdicts(right: float) -> Evaluation:
        rows = (
            Graded(e.id, "yes", 0.5, right, right, True, (), "yes" if i % 2 else "no") for i, e in enumerate(examples)
        )
        return Evaluation("m", tuple(rows), 1.0)

    done = compare(
        {"domain": spans(["Ann"]), "court": verdicts(0)},
        {"domain": spans(["Ann", "Bob"]), "court": verdicts(1)},
        examples={"domain": examples, "court": examples},
        facts={},
    )
    assert "exact span F1 rose from 66.7 to 100.0" in done.conclusion[0]
    assert "On 60 questions of “court” yes/no accuracy rose from 0.0 to 100.0" in done.conclusion[1]


@pytest.mark.parametrize("wrong", ["sections", "order", "number", "none"])
def test_only_replies_to_the_same_questions_are_compared(wrong: str) -> None:
    examples = asked(4)
    old, new = replies(examples, [True] * 4), replies(examples, [False] * 4)
    before, after, of = {"domain": old}, {"domain": new}, {"domain": examples}
    if wrong == "sections":
        after = {"other": new}
    elif wrong == "order":
        after = {"domain": replies(examples[::-1], [False] * 4)}
    elif wrong == "number":
        after = {"domain": replies(examples[:3], [False] * 3)}
    else:
        before = after = {"domain": replies([], [])}
        of = {"domain": list[Example]()}
    with pytest.raises(ValueError, match="expected"):
        compare(before, after, examples=of, facts={})


def test_the_questions_that_changed() -> None:
    done = report((False,) * 130 + (True,) * 7, (True,) * 120 + (False,) * 17)
    changed = done.to_dict()["sections"]["domain"]["changed"]
    assert {kind: part["count"] for kind, part in changed.items()} == {"won": 120, "lost": 7, "other": 0}
    assert (len(changed["won"]["shown"]), len(changed["lost"]["shown"])) == (50, 7)
    lost = done.sections[0].changes["lost"].shown[0]
    assert (lost.golds, lost.before, lost.after) == (("Ann",), ("Ann",), ("Bob",))
    marked = {piece.text: piece.marks for piece in lost.pieces if piece.marks}
    assert marked == {"Ann": {"gold", "before"}, "Bob": {"after"}}
    page = done.to_html()
    assert "Won: wrong before, right after (120, the 50 surest replies of the new model)" in page
    assert '<mark class="before gold">Ann</mark>, not <mark class="after">Bob</mark>' in page


def test_other_wrong_answers_are_those_that_differ() -> None:
    examples = asked(3)
    old = replies(examples, [False] * 3)
    new = replies(examples, [False] * 3, wrong="not Bob")
    same = replies(examples, [False] * 3, wrong="bob.")
    counts = []
    for after in (new, same):
        done = compare({"x": old}, {"x": after}, examples={"x": examples}, facts={})
        counts.append(done.sections[0].changes["other"].count)
    assert counts == [3, 0]


@given(
    st.integers(0, 300),
    st.sets(st.integers(0, 299)),
    st.lists(st.tuples(st.integers(0, 290), st.integers(1, 40), st.sampled_from(["gold", "after"])), max_size=5),
)
def test_an_excerpt_is_the_passage_word_for_word(
    size: int, blanks: set[int], places: list[tuple[int, int, str]]
) -> None:
    passage = "".join(" " if i in blanks else chr(0x4E00 + i) for i in range(size))  # a letter tells its place
    marks = [(start, min(start + long, size), name) for start, long, name in places if start < size]
    pieces = excerpt(passage, marks, around=20)
    runs = "".join("\n" if piece.gap else piece.text for piece in pieces).split("\n")
    assert all(run in passage for run in runs)
    found = {char: piece.marks for piece in pieces for char in piece.text if char != " "}
    for i, char in enumerate(passage):
        own = {name for start, end, name in marks if start <= i < end}
        if char != " " and (own or char in found):
            assert found[char] == own


class Page(HTMLParser):
    """Checks that every tag is closed and gathers what a page could fetch or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in {"meta", "input", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_needs_nothing_else_and_lets_nothing_run() -> None:
    text = report(HALF, MORE).to_html()
    page = Page(text)
    assert page.open == []
    assert not {"script", "img", "link", "iframe", "object", "a", "form"} & page.tags.keys()
    assert not {"src", "href", "style", "srcset", "action"} & {name for _, name, _ in page.attributes}
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert not re.search(r"https?:|url\(|@import", text)
    policy = next(value for tag, name, value in page.attributes if tag == "meta" and "default-src" in value)
    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_the_page_can_be_read_without_seeing_it() -> None:
    page = Page(report(HALF, MORE).to_html())
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert all(
        value in ids for _, name, values in page.attributes if name == "aria-labelledby" for value in values.split()
    )
    assert all(value in ids for tag, name, value in page.attributes if (tag, name) == ("label", "for"))
    plots = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "role")]
    assert len(plots) == page.tags["svg"] == page.tags["title"] - 1 > 8
    assert page.tags["caption"] == page.tags["table"] == 3
    assert page.tags["h1"] == 1
    assert ("html", "lang", "en") in page.attributes


def test_what_comes_from_files_stays_text() -> None:
    examples = [Example(EVIL, EVIL, f"{EVIL} was {EVIL} there", (Gold(EVIL, 0),))] * 4
    old, new = replies(examples, [True, True, False, False]), replies(examples, [False, True, True, False], wrong="was")
    facts: dict[str, Any] = {**dict.fromkeys(("title", "model", "base", "created", "command"), EVIL), "seconds": 1}
    facts |= {
        "arguments": {EVIL: EVIL},
        "warnings": [EVIL],
        "data": [dict.fromkeys(("file", "role", "sha256", "rows"), EVIL)],
    }
    done = compare({EVIL: old}, {EVIL: new}, examples={EVIL: examples}, facts=facts)
    text = done.to_html()
    page = Page(text)
    assert page.open == []
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in "".join(page.texts)
    assert not set(text) & {"\x00", "\x1b", "\u202e", "\ud800"}
    text.encode()
    out = StringIO()
    print_report(Console(file=out, force_terminal=False, width=80), done)
    assert "\x1b" not in out.getvalue()
    assert "[/red]" in out.getvalue()


def test_the_report_as_json_is_json() -> None:
    done = report(HALF[:3], MORE[:3])
    facts = json.loads(json.dumps(done.to_dict(), allow_nan=False))
    assert facts["facts"]["model"] == "privacy@1"
    assert facts["sections"]["domain"]["after"]["risk_coverage"]["coverage"] == [1]
    assert facts["sections"]["domain"]["measures"]["auroc"]["after"] is None
    assert ">–<" in done.to_html()


def test_facts_are_shown_and_none_are_needed() -> None:
    text = report(HALF, MORE).to_html()
    for shown in ("ab" * 32, "1.5 minutes", "Learning curve", "3 passages are in both files", "privacy@1"):
        assert shown in text
    bare = compare(
        {"x": replies(asked(5), [True] * 5)}, {"x": replies(asked(5), [True] * 5)}, examples={"x": asked(5)}, facts={}
    ).to_html()
    assert "How it was made" not in bare
    assert "Warnings" not in bare
    assert "None.</p>" in bare


def test_the_terminal_gets_the_same_figures() -> None:
    out = StringIO()
    print_report(Console(file=out, width=100), report(HALF, MORE))
    text = out.getvalue()
    assert re.search(r"F1 +50\.0 +75\.0 +\+25\.0 +\+1\d\.\d to \+3\d\.\d", text)
    assert "won, 0 lost" in text
    assert "Warning: 3 passages are in both files" in text


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert ticks(0, 0.3) == [0, 0.1, 0.2, 0.3]
    assert ticks(0, 4.2) == [0, 1, 2, 3, 4]
    assert ticks(3, 3) == [3]
