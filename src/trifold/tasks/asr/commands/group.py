"""`trifold asr`."""

from __future__ import annotations

import click

from trifold.tasks.asr.commands.check import check
from trifold.tasks.asr.commands.repeats import repeats
from trifold.tasks.asr.commands.score import score
from trifold.tasks.asr.commands.train import train

__all__ = ["asr"]


@click.group(
    short_help="Learn to write down speech from recordings without transcripts.",
    epilog="""\b
Examples:
  trifold asr check --audio recordings --text stories.txt --letters letters.txt
  trifold asr train --audio recordings --text stories.txt --letters letters.txt --name mine
  trifold transcribe new.wav --model mine
  trifold asr score transcripts.jsonl references.tsv
  trifold asr repeats transcripts.jsonl""",
)
def asr() -> None:
    """Learn to write down a language from recordings that nobody transcribed, and text that nobody recorded."""


for _command in (check, train, score, repeats):
    asr.add_command(_command)
