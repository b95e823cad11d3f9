"""`trifold check`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trifold.task import Host
from trifold.tasks.qa.commands.options import json_option

if TYPE_CHECKING:
    from rich.console import Console

    from trifold.tasks.qa.data.examples import Example
    from trifold.tasks.qa.data.survey import Survey

__all__ = ["check"]

_ROWS_THAT_DO_NOT_FIT = 3
_SHOWN = 20
_SHOWN_DIFFERENT = 5


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the file has in common with the one that a model will be measured on."""

    passages: int
    questions: int
    share: float
    ids: tuple[str, ...]
    not_compared: int


@click.command(
    short_help="Find the rows of a data file that do not fit.",
    epilog="""\b
Examples:
  trifold check mine.jsonl
  trifold check mine.csv --repair repaired.jsonl
  trifold check train.json --against dev.json

\b
Exit codes: 0 every row fits, 3 some do not, 2 the file cannot be read at all.""",
)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--against", type=click.Path(path_type=Path), help="Look for passages shared with this evaluation data.")
@click.option("--repair", type=click.Path(path_type=Path, dir_okay=False), help="Write good and repaired rows here.")
@json_option
@click.pass_obj
def check(host: Host, data: Path, against: Path | None, repair: Path | None, as_json: bool) -> int:
    """Look through training data: every row that does not fit, why, and what should stand there.

    Reads SQuAD JSON, JSON lines, CSV, Parquet, Label Studio and Haystack exports, and folders that Hugging Face's
    datasets wrote.
    """
    from trifold.tasks.qa.data.survey import survey, write_repaired

    with host.progress("check") as progress:
        found = survey(data, progress)
    shared = None if against is None else _compare(found, against)
    written = write_repaired(found, repair) if repair is not None else None
    if as_json:
        host.print_json({**found.to_dict(), "shared": shared and asdict(shared), "written": written})
    else:
        _print_findings(host.out, found)
        _print_counts(host.out, found)
        _print_next(host.out, data, found, repair, written)
    if shared is not None:
        _warn(host.err if as_json else host.out, against, shared)
    return _ROWS_THAT_DO_NOT_FIT if found.findings else 0


def _compare(found: Survey, against: Path) -> _Shared:
    from trifold.tasks.qa.data.leaks import shared_passages
    from trifold.tasks.qa.data.survey import survey

    other = survey(against)
    held_out = other.examples
    leaked: Sequence[Example] = shared_passages(found.examples, held_out)
    return _Shared(
        passages=len({example.passage for example in leaked}),
        questions=len(leaked),
        share=len(leaked) / len(held_out) if held_out else 0.0,
        ids=tuple(example.id for example in leaked),
        not_compared=other.rows - len(held_out),
    )


def _print_findings(console: Console, found: Survey) -> None:
    from rich.markup import escape
    from rich.padding import Padding
    from rich.text import Text

    from trifold.printable import printable

    for finding in found.findings[:_SHOWN]:
        mark = "[yellow]repairable[/]" if finding.repaired is not None else "[red]does not fit[/]"
        name = f" ({finding.id})" if finding.id else ""
        console.print(f"{mark} {escape(printable(finding.place + name))}")
        for fault in finding.faults:
            console.print(Padding(Text(printable(fault.cause)), (0, 0, 0, 4)))
    if len(found.findings) > _SHOWN:
        console.print(f"… and {len(found.findings) - _SHOWN:,} more; --json lists all of them.\n")
    for places in found.different_answers[:_SHOWN_DIFFERENT]:
        listed = ", ".join(places[:_SHOWN]) + ("" if len(places) <= _SHOWN else ", …")
        console.print(f"[yellow]different answers[/] to one question: {escape(printable(listed))}")
    if len(found.different_answers) > _SHOWN_DIFFERENT:
        console.print(f"… and {len(found.different_answers) - _SHOWN_DIFFERENT:,} more; --json lists all of them.\n")


def _print_counts(console: Console, found: Survey) -> None:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_row("rows", f"{found.rows:,}")
    table.add_row("that fit", f"{found.rows - len(found.findings):,}")
    table.add_row("that can be repaired", f"{found.repairable:,}")
    table.add_row("that cannot", f"{len(found.findings) - found.repairable:,}")
    table.add_row("passages", f"{found.passages:,}")
    table.add_row("without an answer", f"{found.without_answer:,} ({_share(found.without_answer, len(found.kept))})")
    table.add_row("with several answers", f"{found.several_answers:,}")
    table.add_row("yes/no questions", f"{found.verdicts['yes']:,} yes, {found.verdicts['no']:,} no")
    table.add_row("asked twice of a passage", f"{found.same_question_and_passage:,}")
    table.add_row("  with different answers", f"{len(found.different_answers):,}")
    table.add_row("with an id seen before", f"{found.same_id:,}")
    for label in ("question", "passage", "answer"):
        median, longest = getattr(found, f"{label}_length")
        table.add_row(f"{label} length", f"median {median:,}, longest {longest:,} characters")
    console.print(table)


def _print_next(console: Console, path: Path, found: Survey, repair: Path | None, written: int | None) -> None:
    from rich.markup import escape

    if written is not None:
        console.print(f"\n{written:,} rows written to {escape(str(repair))}")
    elif found.repairable:
        console.print(
            f"\n[dim]trifold check {escape(str(path))} --repair OUT writes the good and the repaired rows.[/]"
        )


def _warn(console: Console, against: Path | None, shared: _Shared) -> None:
    """One loud line where a model would be measured on passages that it was trained on."""
    from rich.markup import escape

    name = escape(str(against))
    if shared.questions:
        console.print(
            f"\n[bold red]WARNING: {shared.passages:,} passages stand in both files. {shared.questions:,} questions "
            f"of {name} ({shared.share:.0%}) are about them: scores on these mislead. Take them out of one file.[/]",
            soft_wrap=True,
        )
    else:
        console.print(f"\nNo passage of {name} stands in the training data.", soft_wrap=True)
    if shared.not_compared:
        console.print(f"[yellow]{shared.not_compared:,} rows of {name} do not fit and were not compared.[/]")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "none"
