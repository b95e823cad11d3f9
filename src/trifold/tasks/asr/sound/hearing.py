"""How recordings are heard: what finds speech in them, and what its sounds are told by. The same in training and after.

A model's folder says how its recordings were heard, as other cuts and other features make another model's sounds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np

from trifold.errors import MissingExtra, ModelDamaged, ModelNotFound, UsageError
from trifold.task import Progress, no_progress
from trifold.tasks.asr.sound import activity as energy
from trifold.tasks.asr.sound import silero
from trifold.tasks.asr.sound.activity import Stretch
from trifold.tasks.asr.sound.audio import RATE, Samples
from trifold.tasks.asr.sound.encoders import Encoder
from trifold.tasks.asr.sound.features import mfcc, with_deltas
from trifold.tasks.asr.sound.own import NAME, Own
from trifold.tasks.asr.sound.reduction import Reduction
from trifold.tasks.asr.sound.utterances import CEPSTRA, Spoken, features_of

__all__ = ["Activity", "Hearing"]

Activity: TypeAlias = Literal["energy", "silero"]

_SHORTEST = 6
_LONGEST = 3000
"""Frames of one part: longer stretches are cut, so that work and memory stay bounded."""
_FEATURES = 39
"""Of cepstra (`utterances.sounds`)."""
_ALONE, _BESIDE = 64, 24
"""Principal components of features that are heard instead of cepstra, and beside them."""
_FITTED, _OF_ONE = 100_000, 300 * RATE
"""Frames of speech that principal components are fitted to, and samples of one recording that they may be of."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """activity: what finds speech, its energy or the network of silero-vad. encoder: whose features are heard; cepstra
    then only say where sounds begin and end, but for an encoder of one's own, whose features are heard beside them.
    reduction: of these features; None until it is fitted."""

    activity: Activity = "energy"
    encoder: Encoder | Own | None = None
    reduction: Reduction | None = None

    @classmethod
    def open(cls, activity: Activity = "energy", encoder: str | None = None, layer: int | None = None) -> Hearing:
        """encoder, layer: as of `Encoder.open`. Raises what that raises, and as `silero.speech`."""
        if activity == "silero":
            silero.speech(np.zeros(0, np.float32))  # what is missing is told before work begins
        return cls(activity, None if encoder is None else Encoder.open(encoder, layer))

    @property
    def width(self) -> int:
        """How many numbers a frame of `utterances.sounds` has."""
        if self.encoder is None:
            return _FEATURES
        width = self.encoder.width if self.reduction is None else self.reduction.width
        return width + _FEATURES if isinstance(self.encoder, Own) else width

    @property
    def heard(self) -> int:
        """How many a frame of what is `listened` to has."""
        return CEPSTRA if self.encoder is None else CEPSTRA + self.width

    def speech(self, samples: Samples) -> list[Stretch]:
        """The stretches in which there is speech, in frames, in order and apart; none in silence."""
        return silero.speech(samples) if self.activity == "silero" else energy.speech(samples)

    def listened(self, samples: Samples, speech: Sequence[Stretch] | None = None) -> Spoken:
        """What is heard in a recording, and its stretches of speech, none in silence. speech: where that is known."""
        heard = mfcc(samples)
        found: list[Stretch] = []
        for first, last in self.speech(samples) if speech is None else speech:
            last = min(last, len(heard))
            pieces = max(1, -(-(last - first) // _LONGEST))
            edges = np.linspace(first, last, pieces + 1).astype(int).tolist()
            found += [(a, b) for a, b in itertools.pairwise(edges) if b - a >= _SHORTEST]
        if isinstance(self.encoder, Own):
            own = self.encoder.frames(samples, found, self.reduction)
            heard = np.concatenate([heard, own, with_deltas(heard)], 1)
        elif self.encoder is not None:
            heard = np.concatenate([heard, self.encoder.frames(samples, self.reduction)], 1)
        return Spoken(heard, tuple(found))

    def fitted(self, recordings: Iterable[Samples], progress: Progress = no_progress) -> Hearing:
        """With the principal components of the speech in recordings, which are read until there is enough of it.

        recordings: in a random order. Without an encoder nothing is read. Raises DataError where there is no speech.
        """
        encoder = self.encoder
        if encoder is None:
            return self
        whole = replace(self, reduction=None)

        def speech() -> Iterable[Any]:
            count = 0
            for samples in recordings:
                frames = features_of(whole.listened(samples[:_OF_ONE]).frames())[:, : encoder.width]
                yield frames
                count += len(frames)
                progress(min(count, _FITTED), _FITTED)
                if count >= _FITTED:
                    return

        return replace(self, reduction=Reduction.fit(speech(), _BESIDE if isinstance(encoder, Own) else _ALONE))

    def facts(self) -> dict[str, Any]:
        """As a model's manifest tells it."""
        found: dict[str, Any] = {"activity": silero.identity() if self.activity == "silero" else self.activity}
        if self.encoder is not None:
            found["encoder"] = self.encoder.identity
        if isinstance(self.encoder, Encoder):
            found["layer"] = self.encoder.layer
        return {**found, "width": self.width}

    def write(self, folder: Path) -> dict[str, Any]:
        """What `read` reads again; the reduction is put into the folder, and an encoder of one's own."""
        if self.encoder is None:
            return {"activity": self.activity}
        if self.reduction is not None:
            self.reduction.write(folder)
        if isinstance(self.encoder, Own):
            self.encoder.write(folder)
            return {"activity": self.activity, "encoder": {"name": NAME, "identity": self.encoder.identity}}
        encoder = {"name": self.encoder.name, "identity": self.encoder.identity, "layer": self.encoder.layer}
        return {"activity": self.activity, "encoder": encoder}

    @classmethod
    def read(cls, known: Mapping[str, Any], folder: Path) -> Hearing:
        """Of a model's folder. Raises ValueError, KeyError or TypeError for what `write` did not give.

        Raises MissingExtra for packages that are not installed, ModelNotFound where the encoder is not to be had,
        ModelDamaged where it is not the one that the model was trained with.
        """
        activity = known.get("activity", "energy")
        if activity not in get_args(Activity):
            raise ValueError(f"expected energy or silero as its activity, found {activity!r:.40}")
        found = cls.open(cast(Activity, activity))
        if (encoder := known.get("encoder")) is None:
            return found
        reduction = Reduction.read(folder)
        again = Own.read(folder, encoder["identity"]) if encoder["name"] == NAME else _again(encoder, folder)
        if reduction.mean.shape != (again.width,):
            raise ValueError(f"expected principal components of {again.width} features, found {len(reduction.mean)}")
        return replace(found, encoder=again, reduction=reduction)


def _again(known: Mapping[str, Any], folder: Path) -> Encoder:
    """The encoder that a model was trained with, where it is not in the model."""
    name, identity, layer = known["name"], known["identity"], known["layer"]
    if not isinstance(name, str) or not isinstance(identity, str) or type(layer) is not int:
        raise ValueError("its encoder is not told by a name, an identity and a layer")
    told = f"{folder}: expected the encoder {identity}, which it hears with, at {name}"
    try:
        found = Encoder.open(name, layer)
    except MissingExtra:
        raise
    except ModelNotFound as error:
        raise ModelNotFound(f"{told}, found none. Put it there, or train anew. ({error})") from None
    except UsageError as error:
        raise ModelDamaged(f"{told}, found what cannot be used. Put it back, or train anew. ({error})") from None
    if found.identity != identity:
        raise ModelDamaged(f"{told}, found {found.identity}. Put back its weights, or train anew.")
    return found
