"""What a model folder keeps beside its graph: names of phones, the scale of voices, how phones follow and last."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trifold.errors import ModelDamaged
from trifold.tasks.asr.decoding.following import Following
from trifold.tasks.asr.decoding.phones import BEAM, BigramSearch, PhoneSearch
from trifold.tasks.asr.matching.chains import Chain
from trifold.tasks.asr.refining.phones import STATES, phone_chain
from trifold.tasks.asr.refining.reheard import Search
from trifold.tasks.asr.sound.hearing import Hearing
from trifold.tasks.asr.sound.utterances import Scale

__all__ = ["DECODER", "GRAMS", "Decoder", "Usual"]

DECODER, GRAMS = "decoder.json", "grams.npz"
_FAR = 4.0
"""Standard deviations. Another voice of flite was 11 and more away; the worst of sixty recordings of the same, 2."""


@dataclass(frozen=True, slots=True)
class Usual:
    """How well the sounds of known voices fit: mean and standard deviation, over recordings, of the mean over frames of
    the best state's score."""

    mean: float
    spread: float

    @classmethod
    def of(cls, recordings: Iterable[Sequence[np.ndarray[Any, Any]]]) -> Usual:
        """recordings: scaled log p(frame | state) of their stretches, shape (frames, S) each."""
        fits = [_fit(stretches) for stretches in recordings]
        return cls(float(np.mean(fits)), max(float(np.std(fits)), 1e-3))

    def is_strange(self, stretches: Sequence[np.ndarray[Any, Any]]) -> bool:
        """Whether a recording is of another voice than those, or of no speech at all."""
        return _fit(stretches) < self.mean - _FAR * self.spread


def _fit(stretches: Sequence[np.ndarray[Any, Any]]) -> float:
    """The mean over frames of the score of the state that fits best."""
    return float(np.concatenate([scores.max(1) for scores in stretches]).mean())


@dataclass(frozen=True, slots=True)
class Decoder:
    """phones: by number, silence first. scale: of the recordings that were learnt from. stays: p(the same state again),
    shape (S,). bigrams: of the phones. grams: longer ones, where a text was there to count them. hearing: how those
    recordings were heard, and others must be. usual: how well the sounds of those recordings fit, None where it is not
    known.
    """

    phones: tuple[str, ...]
    scale: Scale
    stays: np.ndarray[tuple[int], np.dtype[np.float64]]
    bigrams: Chain
    grams: Following | None = None
    hearing: Hearing = field(default_factory=Hearing)
    usual: Usual | None = None

    def chain(self) -> Chain:
        """Of all states, as the graph scores them."""
        return phone_chain(self.stays, self.bigrams)

    def search(self, beam: int = BEAM) -> Search:
        """What finds the likeliest phones, with as many before each in mind as are known. beam: hypotheses that are
        kept; an exact search, of bigrams, keeps all."""
        if self.grams is None:
            return BigramSearch(self.bigrams, self.stays)
        return PhoneSearch(self.grams, self.stays, beam)

    def write(self, folder: Path) -> None:
        """Into a model's folder: `DECODER`, `GRAMS` where there are any, and what hearing needs."""
        (folder / DECODER).write_text(self._to_json(self.hearing.write(folder)), encoding="utf-8")
        if self.grams is not None:
            self.grams.write(folder / GRAMS)

    def _to_json(self, hearing: dict[str, Any]) -> str:
        return json.dumps(
            {
                "features": self.hearing.width,
                "grams": self.grams is not None,
                **({} if self.usual is None else {"usual": asdict(self.usual)}),
                **hearing,
                "phones": self.phones,
                "mean": self.scale.mean.tolist(),
                "spread": self.scale.spread.tolist(),
                "stays": self.stays.tolist(),
                "initial": self.bigrams.initial.tolist(),
                "following": self.bigrams.following.tolist(),
                "ends": self.bigrams.ends.tolist(),
            },
            ensure_ascii=False,
        )

    @classmethod
    def read(cls, folder: Path) -> Decoder:
        """Of a model's folder. Raises ModelDamaged for files that are not what is written, and as `Hearing.read`."""
        path = folder / DECODER
        try:
            known = dict(json.loads(path.read_bytes()))
            hearing = Hearing.read(known, folder)
            if known.get("features") != hearing.width:
                raise ValueError("made for other features, by another version of trifold; train it anew")
            phones = tuple(str(phone) for phone in known["phones"])
            arrays = {name: np.array(known[name], np.float64) for name in ("stays", "initial", "following", "ends")}
            scale = Scale(np.array(known["mean"], np.float32), np.array(known["spread"], np.float32))
            count = len(phones)
            shapes = {"stays": (count * STATES,), "initial": (count,), "following": (count, count), "ends": (count,)}
            fit = all(arrays[name].shape == shape for name, shape in shapes.items())
            if not fit or scale.mean.shape != (hearing.heard,) or scale.spread.shape != (hearing.heard,):
                raise ValueError("its parts do not fit together")
            usual = None if (told := known.get("usual")) is None else Usual(float(told["mean"]), float(told["spread"]))
            if "grams" not in known:
                raise ValueError("made by an earlier version of trifold; train it anew")
            grams = Following.read(path := folder / GRAMS, count) if known["grams"] else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelDamaged(f"{path}: not what a recogniser needs ({error}). Get the model again.") from None
        chain = Chain(arrays["initial"], arrays["following"], arrays["ends"])
        return cls(phones, scale, arrays["stays"], chain, grams, hearing, usual)
