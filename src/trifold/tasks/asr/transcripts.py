"""What was heard in a recording: phones, and words where there is a lexicon, each with its time and confidence."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Heard", "Transcript"]


@dataclass(frozen=True, slots=True)
class Heard:
    """A phone or a word. start, end: seconds from the recording's beginning. confidence: from 0 to 1."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """One recording. audio: its name as it was given. seconds: how long it is.

    phones, words: in order, without overlap, silences left out; no words where the model has no lexicon. adapted:
    seconds of the voice's speech that the model was adapted to before it read, 0 where it was not.
    """

    audio: str
    seconds: float
    phones: tuple[Heard, ...]
    words: tuple[Heard, ...] = ()
    model: str = ""
    warnings: tuple[str, ...] = ()
    adapted: float = 0.0
