"""Transcripts against references: errors of phones and words, and of where phones begin and end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trifold.errors import DataError
from trifold.tasks.asr.measuring.bounds import TOLERANCE, BoundaryScore, score_boundaries
from trifold.tasks.asr.measuring.errors import Errors, compare
from trifold.tasks.asr.measuring.references import Reference, composed, edges, is_silence
from trifold.tasks.asr.text.letters import words_of
from trifold.tasks.asr.transcripts import Transcript
from trifold.tasks.asr.writing.naming import recording_name

__all__ = ["Score", "score"]

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Score:
    """How far the transcripts of a corpus are from its references.

    references: how many recordings have one. phones: errors, silences left out; None where no reference has phones.
    speakers: the same for each speaker that the references name. words: None unless both sides have words. bounds:
    None unless references have times. without_hypothesis, without_reference: names of recordings; what has no
    hypothesis counts as deleted throughout, what has no reference does not count.
    """

    references: int
    phones: Errors | None
    speakers: Mapping[str, Errors]
    words: Errors | None
    bounds: BoundaryScore | None
    without_hypothesis: tuple[str, ...]
    without_reference: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """In JSON types. Rates are shares of 1 of the references' phones or words."""
        bounds = self.bounds
        return {
            "references": self.references,
            "without_hypothesis": list(self.without_hypothesis),
            "without_reference": list(self.without_reference),
            "per": self.phones and self.phones.rate,
            "phones": self.phones and _counts(self.phones),
            "speakers": {name: {"per": errors.rate, **_kinds(errors)} for name, errors in self.speakers.items()},
            "wer": self.words and self.words.rate,
            "words": self.words and _counts(self.words),
            "boundaries": bounds
            and {
                "f1": bounds.f1,
                "precision": bounds.precision,
                "recall": bounds.recall,
                "r_value": bounds.r_value,
                "wanted": bounds.wanted,
                "found": bounds.found,
                "matched": bounds.matched,
            },
        }


def score(
    transcripts: Sequence[Transcript],
    references: Sequence[Reference],
    *,
    folds: Mapping[str, str] | None = None,
    tolerance: float = TOLERANCE,
) -> Score:
    """Score transcripts by the references of the same recordings, which are told by their files' names.

    folds: phones and the phone that each counts as, on both sides; "" for none. tolerance: seconds that a boundary may
    be off. Raises DataError where two transcripts are of one recording or none has a reference, MissingExtra.
    """
    found = _by_name(transcripts)
    _check_matched(found, references)
    table = {} if folds is None else folds
    sides = [
        (reference.speaker, (said, _phones(found.get(reference.name), table)))
        for reference in references
        if (said := _folded(reference.phones, table))
    ]
    names = sorted({speaker for speaker, _ in sides if speaker})
    known = {reference.name for reference in references}
    return Score(
        references=len(references),
        phones=compare(pair for _, pair in sides) if sides else None,
        speakers={name: compare(pair for speaker, pair in sides if speaker == name) for name in names},
        words=_words(found, references),
        bounds=_bounds(found, references, tolerance),
        without_hypothesis=tuple(reference.name for reference in references if reference.name not in found),
        without_reference=tuple(name for name in found if name not in known),
    )


def _by_name(transcripts: Iterable[Transcript]) -> dict[str, Transcript]:
    found: dict[str, Transcript] = {}
    for transcript in transcripts:
        name = recording_name(transcript.audio)
        if name in found:
            raise DataError(
                f"{transcript.audio}: expected one transcript of each recording, found another of {found[name].audio}. "
                "Recordings are told by their files' names without the folder; keep one of the two."
            )
        found[name] = transcript
    return found


def _check_matched(found: Mapping[str, Transcript], references: Sequence[Reference]) -> None:
    if any(reference.name in found for reference in references):
        return
    heard, said = next(iter(found), "none"), references[0].name if references else "none"
    raise DataError(
        f"the references: expected some of the recordings that were transcribed (such as {heard!r:.80}), found only "
        f"others (such as {said!r:.80}). See that both are of the same corpus, and the split the right one."
    )


def _folded(phones: Iterable[str], folds: Mapping[str, str]) -> tuple[str, ...]:
    counted = (folds.get(phone, phone) for phone in map(composed, phones) if not is_silence(phone))
    return tuple(phone for phone in counted if phone)


def _phones(transcript: Transcript | None, folds: Mapping[str, str]) -> tuple[str, ...]:
    return () if transcript is None else _folded((phone.text for phone in transcript.phones), folds)


def _words(found: Mapping[str, Transcript], references: Sequence[Reference]) -> Errors | None:
    """Case and punctuation do not count. Where a corpus has words, a recording without one has missed them all."""
    said = {reference.name: words for reference in references if (words := words_of(reference.words or ""))}
    if not said or not any(transcript.words for transcript in found.values()):
        return None
    heard = {name: [w for word in transcript.words for w in words_of(word.text)] for name, transcript in found.items()}
    return compare((words, heard.get(name, [])) for name, words in said.items())


def _bounds(found: Mapping[str, Transcript], references: Sequence[Reference], tolerance: float) -> BoundaryScore | None:
    """Ends before pauses count only where the reference tells them, or those found would be wrong there."""
    timed = [(reference, reference.edges) for reference in references if reference.edges is not None]
    if not timed:
        return None
    pairs = []
    for reference, wanted in timed:
        transcript = found.get(reference.name)
        heard = () if transcript is None else transcript.phones
        spans = [(phone.start, phone.end) for phone in heard if not is_silence(phone.text)]
        pairs.append((wanted, edges(spans, ends=reference.ends)))
    return score_boundaries(pairs, tolerance)


def _kinds(errors: Errors) -> dict[str, int]:
    return {
        "length": errors.length,
        "substitutions": errors.confused.total(),
        "deletions": errors.deleted.total(),
        "insertions": errors.inserted.total(),
    }


def _counts(errors: Errors) -> dict[str, Any]:
    return {
        **_kinds(errors),
        "confused": [[said, heard, times] for (said, heard), times in errors.confused.most_common(_SHOWN)],
        "deleted": [list(pair) for pair in errors.deleted.most_common(_SHOWN)],
        "inserted": [list(pair) for pair in errors.inserted.most_common(_SHOWN)],
    }
