"""Models of phones, made better by what they hear themselves in all recordings, with the text's trigrams.

As the Kaldi rounds of wav2vec-U and Chen, Tsai, Lee & Lee (2019): from few distributions to more. Of all rounds the one
is kept whose phones look most like the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from trifold.tasks.asr.learning.reading import Report, Text
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.refining.heard import relearnt
from trifold.tasks.asr.refining.mixtures import Mixtures, Totals
from trifold.tasks.asr.refining.phones import PhoneModel
from trifold.tasks.asr.refining.told import Told
from trifold.tasks.asr.sound.features import Frames

__all__ = ["refined"]

_JUDGED_EVERY = 2
"""Rounds; reading takes longer than a round."""


def refined(
    told: Told,
    pieces: Sequence[Frames],
    text: Text,
    model: Callable[[Told], PhoneModel],
    settings: LearningSettings,
    consider: Callable[[str, PhoneModel], None],
    report: Report,
) -> None:
    """Tell `consider` of every second model on the way, and of the last.

    pieces: frames of the recordings. model: what reads them, made of what was learnt.
    """
    frames = told.seen(np.concatenate(pieces))
    mean, variance = frames.mean(0).astype(np.float64), frames.var(0).astype(np.float64)

    def estimate(_: Mixtures, totals: Totals) -> Mixtures:
        return totals.mixtures(mean, variance)

    for number in range(settings.refinements):
        if number % 2 and told.sounds.means.shape[1] < settings.components:
            told = replace(told, sounds=told.sounds.split(number))
        with report(f"hearing anew, {number + 1} of {settings.refinements}") as progress:
            told = relearnt(told, text.following, pieces, settings.scale, estimate, progress).told
        if number % _JUDGED_EVERY == _JUDGED_EVERY - 1 or number == settings.refinements - 1:
            consider(f"heard anew {number + 1}", model(told))
