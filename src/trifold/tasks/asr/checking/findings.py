"""Everything that is wrong with recordings and a text, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median

from trifold.tasks.asr.checking.finding import Finding
from trifold.tasks.asr.checking.recordings import Recordings
from trifold.tasks.asr.checking.sound_findings import sound_findings
from trifold.tasks.asr.checking.text_findings import text_findings
from trifold.tasks.asr.checking.wording import Wording

__all__ = ["Finding", "findings", "fit"]

_ORDER = {"stop": 0, "warning": 1, "note": 2}
_APART = 3.0
"""How many times as long sentences may be as recordings, or the other way round."""


def findings(recordings: Recordings, wording: Wording | None) -> list[Finding]:
    """What is wrong, the worst first. wording: None where there is no text."""
    found = list(sound_findings(recordings))
    if wording is None:
        found.append(
            Finding(
                "note",
                "There is no text: units of sound can be found, but not which phones they are.",
                "Give a text of the same language and what tells how it is pronounced.",
            )
        )
    else:
        found += text_findings(wording)
        found += _together(recordings, wording)
    return sorted(found, key=lambda finding: _ORDER[finding.level])


def fit(found: Iterable[Finding]) -> bool:
    """Whether there is anything to learn: nothing stops it."""
    return all(finding.level != "stop" for finding in found)


def _together(recordings: Recordings, wording: Wording) -> Iterator[Finding]:
    pace, written = recordings.segments_a_second, wording.phones_a_sentence
    if pace is None or not written:
        return
    said = median(pace * file.speech for file in recordings.spoken)
    if 1 / _APART <= said / written <= _APART:
        return
    longer, remedy = (
        ("recordings are longer", "Cut the recordings at their pauses, or give whole sentences as the text.")
        if said > written
        else ("sentences are longer", "Write one sentence a line, or words where the recordings are words.")
    )
    yield Finding(
        "warning",
        f"The middle recording has {said:.0f} sounds, the middle sentence {written:.0f} phones: {longer}, and what is "
        "learnt from how sounds follow each other will not agree.",
        remedy,
    )
