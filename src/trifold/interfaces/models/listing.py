"""`trifold models list` and `show`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from trifold.interfaces.models.words import base_of, made_on, shown
from trifold.printable import printable
from trifold.task import Host

if TYPE_CHECKING:
    from trifold.models.folder import ModelFolder

__all__ = ["list_models", "show"]


@click.command(
    "list",
    epilog="""\b
Examples:
  trifold models list
  trifold models list --json""",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_models(host: Host, as_json: bool) -> None:
    """List the models of this machine, oldest version first."""
    from rich.table import Table

    from trifold.errors import TrifoldError
    from trifold.models.registry import listed

    found = list(listed())
    if as_json:
        host.print_json([_brief(m) if not isinstance(m, TrifoldError) else {"error": str(m)} for m in found])
        return
    table = Table("model", "task", "languages", "graphs", "size", "base", "made", box=None, pad_edge=False)
    for column in (table.columns[0], table.columns[6]):
        column.no_wrap = True
    for model in found:
        if isinstance(model, TrifoldError):
            host.err.print(f"[yellow]Warning:[/] {shown(str(model), 500)}")
            continue
        facts = _brief(model)
        table.add_row(
            facts["model"],
            shown(facts["task"]),
            shown(", ".join(facts["languages"])),
            shown(", ".join(facts["precisions"])),
            f"{facts['bytes'] / 1e6:,.0f} MB",
            shown(facts["base"] or ""),
            shown(facts["made"] or ""),
        )
    host.out.print(table)


@click.command(
    short_help="Show what a model is, and check its files.",
    epilog="""\b
Examples:
  trifold models show default
  trifold models show default@1 --json""",
)
@click.argument("model", default="default")
@click.option("--json", "as_json", is_flag=True, help="Print the model's trifold.json.")
@click.pass_obj
def show(host: Host, model: str, as_json: bool) -> None:
    """Show what MODEL is, where it comes from and how good it was found to be; checks its files."""
    from trifold.models.registry import find

    folder = find(model)
    folder.verify()
    if as_json:
        host.print_json(folder.manifest)
        return
    from rich.markdown import Markdown

    card = folder.path / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else f"# {folder.version}\n\nNo model card."
    body = printable(text.split("\n---\n", 1)[-1] if text.startswith("---\n") else text)
    width = min(100, shutil.get_terminal_size().columns)
    host.out.print(Markdown(body), width=width)
    files: Mapping[str, Any] = folder.manifest["files"]
    if "report.html" in files:
        host.out.print(f"\nBefore and after: {shown(str(folder.path / 'report.html'), 500)}", soft_wrap=True)
    host.out.print(f"\n[dim]{len(files)} files, all as they were made, in {shown(str(folder.path), 500)}[/]")


def _brief(model: ModelFolder) -> dict[str, Any]:
    files: Mapping[str, Any] = model.manifest["files"]
    return {
        "model": model.version,
        "task": model.task,
        "languages": [str(language) for language in _list(model.task_settings.get("languages"))],
        "precisions": [graph.precision for graph in model.graphs],
        "bytes": sum(facts["bytes"] for facts in files.values()),
        "base": base_of(model),
        "made": made_on(model),
        "path": str(model.path),
    }


def _list(value: object) -> list[object]:
    """What a task calls its languages is the task's own; only a list of them is shown."""
    return value if isinstance(value, list) else []
