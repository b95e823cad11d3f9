"""`trifold evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trifold.jsontext import to_json
from trifold.task import Host
from trifold.tasks.qa.commands.options import always_option, json_option, model_option, precision_option

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["evaluate"]


@click.command(
    short_help="Measure a model on questions with known answers.",
    epilog="""\b
Examples:
  trifold evaluate squad-dev-v2.0.json.gz
  trifold evaluate mine.jsonl --model mine --json
  trifold evaluate squad-dev-v1.1.json.gz --always-answer --predictions predictions.json
  trifold evaluate multi-span-dev.jsonl.gz --several --top-k 3

\b
The predictions file maps each id to its text, as the official SQuAD script reads it; with --several to the
list of its texts, as the MultiSpanQA script does.""",
)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--limit", type=click.IntRange(min=1), help="So many rows, spread evenly over the file.")
@click.option("--predictions", type=click.Path(path_type=Path, dir_okay=False), help="Also write the answers here.")
@click.option(
    "--several/--one",
    default=None,
    help="All answers of a row are to be found, or one of them. [default: what the model is made for]",
)
@click.option(
    "--top-k", type=click.IntRange(min=1), help="So many answers at most. [default: what the model is made for]"
)
@always_option
@model_option
@precision_option
@json_option
@click.pass_obj
def evaluate(
    host: Host,
    data: Path,
    limit: int | None,
    predictions: Path | None,
    several: bool | None,
    top_k: int | None,
    always_answer: bool,
    model: str,
    precision: str | None,
    as_json: bool,
) -> None:
    """Measure a model on DATA: SQuAD JSON, or one question with its answers a line.

    Exact match and F1 are the official SQuAD ones; ECE tells how far scores are from the share that is right, AUROC
    how well they tell right from wrong, and coverage how many of the questions can be answered, surest first, with
    90 % of the answers right. Rows with several answers get span F1 (MultiSpanQA) and yes/no rows accuracy.
    """
    from trifold.tasks.qa.data.examples import read_examples
    from trifold.tasks.qa.data.textfiles import write_text
    from trifold.tasks.qa.measuring.evaluation import check_predictions, spread_over
    from trifold.tasks.qa.measuring.evaluation import evaluate as measure
    from trifold.tasks.qa.reader import load

    examples = spread_over(read_examples(data), limit)
    if predictions is not None:
        check_predictions(predictions, examples)
    reader = load(model, precision=precision)
    with host.progress("evaluate") as progress:
        result = measure(reader, examples, always_answer=always_answer, several=several, top_k=top_k, progress=progress)
    if predictions is not None:
        write_text(predictions, to_json(result.predictions(), indent=0) + "\n")
    if as_json:
        host.print_json(result.to_dict())
        return
    _print(host.out, result.to_dict())


def _print(console: Console, facts: Mapping[str, Any]) -> None:
    """The figures as a person reads them."""
    from rich.table import Table

    table = Table("", "questions", "exact", "F1", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for label, part in (("all", facts), ("has answer", facts["has_answer"]), ("no answer", facts["no_answer"])):
        if part["n"]:
            table.add_row(label, f"{part['n']:,}", f"{part['exact']:.2f}", f"{part['f1']:.2f}")
    console.print(table)
    for kind, part in facts.get("spans", {}).items():
        console.print(
            f"{kind} spans: precision {part['precision']:.2f}, recall {part['recall']:.2f}, F1 {part['f1']:.2f}"
        )
    if "verdict" in facts:
        part = facts["verdict"]
        console.print(
            f"yes or no: {part['n']:,} questions, accuracy {part['accuracy']:.2f}, "
            f"balanced {part['balanced_accuracy']:.2f}"
        )
    area = "not defined" if facts["auroc"] is None else f"{facts['auroc']:.3f}"
    console.print(
        f"\nscores: ECE {facts['ece']:.3f} (0 is best), AUROC {area} (1 is best)\n"
        f"coverage: {100 * facts['coverage_at_90']:.1f} % of the questions can be answered with 90 % right\n"
        f"{facts['model']}: {facts['questions_per_second']:.1f} questions a second"
    )
