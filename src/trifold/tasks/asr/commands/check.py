"""`trifold asr check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trifold.task import Host
from trifold.tasks.asr.commands.options import json_option, read_text, text_options, vad_option

if TYPE_CHECKING:
    from rich.console import Console

    from trifold.tasks.asr.checking.finding import Finding
    from trifold.tasks.asr.checking.recordings import Recordings
    from trifold.tasks.asr.checking.wording import Wording
    from trifold.tasks.asr.sound.hearing import Activity

__all__ = ["check", "show_findings"]

_STOPPED = 2
_MARKS = {"stop": "[bold red]stop[/]", "warning": "[yellow]warning[/]", "note": "[cyan]note[/]"}


@click.command(
    short_help="Find what will go wrong before a model is trained.",
    epilog="""\b
Examples:
  trifold asr check --audio recordings/
  trifold asr check --audio recordings/ --text sentences.txt --letters letters.txt
  trifold asr check --audio recordings/ --text sentences.txt --espeak sw --json
  trifold asr check --audio fieldwork/ --vad silero

\b
Exit codes: 0 fit to learn from, perhaps with warnings, 2 not fit, or something cannot be read at all.""",
)
@click.option("--audio", type=click.Path(path_type=Path), required=True, help="The folder with the recordings.")
@text_options
@vad_option
@json_option
@click.pass_obj
def check(
    host: Host,
    audio: Path,
    text: Path | None,
    letters: Path | None,
    dictionary: Path | None,
    espeak: str | None,
    epitran: str | None,
    vad: Activity,
    as_json: bool,
) -> int:
    """Look through recordings and an unpaired text: whether speech can be learnt from them, and what stands against it.

    Nothing is changed. The text is one that nobody needs to have read aloud, a sentence or a word a line, in plain
    text; how it is pronounced is told by a table, a dictionary, a voice of espeak-ng or a language of epitran.
    """
    from trifold.tasks.asr.checking.findings import findings, fit
    from trifold.tasks.asr.checking.recordings import survey
    from trifold.tasks.asr.checking.wording import survey_text
    from trifold.tasks.asr.sound.audio import find_audio

    given = read_text(text, letters, dictionary, espeak, epitran)
    paths = find_audio(audio)
    wording = None if given is None else survey_text(*given)
    with host.progress("check") as progress:
        recordings = survey(paths, progress, activity=vad)
    found = findings(recordings, wording)
    if as_json:
        host.print_json(
            {
                "fit": fit(found),
                "findings": [asdict(finding) for finding in found],
                "audio": _audio_json(recordings),
                "text": wording and _text_json(wording),
            }
        )
    else:
        _print_counts(host.out, recordings, wording)
        show_findings(host.out, found)
        _print_verdict(host.out, found, fit(found))
    return 0 if fit(found) else _STOPPED


def _print_counts(console: Console, recordings: Recordings, wording: Wording | None) -> None:
    from rich.table import Table
    from rich.text import Text

    from trifold.printable import printable

    table = Table.grid(padding=(0, 2))
    for name, value in (*_audio_rows(recordings), *(_text_rows(wording) if wording else ())):
        table.add_row(name, Text(printable(value)))
    console.print(table)


def _audio_rows(recordings: Recordings) -> list[tuple[str, str]]:
    from trifold.tasks.asr.checking.finding import span

    count, pace = len(recordings.files), recordings.segments_a_second
    rows = [("recordings", f"{count:,}"), ("audio", span(recordings.seconds))]
    if recordings.unreadable:
        rows.append(("that cannot be read", f"{len(recordings.unreadable):,}"))
    if count:
        rates = Counter(f"{file.rate / 1000:g} kHz" for file in recordings.files)
        rows.append(("speech", f"{span(recordings.speech)} ({1 - recordings.silence:.0%})"))
        rows.append(("sounds a second", "none" if pace is None else f"{pace:.1f}, about as many as phones"))
        rows.append(("sample rates", ", ".join(f"{rate} ({times:,})" for rate, times in rates.most_common())))
    return rows


def _text_rows(wording: Wording) -> list[tuple[str, str]]:
    phones = () if wording.inventory is None else wording.inventory.phones[1:]
    used = f"{wording.usable / wording.sentences:.0%}" if wording.sentences else "none"
    rows = [
        ("sentences", f"{wording.sentences:,}"),
        ("  to be learnt from", f"{wording.usable:,} ({used})"),
        ("words", f"{wording.words:,}, {wording.vocabulary:,} different ones"),
    ]
    if wording.words:
        known = 1 - wording.unknown.total() / wording.words
        rows.append(("  that can be pronounced", f"{known:.1%}"))
    return [
        *rows,
        (
            "phones",
            f"{wording.phones:,}, {wording.phones_a_word:.1f} a word, {wording.phones_a_sentence:.0f} a sentence",
        ),
        ("inventory", f"{len(phones)}: {' '.join(phones)}" if phones else "none"),
    ]


def show_findings(console: Console, found: Sequence[Finding]) -> None:
    """Each with its remedy, coloured by its level."""
    from rich.padding import Padding
    from rich.text import Text

    from trifold.printable import printable

    for finding in found:
        console.print(f"\n{_MARKS[finding.level]}", end=" ")
        console.print(Text(printable(finding.what)))
        console.print(Padding(Text(printable(finding.remedy), style="dim"), (0, 0, 0, 4)))


def _print_verdict(console: Console, found: Sequence[Finding], is_fit: bool) -> None:
    if not is_fit:
        console.print("\n[bold red]Not fit to learn from.[/] Mend what stops it, then check again.")
    elif any(finding.level == "warning" for finding in found):
        console.print("\n[yellow]Fit to learn from, with warnings.[/]")
    else:
        console.print("\n[green]Fit to learn from.[/]")


def _audio_json(recordings: Recordings) -> dict[str, Any]:
    return {
        "seconds": recordings.seconds,
        "speech": recordings.speech,
        "silence": recordings.silence,
        "segments_a_second": recordings.segments_a_second,
        "files": [{**asdict(file), "path": str(file.path)} for file in recordings.files],
        "unreadable": [{"path": str(file.path), "why": file.why} for file in recordings.unreadable],
    }


def _text_json(wording: Wording) -> dict[str, Any]:
    inventory = wording.inventory
    return {
        **{field.name: getattr(wording, field.name) for field in fields(wording)},
        "inventory": inventory and {"phones": inventory.phones[1:], "rare": inventory.rare},
        "table": sorted(wording.table),
    }
