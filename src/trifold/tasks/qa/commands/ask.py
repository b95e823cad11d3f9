"""`trifold ask`."""

from __future__ import annotations

from dataclasses import replace

import click

from trifold.errors import InvalidInput
from trifold.task import Host, Limits
from trifold.tasks.qa.commands.options import always_option, json_option, model_option, precision_option
from trifold.tasks.qa.records import LONGEST_ANSWER

__all__ = ["ask"]

_ALTERNATIVES = 3
_WORTH_SHOWING = 0.01


@click.command(
    short_help="Answer a question with a quotation from a passage.",
    epilog="""\b
Examples:
  trifold ask "Who wrote it?" --passage "The report was written by Ada Lovelace in 1843."
  trifold ask "What is the notice period?" --passage-file contract.pdf --top-k 5
  man rsync | trifold ask "Which option keeps modification times?" --passage-file - --json
  trifold ask "Who won?" --passage-file monday.txt --passage-file tuesday.txt""",
)
@click.argument("question")
@click.option("--passage", "passages", multiple=True, help="A passage. May be given several times.")
@click.option(
    "--passage-file",
    "files",
    multiple=True,
    metavar="FILE",
    help="Text, Markdown, HTML, PDF or Word; - for standard input.",
)
@click.option("--top-k", type=int, help="How many answers at most. [default: 3 to read, 1 as JSON; all, of several]")
@click.option(
    "--max-answer-len", type=int, default=LONGEST_ANSWER, show_default=True, help="Longest answer, in tokens."
)
@always_option
@model_option
@precision_option
@json_option
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
    from trifold.tasks.qa.commands.passage_files import read_passages
    from trifold.tasks.qa.reader import load

    if not passages and not files:
        raise InvalidInput("expected a passage: give --passage TEXT or --passage-file FILE.")
    texts = [*passages, *read_passages(files, Limits().text_bytes, host)]
    reader = load(model, precision=precision)
    ranks = reader.task.settings.answers == "one"
    wanted = _ALTERNATIVES if top_k is None and ranks and not as_json else top_k
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

    if top_k is None and ranks:
        kept = tuple(a for i, a in enumerate(reply.answers) if i == 0 or a.score >= _WORTH_SHOWING)
        reply = replace(reply, answers=kept)
    if always_answer or not reader.task.is_silent(reply.no_answer_score):
        print_reply(host.out, reply, texts, alternatives=ranks)
    else:
        print_reply(host.out, replace(reply, answers=(), verdict=None), texts, closest=reply.answers[:1])
