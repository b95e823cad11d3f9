"""`trifold asr repeats`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trifold.errors import DataError, UsageError
from trifold.task import Host
from trifold.tasks.asr.commands.options import json_option

if TYPE_CHECKING:
    from rich.console import Console

    from trifold.tasks.asr.measuring.repeats import Repeat
    from trifold.tasks.asr.transcripts import Transcript

__all__ = ["repeats"]

_FEWEST = 2
_COUNT = click.IntRange(_FEWEST)


@click.command(
    short_help="Find sequences of units or phones that come again: the first word list.",
    epilog="""\b
Examples:
  trifold asr repeats transcripts.jsonl
  trifold asr repeats transcripts.tsv --shortest 3 --least 5 --output places.tsv
  trifold asr repeats textgrids/ --top 200 --json

\b
Exit codes: 0 found, 2 something cannot be read, or nothing comes often enough.""",
)
@click.argument("transcripts", type=click.Path(path_type=Path))
@click.option("--shortest", type=_COUNT, default=4, show_default=True, help="Units of a sequence at least.")
@click.option("--longest", type=_COUNT, default=12, show_default=True, help="Units at most; more is found in parts.")
@click.option("--least", type=_COUNT, default=3, show_default=True, help="Places where a sequence stands at least.")
@click.option("--top", type=click.IntRange(1), default=50, show_default=True, help="How many sequences to tell of.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write a table with a line for every place here."
)
@json_option
@click.pass_obj
def repeats(
    host: Host,
    transcripts: Path,
    shortest: int,
    longest: int,
    least: int,
    top: int,
    output: Path | None,
    as_json: bool,
) -> int:
    """Find what comes again and again in TRANSCRIPTS, a file of `trifold transcribe` or a folder of TextGrids.

    Sequences of units (or phones) that stand in several places are candidates for words. Those come first that are
    more frequent than the pairs of units in them let expect, the longer and the more frequent the better; a part of a
    longer one is left out unless it stands elsewhere too. No sequence goes over a pause of more than 0.3 seconds.
    """
    from trifold.tables.publishing import check_target
    from trifold.tasks.asr.measuring.repeats import find_repeats
    from trifold.tasks.asr.writing.plaintext import write_text
    from trifold.tasks.asr.writing.reading import read_transcripts

    if shortest > longest:
        raise UsageError(
            f"--shortest: expected at most the {longest} units of --longest, found {shortest}. Lower the one or raise "
            "the other."
        )
    if output is not None:
        check_target(output)
    with host.progress("repeats") as progress:
        heard = read_transcripts(transcripts, progress)
    units = sum(len(one.phones) for one in heard)
    if not units:
        raise DataError(
            f"{transcripts}: expected units or phones, found none in {_many(len(heard), 'recording')}. See that the "
            "recordings have speech."
        )
    found = find_repeats(heard, shortest=shortest, longest=longest, least=least)
    if not found:
        raise DataError(
            f"{transcripts}: expected sequences of {shortest} to {longest} units that stand in {least} places, found "
            f"none among {_many(units, 'unit')} of {_many(len(heard), 'recording')}. {_remedy(shortest, least)}"
        )
    if output is not None:
        write_text([_tabbed(_places(found[:top]))], output)
    if as_json:
        host.print_json(_json(heard, found, top))
    elif host.out.is_terminal:
        _print_table(host.out, found[:top])
        host.out.print(
            f"\n[dim]{min(top, len(found)):,} of {_many(len(found), 'sequence')} in {_many(units, 'unit')} of "
            f"{_many(len(heard), 'recording')}.[/]"
        )
    else:
        _print_lines(found[:top])
    return 0


def _remedy(shortest: int, least: int) -> str:
    lower = [name for name, value in (("--least", least), ("--shortest", shortest)) if value > _FEWEST]
    return f"Lower {' or '.join(lower)}, or transcribe more." if lower else "Transcribe more."


def _print_table(console: Console, found: Sequence[Repeat]) -> None:
    from rich.table import Table
    from rich.text import Text

    from trifold.printable import printable

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("", "count", "length", "units", "such as"):
        table.add_column(name, justify="left" if name in ("units", "such as") else "right", overflow="fold")
    for number, one in enumerate(found, 1):
        place = one.places[0]
        where = f"{Path(place.audio).name} {place.start:.2f}–{place.end:.2f} s"
        table.add_row(
            Text(f"{number}", style="dim"),
            Text(f"{len(one.places):,}", style="bold"),
            f"{len(one.units)}",
            Text(printable(" ".join(one.units)), style="cyan"),
            Text(printable(where)),
        )
    console.print(table)


def _print_lines(found: Sequence[Repeat]) -> None:
    """What the table shows, for other programs: columns parted by tabs."""
    from trifold.printable import printable

    rows: list[tuple[object, ...]] = [("sequence", "count", "length", "units", "audio", "start", "end")]
    for number, one in enumerate(found, 1):
        rows.append((number, len(one.places), len(one.units), " ".join(one.units), *_where(one)[0]))
    click.echo(printable(_tabbed(rows)), nl=False)


def _places(found: Sequence[Repeat]) -> list[tuple[object, ...]]:
    return [
        ("sequence", "units", "audio", "start", "end"),
        *((number, " ".join(one.units), *where) for number, one in enumerate(found, 1) for where in _where(one)),
    ]


def _where(one: Repeat) -> list[tuple[str, str, str]]:
    """The recording, start and end of each place; seconds have three decimals, as in tables of transcripts."""
    return [(place.audio, f"{place.start:.3f}", f"{place.end:.3f}") for place in one.places]


def _tabbed(rows: Iterable[Iterable[object]]) -> str:
    """With quotation marks around what has a tab, a line end or a quotation mark, as in tables of transcripts."""
    import csv
    import io

    text = io.StringIO(newline="")
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
    return text.getvalue()


def _json(heard: Sequence[Transcript], found: Sequence[Repeat], top: int) -> dict[str, Any]:
    return {
        "recordings": len(heard),
        "units": sum(len(one.phones) for one in heard),
        "found": len(found),
        "repeats": [
            {
                "sequence": number,
                "units": list(one.units),
                "count": len(one.places),
                "expected": one.expected,
                "score": one.score,
                "places": [{"audio": place.audio, "start": place.start, "end": place.end} for place in one.places],
            }
            for number, one in enumerate(found[:top], 1)
        ],
    }


def _many(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
