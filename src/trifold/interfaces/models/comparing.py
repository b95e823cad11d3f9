"""`trifold models diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from trifold.interfaces.models.words import shown
from trifold.task import Host

if TYPE_CHECKING:
    from rich.console import Console

    from trifold.models.differences import Change, Differences, Figure, Measured

__all__ = ["diff"]

_LOWER_IS_BETTER = {"ece", "loss"}


@click.command(
    short_help="Show what differs between two versions.",
    epilog="""\b
Examples:
  trifold models diff default mine
  trifold models diff mine@1 mine@2
  trifold models diff mine@1 mine@2 --json""",
)
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def diff(host: Host, a: str, b: str, as_json: bool) -> None:
    """Show what differs between the versions A and B.

    Where they come from, how they were trained and are set, which files are the same, and their figures on the same
    data side by side. Both are read from their trifold.json; `trifold models show` checks the files too.
    """
    from trifold.models.differences import differences
    from trifold.models.registry import find

    found = differences(find(a), find(b))
    if as_json:
        host.print_json(found.to_dict())
        return
    _print_changes(host.out, found)
    _print_figures(host.out, found)
    _print_files(host.out, found)


def _print_changes(console: Console, found: Differences) -> None:
    from rich.table import Table

    if not found.changes:
        console.print(f"{found.a} and {found.b} were made and are set the same.")
        return
    table = Table("", found.a, found.b, box=None, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    last = None
    for change in found.changes:
        part, rest = _split(change.what)
        if rest and part != last:
            table.add_row(shown(part, 40))
        table.add_row(f"  {shown(rest, 80)}" if rest else shown(part, 40), *_sides(change))
        last = part
    console.print(table)


def _split(what: str) -> tuple[str, str]:
    """The part of the manifest that a path lies in, and the rest of it."""
    end = min((at for at in (what.find("."), what.find("[")) if at > 0), default=len(what))
    return what[:end], what[end:].removeprefix(".")


def _sides(change: Change) -> tuple[str, str]:
    return (
        "" if change.a is None else f"[red]{_brief(change.a)}[/]",
        "" if change.b is None else f"[green]{_brief(change.b)}[/]",
    )


def _brief(value: object) -> str:
    """A value; of a hash only the beginning."""
    hashed = isinstance(value, str) and len(value) in (40, 64) and not set(value) - set("0123456789abcdef")
    return shown(value, 13 if hashed else 120)


def _print_figures(console: Console, found: Differences) -> None:
    from rich.table import Table

    if not found.metrics:
        console.print("\nThere are no data on which both were measured.")
        return
    table = Table("measured on", found.a, found.b, "difference", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for measured in found.metrics:
        rows = [figure for figure in measured.figures if figure.difference != 0 or "." not in figure.name]
        table.add_row(_conditions(measured))
        for figure in rows:
            table.add_row(f"  {shown(figure.name, 40)}", *_values(figure), _difference(figure))
    console.print()
    console.print(table)
    if any(figure.difference is None for measured in found.metrics for figure in measured.figures):
        console.print("[dim]No difference is shown where the questions were not the same number.[/]")


def _conditions(measured: Measured) -> str:
    words = [key if value is True else value for key, value in measured.on.items() if value is not False]
    return shown(" ".join(str(word) for word in words), 80)


def _values(figure: Figure) -> tuple[str, str]:
    return _number(figure.a, figure), _number(figure.b, figure)


def _difference(figure: Figure) -> str:
    if figure.difference is None:
        return ""
    text = _number(figure.difference, figure)
    if figure.difference == 0:
        return f"[dim]{text}[/]"
    better = (figure.difference > 0) != (figure.name.split(".")[-1] in _LOWER_IS_BETTER)
    return f"[{'green' if better else 'red'}]{'+' if figure.difference > 0 else ''}{text}[/]"


def _number(value: float, figure: Figure) -> str:
    """Whole numbers as they are, percentages with two digits, shares with four."""
    if isinstance(figure.a, int) and isinstance(figure.b, int):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if max(abs(figure.a), abs(figure.b)) > 1 else f"{value:.4f}"


def _print_files(console: Console, found: Differences) -> None:
    labels = {"same": "the same", "changed": "changed", "only_a": f"only in {found.a}", "only_b": f"only in {found.b}"}
    console.print("\nfiles")
    for key, label in labels.items():
        if found.files[key]:
            console.print(f"  {label}: {shown(', '.join(found.files[key]), 600)}", soft_wrap=True)
