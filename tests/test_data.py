"""Reading and checking questions with known answers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from trifold.errors import DataError
from trifold.tasks.qa.data.examples import read_examples
from trifold.tasks.qa.data.survey import survey, write_repaired

PASSAGE = "The cat sat on the mat. The cat slept."


def row(text: str = "mat", start: int = 19, **changes: Any) -> dict[str, Any]:
    answers = {"text": [text], "answer_start": [start]}
    return {"id": "1", "question": "Where?", "context": PASSAGE, "answers": answers, **changes}


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def nested(*qas: Any) -> dict[str, Any]:
    return {"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": PASSAGE, "qas": list(qas)}]}]}


def test_nested_and_flat_files_say_the_same(tmp_path: Path) -> None:
    answer = {"text": "mat", "answer_start": 19}
    qa = {"id": "1", "question": "Where?", "answers": [answer]}
    impossible = {"id": "2", "question": "Why?", "answers": [], "is_impossible": True, "plausible_answers": [answer]}
    (tmp_path / "nested.json").write_text(json.dumps(nested(qa, impossible)))
    none: dict[str, list[Any]] = {"text": [], "answer_start": []}
    flat = [row(title="t"), row(id="2", question="Why?", answers=none, title="t")]
    lines(tmp_path / "flat.jsonl", *flat)
    (tmp_path / "list.json").write_text(json.dumps(flat, indent=1))
    (tmp_path / "flat.jsonl.gz").write_bytes(gzip.compress((tmp_path / "flat.jsonl").read_bytes()))
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "flat.jsonl").read_bytes())
    expected = read_examples(tmp_path / "nested.json")
    assert [(e.id, len(e.golds)) for e in expected] == [("1", 1), ("2", 0)]
    for name in ("flat.jsonl", "list.json", "flat.jsonl.gz", "bom.jsonl"):
        assert read_examples(tmp_path / name) == expected, name


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"just some words\nand more", "found neither"),
        (b'"a string"', "found neither"),
        (b"[]", "there is no question in it"),
        (b'{"data": 5}', "a list at data, found int"),
        (b'{"data": [{"paragraphs": {}}]}', r"a list at data\[0\].paragraphs, found dict"),
        (b'{"data": []}', "there is no question in it"),
        (b'{"question": "q", "context": "caf\xe9"}', "line 1: expected text in UTF-8, found byte 0xE9"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "found binary data"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "found a PDF"),
        (gzip.compress(b"x" * 10000)[:-20], "the gzip file is damaged"),
        (b'{"question": "q"\n', "line 1: the line is not JSON"),
        (b"[" * 100_000, "found neither"),
        (b'{"a":' * 100_000, "the line is not JSON"),
    ],
)
def test_files_of_the_wrong_kind(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says):
        read_examples(path)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_examples(tmp_path / "none")
    with pytest.raises(DataError, match="found a folder"):
        read_examples(tmp_path)


FAULTS = [
    (row(start=3), "expected 'mat' at 3, found ' ca'; it stands at 19.", ("mat", 19)),
    (row("cat", 5), "it stands at 2 places, the nearest is 4.", ("cat", 4)),
    (row("cat", 30), "it stands at 2 places, the nearest is 28.", ("cat", 28)),
    (row("Mat", 19), "'mat' stands at 19.", ("mat", 19)),
    (row(" mat", 18), "begins or ends with blanks; without them it stands at 19.", ("mat", 19)),
    (row("dog", 4), "it stands nowhere in the passage", None),
    (row("mat", -1), "it stands at 19.", ("mat", 19)),
    (row("mat", 10**9), "it stands at 19.", ("mat", 19)),
    (row("  ", 3), "the answer is blank", None),
    (row(answers={"text": ["mat"], "answer_start": []}), "two lists of one length", None),
    (row(answers={"text": ["mat"], "answer_start": ["19"]}), "a whole number as its start", None),
    (row(answers=7), "two lists of one length", None),
    ({"question": "q", "context": "c"}, "there are no 'answers'", None),
    (row(question=""), "question: expected a text, found an empty one", None),
    (row(context=None), "context: expected a text, found nothing", None),
    (row(context="a\ud800b"), "half of a surrogate pair", None),
    ([1, 2], "expected an object, found a list", None),
]


@pytest.mark.parametrize(("bad", "says", "repair"), FAULTS)
def test_every_fault_is_reported_with_its_repair(
    tmp_path: Path, bad: Any, says: str, repair: tuple[str, int] | None
) -> None:
    path = lines(tmp_path / "d.jsonl", row(), bad)
    with pytest.raises(DataError, match="line 2"):
        read_examples(path)
    found = survey(path)
    assert (found.rows, len(found.findings)) == (2, 1)
    assert says in found.findings[0].faults[0].cause
    assert found.repairable == (repair is not None)
    assert write_repaired(found, tmp_path / "out.jsonl") == 1 + (repair is not None)
    written = read_examples(tmp_path / "out.jsonl")
    if repair:
        assert [(g.text, g.start) for g in written[1].golds] == [repair]


def test_a_survey_counts(tmp_path: Path) -> None:
    none: dict[str, list[Any]] = {"text": [], "answer_start": []}
    both = {"text": ["cat", "mat"], "answer_start": [4, 19]}
    path = lines(
        tmp_path / "d.jsonl",
        row(),
        row(),
        row(id="2", answers=both, question="What?"),
        row(id="3", question="Why?", answers=none),
    )
    facts = survey(path).to_dict()
    wanted = {"rows": 4, "fit": 4, "without_answer": 1, "several_answers": 1, "same_id": 1, "passages": 1}
    assert wanted.items() <= facts.items()
    assert facts["same_question_and_passage"] == 1
    assert facts["passage_length"] == [len(PASSAGE), len(PASSAGE)]


def test_a_repair_overwrites_nothing(tmp_path: Path) -> None:
    path = lines(tmp_path / "d.jsonl", row())
    with pytest.raises(DataError, match="exists already"):
        write_repaired(survey(path), path)
    with pytest.raises(DataError, match="cannot be written"):
        write_repaired(survey(path), tmp_path / "no" / "where.jsonl")
