"""A record of every scoring of a corpus: who scores often enough finds a model that is good by chance."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trifold.errors import UsageError
from trifold.jsontext import to_json
from trifold.tasks.asr.measuring.scoring import Score
from trifold.tasks.asr.transcripts import Transcript
from trifold.tasks.asr.writing.reading import transcript_files

__all__ = ["append_record", "named_models", "record"]


def record(
    result: Score,
    transcripts: Iterable[Transcript],
    hypotheses: Path,
    references: Path,
    *,
    split: str | None = None,
    fold: Path | None = None,
) -> dict[str, Any]:
    """One scoring in JSON types: the time (UTC), what was scored by what, and how it came out.

    sha256: of the file of hypotheses, or of the names and the contents of a folder's TextGrids. fold: the table's name,
    as rates of other phones do not compare.
    """
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "hypotheses": hypotheses.name,
        "sha256": _hash(hypotheses),
        "model": named_models(transcripts),
        "references": references.name,
        "split": split,
        "fold": None if fold is None else fold.name,
        "recordings": result.references,
        "without_hypothesis": len(result.without_hypothesis),
        "per": result.phones and result.phones.rate,
        "wer": result.words and result.words.rate,
        "boundary_f1": result.bounds and result.bounds.f1,
    }


def append_record(path: Path, entry: Mapping[str, Any]) -> None:
    """Add a line to a record, which is made where there is none. Raises UsageError where it cannot be written."""
    line = (to_json(dict(entry)) + "\n").encode()
    try:
        with path.open("ab", buffering=0) as file:
            file.write(line)
    except OSError as error:
        raise UsageError(
            f"{path}: the record cannot be written ({error.strerror}), so nothing is scored. Choose another place."
        ) from None


def named_models(transcripts: Iterable[Transcript]) -> str:
    """The models that made the transcripts, in the order of their names, parted by commas; "" where none is named."""
    return ", ".join(sorted({transcript.model for transcript in transcripts} - {""}))


def _hash(path: Path) -> str:
    if not path.is_dir():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    total = hashlib.sha256()
    for file in transcript_files(path):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        total.update(f"{file.relative_to(path).as_posix()}\0{digest}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()
