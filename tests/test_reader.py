"""The reader in Python, with a tiny model that answers with the letter x."""

from __future__ import annotations

from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import pytest

import trifold
from doubles import bert_tokenizer, qa_folder
from trifold import InvalidInput, Reader, load
from trifold.engine.loaded import open_model
from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.data.repairs import Gold
from trifold.tasks.qa.task import QaTask
from trifold.tasks.qa.training.fitting import fit_calibration

X, Y, Z, NULL = (bert_tokenizer().get_vocab()[token] for token in ("x", "y", "z", "[CLS]"))


@pytest.fixture
def tiny(tmp_path: Path) -> Reader:
    qa_folder(tmp_path / "tiny@3", {X: (8.0, 8.0), NULL: (3.0, 3.0)})
    return load(tmp_path / "tiny@3")


def test_an_answer_in_its_place(tiny: Reader) -> None:
    reply = tiny.ask("where?", "a b x c")
    assert [(a.text, a.start, a.end, a.passage) for a in reply.answers] == [("x", 4, 5, 0)]
    assert reply.answers[0].score > 0.9
    assert reply.model == "tiny@3"
    assert reply.score == reply.answers[0].score


def test_no_answer_and_always_answer(tiny: Reader) -> None:
    silent = tiny.ask("where?", "a b c")
    assert silent.answers == ()
    assert silent.no_answer_score == silent.score > 0.5
    assert tiny.ask("where?", "a b c", always_answer=True).answers


def test_several_passages_are_read_together(tiny: Reader) -> None:
    reply = tiny.ask("where?", ["a b c", "d e x", "f"], top_k=1)
    assert (reply.answers[0].passage, reply.answers[0].start) == (1, 4)


def test_the_end_of_a_long_passage_is_read(tiny: Reader) -> None:
    passage = "a " * 5000 + "x"
    reply = tiny.ask("where?", passage, always_answer=True)
    assert passage[reply.answers[0].start : reply.answers[0].end] == "x"


def test_the_longest_answer_can_be_set(tmp_path: Path) -> None:
    qa_folder(tmp_path / "m@1", {Y: (8.0, -8.0), Z: (-8.0, 8.0)})
    reader = load(tmp_path / "m@1")
    assert reader.ask("where?", "a y a a z a", max_answer_len=4).answers[0].text == "y a a z"
    shorter = reader.ask("where?", "a y a a z a", max_answer_len=3, top_k=9, always_answer=True)
    assert max(len(a.text) for a in shorter.answers) <= len("y a a")


def test_a_bad_row_stays_alone_in_its_place(tiny: Reader) -> None:
    rows = [{"question": "q", "passage": "a x"}] * 10
    rows[4] = {"question": "q", "passage": " "}
    replies = list(tiny.ask_many(rows))
    assert isinstance(replies[4], InvalidInput)
    assert all(isinstance(r, trifold.Reply) for i, r in enumerate(replies) if i != 4)


def test_rows_of_another_kind_are_refused(tiny: Reader) -> None:
    replies = list(tiny.ask_many([["question", "passage"], {"question": "q", "passage": "x"}]))  # type: ignore[list-item]
    assert isinstance(replies[0], InvalidInput)
    assert "expected an object" in str(replies[0])
    assert isinstance(replies[1], trifold.Reply)


def test_an_endless_source_is_fine(tiny: Reader) -> None:
    rows = ({"question": "q", "passage": f"a {i} x"} for i in count())
    assert len(list(islice(tiny.ask_many(rows), 100))) == 100


def test_ask_raises_what_is_wrong(tiny: Reader) -> None:
    with pytest.raises(InvalidInput, match="question: expected a text, found an empty one"):
        tiny.ask("", "x")


def test_text_in_another_script_is_warned_about(tiny: Reader) -> None:
    (warning,) = tiny.ask("where is x?", "Он родился в Москве в 1949 году.").warnings
    assert "the passage has text in Cyrillic script" in warning
    assert not tiny.ask("where?", "a Greek letter, α, is fine").warnings
    (warning,) = tiny.ask("東京はどこですか", "Tokyo is the capital.").warnings
    assert warning.startswith("the question has text in")


def test_records_as_json(tiny: Reader) -> None:
    record = tiny.ask("where?", "a x").to_dict()
    assert list(record) == ["question", "answers", "no_answer_score", "model", "warnings", "verdict"]
    assert list(record["answers"][0]) == ["text", "start", "end", "score", "passage"]


def test_a_model_without_a_null_always_answers(tmp_path: Path) -> None:
    folder = qa_folder(tmp_path / "m@1", {X: (8.0, 8.0)})
    settings = {**folder.task_settings, "null": False}
    qa_folder(tmp_path / "n@1", {X: (8.0, 8.0)}, task_settings=settings)
    reply = load(tmp_path / "n@1").ask("where?", "a b c")
    assert reply.no_answer_score is None
    assert reply.answers


def test_a_calibration_is_fitted_to_how_often_the_model_is_right(tmp_path: Path) -> None:
    """One in four answers "x" is wrong, and there is none without an x."""
    folder = qa_folder(tmp_path / "m@1", {X: (8.0, 8.0), NULL: (3.0, 3.0)})
    golds = [(Gold("x", 4),), (Gold("b", 0),), (Gold("x", 4),), (Gold("x", 4),)]
    examples = [Example(str(i), "where?", "b d x", golds[i % 4]) for i in range(200)]
    examples += [Example(str(i), "where?", "b d f", ()) for i in range(200, 400)]
    loaded = open_model(folder)
    assert isinstance(loaded.task, QaTask)
    task = loaded.task.with_calibration(fit_calibration(loaded, examples))
    reader = Reader(replace(loaded, task=task))
    assert reader.ask("where?", "b d x").score == pytest.approx(0.75, abs=0.02)
    silent = reader.ask("where?", "b d f")
    assert silent.answers == ()
    assert silent.score > 0.9
    given = fit_calibration(loaded, examples, threshold=0.999)
    assert given.threshold == 0.999
    eager = Reader(replace(loaded, task=loaded.task.with_calibration(given)))
    assert eager.ask("where?", "b d f").answers != (), "a given threshold of silence was not kept"
