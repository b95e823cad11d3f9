"""`trifold check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trifold.task import Host
from trifold.tasks.qa.commands.options import json_option

if TYPE_CHECKING:
    from rich.console import Console

    from trifold.tasks.qa.data.survey import Survey

__all__ = ["check"]

_ROWS_THAT_DO_NOT_FIT = 3
_SHOWN = 20


@click.command(
    short_help="Find the rows of a data file that do not fit.",
    epilog="""\b
Examples:
  trifold check mine.jsonl
  trifold check mine.json --repair repaired.jsonl

\b
Exit codes: 0 every row fits, 3 some do not, 2 the file cannot be read at all.""",
)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--repair", type=click.Path(path_type=Path, dir_okay=False), help="Write good and repaired rows here.")
@json_option
@click.pass_obj
def check(host: Host, data: Path, repair: Path | None, as_json: bool) -> int:
    """Look through training data: every row that does not fit, why, and what should stand there."""
    from trifold.tasks.qa.data.survey import survey, write_repaired

    with host.progress("check") as progress:
        found = survey(data, progress)
    written = write_repaired(found, repair) if repair is not None else None
    if as_json:
        host.print_json({**found.to_dict(), "written": written})
    else:
        _print(host.out, data, found, repair, written)
    return _ROWS_THAT_DO_NOT_FIT if found.findings else 0


def _print(console: Console, path: Path, found: Survey, repair: Path | None, written: int | None) -> None:
    """The report as a person reads it."""
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table
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
