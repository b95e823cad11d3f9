"""What a model folder keeps beside its graph: names of phones, the scale of voices, how phones follow and last."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from trifold.errors import ModelDamaged
from trifold.tasks.asr.matching.chains import Chain
from trifold.tasks.asr.refining.paths import STATES, Trigrams
from trifold.tasks.asr.refining.phones import phone_chain
from trifold.tasks.asr.sound.hearing import Hearing
from trifold.tasks.asr.sound.utterances import Scale

__all__ = ["DECODER", "TRIGRAMS", "Decoder"]

DECODER, TRIGRAMS = "decoder.json", "trigrams.npz"


@dataclass(frozen=True, slots=True)
class Decoder:
    """phones: by number, silence first. scale: of the recordings that were learnt from. stays: p(the same state again),
    shape (S,). bigrams: of the phones. trigrams: theirs too, where a text was there to count them. hearing: how those
    recordings were heard, and others must be."""

    phones: tuple[str, ...]
    scale: Scale
    stays: np.ndarray[tuple[int], np.dtype[np.float64]]
    bigrams: Chain
    trigrams: Trigrams | None = None
    hearing: Hearing = field(default_factory=Hearing)

    def chain(self) -> Chain:
        """Of all states, as the graph scores them."""
        return phone_chain(self.stays, self.bigrams)

    def write(self, folder: Path) -> None:
        """Into a model's folder: `DECODER`, `TRIGRAMS` where there are any, and what hearing needs."""
        (folder / DECODER).write_text(self._to_json(self.hearing.write(folder)), encoding="utf-8")
        if self.trigrams is not None:
            parts = asdict(self.trigrams)
            with (folder / TRIGRAMS).open("wb") as file:
                np.savez_compressed(file, **{name: part.astype(np.float16) for name, part in parts.items()})

    def _to_json(self, hearing: dict[str, Any]) -> str:
        return json.dumps(
            {
                "features": self.hearing.width,
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
            trigrams = _trigrams(path := folder / TRIGRAMS, count)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, EOFError, BadZipFile) as error:
            raise ModelDamaged(f"{path}: not what a recogniser needs ({error}). Get the model again.") from None
        chain = Chain(arrays["initial"], arrays["following"], arrays["ends"])
        return cls(phones, scale, arrays["stays"], chain, trigrams, hearing)


def _trigrams(path: Path, count: int) -> Trigrams | None:
    if not path.is_file():
        return None
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        parts = {name: file[name].astype(np.float32) for name in ("first", "after", "ends")}
    shapes = {"first": (count,), "after": (count, count, count + 1), "ends": (count, count + 1)}
    if any(part.shape != shapes[name] for name, part in parts.items()):
        raise ValueError("its parts do not fit together")
    return Trigrams(**parts)
