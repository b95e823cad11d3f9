"""Replies, evaluations and surveys as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trifold.printable import printable
from trifold.tasks.qa.records import Answer, Reply
from trifold.tasks.qa.survey import Survey

__all__ = ["in_words", "print_evaluation", "print_reply", "print_survey"]

_BEST, _OTHER, _CLOSEST = "bold black on green", "black on yellow", "reverse dim"
_CONTEXT = 280
_SHOWN = 20
_PASSAGES_SHOWN = 4
_WORDS = ((0.9, "almost certain"), (0.7, "likely"), (0.5, "rather likely"), (0.25, "uncertain"), (0.0, "weak"))


def in_words(score: float) -> str:
    """A probability in words."""
    return next(words for least, words in _WORDS if score >= least)


def _percent(score: float) -> str:
    """A probability in figures; nothing is quite impossible or quite certain."""
    return "<1%" if score < 0.005 else ">99%" if score > 0.995 else f"{score:.0%}"


def print_reply(console: Console, reply: Reply, passages: Sequence[str], closest: Sequence[Answer] = ()) -> None:
    """The passages with the answers in their places, then the answers with their scores.

    closest: for a reply without answers, the answer that would have been given had one been demanded.
    """
    console.print(Text(printable(reply.question), style="bold"))
    console.print()
    shown = reply.answers or closest
    for index, passage in enumerate(passages):
        own = [answer for answer in shown if answer.passage == index]
        if not own and len(passages) > _PASSAGES_SHOWN:
            continue
        if len(passages) > 1:
            console.print(f"[dim]passage {index + 1}[/]")
        styles = [_CLOSEST if not reply.answers else _BEST if a is shown[0] else _OTHER for a in own]
        console.print(Padding(_excerpt(console, passage, own, styles), (0, 0, 0, 2), expand=False))
        console.print()
    if reply.answers:
        _print_answers(console, reply, len(passages))
    else:
        _print_silence(console, reply, closest, len(passages))
    for warning in reply.warnings:
        console.print(f"[yellow]Warning:[/] {escape(warning)}")


def _print_answers(console: Console, reply: Reply, passages: int) -> None:
    table = Table.grid(padding=(0, 2))
    for rank, answer in enumerate(reply.answers):
        style = _BEST if rank == 0 else _OTHER
        place = f"{answer.start}–{answer.end}" + (f" of passage {answer.passage + 1}" if passages > 1 else "")
        table.add_row(
            "Answer" if rank == 0 else "or",
            Text(f" {printable(answer.text)} ", style=style),
            _percent(answer.score),
            in_words(answer.score),
            Text(place, style="dim"),
        )
    console.print(table)


def _print_silence(console: Console, reply: Reply, closest: Sequence[Answer], passages: int) -> None:
    words = "The passage does not say." if passages == 1 else "The passages do not say."
    score = reply.no_answer_score
    sure = f"  {_percent(score)} {in_words(score)}" if score is not None else ""
    console.print(f"[bold magenta]{words}[/]{sure}")
    for answer in closest:
        quoted = escape(printable(answer.text))
        console.print(f"[dim]Closest: “{quoted}”, {_percent(answer.score)}. --always-answer gives it.[/]")


def _excerpt(console: Console, passage: str, answers: Sequence[Answer], styles: Sequence[str]) -> Text:
    """The surroundings of the answers, each marked in its place; » « where there are no colours."""
    plain = console.color_system is None or console.no_color
    pieces = Text()
    for first, last in _surroundings(passage, answers):
        if pieces:
            pieces.append("\n\n")
        if first > 0:
            pieces.append("… ", style="dim")
        position = first
        for answer, style in sorted(zip(answers, styles, strict=True), key=lambda pair: pair[0].start):
            if not first <= answer.start < last:
                continue
            pieces.append(printable(passage[position : answer.start]))
            quoted = printable(passage[answer.start : answer.end])
            pieces.append(f"»{quoted}«" if plain else quoted, style=style)
            position = answer.end
        pieces.append(printable(passage[position:last]))
        if last < len(passage):
            pieces.append(" …", style="dim")
    return pieces


def _surroundings(passage: str, answers: Sequence[Answer]) -> list[tuple[int, int]]:
    """Stretches of the passage worth showing: all of a short one, else around each answer, merged where they meet."""
    size = len(passage)
    if size <= 4 * _CONTEXT:
        return [(0, size)]
    stretches: list[tuple[int, int]] = []
    for answer in sorted(answers, key=lambda a: a.start):
        first, last = max(0, answer.start - _CONTEXT), min(size, answer.end + _CONTEXT)
        first = passage.rfind(" ", 0, first) + 1 if first else 0
        space = passage.find(" ", last)
        last = space if 0 <= space < last + _CONTEXT else last
        if stretches and first <= stretches[-1][1]:
            first = stretches.pop()[0]
        stretches.append((first, last))
    return stretches or [(0, 2 * _CONTEXT)]


def print_evaluation(console: Console, facts: Mapping[str, Any]) -> None:
    """The figures of `evaluate`."""
    table = Table("", "questions", "exact", "F1", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for label, part in (("all", facts), ("has answer", facts["has_answer"]), ("no answer", facts["no_answer"])):
        if part["n"]:
            table.add_row(label, f"{part['n']:,}", f"{part['exact']:.2f}", f"{part['f1']:.2f}")
    console.print(table)
    area = "not defined" if facts["auroc"] is None else f"{facts['auroc']:.3f}"
    console.print(
        f"\nscores: ECE {facts['ece']:.3f} (0 is best), AUROC {area} (1 is best)\n"
        f"{facts['model']}: {facts['questions_per_second']:.1f} questions a second"
    )


def print_survey(console: Console, path: Path, found: Survey, repair: Path | None, written: int | None) -> None:
    """The report of `check`."""
    for finding in found.findings[:_SHOWN]:
        mark = "[yellow]repairable[/]" if finding.repaired is not None else "[red]does not fit[/]"
        name = f" ({finding.id})" if finding.id else ""
        console.print(f"{mark} {escape(printable(finding.place + name))}")
        for fault in finding.faults:
            console.print(Padding(Text(printable(fault.cause)), (0, 0, 0, 4)))
    if len(found.findings) > _SHOWN:
        console.print(f"… and {len(found.findings) - _SHOWN:,} more; --json lists all of them.\n")
    table = Table.grid(padding=(0, 2))
    table.add_row("rows", f"{found.rows:,}")
    table.add_row("that fit", f"{found.rows - len(found.findings):,}")
    table.add_row("that can be repaired", f"{found.repairable:,}")
    table.add_row("that cannot", f"{len(found.findings) - found.repairable:,}")
    table.add_row("passages", f"{found.passages:,}")
    table.add_row("without an answer", f"{found.without_answer:,} ({_share(found.without_answer, found.rows)})")
    table.add_row("with several answers", f"{found.several_answers:,}")
    table.add_row("asked twice of a passage", f"{found.same_question_and_passage:,}")
    table.add_row("with an id seen before", f"{found.same_id:,}")
    for label in ("question", "passage", "answer"):
        median, longest = getattr(found, f"{label}_length")
        table.add_row(f"{label} length", f"median {median:,}, longest {longest:,} characters")
    console.print(table)
    if written is not None:
        console.print(f"\n{written:,} rows written to {escape(str(repair))}")
    elif found.repairable:
        console.print(
            f"\n[dim]trifold check {escape(str(path))} --repair OUT writes the good and the repaired rows.[/]"
        )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "none"
