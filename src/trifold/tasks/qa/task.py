"""The reader as a task: check, encode, decode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trifold.errors import InvalidInput, ModelDamaged
from trifold.task import Arrays, Encoded, Limits
from trifold.tasks.qa.calibration import Calibration
from trifold.tasks.qa.check import check_question
from trifold.tasks.qa.records import Answer, Question, Reply
from trifold.tasks.qa.scripts import foreign_script
from trifold.tasks.qa.spans import find_spans
from trifold.tasks.qa.tokens import PassageTokens, QaTokenizer
from trifold.tasks.qa.windows import LEAST_ROOM, Window, WindowSize, spread, window_unit

__all__ = ["QaSettings", "QaTask", "open_task"]


@dataclass(frozen=True, slots=True)
class QaSettings:
    """What a reader's `trifold.json` says beside its graphs (`task_settings`).

    null: whether the model was trained to score "no answer". languages, scripts: what it reads.
    """

    window: WindowSize
    null: bool
    languages: tuple[str, ...]
    scripts: frozenset[str]
    calibration: Calibration

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> QaSettings:
        """Read the settings. Raises ModelDamaged for what is missing or of the wrong kind."""
        try:
            window = WindowSize(_whole(facts["window"]["length"]), _whole(facts["window"]["stride"]))
            languages, scripts = _texts(facts["languages"]), frozenset(_texts(facts["scripts"]))
            if not isinstance(facts["null"], bool):
                raise TypeError("'null' is neither true nor false")
            calibration = Calibration.from_dict(facts["calibration"])
        except (KeyError, TypeError) as error:
            raise ModelDamaged(f"the model's task_settings cannot be read ({error!r}). Get the model again.") from None
        if window.length <= LEAST_ROOM or window.stride < 0:
            raise ModelDamaged(
                f"the model's windows must be longer than {LEAST_ROOM} tokens and share 0 or more, found "
                f"{window.length} and {window.stride}."
            )
        return cls(window, facts["null"], languages, scripts, calibration)

    def to_dict(self) -> dict[str, Any]:
        return {
            "window": {"length": self.window.length, "stride": self.window.stride},
            "null": self.null,
            "languages": list(self.languages),
            "scripts": sorted(self.scripts),
            "calibration": self.calibration.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class _Layout:
    """What decode needs of encode: where in the passages the units' tokens stand."""

    passages: tuple[PassageTokens, ...]
    windows: tuple[Window, ...]


class QaTask:
    """Answers questions about passages with one model version."""

    name = "qa"

    def __init__(self, version: str, tokenizer: QaTokenizer, settings: QaSettings) -> None:
        self.version = version
        self.settings = settings
        self._tokenizer = tokenizer

    def with_calibration(self, calibration: Calibration) -> QaTask:
        """The same reader with other probabilities."""
        return QaTask(self.version, self._tokenizer, replace(self.settings, calibration=calibration))

    def is_silent(self, no_answer_score: float | None) -> bool:
        """Whether a reply with this score says that the passages do not say."""
        return no_answer_score is not None and no_answer_score > self.settings.calibration.threshold

    def check(self, raw: Mapping[str, Any], limits: Limits) -> Question:
        question = check_question(raw, limits)
        size = len(self._tokenizer.question(question.question))
        room = self.settings.window.room(size, self._tokenizer.frame)
        if room < LEAST_ROOM:
            raise InvalidInput(
                f"question: at most {size + room - LEAST_ROOM} tokens leave room for the passage, "
                f"found {size}. Shorten it, or move its background into the passage.",
                field="question",
            )
        return question

    def encode(self, request: Question) -> Encoded:
        frame = self._tokenizer.frame
        question = self._tokenizer.question(request.question)
        room = self.settings.window.room(len(question), frame)
        offset = len(frame.before) + len(question) + len(frame.between)
        passages = tuple(self._tokenizer.passage(text) for text in request.passages)
        windows = tuple(
            Window(index, first, size, offset)
            for index, passage in enumerate(passages)
            for first, size in spread(len(passage.ids), room, self.settings.window.stride)
        )
        units = [window_unit(frame, question, passages[w.passage].ids[w.first : w.first + w.size]) for w in windows]
        return Encoded(units, _Layout(passages, windows))

    def decode(self, request: Question, memo: _Layout, outputs: Sequence[Arrays]) -> Reply:
        spans = find_spans(
            memo.passages,
            memo.windows,
            outputs,
            null=self._tokenizer.frame.null if self.settings.null else None,
            max_tokens=request.max_answer_len,
            top_k=request.top_k,
        )
        calibration, windows = self.settings.calibration, len(memo.windows)
        null = spans.null_log_odds
        no_answer = None if null is None else calibration.null(null, windows)
        silent = self.is_silent(no_answer) and not request.always_answer
        answers = tuple(
            Answer(
                request.passages[span.passage][span.start : span.end],
                span.start,
                span.end,
                calibration.answer(span.log_odds, windows),
                span.passage,
            )
            for span in (() if silent else spans.best)
        )
        return Reply(request.question, answers, no_answer, self.version, self._warnings(request))

    def _warnings(self, request: Question) -> tuple[str, ...]:
        scripts = self.settings.scripts
        found = {
            script: label
            for label, texts in (("passage", request.passages), ("question", (request.question,)))
            for script in (foreign_script(text, scripts) for text in texts)
            if script is not None
        }
        reads = f"{', '.join(sorted(scripts))} script ({', '.join(self.settings.languages)})"
        return tuple(
            f"the {label} has text in {script} script, which {self.version} was not trained on; it reads {reads}. "
            "Do not trust the scores."
            for script, label in found.items()
        )


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"expected a whole number, found {value!r}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TypeError(f"expected a list of texts, found {value!r}")
    return tuple(value)


def open_task(folder: Path, version: str, settings: Mapping[str, Any]) -> QaTask:
    """The reader of one model folder. Raises ModelDamaged."""
    return QaTask(version, QaTokenizer.from_file(folder / "tokenizer.json"), QaSettings.from_dict(settings))
