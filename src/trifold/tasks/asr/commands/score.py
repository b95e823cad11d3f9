"""`trifold asr score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trifold.task import Host
from trifold.tasks.asr.commands.options import json_option

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Hashable

    from rich.console import Console

    from trifold.tasks.asr.measuring.errors import Errors
    from trifold.tasks.asr.measuring.scoring import Score

__all__ = ["score"]

_FILE = click.Path(path_type=Path)
_SHOWN = 10


@click.command(
    short_help="Measure transcripts by what was really said.",
    epilog="""\b
Examples:
  trifold asr score heard.tsv references.tsv
  trifold asr score heard.jsonl references.tsv --split dev --alignments alignments.tsv --log scores.jsonl
  trifold asr score textgrids/ references.tsv --fold tones.tsv --json

\b
Exit codes: 0 scored, 2 something cannot be read, or belongs to no reference.""",
)
@click.argument("hypotheses", type=_FILE)
@click.argument("references", type=_FILE)
@click.option("--alignments", type=_FILE, help="Where phones begin and end: a table with id, start_s, end_s, phone.")
@click.option("--fold", type=_FILE, help="Phones and the phone that each counts as; a phone alone does not count.")
@click.option("--split", metavar="NAME", help="Only references whose column split has this name.")
@click.option(
    "--phones", default="reference_phones", metavar="COLUMN", show_default=True, help="The references' phones."
)
@click.option("--words", default="transcript", metavar="COLUMN", show_default=True, help="The references' words.")
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="Add the result to this record.")
@json_option
@click.pass_obj
def score(
    host: Host,
    hypotheses: Path,
    references: Path,
    alignments: Path | None,
    fold: Path | None,
    split: str | None,
    phones: str,
    words: str,
    log: Path | None,
    as_json: bool,
) -> int:
    """Compare HYPOTHESES, a file of transcripts or a folder of TextGrids, with REFERENCES, a table of what was said.

    The table has columns parted by tabs: audio (or id), the phones separated by spaces, and where there are any, words,
    speaker, split, and starts (seconds, one for each phone). A recording is told by its file's name. One without a
    transcript counts as if nothing had been heard in it. References are for scoring alone: whoever chooses a model by
    them has a supervised model.
    """
    from trifold.tasks.asr.measuring.record import append_record, named_models, record
    from trifold.tasks.asr.measuring.references import read_folds, read_references, with_alignments
    from trifold.tasks.asr.measuring.scoring import score as measure
    from trifold.tasks.asr.writing.reading import read_transcripts

    said = read_references(references, phones=phones, words=words, split=split)
    if alignments is not None:
        said = with_alignments(said, alignments)
    folds = None if fold is None else read_folds(fold)
    with host.progress("score") as progress:
        heard = read_transcripts(hypotheses, progress)
    result = measure(heard, said, folds=folds)
    if log is not None:
        append_record(log, record(result, heard, hypotheses, references, split=split, fold=fold))
    if as_json:
        host.print_json({**result.to_dict(), "model": named_models(heard)})
    else:
        _print_score(host.out, result)
    return 0


def _print_score(console: Console, result: Score) -> None:
    _print_table(console, result)
    if result.phones is not None:
        _print_errors(console, result.phones)
    if missing := len(result.without_hypothesis):
        console.print(
            f"\n[yellow]{missing:,} of {result.references:,} recordings have no transcript[/] and count as deleted "
            "throughout."
        )
    if extra := len(result.without_reference):
        console.print(f"\n[dim]{extra:,} transcripts have no reference and do not count.[/]")


def _print_table(console: Console, result: Score) -> None:
    from rich.table import Table
    from rich.text import Text

    from trifold.printable import printable

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("", "error rate", "of", "substituted", "deleted", "inserted"):
        table.add_column(name, justify="right" if name else "left")
    rows = [("phones", result.phones), *((f"  {name}", errors) for name, errors in result.speakers.items())]
    for name, errors in (*rows, ("words", result.words)):
        if errors is not None:
            counts = (errors.length, errors.confused.total(), errors.deleted.total(), errors.inserted.total())
            rate = Text(f"{errors.rate:.1%}", style="" if name.startswith(" ") else "bold")
            table.add_row(Text(printable(name)), rate, *(f"{count:,}" for count in counts))
    console.print(table)
    if (bounds := result.bounds) is not None:
        console.print(
            f"\nboundaries  F1 [bold]{bounds.f1:.1%}[/]  precision {bounds.precision:.1%}  recall {bounds.recall:.1%}  "
            f"R-value {bounds.r_value:.1%}  ({bounds.matched:,} of {bounds.wanted:,} within 20 ms)",
            highlight=False,
        )


def _print_errors(console: Console, errors: Errors) -> None:
    from rich.text import Text

    from trifold.printable import printable

    if errors.confused:
        console.print("\nMost often confused, said -> heard:")
    pairs = errors.confused.most_common(_SHOWN)
    texts = [printable(f"{said} -> {heard}") for (said, heard), _ in pairs]
    width = max(map(len, texts), default=0)
    for text, (_, times) in zip(texts, pairs, strict=True):
        console.print(Text(f"  {text:<{width}}  {times:,}"))
    for what, counts in (("missed", errors.deleted), ("made up", errors.inserted)):
        if counts:
            console.print(Text(printable(f"Most often {what}: {_listed(counts)}")))


def _listed(counts: Counter[Hashable]) -> str:
    return ", ".join(f"{phone} {times:,}" for phone, times in counts.most_common(_SHOWN))
