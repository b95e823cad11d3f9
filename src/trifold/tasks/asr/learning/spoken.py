"""A start from a synthesiser: phone models of what it was asked to say, brought over to the recordings' voices.

What the synthesiser says is far from how people speak, so the models are right about few frames at first. It is heard
as if through the recordings' microphone (`sound/acoustics`), and several voices are made alike (`learning/alike`); one
map brings the recordings' frames to the models (`refining/maps`), which stay where it leads: there the features of a
phone depend on each other less. Then the means move, all together first and each by itself afterwards
(`refining/adapted`), while the text says how often each phone is heard (`refining/balanced`) and what can follow what.
What is heard counts little at first.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from trifold.errors import DataError
from trifold.tasks.asr.learning.alike import made_alike
from trifold.tasks.asr.learning.reading import Report, Text, Warn
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.refining.adapted import drawn, moved_together
from trifold.tasks.asr.refining.balanced import Balance
from trifold.tasks.asr.refining.heard import hear, relearnt
from trifold.tasks.asr.refining.maps import Evidence, Map
from trifold.tasks.asr.refining.mixtures import Mixtures, Totals
from trifold.tasks.asr.refining.phones import STATES
from trifold.tasks.asr.refining.throats import Hear, Said, likeliest_map, throats
from trifold.tasks.asr.refining.told import Told, learn_told
from trifold.tasks.asr.sound.acoustics import Acoustics, Spectra, likened
from trifold.tasks.asr.sound.audio import Samples
from trifold.tasks.asr.sound.features import Frames
from trifold.tasks.asr.sound.hearing import Hearing
from trifold.tasks.asr.sound.utterances import Scale, Spoken, frames_of
from trifold.tasks.asr.speaking.people import is_of_people
from trifold.tasks.asr.speaking.spoken import Voice, aloud

__all__ = ["Aloud", "brought_over", "by_voices", "sample", "told_aloud"]

_MAPS = 6
"""Rounds in which the map of all frames is found."""
_TOGETHER = 4
"""Rounds in which all means of computed voices move together. The first round is at full scale, and says how many
phones there are."""
_COMPUTED = (1.0, *[0.25] * 11, *[0.5] * 3, *[1.0] * 3)
"""What is heard counts so much in each round after the map, as a share of what it will in the end: where the voices
were computed, few frames are right at first."""
_PEOPLES = (1.0, *[0.5] * 5, *[1.0] * 6)
"""The same where they were people's."""
_STRENGTH = 30.0
_FRAMES, _MAPPED, _LOOKED_AT = 60_000, 20_000, 5_000
"""Of the recordings, heard in each round, for the map, and for the length of the throat."""
_TRIED = 64
"""Sentences that tell what a voice sounds like."""
_APART = 1000
"""Between the seeds of one voice and the next."""


@dataclass(frozen=True, slots=True)
class Aloud:
    """voices: that read, each as much as the others. hearing: as of the recordings. acoustics: theirs, which what is
    read is given; None for as it is. scale: that they are heard on; None where no throat is looked for. phones: names
    by number, to warn of those that nobody says."""

    voices: Sequence[Voice]
    hearing: Hearing = field(default_factory=Hearing)
    acoustics: Acoustics | None = None
    scale: Scale | None = None
    phones: Sequence[str] = ()

    @property
    def people(self) -> bool:
        """Whether all voices were people's."""
        return all(is_of_people(voice.name) for voice in self.voices)

    @property
    def scales(self) -> Sequence[float]:
        """How much what is heard counts in each round after the map."""
        return _PEOPLES if self.people else _COMPUTED

    @property
    def rounds(self) -> int:
        """Models that `brought_over` gives: after the map, and after each round."""
        return 1 + len(self.scales)


def by_voices(
    recordings: Sequence[Frames],
    said: Aloud,
    text: Text,
    settings: LearningSettings,
    seed: int,
    report: Report,
    label: str,
    warn: Warn = lambda _: None,
) -> Told:
    """Models of the phones in the recordings' voices. recordings: frames of each one's speech."""
    found = told_aloud(said, text.symbols, settings, seed, report, label, warn)
    rounds = brought_over(found, recordings, said, text, settings.scale, seed)
    with report(f"{label}: to the recordings' voices") as progress:
        for done, one in enumerate(rounds, 1):
            found = one
            progress(done, said.rounds)
    return found


def told_aloud(
    said: Aloud,
    symbols: int,
    settings: LearningSettings,
    seed: int,
    report: Report,
    label: str,
    warn: Warn = lambda _: None,
) -> Told:
    """Models of the phones as the voices say them. warn: told of phones that none says.

    Raises DataError where nothing is said.
    """
    heard, phones, whose = [], [], []
    share = -(-settings.spoken // len(said.voices))
    count = sum(min(share, len(voice.lines)) for voice in said.voices)
    with report(f"{label}: reading aloud") as progress:
        for number, voice in enumerate(said.voices):
            # Each has sentences of its own.
            for one, line in _listened(voice, share, said, seed + _APART * number):
                heard.append(one)
                phones.append(line)
                whose.append(number)
                progress(min(len(heard), count), count)
        progress(count, count)
    # No phone is said in fewer frames than it has states.
    spoken = [
        (frames, line, voice)
        for frames, line, voice in zip(frames_of(heard), phones, whose, strict=True)
        if line and len(frames) >= STATES * len(line)
    ]
    if not spoken:
        names = ", ".join(voice.name for voice in said.voices)
        raise DataError(f"{names}: expected speech, found none in any sentence. Take other voices or mnemonics.")
    asked = {phone for voice in said.voices for line in voice.lines for phone in line.phones}
    if missing := asked.difference(*(line for _, line, _ in spoken)):
        named = " ".join(said.phones[one] if one < len(said.phones) else str(one) for one in sorted(missing))
        warn(f"{label}: no voice says {named} in full: such sounds are hardly found.")
    frames, lines = [one for one, _, _ in spoken], [line for _, line, _ in spoken]
    if len(said.voices) > 1:
        with report(f"{label}: making the voices alike") as progress:
            frames = made_alike(frames, lines, [voice for _, _, voice in spoken], symbols, progress)
    with report(f"{label}: models of what was read aloud") as progress:
        return learn_told(frames, lines, symbols, settings.components, progress)


def _listened(voice: Voice, count: int, said: Aloud, seed: int) -> Iterator[tuple[Spoken, tuple[int, ...]]]:
    """What is heard of so many lines that a voice reads, with their phones."""
    read = aloud(voice.lines, voice.name, count, seed)
    first = list(itertools.islice(read, _TRIED))
    own = Acoustics.of([Spectra.of(samples, said.hearing.speech(samples)) for samples, _ in first])
    chance = np.random.default_rng(seed)

    def through(samples: Samples) -> Spoken:
        if own is None or said.acoustics is None:
            return said.hearing.listened(samples)
        return said.hearing.listened(likened(samples, own, said.acoustics, chance), said.hearing.speech(samples))

    for samples, phones in itertools.chain(first, read):
        yield through(samples), phones


def brought_over(
    told: Told, recordings: Sequence[Frames], said: Aloud, text: Text, scale: float, seed: int
) -> Iterator[Told]:
    """The models after the map and after each round in which a random sample of the recordings is heard,
    `said.rounds` in all. scale: how much a frame's score counts beside the trigrams."""
    chosen = sample(recordings, _FRAMES, seed)
    told = replace(told, space=_likeliest(told, chosen, said, text, scale, seed))
    variance = told.seen(np.concatenate(chosen)).var(0).astype(np.float64)

    def each(sounds: Mixtures, totals: Totals) -> Mixtures:
        return drawn(sounds, totals, variance, _STRENGTH)

    told = replace(relearnt(told, text.following, chosen, scale, each).told, stays=told.stays)
    yield told
    balance: Balance | None = None
    together = 0 if said.people else _TOGETHER
    for number, share in enumerate(said.scales):
        following = text.following if balance is None else balance.on(text.following)
        found = relearnt(told, following, chosen, share * scale, moved_together if number < together else each)
        # Where sounds count little, their lengths are the text's alone: every phone would become short.
        told = found.told if share == 1.0 else replace(found.told, stays=told.stays)
        balance = Balance.of(text.sentences, found.heard) if balance is None else balance.after(found.heard)
        yield told


def _likeliest(told: Told, recordings: Sequence[Frames], said: Aloud, text: Text, scale: float, seed: int) -> Map:
    """The likeliest map of all frames, when the models hear the recordings through it."""
    width = told.sounds.means.shape[2]
    some = sample(recordings, _MAPPED, seed)

    def hears(some: Sequence[Frames]) -> Hear:
        return lambda now: _said(replace(told, space=now), text, some, scale)

    starts = [Map.none(width)]
    if said.scale is not None and said.hearing.encoder is None:
        starts = throats(said.scale.spread, width)
    few, every = hears(sample(some, _LOOKED_AT, seed)), hears(some)
    return likeliest_map(starts, few, every, told.sounds, scale, _MAPS)[1]


def _said(told: Told, text: Text, recordings: Sequence[Frames], scale: float) -> Said:
    """What is heard in the recordings through the models' map."""
    evidence, counts = Evidence.zero(told.sounds.means.shape[2]), np.zeros_like(told.sounds.weights)
    likelihood = 0.0
    for heard in hear(told, text.following, recordings, scale):
        likelihood += heard.likelihood
        for i, shares in zip(heard.indices, heard.shares, strict=True):
            each = told.sounds.components(told.seen(recordings[i]), shares)
            evidence.add(recordings[i], each, told.sounds)
            counts += each.sum(0)
    return Said(evidence, counts, likelihood)


def sample(recordings: Sequence[Frames], most: int, seed: int) -> list[Frames]:
    """A random sample of the recordings, of so many frames together, or all. recordings: shape (N, D) each."""
    found: list[Frames] = []
    count = 0
    for i in np.random.default_rng(seed).permutation(len(recordings)).tolist():
        if count >= most:
            break
        found.append(recordings[i])
        count += len(recordings[i])
    return found
