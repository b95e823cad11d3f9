"""The words that question answering brings to the command line: ask, evaluate, check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from trifold.errors import InvalidInput
from trifold.jsontext import to_json
from trifold.task import Host, Limits

__all__ = ["ask", "check", "evaluate"]

_ALTERNATIVES = 3
_WORTH_SHOWING = 0.01
_ROWS_THAT_DO_NOT_FIT = 3

_model = click.option("--model", default="default", show_default=True, help="A name, name@version, or a model folder.")
_precision = click.option("--precision", help="Which graph to run: int8 or fp32. [default: the fastest sound]")
_always = click.option("--always-answer", is_flag=True, help="Answer even where the passage probably does not say.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command(
    short_help="Answer a question with a quotation from a passage.",
    epilog="""\b
Examples:
  trifold ask "Who wrote it?" --passage "The report was written by Ada Lovelace in 1843."
  trifold ask "What is the notice period?" --passage-file contract.txt --top-k 5
  pdftotext paper.pdf - | trifold ask "How many patients took part?" --passage-file - --json
  trifold ask "Who won?" --passage-file monday.txt --passage-file tuesday.txt""",
)
@click.argument("question")
@click.option("--passage", "passages", multiple=True, help="A passage. May be given several times.")
@click.option("--passage-file", "files", multiple=True, metavar="FILE", help="A text file, or - for standard input.")
@click.option("--top-k", type=int, help="How many answers at most. [default: 3 to read, 1 as JSON]")
@click.option("--max-answer-len", type=int, default=30, show_default=True, help="Longest answer, in tokens.")
@_always
@_model
@_precision
@_json
@click.pass_obj
def ask(
    host: Host,
    question: str,
    passages: tuple[str, ...],
    files: tuple[str, ...],
    top_k: int | None,
    max_answer_len: int,
    always_answer: bool,
    model: str,
    precision: str | None,
    as_json: bool,
) -> None:
    """Answer QUESTION with a quotation from the passage, or say that the passage does not say."""
    from trifold.tasks.qa.reader import load
    from trifold.tasks.qa.textfiles import read_text

    if not passages and not files:
        raise InvalidInput("expected a passage: give --passage TEXT or --passage-file FILE.")
    limit = Limits().text_bytes
    texts = [*passages, *(read_text(file, limit) for file in files)]
    reader = load(model, precision=precision)
    wanted = top_k if top_k is not None else (1 if as_json else _ALTERNATIVES)
    with host.progress("windows") as progress:
        # To read, the closest answer is shown even where the passage does not say.
        always = always_answer or not as_json
        reply = reader.ask(
            question, texts, top_k=wanted, always_answer=always, max_answer_len=max_answer_len, progress=progress
        )
    if as_json:
        host.print_json(reply.to_dict())
        return
    from trifold.tasks.qa.render import print_reply

    if top_k is None:
        kept = tuple(a for i, a in enumerate(reply.answers) if i == 0 or a.score >= _WORTH_SHOWING)
        reply = replace(reply, answers=kept)
    if always_answer or not reader.task.is_silent(reply.no_answer_score):
        print_reply(host.out, reply, texts)
    else:
        print_reply(host.out, replace(reply, answers=()), texts, closest=reply.answers[:1])


@click.command(
    short_help="Measure a model on questions with known answers.",
    epilog="""\b
Examples:
  trifold evaluate squad-dev-v2.0.json.gz
  trifold evaluate mine.jsonl --model mine --json
  trifold evaluate squad-dev-v1.1.json.gz --always-answer --predictions predictions.json

\b
The predictions file maps each id to its text, as the official SQuAD script reads it.""",
)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--limit", type=click.IntRange(min=1), help="So many rows, spread evenly over the file.")
@click.option("--predictions", type=click.Path(path_type=Path, dir_okay=False), help="Also write the answers here.")
@_always
@_model
@_precision
@_json
@click.pass_obj
def evaluate(
    host: Host,
    data: Path,
    limit: int | None,
    predictions: Path | None,
    always_answer: bool,
    model: str,
    precision: str | None,
    as_json: bool,
) -> None:
    """Measure a model on DATA: SQuAD JSON, or one question with its answers a line.

    Exact match and F1 are the official SQuAD ones; ECE tells how far scores are from the share that is right, AUROC
    how well they tell right from wrong.
    """
    from trifold.tasks.qa.data import read_examples
    from trifold.tasks.qa.evaluation import check_predictions, spread_over
    from trifold.tasks.qa.evaluation import evaluate as measure
    from trifold.tasks.qa.reader import load
    from trifold.tasks.qa.textfiles import write_text

    examples = spread_over(read_examples(data), limit)
    if predictions is not None:
        check_predictions(predictions, examples)
    reader = load(model, precision=precision)
    with host.progress("evaluate") as progress:
        result = measure(reader, examples, always_answer=always_answer, progress=progress)
    if predictions is not None:
        write_text(predictions, to_json(result.predictions(), indent=0) + "\n")
    if as_json:
        host.print_json(result.to_dict())
        return
    from trifold.tasks.qa.render import print_evaluation

    print_evaluation(host.out, result.to_dict())


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
@_json
@click.pass_obj
def check(host: Host, data: Path, repair: Path | None, as_json: bool) -> int:
    """Look through training data: every row that does not fit, why, and what should stand there."""
    from trifold.tasks.qa.survey import survey, write_repaired

    with host.progress("check") as progress:
        found = survey(data, progress)
    written = write_repaired(found, repair) if repair is not None else None
    if as_json:
        host.print_json({**found.to_dict(), "written": written})
    else:
        from trifold.tasks.qa.render import print_survey

        print_survey(host.out, data, found, repair, written)
    return _ROWS_THAT_DO_NOT_FIT if found.findings else 0
