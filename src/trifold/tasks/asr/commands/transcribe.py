"""`trifold transcribe`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trifold.errors import UsageError
from trifold.task import Host

if TYPE_CHECKING:
    from trifold.engine.loaded import Loaded
    from trifold.tasks.asr.adapting.recordings import Together
    from trifold.tasks.asr.transcripts import Transcript

__all__ = ["transcribe"]

_TOLD = 3
"""Recordings that the same warning names; the others are counted."""


@click.command(
    short_help="Write down what is said in recordings.",
    epilog="""\b
Examples:
  trifold transcribe story.wav --model mine
  trifold transcribe recordings --model mine --format json --output transcripts.jsonl
  trifold transcribe recordings --model mine --format textgrid --output praat
  trifold transcribe speakers --model mine --adapt folder    # a folder for each speaker

\b
Exit codes: 0 done, 2 wrong usage, 3 done, but some recordings could not be read (they are named).""",
)
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", default="speech", show_default=True, help="A recogniser that `trifold asr train` made.")
@click.option(
    "--format", "form", type=click.Choice(["text", "tsv", "json", "textgrid"]), help="By default text, or by --output."
)
@click.option("--output", type=click.Path(path_type=Path), help="A file; for textgrid a folder.")
@click.option(
    "--adapt",
    type=click.Choice(["recording", "folder", "all"]),
    help="Adapt the model to voices that it does not know, before it reads; what is of one voice. Ten seconds do.",
)
@click.pass_obj
def transcribe(
    host: Host,
    audio: tuple[Path, ...],
    model: str,
    form: str | None,
    output: Path | None,
    adapt: Together | None,
) -> int:
    """Write down what is said in AUDIO, files or folders: phones, and words where the model knows any, with times."""
    from trifold.engine.loaded import open_model
    from trifold.engine.runner import Runner
    from trifold.errors import WrongTask
    from trifold.models.registry import find
    from trifold.printable import printable
    from trifold.tasks.asr.sound.audio import find_audio

    form = form or _by_suffix(output)
    if form == "textgrid" and output is None:
        raise UsageError("--output: expected a folder for the TextGrids. Name one.")
    paths = [path for place in audio for path in find_audio(place)]
    loaded = open_model(find(model))
    if loaded.task.name != "asr":
        raise WrongTask(
            f"{loaded.version} is a model for {loaded.task.name!r}, and transcribing needs one for 'asr'. "
            "`trifold asr train` makes one."
        )
    if adapt is not None:
        loaded = _adapted(host, loaded, paths, adapt)
    failed = 0

    def heard() -> Iterator[Transcript]:
        nonlocal failed
        told: Counter[str] = Counter()

        def say(warning: str) -> None:
            host.err.print(printable(warning), style="yellow", markup=False, highlight=False, soft_wrap=True)

        rows = ((path, {"audio": str(path)}) for path in paths)
        with host.progress("transcribing") as progress:
            for done, (path, reply) in enumerate(Runner(loaded).map(rows), 1):
                progress(done, len(paths))
                if isinstance(reply, Exception):
                    failed += 1
                    host.err.print(printable(str(reply)), style="red", markup=False, highlight=False, soft_wrap=True)
                else:
                    for warning in reply.warnings:
                        told[warning] += 1
                        if told[warning] <= _TOLD:
                            say(f"{path}: {warning}")
                    yield reply
        for warning, count in told.items():
            if count > _TOLD:
                say(f"{count - _TOLD:,} more: {warning}")

    _write(host, heard(), form, output)
    return 3 if failed else 0


def _adapted(host: Host, loaded: Loaded, paths: list[Path], together: Together) -> Loaded:
    from trifold.printable import printable
    from trifold.tasks.asr.adapting.recordings import adapted, voices
    from trifold.tasks.asr.adapting.voices import LEAST
    from trifold.tasks.asr.sound.audio import RATE
    from trifold.tasks.asr.sound.features import HOP

    with host.progress("adapting to the voices") as progress:
        found = adapted(loaded, voices(paths, together), progress)
    told = (
        (found.moved, "adapted to"),
        (found.fitting, "read as it is, as it fits or no map helps"),
        (found.short, f"less than {LEAST * HOP // RATE} s of speech, not adapted to"),
    )
    for names, what in told:
        if names:
            more = f" and {len(names) - _TOLD:,} more" if len(names) > _TOLD else ""
            line = f"{what}: {', '.join(names[:_TOLD])}{more}"
            host.err.print(printable(line), markup=False, highlight=False, soft_wrap=True)
    return found.loaded


def _by_suffix(output: Path | None) -> str:
    if output is None:
        return "text"
    return {".tsv": "tsv", ".json": "json", ".jsonl": "json", ".txt": "text"}.get(output.suffix.lower(), "textgrid")


def _write(host: Host, transcripts: Iterator[Transcript], form: str, output: Path | None) -> None:
    from trifold.tasks.asr.writing.jsonlines import json_line, write_jsonlines
    from trifold.tasks.asr.writing.textgrid import textgrid_paths, write_textgrid
    from trifold.tasks.asr.writing.tsv import tsv_lines, write_tsv

    if form == "textgrid" and output is not None:
        everything = list(transcripts)
        output.mkdir(parents=True, exist_ok=True)
        for one, path in zip(everything, textgrid_paths([t.audio for t in everything], output), strict=True):
            write_textgrid(one, path)
    elif output is not None and form == "tsv":
        write_tsv(transcripts, output)
    elif output is not None and form == "json":
        write_jsonlines(transcripts, output)
    elif output is not None:
        output.write_text("".join(f"{_line(one)}\n" for one in transcripts), encoding="utf-8")
    elif form == "tsv":
        for line in tsv_lines(transcripts):
            click.echo(line.rstrip("\n"))
    elif form == "json":
        for one in transcripts:
            click.echo(json_line(one).rstrip("\n"))
    else:
        for one in transcripts:
            _show(host, one)


def _line(one: Transcript) -> str:
    """A recording, a tab, and its words, or its phones where there are none."""
    return f"{one.audio}\t{' '.join(heard.text for heard in one.words or one.phones)}"


def _show(host: Host, one: Transcript) -> None:
    """As a person reads it: what is doubtful is dim."""
    from rich.text import Text

    from trifold.printable import printable

    line = Text(printable(Path(one.audio).name), style="bold cyan")
    for tier in (one.words, one.phones):
        if tier:
            line.append("\n  ")
            for heard in tier:
                style = "" if heard.confidence >= 0.8 else "yellow" if heard.confidence >= 0.5 else "dim"
                line.append(printable(heard.text) + " ", style=style)
    host.out.print(line, soft_wrap=True)
