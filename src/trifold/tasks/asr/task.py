"""The task `asr`: a recording in, phones and words with their times out. No torch, but for transformers' encoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from trifold.errors import DataError, InvalidInput, ModelDamaged
from trifold.task import Arrays, Columns, Encoded, Limits, Unit
from trifold.tasks.asr.adapting.voices import Voice
from trifold.tasks.asr.decoder import Decoder
from trifold.tasks.asr.decoding.language import Language
from trifold.tasks.asr.decoding.words import WordSearch, words_of_segments
from trifold.tasks.asr.making.names import INPUT, OUTPUT
from trifold.tasks.asr.matching.chains import Chain, posteriors
from trifold.tasks.asr.refining.phones import STATES, Spoken, spoken_of
from trifold.tasks.asr.refining.reheard import Search
from trifold.tasks.asr.sound.audio import RATE, Samples, read_sound
from trifold.tasks.asr.sound.features import HOP, WINDOW, Frames
from trifold.tasks.asr.sound.utterances import parts_of, sounds
from trifold.tasks.asr.transcripts import Heard, Transcript

__all__ = ["LANGUAGE", "AsrTask", "Recording", "open_task"]

LANGUAGE = "language.json"
_CLIPPED = 0.01
_STRANGE = (
    "the voice is unlike those that the model learnt from, and much of what is read will be wrong; transcribe with "
    "--adapt, or train a model with recordings of it."
)
_STILL_STRANGE = (
    "the voice is unlike those that the model learnt from, even adapted to it, and much of what is read will be wrong; "
    "train a model with recordings of it."
)
_STRANGE_ALONE = (
    "the voice is unlike those that the model learnt from, it could not be adapted to, and much of what is read will "
    "be wrong; train a model with recordings of it."
)
_EXAMPLE = Path(__file__).parent / "silence.wav"
"""A raw request that fits must name a recording that is there."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """name: as it was given. samples: shape (n,), 16 kHz. clipped: share of samples at full scale."""

    name: str
    samples: Samples
    clipped: float


@dataclass(frozen=True, slots=True)
class _Memo:
    """firsts: the first frame of each unit in the recording. frames: of each, where the graph's scores of
    them are not right."""

    firsts: tuple[int, ...]
    frames: tuple[Frames, ...] = ()


class AsrTask:
    """One version of a recogniser; see `trifold.task.Task`."""

    name = "asr"

    def __init__(
        self,
        version: str,
        decoder: Decoder,
        language: Language | None,
        voices: Mapping[str, Voice] | None = None,
    ) -> None:
        """voices: that were adapted to, by the names of recordings; None where that was not asked for."""
        self.version = version
        self.decoder = decoder
        self.language = language
        self.voices = voices or MappingProxyType({})
        self._unknown = _STRANGE if voices is None else _STRANGE_ALONE
        self._chain: Chain = decoder.chain()
        self._phones = decoder.search()
        self._own: dict[int, tuple[Chain, Search]] = {}
        for voice in self.voices.values():
            if voice.reader is not None and id(voice) not in self._own:
                own = voice.reader.decoder
                self._own[id(voice)] = own.chain(), self._phones.lasting(own.stays)
        self._search = None if language is None else WordSearch(language.lexicon, language.following)

    def adapted(self, voices: Mapping[str, Voice]) -> AsrTask:
        """The same, for recordings of these voices."""
        return AsrTask(self.version, self.decoder, self.language, voices)

    def check(self, raw: Mapping[str, Any], limits: Limits) -> Recording:
        """raw: `audio`, the path of a recording. Raises InvalidInput for what is none, and where none may be named."""
        if not limits.files:
            raise InvalidInput(
                "audio: a server reads no files that its callers name.",
                "Transcribe where the recordings are: `trifold transcribe`, `trifold batch`.",
                field="audio",
            )
        path = raw.get("audio")
        if not isinstance(path, str) or not path.strip():
            raise InvalidInput("audio: expected the path of a recording.", "Name a .wav, .flac, .mp3 or .ogg file.")
        try:
            sound = read_sound(Path(path))
        except (DataError, ValueError) as error:
            raise InvalidInput(str(error), field="audio") from None
        return Recording(path, sound.samples, sound.clipped)

    def encode(self, request: Recording) -> Encoded:
        parts = parts_of(self.decoder.hearing.listened(request.samples), self.decoder.scale)
        frames = [sounds(part.frames) for part in parts]
        voice = self.voices.get(request.name)
        if voice is not None:
            frames = [voice.map.apply(one) for one in frames]
        own = () if voice is None or voice.reader is None else frames
        units = [Unit({INPUT: one}, len(one)) for one in frames]
        return Encoded(units, _Memo(tuple(part.first for part in parts), tuple(own)))

    def decode(self, request: Recording, memo: _Memo, outputs: Sequence[Arrays]) -> Transcript:
        phones: list[Heard] = []
        words: list[Heard] = []
        voice = self.voices.get(request.name)
        for i, (first, output) in enumerate(zip(memo.firsts, outputs, strict=True)):
            own = None if voice is None or not memo.frames else voice.scores(memo.frames[i])
            scores = np.asarray(output[OUTPUT] if own is None else own, np.float64)
            spoken, shares = self._read(scores, *self._own.get(id(voice), (self._chain, self._phones)))
            times = [(_seconds(first + one.first), _seconds(first + one.last)) for one in spoken]
            for one, (start, end), share in zip(spoken, times, shares, strict=True):
                if one.phone:
                    phones.append(Heard(self.decoder.phones[one.phone], start, end, float(share[one.phone])))
            if self._search is not None and spoken:
                words += words_of_segments(self._search, shares, times)
        seconds = len(request.samples) / RATE
        warnings = []
        if not outputs:
            warnings.append("no speech was found in the recording.")
        usual = self.decoder.usual
        # By the graph's scores: what moved to a voice by itself fits whatever it was.
        if outputs and usual is not None and usual.is_strange([output[OUTPUT] for output in outputs]):
            warnings.append(self._unknown if voice is None else _STILL_STRANGE)
        if request.clipped > _CLIPPED:
            warnings.append(f"{request.clipped:.0%} of the samples are clipped; record at a lower level.")
        return Transcript(
            request.name,
            seconds,
            _within(phones, seconds),
            _within(words, seconds),
            self.version,
            tuple(warnings),
            0.0 if voice is None else voice.frames * HOP / RATE,
        )

    def _read(
        self, scores: np.ndarray[Any, np.dtype[np.float64]], chain: Chain, search: Search
    ) -> tuple[list[Spoken], np.ndarray[Any, Any]]:
        """The likeliest phones of a stretch, and what each phone's share in each of them is: (phones, V)."""
        spoken = spoken_of(search.states(scores))
        gamma, _, _ = posteriors(chain, scores[None], np.array([len(scores)], np.int64))
        by_phone = gamma[0].reshape(len(scores), -1, STATES).sum(2)
        shares = np.stack([by_phone[one.first : one.last].mean(0) for one in spoken])
        return spoken, shares.astype(np.float32)

    def columns(self, options: Mapping[str, Any]) -> Columns:
        return Columns(
            request={"audio": ("audio", "path", "file")},
            needed=[("audio",)],
            options=(),
            example={"audio": str(_EXAMPLE)},
            reply={"phones": "text", "words": "text", "seconds": "number", "confidence": "number"},
            answer="phones",
            score="confidence",
        )

    def cells(self, reply: Transcript) -> Mapping[str, Any]:
        sure = [one.confidence for one in reply.phones]
        return {
            "phones": " ".join(one.text for one in reply.phones),
            "words": " ".join(one.text for one in reply.words),
            "seconds": reply.seconds,
            "confidence": float(np.mean(sure)) if sure else None,
            "warnings": reply.warnings,
        }

    def unnest(self, element: Any) -> None:
        """Rows are flat."""


def open_task(folder: Path, version: str) -> AsrTask:
    """Raises ModelDamaged when the folder lacks what a recogniser needs, and as `Decoder.read` does."""
    decoder = Decoder.read(folder)
    place = folder / LANGUAGE
    language = None
    if place.is_file():
        try:
            language = Language.from_json(place.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ModelDamaged(f"{place}: cannot be read ({error}). Get the model again.") from None
    return AsrTask(version, decoder, language)


def _seconds(frame: int) -> float:
    """When a frame begins: half a step before its middle."""
    return (frame * HOP + (WINDOW - HOP) / 2) / RATE


def _within(heard: Sequence[Heard], seconds: float) -> tuple[Heard, ...]:
    return tuple(Heard(one.text, one.start, min(one.end, seconds), one.confidence) for one in heard)
