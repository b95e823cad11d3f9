"""`trifold batch`."""

from __future__ import annotations

import json
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from trifold.interfaces.console import Terminal

if TYPE_CHECKING:
    from rich.console import Console

    from trifold.jobs.order import Summary

__all__ = ["batch"]

_SOME_ROWS = 3
"""Exit code: done, with rows that could not be answered."""
_LONGEST_BAR = 30
_STANDARD_OUTPUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


@click.command(
    short_help="Answer every row of a file.",
    epilog="""\b
Examples:
  trifold batch questions.jsonl answers.jsonl
  trifold batch questions.csv answers.parquet --column question=frage --column passage=text
  trifold batch march/ april/ answers.csv.gz --keep customer --keep date
  trifold batch questions.jsonl answers.jsonl --resume
  trifold batch squad-dev-v2.0.json.gz predictions.json --format predictions
  trifold batch questions.jsonl answers.jsonl --set top_k=3 --set always_answer=true
  zcat questions.jsonl.gz | trifold batch - - > answers.jsonl

\b
A row has question and passage (or context), and id or else gets its number. Formats: JSON lines, CSV, TSV,
Parquet and SQuAD JSON, also compressed (gzip, bzip2, xz, zstandard); docs/batch.md has the columns.
Rows that cannot be answered go to the errors file, and the exit code is 3.""",
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.argument("output")
@click.option("--model", default="default", show_default=True, help="Name, name@version, folder or Hugging Face id.")
@click.option("--precision", type=click.Choice(["fp32", "int8"]), help="Use this graph rather than the fastest.")
@click.option("--resume", is_flag=True, help="Go on with a job that was interrupted.")
@click.option("--restart", is_flag=True, help="Throw away what an interrupted job has answered.")
@click.option("--errors", metavar="FILE", help="Rows that cannot be answered. [default: OUTPUT.errors.jsonl]")
@click.option("--max-errors", type=click.IntRange(min=0), metavar="N", help="Stop when more rows cannot be answered.")
@click.option("--column", "columns", multiple=True, metavar="FIELD=NAME", help="The column that holds a field.")
@click.option("--set", "options", multiple=True, metavar="NAME=VALUE", help="An option of every question.")
@click.option("--keep", multiple=True, metavar="NAME", help="Carry a column of the input through to the output.")
@click.option("--keep-all", is_flag=True, help="Carry all other columns through.")
@click.option("--input-format", type=click.Choice(["jsonl", "csv", "parquet", "json"]), help="[default: by content]")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["jsonl", "csv", "parquet", "predictions"]),
    help="predictions: one JSON object of id and answer, as the SQuAD script reads it. [default: by name]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_obj
def batch(
    terminal: Terminal,
    inputs: tuple[str, ...],
    output: str,
    model: str,
    precision: str | None,
    resume: bool,
    restart: bool,
    errors: str | None,
    max_errors: int | None,
    columns: tuple[str, ...],
    options: tuple[str, ...],
    keep: tuple[str, ...],
    keep_all: bool,
    input_format: str | None,
    output_format: str | None,
    as_json: bool,
) -> int:
    """Answer every row of INPUT (files, folders, or - for standard input) and write the answers to OUTPUT.

    The output has the order of the input and appears when it is complete. Until then the answers are kept in a folder
    beside it; after an interruption of any kind, --resume goes on and ends with the same bytes.
    """
    from trifold.interfaces.watching import BatchWatcher
    from trifold.jobs.batch import run
    from trifold.jobs.order import Order

    if resume and restart:
        raise click.UsageError("--resume and --restart exclude each other.")
    output = "-" if output in _STANDARD_OUTPUT else output
    if as_json and output == "-":
        raise click.UsageError("--json: the answers themselves go to standard output. Name a file for them.")
    order = Order(
        inputs=inputs,
        output=output,
        model=model,
        precision=precision,
        columns=dict(_pair("--column", text) for text in columns),
        options={name: _value(value) for name, value in (_pair("--set", text) for text in options)},
        keep=None if keep_all else keep,
        errors=errors,
        max_errors=max_errors,
        input_format=input_format,
        output_format=output_format,
    )
    with BatchWatcher(terminal.err) as watcher:
        try:
            summary = run(order, watcher, resume=resume, restart=restart)
        except KeyboardInterrupt:
            watcher.close()
            _say_how_to_go_on(terminal.err, output)
            raise
    if as_json:
        terminal.print_json(summary.to_dict())
    else:
        _print(terminal.out if output != "-" else terminal.err, summary)
    return _SOME_ROWS if summary.tally.failed else 0


def _pair(option: str, text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise click.UsageError(f"{option}: expected NAME=VALUE, found {text!r}.")
    return name, value


def _value(text: str) -> Any:
    """A number or true and false as such, anything else as the text it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _say_how_to_go_on(console: Console, output: str) -> None:
    if output == "-" or not os.path.isdir(f"{os.path.realpath(output)}.job"):  # noqa: PTH112 - as the job makes it
        return
    words = [word for word in sys.argv[1:] if word not in ("--resume", "--restart")]
    console.print("What was answered is kept. Go on with:", soft_wrap=True)
    console.print(f"  trifold {shlex.join([*words, '--resume'])}", soft_wrap=True, markup=False)


def _print(console: Console, summary: Summary) -> None:
    """The summary as a person reads it."""
    tally = summary.tally
    console.print(f"[bold]{tally.rows:,} rows[/bold] with {summary.model} in {_duration(summary.seconds)}", end="")
    console.print(f" ({summary.rows_per_second:,.1f} a second)", end="")
    console.print(f", {summary.resumed:,} of them before the interruption" if summary.resumed else "")
    for label, count, style in (
        ("answered", tally.answered, "green"),
        ("no answer", tally.silent, "yellow"),
        ("errors", tally.failed, "red" if tally.failed else "dim"),
    ):
        console.print(f"  {label:10} {count:>11,}  {100 * count / tally.rows:5.1f} %", style=style)
    if tally.rows - tally.failed > tally.computed:
        console.print(f"  [dim]{tally.rows - tally.failed - tally.computed:,} asked the same as another row[/dim]")
    if sum(tally.scores):
        console.print("\nscore")
        most = max(tally.scores)
        for number, count in enumerate(tally.scores):
            bar = "█" * round(_LONGEST_BAR * count / most)
            console.print(f"  {number / 10:.1f} to {(number + 1) / 10:.1f} {count:>11,}  [cyan]{bar}[/cyan]")
    for text, times in tally.warnings.items():
        console.print(f"[yellow]Warning:[/yellow] {times:,} rows: ", end="")
        console.print(text, markup=False, soft_wrap=True)
    console.print()
    if summary.output != "-":
        console.print("answers: ", end="")
        console.print(summary.output, markup=False, soft_wrap=True)
    if summary.errors is not None:
        console.print("errors:  ", end="")
        console.print(summary.errors, markup=False, soft_wrap=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"
