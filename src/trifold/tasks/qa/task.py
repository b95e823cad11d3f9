"""The reader as a task: check, encode, decode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trifold.errors import InvalidInput
from trifold.task import Arrays, Columns, Encoded, Limits, Unit
from trifold.tasks.qa import columns
from trifold.tasks.qa.boundaries import Flags
from trifold.tasks.qa.calibration import Calibration
from trifold.tasks.qa.check import MOST_ANSWERS, check_question
from trifold.tasks.qa.passages import PassageCache
from trifold.tasks.qa.records import Answer, Question, Reply, Verdict
from trifold.tasks.qa.scripts import foreign_script
from trifold.tasks.qa.segments import find_segments
from trifold.tasks.qa.settings import QaSettings
from trifold.tasks.qa.spans import find_spans
from trifold.tasks.qa.tokens import Ids, PassageTokens, QaTokenizer
from trifold.tasks.qa.verdicts import VERDICTS, find_verdict
from trifold.tasks.qa.windows import (
    LEAST_ROOM,
    Window,
    WindowSize,
    room_apart,
    spread,
    unit_apart,
    window_unit,
)

__all__ = ["Layout", "QaTask", "open_task"]

_CHARACTERS = 100
"""Of a question for each token of a window at most. Words of any language have far fewer."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What decode needs of encode: where in the passages the units' tokens stand.

    echoes: which tokens of each passage stand in the question, for a model that gives verdicts.
    """

    passages: tuple[PassageTokens, ...]
    windows: tuple[Window, ...]
    echoes: tuple[Flags, ...] = ()


class QaTask:
    """Answers questions about passages with one model version."""

    name = "qa"

    def __init__(self, version: str, tokenizer: QaTokenizer, settings: QaSettings) -> None:
        self.version = version
        self.settings = settings
        self._tokenizer = tokenizer
        self._read = PassageCache(tokenizer.passage)

    @property
    def null(self) -> int:
        """Index of the token whose logits stand for "no answer"."""
        return self._tokenizer.frame.null

    def with_settings(self, settings: QaSettings) -> QaTask:
        """The same reader with other settings."""
        return QaTask(self.version, self._tokenizer, settings)

    def with_calibration(self, calibration: Calibration) -> QaTask:
        """The same reader with other probabilities."""
        return self.with_settings(replace(self.settings, calibration=calibration))

    def is_silent(self, no_answer_score: float | None) -> bool:
        """Whether a reply with this score says that the passages do not say."""
        return no_answer_score is not None and no_answer_score > self.settings.calibration.threshold

    def check(self, raw: Mapping[str, Any], limits: Limits) -> Question:
        question = check_question(raw, limits)
        most = _CHARACTERS * self.settings.window.length
        if len(question.question) > most:  # before it is tokenised: a text of this size takes its time
            raise InvalidInput(
                f"question: at most {most:,} characters, found {len(question.question):,}.",
                "Shorten it, or move its background into the passage.",
                field="question",
            )
        size = len(self._tokenizer.question(question.question))
        room = self._room(size)
        if room < LEAST_ROOM:
            raise InvalidInput(
                f"question: at most {size + room - LEAST_ROOM} tokens leave room for the passage, found {size}.",
                "Shorten it, or move its background into the passage.",
                field="question",
            )
        return question

    def _room(self, question: int) -> int:
        """Tokens of passage that fit beside a question of so many tokens; may be negative."""
        room = WindowSize.room if self.settings.apart is None else room_apart
        return room(self.settings.window, question, self._tokenizer.frame)

    def _unit(self, question: Ids, passage: Ids) -> Unit:
        if (apart := self.settings.apart) is None:
            return window_unit(self._tokenizer.frame, question, passage)
        return unit_apart(self._tokenizer.frame, question, passage, apart.position)

    def encode(self, request: Question) -> Encoded:
        layout, units = self.lay_out(request.question, *request.passages)
        return Encoded(units, layout)

    def lay_out(self, question: str, *passages: str) -> tuple[Layout, list[Unit]]:
        """The windows of a question that was checked, and the units that the model reads."""
        frame = self._tokenizer.frame
        ids = self._tokenizer.question(question)
        room = self._room(len(ids))
        first = len(frame.before) + len(ids) + len(frame.between)
        read = tuple(self._read(text) for text in passages)
        windows = tuple(
            Window(index, begin, size, first)
            for index, passage in enumerate(read)
            for begin, size in spread(len(passage.ids), room, self.settings.window.stride)
        )
        units = [self._unit(ids, read[w.passage].ids[w.first : w.first + w.size]) for w in windows]
        echoes: tuple[Flags, ...] = ()
        if self.settings.answers == "yes-no":
            pairs = zip(passages, read, strict=True)
            echoes = tuple(self._tokenizer.echoes(question, text, tokens) for text, tokens in pairs)
        return Layout(read, windows, echoes), units

    def decode(self, request: Question, memo: Layout, outputs: Sequence[Arrays]) -> Reply:
        if self.settings.answers == "yes-no":
            return self._decode_verdict(request, memo, outputs)
        settings, frame = self.settings, self._tokenizer.frame
        longest = request.max_answer_len
        several = settings.answers == "several"
        if several:
            most = request.top_k or MOST_ANSWERS
            spans = find_segments(memo.passages, memo.windows, outputs, null=frame.null, max_tokens=longest, top_k=most)
        else:
            null_token = frame.null if settings.null else None
            spans = find_spans(
                memo.passages, memo.windows, outputs, null=null_token, max_tokens=longest, top_k=request.top_k or 1
            )
        calibration, windows = settings.calibration, len(memo.windows)
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
        if several and request.top_k is None:
            answers = self._worth_giving(answers, request)
        return Reply(request.question, answers, no_answer, self.version, self._warnings(request))

    def _worth_giving(self, answers: tuple[Answer, ...], request: Question) -> tuple[Answer, ...]:
        """Of all candidates those that are answers rather than not; the best at least, where one is demanded."""
        least = self.settings.calibration.least
        kept = tuple(answer for answer in answers if answer.score >= least)
        return kept or (answers[:1] if request.always_answer else ())

    def _decode_verdict(self, request: Question, memo: Layout, outputs: Sequence[Arrays]) -> Reply:
        calibration, windows = self.settings.calibration, len(memo.windows)
        odds = find_verdict(
            memo.passages, memo.echoes, memo.windows, outputs, null=self.null, max_tokens=request.max_answer_len
        )
        no_answer = calibration.null(odds.null_log_odds, windows)
        if self.is_silent(no_answer) and not request.always_answer:
            return Reply(request.question, (), no_answer, self.version, self._warnings(request))
        yes = calibration.answer(odds.yes, windows)
        text, score = (VERDICTS[0], yes) if yes >= 0.5 else (VERDICTS[1], 1 - yes)
        quotation = odds.quotations[VERDICTS.index(text)]
        evidence: tuple[Answer, ...] = ()
        if quotation is not None:
            index, start, end = quotation
            evidence = (Answer(request.passages[index][start:end], start, end, score, index),)
        return Reply(request.question, evidence, no_answer, self.version, self._warnings(request), Verdict(text, score))

    def columns(self, options: Mapping[str, Any]) -> Columns:
        return columns.columns_of(self.settings.answers, options)

    def cells(self, reply: Reply) -> Mapping[str, Any]:
        return columns.cells_of(reply)

    def unnest(self, element: Any) -> Iterable[tuple[str, Any]] | None:
        return columns.rows_in(element)

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


def open_task(folder: Path, version: str, settings: Mapping[str, Any]) -> QaTask:
    """The reader of one model folder. Raises ModelDamaged."""
    return QaTask(version, QaTokenizer.from_file(folder / "tokenizer.json"), QaSettings.from_dict(settings))
