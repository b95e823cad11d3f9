"""What may be chosen of learning without transcripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["LearningSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningSettings:
    """Chosen on the invented language and on synthesised English; see docs/speech.md.

    seeds: how often everything until the phones of segments is done anew; the best is gone on with. threshold: of
    `boundaries`. units: clusters of segments at most. segments_of_a_unit: and so many segments for each at least.
    matcher: skip-grams, or wav2vec-U's generator and discriminator. starts, steps: of skip-grams, for each seed.
    duel_steps: of the adversarial matcher. rounds: of decipherment with trigrams. scale: how much a frame counts
    beside what the text makes likely. spoken: sentences that a synthesiser reads, where one is asked to. components:
    distributions of each state, a power of two. refinements: rounds of hearing all recordings anew with trigrams,
    where no voices were heard. rehearings: rounds at the end, with longer n-grams. networks: that are trained on what
    is heard, one after the other, after that.
    """

    seeds: int = 3
    threshold: float = 1.0
    units: int = 256
    segments_of_a_unit: int = 250
    matcher: Literal["skipgrams", "adversarial"] = "skipgrams"
    duel_steps: int = 3000
    starts: int = 16
    steps: int = 300
    rounds: int = 8
    scale: float = 0.2
    spoken: int = 3200
    components: int = 8
    refinements: int = 6
    rehearings: int = 10
    networks: int = 2
    seed: int = 0
