"""What may be chosen of training an encoder on one's own recordings."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OwnSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSettings:
    """Chosen by what models reach with it where transcripts are read; see docs/decisions.md.

    width: of its layers. dilations: frames from one that each layer sees to the next, of three. features: of its last
    layer, which are heard. clusters: of cepstra, what it learns to tell. most: frames of speech that it is trained on,
    a random part of the recordings where they have more. passes: over them. fewest: steps at least. stretch, batch:
    frames of a piece, and pieces in a step. begins, span: share of frames where a mask begins, and how many it hides on
    average. hidden: weight of the loss there, beside that of the frames that are seen. warp: how far frequencies are
    moved, as the logarithm of a factor. tilt: how far the colour of the microphone is. rate: of AdamW.
    """

    width: int = 256
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16)
    features: int = 64
    clusters: int = 500
    most: int = 720_000
    passes: int = 5
    fewest: int = 300
    stretch: int = 300
    batch: int = 12
    begins: float = 0.03
    span: int = 14
    hidden: float = 0.5
    warp: float = 0.2
    tilt: float = 0.2
    rate: float = 2e-3
