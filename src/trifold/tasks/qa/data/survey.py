"""Looks through a data file before it is trained on: every row that does not fit, and what the rest is like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trifold.jsontext import to_json
from trifold.task import Progress, no_progress
from trifold.tasks.qa.data.examples import Example, Row, read_rows, to_example
from trifold.tasks.qa.data.repairs import Fault, faults_of, repaired
from trifold.tasks.qa.data.textfiles import write_text

__all__ = ["Finding", "Survey", "survey", "write_repaired"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that does not fit, with its faults and, where all of them can be repaired, the repaired fields."""

    place: str
    id: str | None
    faults: tuple[Fault, ...]
    repaired: dict[str, Any] | None


@dataclass(slots=True)
class Survey:
    """What stands in a file. Lengths are in code points, each as (median, longest).

    different_answers: for each question asked several times of one passage with different answers, where it stands.
    kept: the good and the repaired rows.
    """

    rows: int = 0
    findings: list[Finding] = field(default_factory=list)
    without_answer: int = 0
    several_answers: int = 0
    verdicts: dict[str, int] = field(default_factory=lambda: {"yes": 0, "no": 0})
    same_question_and_passage: int = 0
    different_answers: list[tuple[str, ...]] = field(default_factory=list)
    same_id: int = 0
    passages: int = 0
    question_length: tuple[int, int] = (0, 0)
    passage_length: tuple[int, int] = (0, 0)
    answer_length: tuple[int, int] = (0, 0)
    kept: list[Row] = field(default_factory=list, repr=False)

    @property
    def repairable(self) -> int:
        return sum(finding.repaired is not None for finding in self.findings)

    @property
    def examples(self) -> list[Example]:
        """The good and the repaired rows as they would be trained on."""
        return [to_example(row) for row in self.kept]

    def to_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "fit": self.rows - len(self.findings),
            "repairable": self.repairable,
            "without_answer": self.without_answer,
            "several_answers": self.several_answers,
            "verdicts": self.verdicts,
            "same_question_and_passage": self.same_question_and_passage,
            "different_answers": [list(places) for places in self.different_answers],
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
        result.kept.append(row)
    _describe(result)
    return result


def _describe(result: Survey) -> None:
    """Count what the kept rows are like."""
    ids: Counter[str] = Counter()
    pairs: dict[tuple[str, str], list[tuple[str, Example]]] = {}
    lengths: dict[str, list[int]] = {"question": [], "passage": [], "answer": []}
    for row in result.kept:
        example = to_example(row)
        ids[example.id] += 1
        pairs.setdefault((example.question, example.passage), []).append((row.place, example))
        result.without_answer += not example.golds and example.verdict is None
        result.several_answers += len({gold.text for gold in example.golds}) > 1
        if example.verdict is not None:
            result.verdicts[example.verdict] += 1
        lengths["question"].append(len(example.question))
        lengths["passage"].append(len(example.passage))
        lengths["answer"].extend(len(gold.text) for gold in example.golds)
    result.same_id = sum(count - 1 for count in ids.values())
    result.same_question_and_passage = sum(len(asked) - 1 for asked in pairs.values())
    result.different_answers = [
        tuple(place for place, _ in asked)
        for asked in pairs.values()
        if len({(frozenset(g.text for g in e.golds), e.verdict) for _, e in asked}) > 1
    ]
    result.passages = len({passage for _, passage in pairs})
    result.question_length, result.passage_length, result.answer_length = map(_typical, lengths.values())


def write_repaired(found: Survey, path: Path) -> int:
    """Write the good and the repaired rows as flat JSON lines; returns how many. Never overwrites a file."""
    write_text(path, "".join(to_json(_written(row.fields)) + "\n" for row in found.kept), replace=False)
    return len(found.kept)


def _written(fields: Mapping[str, Any]) -> dict[str, Any]:
    """One row of the repaired file: what is trained on and the row's names, nothing else."""
    names = {name: fields[name] for name in ("id", "title") if fields.get(name) is not None}
    answers = {part: fields["answers"][part] for part in ("text", "answer_start")}
    verdict = {} if fields["verdict"] is None else {"verdict": fields["verdict"]}
    return {**names, "question": fields["question"], "context": fields["context"], "answers": answers, **verdict}


def _typical(lengths: list[int]) -> tuple[int, int]:
    return (int(np.median(lengths)), max(lengths)) if lengths else (0, 0)
