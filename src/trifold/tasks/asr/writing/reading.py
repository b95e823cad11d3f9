"""Reads transcripts of any form that we write: a table, JSON lines, a TextGrid, or a folder of TextGrids."""

from __future__ import annotations

from pathlib import Path

from trifold.errors import DataError
from trifold.task import Progress, no_progress
from trifold.tasks.asr.plain import read_text
from trifold.tasks.asr.transcripts import Transcript
from trifold.tasks.asr.writing.jsonlines import read_jsonlines
from trifold.tasks.asr.writing.textgrid import SUFFIX, read_textgrid
from trifold.tasks.asr.writing.tsv import COLUMNS, read_tsv

__all__ = ["read_transcripts", "transcript_files"]


def read_transcripts(path: Path, progress: Progress = no_progress) -> list[Transcript]:
    """The transcripts of a file, whose form its content tells, or of the TextGrids in a folder and below it.

    Raises DataError where there is none, or something is none.
    """
    if path.is_dir():
        found = []
        files = transcript_files(path)
        for done, file in enumerate(files):
            progress(done, len(files))
            found.append(read_textgrid(file))
        return found
    text = read_text(path).lstrip()
    if text.startswith("{"):
        return read_jsonlines(path)
    if "ooTextFile" in text[:200]:
        return [read_textgrid(path)]
    if set(COLUMNS) & set(text.split("\n", 1)[0].split("\t")):
        return read_tsv(path)
    raise DataError(
        f"{path}: expected transcripts as `trifold transcribe` writes them: a table with the columns "
        f"{', '.join(COLUMNS)}, JSON lines, a TextGrid or a folder of TextGrids; found "
        f"{'something else' if text else 'an empty file'}."
    )


def transcript_files(path: Path) -> list[Path]:
    """The file itself, or the TextGrids in a folder and below it in the order of their names.

    Raises DataError for a folder without one.
    """
    if not path.is_dir():
        return [path]
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() == SUFFIX.lower() and not p.name.startswith("."))
    if not files:
        raise DataError(f"{path}: expected TextGrids in the folder, found none. Name the file with the transcripts.")
    return files
