"""How a training's recordings are heard: an encoder trained on them where that is asked for, and features fitted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from trifold.errors import ModelDamaged
from trifold.models.registry import home
from trifold.tasks.asr.learning.reading import Report
from trifold.tasks.asr.pretraining.material import Heard, Material
from trifold.tasks.asr.pretraining.pretrain import pretrained
from trifold.tasks.asr.pretraining.settings import OwnSettings
from trifold.tasks.asr.sound.audio import read_sound
from trifold.tasks.asr.sound.hearing import Hearing
from trifold.tasks.asr.sound.own import OWN, Own

__all__ = ["fitted", "own_encoder", "work_of"]


def own_encoder(
    hearing: Hearing, paths: Sequence[Path], settings: OwnSettings, seed: int, report: Report, *, resume: bool
) -> Hearing:
    """With an encoder that is trained on a random part of the recordings, or was by a run that did not end.

    It lies in the folder of work until the model is made.
    """
    mixed = _mixed(paths, seed)
    digest = hashlib.sha256()

    with report("listening for what to train an encoder on") as progress:

        def heard() -> Iterator[Heard]:
            for done, path in enumerate(mixed, 1):
                samples = read_sound(path).samples
                digest.update(hashlib.sha256(samples.tobytes()).digest())
                yield samples, hearing.speech(samples)
                progress(done, len(mixed))

        material = Material.of(heard(), settings, seed)
    known = json.dumps([digest.hexdigest(), hearing.facts(), asdict(settings), seed])
    folder = home() / "asr-work" / f"own-{hashlib.sha256(known.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / OWN
    if resume and place.is_file():
        with suppress(ModelDamaged):  # one that a full disk cut is trained anew
            return replace(hearing, encoder=Own.open(place))
    with report("training an encoder on the recordings") as progress:
        return replace(hearing, encoder=pretrained(material, settings, place, seed=seed, progress=progress))


def work_of(hearing: Hearing) -> Path:
    """The folder of work that `own_encoder` put its encoder into."""
    assert isinstance(hearing.encoder, Own)
    return hearing.encoder.path.parent


def fitted(hearing: Hearing, paths: Sequence[Path], seed: int, report: Report) -> Hearing:
    """Fitted to a random sample of the recordings where it has an encoder."""
    if hearing.encoder is None:
        return hearing
    with report("fitting the encoder's features") as progress:
        return hearing.fitted((read_sound(path).samples for path in _mixed(paths, seed)), progress)


def _mixed(paths: Sequence[Path], seed: int) -> list[Path]:
    return [paths[i] for i in np.random.default_rng(seed).permutation(len(paths)).tolist()]
