"""What a model folder keeps beside its graph: names of phones, the scale of voices, how phones follow and last."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trifold.errors import ModelDamaged
from trifold.tasks.asr.matching.chains import Chain
from trifold.tasks.asr.refining.phones import STATES, phone_chain
from trifold.tasks.asr.sound.utterances import Scale

__all__ = ["DECODER", "Decoder"]

DECODER = "decoder.json"


@dataclass(frozen=True, slots=True)
class Decoder:
    """phones: by number, silence first. scale: of the recordings that were learnt from. stays: p(the same state again),
    shape (S,). bigrams: of the phones."""

    phones: tuple[str, ...]
    scale: Scale
    stays: np.ndarray[tuple[int], np.dtype[np.float64]]
    bigrams: Chain

    def chain(self) -> Chain:
        """Of all states, as the graph scores them."""
        return phone_chain(self.stays, self.bigrams)

    def to_json(self) -> str:
        return json.dumps(
            {
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
    def read(cls, path: Path) -> Decoder:
        """Raises ModelDamaged for a file that is not one of these."""
        try:
            known = json.loads(path.read_bytes())
            phones = tuple(str(phone) for phone in known["phones"])
            arrays = {name: np.array(known[name], np.float64) for name in ("stays", "initial", "following", "ends")}
            scale = Scale(np.array(known["mean"], np.float32), np.array(known["spread"], np.float32))
            count = len(phones)
            shapes = {"stays": (count * STATES,), "initial": (count,), "following": (count, count), "ends": (count,)}
            if any(arrays[name].shape != shape for name, shape in shapes.items()) or scale.mean.shape != (13,):
                raise ValueError("its parts do not fit together")
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelDamaged(f"{path}: not what a recogniser needs ({error}). Get the model again.") from None
        return cls(phones, scale, arrays["stays"], Chain(arrays["initial"], arrays["following"], arrays["ends"]))
