"""Options that several commands of speech recognition share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from trifold.errors import UsageError

if TYPE_CHECKING:
    from trifold.tasks.asr.speaking.spoken import Narrator
    from trifold.tasks.asr.text.letters import Speller

__all__ = ["json_option", "narrators_of", "read_text", "text_options", "vad_option"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

vad_option = click.option(
    "--vad",
    type=click.Choice(["energy", "silero"]),
    default="energy",
    show_default=True,
    help="What finds speech; silero is a network that tells it from other noise. Needs the extra vad.",
)

_FILE = click.Path(path_type=Path)
_TEXT = (
    click.option("--text", type=_FILE, help="Sentences of the same language, one a line; not what is said."),
    click.option("--letters", type=_FILE, help="A letter-to-sound table: letters, a tab, their phones."),
    click.option("--dictionary", type=_FILE, help="A pronouncing dictionary: a word and its phones a line."),
    click.option("--espeak", metavar="VOICE", help="A voice of espeak-ng, such as sw, that pronounces the text."),
    click.option("--epitran", metavar="CODE", help="A language of epitran, such as swa-Latn, that does."),
)


def text_options(command: _Command) -> _Command:
    """The options text, letters, dictionary, espeak and epitran, each None where it is not given; see `read_text`."""
    for option in reversed(_TEXT):
        command = option(command)
    return command


def read_text(
    text: Path | None, letters: Path | None, dictionary: Path | None, espeak: str | None, epitran: str | None
) -> tuple[tuple[str, ...], Speller] | None:
    """The sentences that `text_options` name and what pronounces them; None where there is no text.

    Raises UsageError where it is not clear how to pronounce it, or there is no text to pronounce; DataError,
    MissingExtra.
    """
    from trifold.tasks.asr.text.reading import read_sentences, speller

    if text is None:
        if any(option is not None for option in (letters, dictionary, espeak, epitran)):
            raise UsageError("--text: expected a text to pronounce, found none. Name it, or leave out how to.")
        return None
    sounding = speller(letters, dictionary, espeak, epitran)
    return read_sentences(text), sounding


def narrators_of(speak: Sequence[str], mnemonics: Sequence[Path]) -> tuple[Narrator, ...]:
    """Who reads aloud. speak: names of voices, several with commas between. mnemonics: tables of what they are asked
    for, none, one for all of them, or one for each of `speak`.

    Raises UsageError where there are other numbers of them, DataError for tables that are none.
    """
    from trifold.tasks.asr.speaking.spoken import Narrator, read_mnemonics

    if mnemonics and not speak:
        raise UsageError("--mnemonics: expected a voice to say them, found none. Name one with --speak.")
    if len(mnemonics) not in (0, 1, len(speak)):
        raise UsageError(
            f"--mnemonics: expected one table, or one for each of {len(speak)} times --speak, found {len(mnemonics)}."
        )
    if any(not name.strip() for names in speak for name in names.split(",")):
        raise UsageError("--speak: expected names of voices with commas between, found an empty one.")
    read = [read_mnemonics(path) for path in mnemonics]
    tables = read if len(read) > 1 else [read[0] if read else None] * len(speak)
    return tuple(
        Narrator(name.strip(), table) for names, table in zip(speak, tables, strict=True) for name in names.split(",")
    )
