"""What a small network hears that was trained on the user's own recordings (`pretraining`): run by ONNX Runtime.

The graph holds all of it, the scale of its input too, so that a model's folder is complete and torch is not needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trifold.engine.graph import Graph
from trifold.errors import EngineError, ModelDamaged
from trifold.tasks.asr.sound.activity import Stretch
from trifold.tasks.asr.sound.audio import Samples
from trifold.tasks.asr.sound.features import Frames, log_mel
from trifold.tasks.asr.sound.reduction import Reduction
from trifold.tasks.asr.sound.utterances import own_scale

__all__ = ["BANDS", "FEATURES", "MEAN", "MEL", "NAME", "OWN", "SPREAD", "Own", "evened"]

NAME = "own"
"""What `--encoder` and a model's folder call it."""
OWN = "encoder.onnx"
MEL, FEATURES, MEAN, SPREAD = "mel", "features", "mean", "spread"
"""The graph's input, (1, frames, bands), and its outputs: (1, frames, width), and speech's scale, (bands,) each."""
BANDS = 40
_AT_ONCE, _CONTEXT = 3000, 100
"""Frames whose features are kept of a window, at most, and that are heard with them on either side: more than the
network sees, so that windows leave no seam."""


@dataclass(frozen=True, slots=True)
class Own:
    """path: of the graph. identity: `own@sha256:hash`. width: of its features. mean, spread: of log-mel bands in all
    speech that it was trained on, shape (40,) each."""

    path: Path
    identity: str
    width: int
    mean: Frames = field(repr=False, compare=False)
    spread: Frames = field(repr=False, compare=False)
    _graph: Graph = field(repr=False, compare=False)
    _content: bytes = field(repr=False, compare=False)

    @classmethod
    def open(cls, path: Path) -> Own:
        """Raises ModelDamaged for a file that is missing or is no such graph."""
        if not path.is_file():
            raise ModelDamaged(f"{path}: expected the encoder that the model hears with, found none. Get it again.")
        graph, content = Graph(path), path.read_bytes()
        try:
            found = graph.run({MEL: np.zeros((1, 1, BANDS), np.float32)})
            mean, spread, features = found[MEAN], found[SPREAD], found[FEATURES]
            if mean.shape != (BANDS,) or spread.shape != (BANDS,) or features.shape[:2] != (1, 1) or features.ndim != 3:
                raise ValueError("its parts do not fit together")
            if not all(np.isfinite(one).all() for one in (mean, spread, features)) or not (spread > 0).all():
                raise ValueError("its numbers are none")
        except (EngineError, KeyError, ValueError) as error:
            raise ModelDamaged(f"{path}: not an encoder of speech ({error}). Get the model again.") from None
        identity = f"{NAME}@sha256:{hashlib.sha256(content).hexdigest()}"
        return cls(path, identity, int(features.shape[2]), mean, spread, graph, content)

    def frames(self, samples: Samples, stretches: Sequence[Stretch], reduction: Reduction | None = None) -> Frames:
        """Features as of the frames of `features.mfcc`, shape (frames, width), or that of the reduction.

        stretches: where there is speech, whose mean and variance the recording is heard by. Raises EngineError where
        they cannot be computed.
        """
        mel = evened(log_mel(samples), stretches, self.mean, self.spread)
        width = self.width if reduction is None else reduction.width
        parts = [one if reduction is None else reduction.apply(one) for one in self._windows(mel)]
        return np.concatenate(parts) if parts else np.zeros((0, width), np.float32)

    def _windows(self, mel: Frames) -> Iterator[Frames]:
        for first in range(0, len(mel), _AT_ONCE):
            begin, last = max(0, first - _CONTEXT), min(first + _AT_ONCE, len(mel))
            found = self._graph.run({MEL: mel[None, begin : last + _CONTEXT]})[FEATURES][0]
            yield found[first - begin : last - begin]

    def write(self, folder: Path) -> None:
        """Into a model's folder, as `OWN`: what was opened, whatever became of the file."""
        (folder / OWN).write_bytes(self._content)

    @classmethod
    def read(cls, folder: Path, identity: Any) -> Own:
        """Of a model's folder. Raises ModelDamaged for a file that is not the one that was written."""
        found = cls.open(folder / OWN)
        if found.identity != identity:
            raise ModelDamaged(
                f"{found.path}: expected the encoder {identity!s:.80}, which the model hears with, found "
                f"{found.identity}. Get the model again."
            )
        return found


def evened(mel: Frames, stretches: Sequence[Stretch], mean: Frames, spread: Frames) -> Frames:
    """A recording's log-mel bands on the scale that its own speech has, drawn to that of all."""
    frames = np.concatenate([mel[:0], *(mel[first:last] for first, last in stretches)]).astype(np.float64)
    centre, own = own_scale(frames, mean, spread)
    return np.asarray((mel - centre) / own, np.float32)
