"""Grading replies: one answer, several, yes or no."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from conftest import Run
from trifold import Reader
from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.data.repairs import Gold
from trifold.tasks.qa.measuring.evaluation import Evaluation, evaluate
from trifold.tasks.qa.records import Answer, Reply, Verdict

PASSAGE = "Ann, Bob and Cy went."


class Scripted:
    """A reader that gives the replies it was given, and remembers what it was asked."""

    model = "scripted@0"

    def __init__(self, *replies: Reply, answers: str = "one") -> None:
        self.task = SimpleNamespace(settings=SimpleNamespace(answers=answers))
        self.replies = replies
        self.asked: list[Mapping[str, Any]] = []

    def ask_many(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Reply]:
        for row, reply in zip(rows, self.replies, strict=False):
            self.asked.append(row)
            yield reply


def reply(*texts: str, score: float = 0.8, verdict: str | None = None) -> Reply:
    answers = tuple(Answer(t, PASSAGE.index(t), PASSAGE.index(t) + len(t), score, 0) for t in texts)
    said = None if verdict is None else Verdict(verdict, score)
    return Reply("Who?", answers, 1 - score if texts else score, "scripted@0", (), said)


def example(*golds: str, verdict: str | None = None) -> Example:
    return Example("q", "Who?", PASSAGE, tuple(Gold(g, PASSAGE.index(g)) for g in golds), verdict)


def graded(replies: list[Reply], examples: list[Example], **options: Any) -> Evaluation:
    return evaluate(cast("Reader", Scripted(*replies)), examples, **options)


def test_all_answers_are_wanted_or_one_of_them() -> None:
    replies, examples = [reply("Ann", "Bob"), reply("Ann")], [example("Ann", "Bob"), example("Ann", "Bob", "Cy")]
    one = graded(replies, examples).to_dict()
    assert (one["exact"], "spans" in one) == (100, False)
    several = graded(replies, examples, several=True)
    facts = several.to_dict()
    assert facts["exact"] == 50
    assert facts["f1"] == 75  # (1 + 2 * 1 * 1/3 / (4/3)) / 2
    assert facts["spans"]["exact"] == {"precision": 100, "recall": 60, "f1": 75}
    assert several.predictions() == {"q": ["Ann"]}


def test_an_answer_too_many_is_not_exact() -> None:
    facts = graded([reply("Ann", "Bob")], [example("Ann")], several=True).to_dict()
    assert (facts["exact"], facts["f1"]) == (0, 66.6667)
    assert facts["spans"]["exact"]["recall"] == 100


def test_a_row_without_answers_wants_silence_of_a_reader_of_several() -> None:
    facts = graded([reply(), reply("Cy")], [example(), example()], several=True).to_dict()
    assert (facts["no_answer"]["exact"], facts["spans"]["exact"]["precision"]) == (50, 50)


def test_what_the_model_is_made_for_decides_unless_it_is_said() -> None:
    for answers, options, spans in (
        ("several", {}, True),
        ("several", {"several": False}, False),
        ("one", {}, False),
        ("one", {"several": True, "top_k": 4}, True),
    ):
        reader = Scripted(reply("Ann"), answers=answers)
        result = evaluate(cast("Reader", reader), [example("Ann")], **cast("Any", options))
        assert ("spans" in result.to_dict()) is spans
        assert reader.asked[0].get("top_k") == options.get("top_k")


def test_verdicts_are_right_or_wrong_and_both_kinds_weigh_the_same() -> None:
    replies = [reply("Ann", verdict=said) for said in ("yes", "yes", "yes", "yes", "no")] + [reply("Ann")]
    examples = [example("Ann", verdict=right) for right in ("yes", "yes", "yes", "yes", "no", "no")]
    result = graded(replies, examples)
    facts = result.to_dict()
    assert (facts["verdict"]["n"], facts["exact"], facts["f1"]) == (6, 83.3333, 83.3333)
    assert facts["verdict"]["balanced_accuracy"] == 75
    assert facts["has_answer"]["n"] == 6
    assert [one.prediction for one in result.graded] == ["yes"] * 4 + ["no", ""]


def test_a_verdict_is_no_answer_to_another_question() -> None:
    facts = graded([reply(verdict="yes"), reply("Ann", verdict="yes")], [example(), example("Ann")]).to_dict()
    assert "verdict" not in facts
    assert (facts["no_answer"]["exact"], facts["has_answer"]["exact"]) == (0, 100)


def test_coverage_counts_the_surest_replies() -> None:
    replies = [reply("Ann", score=0.9 - i / 100) for i in range(10)] + [reply("Bob", score=0.1) for _ in range(10)]
    assert graded(replies, [example("Ann")] * 20).to_dict()["coverage_at_90"] == pytest.approx(0.0 + 10 / 20)


def test_the_bins_of_reliability_are_those_of_the_calibration_error() -> None:
    replies = [reply("Ann" if i % 3 else "Bob", score=(i * 37 % 100) / 100) for i in range(100)]
    facts = graded(replies, [example("Ann")] * 100).to_dict()
    bins = facts["reliability"]
    assert (len(bins), sum(one["n"] for one in bins)) == (15, 100)
    assert [one["score"] for one in bins] == sorted(one["score"] for one in bins)
    gaps = sum(one["n"] * abs(one["score"] - one["right"]) for one in bins) / 100
    assert gaps == pytest.approx(facts["ece"], abs=1e-3)
    assert graded([reply("Ann", score=0.75)], [example("Ann")]).to_dict()["reliability"] == [
        {"n": 1, "score": 0.75, "right": 1.0}
    ]


def test_evaluate_several_on_the_command_line(run: Run, tmp_path: Path) -> None:
    text = "The report was written by Ada Lovelace and Charles Babbage in 1843."
    names = ["Ada Lovelace", "Charles Babbage"]
    answers = {"text": names, "answer_start": [text.index(name) for name in names]}
    row = {"id": "a", "question": "Who wrote the report?", "context": text, "answers": answers}
    data = tmp_path / "d.jsonl"
    data.write_text(json.dumps(row) + "\n")
    words = ("evaluate", str(data), "--several", "--top-k", "2", "--always-answer")
    done = run(*words, "--json", "--predictions", str(tmp_path / "p.json"))
    assert done.returncode == 0, done.stderr
    facts, said = json.loads(done.stdout), json.loads((tmp_path / "p.json").read_text())
    assert len(said["a"]) == 2
    assert facts["spans"]["overlap"]["recall"] > 50
    assert 0 <= facts["coverage_at_90"] <= 1
    assert "overlap spans: precision" in run(*words).stdout
