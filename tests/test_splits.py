"""Rows are divided by passage, settings are checked, and the kind of answers is told from the rows."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from trifold.errors import DataError, InvalidInput
from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.data.repairs import Gold
from trifold.tasks.qa.training.general import general_file, general_questions
from trifold.tasks.qa.training.interpolation import walk_back
from trifold.tasks.qa.training.material import Material, gather
from trifold.tasks.qa.training.settings import TrainingSettings
from trifold.tasks.qa.training.splits import split


def examples(passages: int, each: int = 3) -> list[Example]:
    return [
        Example(f"{p}-{q}", f"question {q}?", f"passage {p} says x", (Gold("x", len(f"passage {p} says ")),))
        for p in range(passages)
        for q in range(each)
    ]


def test_no_passage_stands_in_two_parts() -> None:
    rows = examples(100)
    parts = split(rows, validation=0.1, held_out=0.2, seed=0)
    sets = [{e.passage for e in part} for part in (parts.train, parts.validation, parts.held_out)]
    assert sum(len(s) for s in sets) == 100
    assert len(sets[0] | sets[1] | sets[2]) == 100
    assert len(parts.train) + len(parts.validation) + len(parts.held_out) == len(rows)
    assert abs(len(parts.held_out) - 60) <= 3
    assert abs(len(parts.validation) - 30) <= 3


def test_the_division_depends_on_texts_and_seed_alone() -> None:
    rows = examples(40)
    one = split(rows, validation=0.1, held_out=0.2, seed=0)
    assert {e.id for e in one.held_out} == {
        e.id for e in split(rows[::-1], validation=0.1, held_out=0.2, seed=0).held_out
    }
    assert one.held_out != split(rows, validation=0.1, held_out=0.2, seed=1).held_out


def test_too_few_passages_are_refused() -> None:
    with pytest.raises(DataError, match="Add rows about other passages"):
        split(examples(1, 50), validation=0.1, held_out=0.1, seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs: expected a number from 1 to 1000, found 0"),
        ({"learning_rate": 2.0}, "learning_rate"),
        ({"accumulate": 17}, "accumulate: expected a number from 1 to 16"),
        ({"validation": 0.0}, "validation"),
        ({"device": "tpu"}, "device: expected one of auto, cpu, cuda, mps"),
        ({"learning_rate": float("nan")}, "learning_rate"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        TrainingSettings(**changes)


def test_little_data_is_gone_over_more_often() -> None:
    few, _ = TrainingSettings().planned(200)
    many, plan = TrainingSettings().planned(5000)
    assert few.epochs is not None
    assert many.epochs is not None
    assert few.epochs > many.epochs
    assert plan.steps == -(-5000 // many.batch)
    kept, _ = TrainingSettings(epochs=3, learning_rate=1e-5).planned(200)
    assert (kept.epochs, kept.learning_rate) == (3, 1e-5)


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "question": "what?",
        "context": f"Passage {number} says something.",
        "answers": {"text": ["something"], "answer_start": [len(f"Passage {number} says ")]},
        **changes,
    }


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def gathered(data: Path, **changes: Any) -> Material:
    chosen: dict[str, Any] = {"evaluation": None, "replay": None, "general": False, "answers": "one"}
    return gather(data, **{**chosen, "settings": TrainingSettings(), **changes})


def test_misaligned_rows_are_counted_and_the_repair_is_named(tmp_path: Path) -> None:
    rows = [row(i) for i in range(95)] + [
        row(i, answers={"text": ["something"], "answer_start": [0]}) for i in range(5)
    ]
    with pytest.raises(DataError, match=r"5 of 100 rows do not fit.*--repair OUT.*5 that can be repaired"):
        gathered(write(tmp_path / "d.jsonl", rows))


def test_rows_without_any_answer_are_refused(tmp_path: Path) -> None:
    rows = [row(i, answers={"text": [], "answer_start": []}) for i in range(20)]
    with pytest.raises(DataError, match="nothing to learn"):
        gathered(write(tmp_path / "d.jsonl", rows))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="empty"):
        gathered(write(tmp_path / "d.jsonl", []))


def test_shared_passages_are_warned_of(tmp_path: Path) -> None:
    data = write(tmp_path / "d.jsonl", [row(i) for i in range(30)])
    other = write(tmp_path / "e.jsonl", [row(i) for i in range(25, 35)])
    found = gathered(data, evaluation=other)
    assert len(found.domain.held_out) == 10
    assert any("5 of the 10 questions reported on are about passages of the training data" in w for w in found.warnings)
    assert [(s.role, s.rows) for s in found.sources] == [("training", 30), ("report", 10)]


def test_verdicts_make_it_a_yes_no_model(tmp_path: Path) -> None:
    rows = [row(i, verdict="yes" if i % 2 else "no") for i in range(30)]
    assert gathered(write(tmp_path / "d.jsonl", rows)).answers == "yes-no"
    with pytest.raises(DataError, match="divide the file"):
        gathered(write(tmp_path / "m.jsonl", [*rows, row(99)]))
    with pytest.raises(InvalidInput, match="yes-no"):
        gathered(tmp_path / "d.jsonl", settings=TrainingSettings(answers="one"))


def test_the_general_questions_share_no_passage() -> None:
    parts = {name: general_questions(name) for name in ("replay", "validation", "calibration", "report")}
    seen: set[str] = set()
    for name, rows in parts.items():
        own = {example.passage for example in rows}
        assert len(rows) >= 200, name
        assert any(e.golds for e in rows), name
        assert any(not e.golds for e in rows) or name == "validation"
        assert not own & seen, name
        seen |= own
    with gzip.open(general_file("replay")) as stream:
        assert b"\n" in stream.read(5000)


def test_it_walks_back_to_the_base_as_far_as_needed() -> None:
    def measure(share: float) -> dict[str, float]:
        return {"domain": share, "general": 1 - share**2}

    assert [point.share for point in walk_back(measure, (1.0, 0.7, 0.4), "general", 0.0)] == [1.0]
    assert [point.share for point in walk_back(measure, (1.0, 0.7, 0.4), "general", 0.5)] == [1.0, 0.7]
    assert [point.share for point in walk_back(measure, (1.0, 0.7, 0.4), "general", 1.0)] == [1.0, 0.7, 0.4]
