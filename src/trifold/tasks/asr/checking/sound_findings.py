"""What is wrong with recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trifold.tasks.asr.checking.finding import Finding, named, span
from trifold.tasks.asr.checking.recordings import Recording, Recordings, Unreadable

__all__ = ["sound_findings"]

_LEAST, _FEW = 5 * 60.0, 20 * 60.0
"""Seconds of speech under which nothing is learnt, and under which little is."""
_SHORTEST, _SHORT = 0.3, 1.0
"""Seconds of a recording too short for two sounds in a row, and for more than a word."""
_CLIPPED = 0.01
_LOWEST_RATE, _FULL_RATE = 8_000, 16_000
_MUCH_SILENCE = 0.6
_SLOWEST, _FASTEST = 5.0, 20.0
"""Segments in a second of speech: people make 8 to 15 phones, and the boundaries found are a few more or less."""


def sound_findings(found: Recordings) -> Iterator[Finding]:
    """Everything that is wrong with recordings, in no order."""
    unreadable = found.unreadable
    count = len(found.files) + len(unreadable)
    if not found.files:
        first = f" {unreadable[0].path.name}: {unreadable[0].why}" if unreadable else ""
        yield Finding(
            "stop",
            f"Not one of {_recordings(count)} can be read.{first}",
            "Convert them to .wav or .flac, 16 kHz or more.",
        )
        return
    if unreadable:
        yield Finding(
            "warning",
            f"{len(unreadable):,} of {_recordings(count)} cannot be read: {_named(found, unreadable)}.",
            "They are left out. Copy them again from where they came from, or remove them.",
        )
    if not found.spoken:
        yield Finding(
            "stop",
            f"Nobody speaks in any of {_recordings(len(found.files))}: all of it is silence.",
            "Listen to some. See that the right channel was recorded and that the files were not emptied on the way.",
        )
        return
    yield from _lengths(found)
    yield from _quality(found)
    yield from _pace(found)


def _lengths(found: Recordings) -> Iterator[Finding]:
    if found.speech < _FEW:
        both = f"{span(found.seconds)} of audio in all, {span(found.speech)} of it speech"
        if found.speech < _LEAST:
            yield Finding(
                "stop", f"{both}: too little to learn from.", "Add recordings: 20 minutes of speech, better an hour."
            )
        else:
            yield Finding(
                "warning", f"{both}: few runs succeed with so little.", "Add recordings, better up to an hour."
            )
    tiny = [file for file in found.files if file.seconds < _SHORTEST]
    if len(tiny) == len(found.files):
        yield Finding(
            "stop",
            f"Every recording is shorter than {_SHORTEST} seconds: sounds alone, without any that follow.",
            "What is learnt is which sound follows which. Give recordings of words or sentences, uncut.",
        )
        return
    if tiny:
        yield Finding(
            "warning",
            f"{len(tiny):,} of {_recordings(len(found.files))} are shorter than {_SHORTEST} seconds: "
            f"{_named(found, tiny)}.",
            "They teach nothing. Remove them, or give the recordings that they were cut from.",
        )
    if all(file.seconds < _SHORT for file in found.files):
        yield Finding(
            "warning",
            "Every recording is shorter than one second: single words at most.",
            "Give whole sentences where you have them; for words alone, let the text be a list of words too.",
        )


def _quality(found: Recordings) -> Iterator[Finding]:
    files = found.files
    if silent := [file for file in files if not file.speech]:
        yield Finding(
            "warning",
            f"Nobody speaks in {len(silent):,} of {_recordings(len(files))}: {_named(found, silent)}.",
            "They teach nothing. Listen to one, and remove them.",
        )
    if clipped := [file for file in files if file.clipped > _CLIPPED]:
        worst = max(file.clipped for file in clipped)
        yield Finding(
            "warning",
            f"{len(clipped):,} of {_recordings(len(files))} are clipped, up to {worst:.0%} of their samples: "
            f"{_named(found, clipped)}.",
            "Take them from the original at a lower level; what is lost does not come back by making them quieter.",
        )
    if low := [file for file in files if file.rate < _LOWEST_RATE]:
        yield Finding(
            "warning",
            f"{len(low):,} of {_recordings(len(files))} have fewer than {_LOWEST_RATE:,} samples a second: "
            f"{_named(found, low)}.",
            "Sounds such as s and f cannot be told apart in them. Take the originals, of 16,000 or more.",
        )
    if narrow := [file for file in files if _LOWEST_RATE <= file.rate < _FULL_RATE]:
        yield Finding(
            "note",
            f"{len(narrow):,} of {_recordings(len(files))} have fewer than {_FULL_RATE:,} samples a second.",
            "Take originals of 16,000 or more where there are any; do not mix both.",
        )
    if same := found.same:
        copies = [file for group in same for file in group[1:]]
        shown = f"{len(copies):,}, {_named(found, copies)}"
        if len(copies) == 1:
            shown = f"{_named(found, copies)} is {_named(found, same[0][:1])}"
        yield Finding(
            "warning",
            f"Copies among the recordings: {shown}.",
            "Remove the copies, which are counted as if somebody had said it again.",
        )


def _pace(found: Recordings) -> Iterator[Finding]:
    if found.silence > _MUCH_SILENCE:
        yield Finding(
            "note",
            f"{found.silence:.0%} of the audio is silence.",
            "It is cut away before learning. Where people do speak in it, they are too quiet beside the loudest.",
        )
    pace = found.segments_a_second
    if pace is not None and not _SLOWEST <= pace <= _FASTEST:
        yield Finding(
            "warning",
            f"{pace:.1f} sounds in a second of speech, where {_SLOWEST:.0f} to {_FASTEST:.0f} are expected.",
            "Listen to some: music, noise or an echo is taken for speech, or recordings play at a wrong speed.",
        )


def _named(found: Recordings, files: Sequence[Recording | Unreadable]) -> str:
    everything = [file.path for file in found.files] + [file.path for file in found.unreadable]
    return named([file.path for file in files], everything)


def _recordings(count: int) -> str:
    return f"{count:,} recording{'' if count == 1 else 's'}"
