"""What is wrong with a labelled question, how that is said, and what is put in its place."""

from __future__ import annotations

import json
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from trifold.errors import DataError
from trifold.tasks.qa.data.examples import to_example
from trifold.tasks.qa.data.repairs import Gold, faults_of, repaired
from trifold.tasks.qa.data.rows import FIELD_NAMES, flat_row
from trifold.tasks.qa.data.survey import survey

EMOJI = "A 🎉 party 🎉 at the café: the cake, the cat."
COMPOSED = unicodedata.normalize("NFC", "Zoë met René, and Zoë left.")
TYPED = "He said “it’s 5–6 weeks”…  or\n\tmore, no\u00a0less\u00ad."


def faults(passage: str, **answers: Any) -> tuple[list[str], tuple[Gold, ...] | None]:
    """The causes, and the golds once repaired."""
    row = flat_row("row 1", {"question": "q", "context": passage, **answers})
    found = faults_of(row.fields)
    fixed = repaired(row.fields, found)
    return [fault.cause for fault in found], None if fixed is None else to_example(type(row)("row 1", fixed)).golds


MISPLACED: list[tuple[str, dict[str, Any], str, Gold | None]] = [
    (EMOJI, {"answer": "party", "answer_start": 5}, "the start counts UTF-16 units, as JavaScript does: in characters",
     Gold("party", 4)),
    (EMOJI, {"answer": "cake", "answer_start": 31}, "counts UTF-16 units", Gold("cake", 29)),
    (EMOJI, {"answer": "cake", "answer_start": 36}, "the start counts bytes of UTF-8: in characters it is 29",
     Gold("cake", 29)),
    (EMOJI, {"answer": " cake", "answer_start": 35}, "counts bytes of UTF-8", Gold("cake", 29)),
    (EMOJI, {"answer": "cake", "answer_start": 37}, "it stands at 29", Gold("cake", 29)),
    (EMOJI, {"answer": "party", "start": 4, "end": 12}, "its end is 12, but 'party' at 4 ends at 9", Gold("party", 4)),
    (EMOJI, {"answer": "party", "start": 4, "end": "9"}, "its end is 'str', but", Gold("party", 4)),
    (EMOJI, {"answer": "the"}, "'the' has no start and stands at 3 places; the first is 15", Gold("the", 15)),
    (EMOJI, {"answer": "dog"}, "'dog' has no start, and it stands nowhere",
     None),
    (EMOJI, {"answer": "The Cake"}, "in another case, 'the cake' stands at 25", Gold("the cake", 25)),
    (EMOJI, {"answer": "The", "answer_start": 28}, "in another case, 'the' stands at 25, the nearest of 3 places",
     Gold("the", 25)),
    (EMOJI, {"answer": "caf"}, "", Gold("caf", 19)),
    (COMPOSED, {"answer": unicodedata.normalize("NFD", "René")}, "in another Unicode normalisation, 'René' stands at 8",
     Gold(COMPOSED[8:12], 8)),
    (unicodedata.normalize("NFD", COMPOSED), {"answer": unicodedata.normalize("NFC", "René"), "answer_start": 8},
     "in another Unicode normalisation", Gold(unicodedata.normalize("NFD", "René"), 9)),
    (unicodedata.normalize("NFD", COMPOSED), {"answer": "RENE", "answer_start": 8}, "it stands nowhere", None),
    (TYPED, {"answer": "\"it's 5-6 weeks\"..."}, "with other quotation marks or dashes", Gold(TYPED[8:25], 8)),
    (TYPED, {"answer": "or more"}, "with other blanks, 'or\\n\\tmore' stands at 27", Gold("or\n\tmore", 27)),
    (TYPED, {"answer": "NO LESS."}, "in another case and with other blanks", Gold("no\u00a0less\u00ad.", 37)),
    ("ŒUVRE", {"answer": "œuvre"}, "in another case", Gold("ŒUVRE", 0)),
    ("STRASSE", {"answer": "straße"}, "in another case", Gold("STRASSE", 0)),
    ("\u212a", {"answer": "K"}, "in other characters", Gold("\u212a", 0)),
]  # fmt: skip


@pytest.mark.parametrize(("passage", "answers", "says", "gold"), MISPLACED)
def test_misplaced_answers(passage: str, answers: dict[str, Any], says: str, gold: Gold | None) -> None:
    causes, golds = faults(passage, **answers)
    assert golds == (None if gold is None else (gold,))
    assert (causes == []) if not says else (says in causes[0])
    if gold is not None:
        assert passage[gold.start : gold.start + len(gold.text)] == gold.text


@pytest.mark.parametrize("end", [9, 8, None])
def test_ends_may_be_exclusive_or_inclusive(end: int | None) -> None:
    assert faults(EMOJI, answer="party", start=4, end=end)[0] == []


def test_a_word_is_not_found_inside_of_another() -> None:
    assert faults("Other theories: the end", answer="the") == ([], (Gold("the", 16),))
    assert faults("東京都に住む", answer="京都") == ([], (Gold("京都", 1),))
    assert "stands at 2 places" in faults("athens, bathed", answer="th")[0][0], "as no word of its own"


def test_every_answer_of_a_row_is_looked_at() -> None:
    causes, golds = faults(EMOJI, answers=["cake", "Party", "the"])
    assert golds == (Gold("cake", 29), Gold("party", 4), Gold("the", 15))
    assert [cause.split(":")[0] for cause in causes] == ["answers[1]", "answers[2]"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"answers": ["cake", {"text": "the"}]}, "expected 'answers' to hold two lists"),
        ({"answers": {"text": ["cake"], "answer_start": 31}}, "expected 'answers' to hold two lists"),
        ({"answers": ["cake", "party"], "answer_start": 31}, "expected 'answers' to hold two lists"),
        ({"answers": {"start": 31}}, "expected 'answers' to hold two lists"),
        ({"answers": None}, "there are no 'answers'"),
        ({"answers": []}, ""),
        ({"answer": None}, ""),
        ({"verdict": "maybe"}, "verdict: expected 'yes' or 'no', found 'maybe'"),
        ({"verdict": 1}, "verdict: expected 'yes' or 'no', found '1'"),
        ({"verdict": " Yes "}, ""),
        ({"verdict": False}, ""),
        ({"verdict": "no", "answers": []}, ""),
        ({"verdict": "no", "answers": ["cake", "the"]}, "stands at 3 places"),
        ({"verdict": ""}, "there are no 'answers'"),
        ({"answers": [], "id": [1]}, "id: expected a text or a number, found a list"),
        ({"answers": [], "title": {}}, "title: expected a text or a number, found a dict"),
        ({"answers": [], "title": "\ud800"}, "title: it holds half of a surrogate pair"),
        ({"answers": ["cake"], "is_impossible": True}, ""),
    ],
)
def test_shapes_of_a_row(fields: dict[str, Any], says: str) -> None:
    causes, _ = faults(EMOJI, **fields)
    assert (causes == []) if not says else (says in causes[0])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "cat", " cat", "yes", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "start", "answer_start", "answer_end", "choices", "value"]), inner)
    ),
    max_leaves=8,
)
FOREIGN = ("data", "annotations", "annotation_id", "lead_time", "query", "document", "document_offset", "paragraphs",
           "result", "type", "content", "is_correct_answer", "init_parameters", "labels", "was_cancelled")  # fmt: skip
OBJECTS = st.dictionaries(st.sampled_from(FIELD_NAMES + FOREIGN), VALUES, max_size=8)
NESTED = st.builds(
    lambda outer, key, inner: {**outer, key: inner}, OBJECTS, st.sampled_from(FOREIGN), OBJECTS | st.lists(OBJECTS)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(OBJECTS | NESTED | VALUES, min_size=1, max_size=4))
@example(rows=[{"query": "q", "document": {"content": "c"}, "document_offset": None, "data": [[]]}] * 2)
def test_nothing_that_is_json_ends_in_a_traceback(tmp_path: Path, rows: list[Any]) -> None:
    for content in (json.dumps(rows), "".join(json.dumps(row) + "\n" for row in rows), json.dumps({"data": rows})):
        (tmp_path / "d").write_text(content)
        with suppress(DataError):
            for row in survey(tmp_path / "d").examples:
                assert all(row.passage[g.start : g.start + len(g.text)] == g.text for g in row.golds)


@settings(max_examples=300)
@given(passage=st.text(st.sampled_from('aAbé\u0301É ßs\n\u00a0“"–-…🎉.'), min_size=1, max_size=30), data=st.data())
def test_a_repair_always_quotes_the_passage(passage: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(passage) - 1))
    text = passage[start : data.draw(st.integers(start, len(passage)))]
    changed = data.draw(st.sampled_from([str.upper, str.lower, lambda t: unicodedata.normalize("NFC", t), str.strip]))
    _, golds = faults(passage, answer=changed(text), answer_start=data.draw(st.integers(-3, 40) | st.none()))
    for gold in golds or ():
        assert passage[gold.start : gold.start + len(gold.text)] == gold.text
        assert gold.text.strip() == gold.text
