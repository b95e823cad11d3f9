"""Replies as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trifold.printable import printable
from trifold.tasks.qa.records import Answer, Reply, Verdict

__all__ = ["in_words", "print_reply"]

_BEST, _OTHER, _CLOSEST = "bold black on green", "black on yellow", "reverse dim"
_CONTEXT = 280
_PASSAGES_SHOWN = 4
_WORDS = ((0.9, "almost certain"), (0.7, "likely"), (0.5, "rather likely"), (0.25, "uncertain"), (0.0, "weak"))


def in_words(score: float) -> str:
    """A probability in words."""
    return next(words for least, words in _WORDS if score >= least)


def _percent(score: float) -> str:
    """A probability in figures; nothing is quite impossible or quite certain."""
    return "<1%" if score < 0.005 else ">99%" if score > 0.995 else f"{score:.0%}"


def print_reply(
    console: Console,
    reply: Reply,
    passages: Sequence[str],
    closest: Sequence[Answer] = (),
    *,
    alternatives: bool = True,
) -> None:
    """The passages with the answers in their places, then the answers with their scores.

    closest: for a reply without answers, the answer that would have been given had one been demanded. alternatives:
    whether one of the answers is right rather than all of them.
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
    if reply.verdict:
        _print_verdict(console, reply.verdict, reply.answers)
    elif reply.answers:
        _print_answers(console, reply, len(passages), "or" if alternatives else "and")
    else:
        _print_silence(console, reply, closest, len(passages))
    for warning in reply.warnings:
        console.print(f"[yellow]Warning:[/] {escape(warning)}")


def _print_verdict(console: Console, verdict: Verdict, evidence: Sequence[Answer]) -> None:
    sure = f"{_percent(verdict.score)}  {in_words(verdict.score)}"
    console.print(Text.assemble((f" {verdict.text.capitalize()} ", _BEST), f"  {sure}"))
    for answer in evidence:
        quoted = escape(printable(answer.text))
        console.print(f"[dim]by “{quoted}”, {answer.start}–{answer.end}[/]")


def _print_answers(console: Console, reply: Reply, passages: int, joined: str) -> None:
    table = Table.grid(padding=(0, 2))
    for rank, answer in enumerate(reply.answers):
        style = _BEST if rank == 0 else _OTHER
        place = f"{answer.start}–{answer.end}" + (f" of passage {answer.passage + 1}" if passages > 1 else "")
        table.add_row(
            "Answer" if rank == 0 else joined,
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
