"""Looks through a data file before it is trained on: every row that does not fit, and what the rest is like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trifold.jsontext import to_json
from trifold.task import Progress, no_progress
from trifold.tasks.qa.data.examples import Row, read_rows, to_example
from trifold.tasks.qa.data.repairs import Fault, faults_of, repaired
from trifold.tasks.qa.data.textfiles import write_text

__all__ = ["Finding", "Survey", "survey", "write_repaired"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that does not fit, with its faults and, where all of them can be repaired, the repaired row."""

    place: str
    id: str | None
    faults: tuple[Fault, ...]
    repaired: dict[str, Any] | None


@dataclass(slots=True)
class Survey:
    """What stands in a file. Lengths are in code points, each as (median, longest)."""

    rows: int = 0
    findings: list[Finding] = field(default_factory=list)
    without_answer: int = 0
    several_answers: int = 0
    same_question_and_passage: int = 0
    same_id: int = 0
    passages: int = 0
    question_length: tuple[int, int] = (0, 0)
    passage_length: tuple[int, int] = (0, 0)
    answer_length: tuple[int, int] = (0, 0)
    kept: list[dict[str, Any]] = field(default_factory=list, repr=False)

    @property
    def repairable(self) -> int:
        return sum(finding.repaired is not None for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "fit": self.rows - len(self.findings),
            "repairable": self.repairable,
            "without_answer": self.without_answer,
            "several_answers": self.several_answers,
            "same_question_and_passage": self.same_question_and_passage,
            "same_id": self.same_id,
            "passages": self.passages,
            "question_length": list(self.question_length),
            "passage_length": list(self.passage_length),
            "answer_length": list(self.answer_length),
            "findings": [
                {"place": f.place, "id": f.id, "causes": [fault.cause for fault in f.faults],
                 "repairable": f.repaired is not None}
                for f in self.findings
            ],
        }  # fmt: skip


def survey(path: Path, progress: Progress = no_progress) -> Survey:
    """Read a whole file and report on it. Raises DataError when it cannot be read at all."""
    result = Survey()
    ids: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    lengths: dict[str, list[int]] = {"question": [], "passage": [], "answer": []}
    rows = list(read_rows(path))
    for row in rows:
        result.rows += 1
        progress(result.rows, len(rows))
        faults = [row.fault] if row.fault else faults_of(row.fields)
        if faults:
            fixed = None if row.fault else repaired(row.fields, faults)
            identifier = row.fields.get("id")
            name = None if identifier is None else str(identifier)
            result.findings.append(Finding(row.place, name, tuple(faults), fixed))
            if fixed is None:
                continue
            row = Row(row.place, fixed)
        result.kept.append(dict(row.fields))
        example = to_example(row)
        ids[example.id] += 1
        pairs[example.question, example.passage] += 1
        result.without_answer += not example.golds
        result.several_answers += len({gold.text for gold in example.golds}) > 1
        lengths["question"].append(len(example.question))
        lengths["passage"].append(len(example.passage))
        lengths["answer"].extend(len(gold.text) for gold in example.golds)
    result.same_id = _repeats(ids.values())
    result.same_question_and_passage = _repeats(pairs.values())
    result.passages = len({passage for _, passage in pairs})
    result.question_length, result.passage_length, result.answer_length = map(_typical, lengths.values())
    return result


def write_repaired(found: Survey, path: Path) -> int:
    """Write the good and the repaired rows as flat JSON lines; returns how many. Never overwrites a file."""
    write_text(path, "".join(to_json(fields) + "\n" for fields in found.kept), replace=False)
    return len(found.kept)


def _repeats(counts: Iterable[int]) -> int:
    return sum(count - 1 for count in counts)


def _typical(lengths: list[int]) -> tuple[int, int]:
    return (int(np.median(lengths)), max(lengths)) if lengths else (0, 0)
