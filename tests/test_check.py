"""`trifold check`: the report, the repaired file, and passages that training and evaluation share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import Run
from trifold.tasks.qa.data.examples import Example, read_examples
from trifold.tasks.qa.data.leaks import shared_passages
from trifold.tasks.qa.data.survey import survey, write_repaired

PASSAGE = "The cat sat on the mat.\nThe cat slept."
OTHER = "A dog barked."


def row(question: str = "Where?", context: str = PASSAGE, **fields: Any) -> dict[str, Any]:
    return {"question": question, "context": context, **({"answer": "mat"} | fields)}


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def test_shared_passages_whatever_their_blanks() -> None:
    train = [Example("1", "q", PASSAGE, ()), Example("2", "r", PASSAGE, ())]
    held_out = [Example("3", "q", " " + PASSAGE.replace("\n", "\r\n\r\n"), ()), Example("4", "q", OTHER, ())]
    assert [e.id for e in shared_passages(train, held_out)] == ["3"]
    assert shared_passages(train, held_out[1:]) == []
    assert shared_passages([], held_out) == []


def test_against_warns_loudly(run: Run, tmp_path: Path) -> None:
    train = lines(tmp_path / "train", row(), row("Who sat?", answer="Cat", id="repaired"))
    again = PASSAGE.replace("\n", "  ")
    held_out = [row("New?", again), row("Newer?", again), row("Dog?", OTHER, answer="dog"), row("Bad?", answer="bird")]
    eval_file = lines(tmp_path / "eval", *held_out)
    done = run("check", str(train), "--against", str(eval_file))
    assert done.returncode == 3
    assert "WARNING: 1 passages stand in both files. 2 questions" in done.stdout
    assert "(67%)" in done.stdout
    assert "1 rows of" in done.stdout
    as_json = run("check", str(train), "--against", str(eval_file), "--json")
    assert json.loads(as_json.stdout)["shared"] == {
        "passages": 1, "questions": 2, "share": pytest.approx(2 / 3), "ids": ["line 1", "line 2"], "not_compared": 1,
    }  # fmt: skip
    assert "WARNING" in as_json.stderr
    clean = run("check", str(lines(tmp_path / "one", row())), "--against", str(lines(tmp_path / "dog", held_out[2])))
    assert (clean.returncode, "WARNING" in clean.stdout) == (0, False)
    assert "No passage of" in clean.stdout
    assert run("check", str(train), "--against", str(tmp_path / "none")).returncode == 2


def test_duplicates_different_answers_and_verdicts_are_counted(run: Run, tmp_path: Path) -> None:
    path = lines(
        tmp_path / "d", row(id="1"), row(id="1"), row("Who?", answer="cat", start=4), row("Who?", answer="dog", id="x"),
        row("Who?", answer="mat"), row("Asleep?", verdict="Yes", answer=""), row("Asleep?", verdict="no", answer=""),
        row("Why?", answer=""),
    )  # fmt: skip
    facts = survey(path).to_dict()
    assert facts["verdicts"] == {"yes": 1, "no": 1}
    assert facts["without_answer"] == 1
    assert facts["same_question_and_passage"] == 3
    assert facts["different_answers"] == [["line 3", "line 5"], ["line 6", "line 7"]]
    assert facts["same_id"] == 1
    done = run("check", str(path))
    assert "different answers to one question: line 3, line 5" in done.stdout
    assert "1 yes, 1 no" in done.stdout


def test_the_repaired_file_keeps_what_names_a_row(tmp_path: Path) -> None:
    good = row(id=7, title="Cats", verdict="yes", note="dropped", answer="slept")
    path = lines(tmp_path / "d", good, row(answer="Mat", title="T"), row(answer="bird"))
    assert write_repaired(survey(path), tmp_path / "out") == 2
    first, second = read_examples(tmp_path / "out")
    assert (first.id, first.title, first.verdict, first.golds[0].text) == ("7", "Cats", "yes", "slept")
    assert (second.title, second.golds[0].text) == ("T", "mat")
    assert list(json.loads((tmp_path / "out").read_text().splitlines()[1])) == [
        "title", "question", "context", "answers",
    ]  # fmt: skip
    assert survey(tmp_path / "out").findings == []


def test_five_in_a_hundred_misaligned(run: Run, tmp_path: Path) -> None:
    rows = [row(f"Question {i}?", answer="sat", answer_start=8 - (i % 20 == 0)) for i in range(200)]
    path = lines(tmp_path / "d", *rows)
    done = run("check", str(path), "--repair", str(tmp_path / "out"))
    assert done.returncode == 3
    assert done.stdout.count("it stands at 8.") == 10
    assert "200 rows written" in done.stdout
    assert run("check", str(tmp_path / "out")).returncode == 0
    again = run("check", str(path), "--repair", str(tmp_path / "out"))
    assert (again.returncode, "exists already" in again.stderr) == (2, True)
    assert run("check", str(path), "--repair", "/dev/full").returncode == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d", "out"]


def test_training_data_of_squad_reads_in_seconds(data: Path) -> None:
    found = survey(data / "multi-span-train.jsonl.gz")
    assert (found.findings, found.several_answers) == ([], found.rows)
    shared = shared_passages(found.examples, read_examples(data / "multi-span-dev.jsonl.gz"))
    assert len(shared) < 0.1 * found.rows
