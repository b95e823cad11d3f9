"""What a training is made of: the domain's rows in their parts, general questions, and where all of it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifold.errors import DataError, InvalidInput
from trifold.models.folder import hash_file
from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.data.leaks import shared_passages
from trifold.tasks.qa.data.survey import survey
from trifold.tasks.qa.measuring.evaluation import spread_over
from trifold.tasks.qa.settings import Answers
from trifold.tasks.qa.training.general import general_file, general_questions
from trifold.tasks.qa.training.settings import TrainingSettings
from trifold.tasks.qa.training.splits import Split, split

__all__ = ["Material", "Source", "gather", "read_sound"]

_GENERAL_REPORTED = 1000
_FEW_HELD_OUT = 100


@dataclass(frozen=True, slots=True)
class Source:
    """A file that a training read. role: what for."""

    file: str
    role: str
    rows: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        return {"file": self.file, "role": self.role, "rows": self.rows, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Material:
    """domain: the labelled rows in their parts. replay, kept, calibration, general: questions of general knowledge, to
    train with, to see what is forgotten, to calibrate with, and for the report. answers: what the rows' answers mean.
    warnings: what a user should know of the data.
    """

    domain: Split
    replay: tuple[Example, ...]
    kept: tuple[Example, ...]
    calibration: tuple[Example, ...]
    general: tuple[Example, ...]
    answers: Answers
    sources: tuple[Source, ...]
    warnings: tuple[str, ...]


def gather(
    data: Path,
    *,
    evaluation: Path | None,
    replay: Path | None,
    general: bool,
    answers: Answers,
    settings: TrainingSettings,
) -> Material:
    """Read everything, see that it fits together, and divide it.

    evaluation: rows to report on instead of a part of `data`. replay: general rows to mix in; None for those that
    come with trifold. general: whether general questions are used at all. answers: what the base is made for.

    Raises DataError for rows that do not fit and for data without answers, InvalidInput for an unfitting kind.
    """
    rows = read_sound(data)
    sources = [_source(data, "training", rows)]
    kind = _kind(data, rows, settings.answers, answers)
    warnings = []
    held_out: Sequence[Example] = ()
    if evaluation is not None:
        held_out = read_sound(evaluation)
        sources.append(_source(evaluation, "report", held_out))
        warnings += _leaks(rows, held_out)
    own = 0.0 if evaluation is not None else settings.held_out
    parts = split(rows, validation=settings.validation, held_out=own, seed=settings.seed)
    if evaluation is not None:
        parts = Split(parts.train, parts.validation, tuple(held_out))
    if 0 < len(parts.held_out) < _FEW_HELD_OUT:
        warnings.append(
            f"only {len(parts.held_out)} rows are held out for the report, so its figures of the domain are rough; "
            "--eval FILE reports on a file of your own."
        )
    mixed: Sequence[Example] = ()
    if settings.replay and (general or replay is not None):
        mixed = general_questions("replay") if replay is None else read_sound(replay)
        sources.append(_source(general_file("replay") if replay is None else replay, "replay", mixed))
    kept: Sequence[Example] = ()
    fit: Sequence[Example] = ()
    told: Sequence[Example] = ()
    if general and kind != "yes-no":  # the general questions have no verdicts
        kept, fit = general_questions("validation"), general_questions("calibration")
        told = spread_over(general_questions("report"), _GENERAL_REPORTED)
        sources.append(_source(general_file("validation"), "validation", kept))
        sources.append(_source(general_file("calibration"), "calibration", fit))
        sources.append(_source(general_file("report"), "report", told))
    return Material(parts, tuple(mixed), tuple(kept), tuple(fit), tuple(told), kind, tuple(sources), tuple(warnings))


def read_sound(path: Path) -> list[Example]:
    """The rows of a file, all of which fit. Raises DataError that says how many do not, and how to mend them."""
    found = survey(path)
    if found.findings:
        first = found.findings[0]
        raise DataError(
            f"{path}: {len(found.findings):,} of {found.rows:,} rows do not fit, the first at {first.place}: "
            f"{first.faults[0].cause} `trifold check {path} --repair OUT` shows all and writes a file without them, "
            f"with the {found.repairable:,} that can be repaired."
        )
    return found.examples


def _kind(path: Path, rows: Sequence[Example], wanted: Answers | None, base: Answers) -> Answers:
    """What the answers mean: as asked, else by the rows, else as the base has it."""
    verdicts = sum(row.verdict is not None for row in rows)
    kind = wanted or ("yes-no" if verdicts else base)
    if kind == "yes-no" and verdicts < len(rows):
        silent = sum(row.verdict is None and not row.golds for row in rows)
        if verdicts + silent < len(rows) or not verdicts:
            raise DataError(
                f"{path}: expected a 'verdict' (yes or no) in every row that the passage decides, found it in "
                f"{verdicts:,} of {len(rows):,}. Yes/no questions are learnt apart from others: divide the file."
            )
    if kind != "yes-no" and verdicts:
        raise InvalidInput(f"{path}: {verdicts:,} rows have a 'verdict'; they need --answers yes-no.", field="answers")
    if kind != "yes-no" and not any(row.golds for row in rows):
        raise DataError(f"{path}: no row has an answer, so there is nothing to learn. Label some answers first.")
    return kind


def _leaks(rows: Sequence[Example], held_out: Sequence[Example]) -> list[str]:
    leaked = len(shared_passages(rows, held_out))
    if not leaked:
        return []
    return [
        f"{leaked:,} of the {len(held_out):,} questions reported on are about passages of the training data: the model "
        "has read them, and its figures will look better than it is. Report on other passages."
    ]


def _source(path: Path, role: str, rows: Sequence[Example]) -> Source:
    return Source(path.name, role, len(rows), _hash(path))


def _hash(path: Path) -> str:
    """SHA-256 of a file, or of the hashes of a folder's files."""
    if path.is_file():
        return hash_file(path)
    import hashlib

    parts = [f"{file.name} {hash_file(file)}" for file in sorted(path.rglob("*")) if file.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
