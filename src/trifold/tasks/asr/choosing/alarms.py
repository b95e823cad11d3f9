"""What goes wrong in an adversarial training while it runs, in words, with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trifold.tasks.asr.matching.players import Watched

__all__ = ["Alarm", "alarms"]

Name = Literal["discriminator", "phones", "rate"]

_IN_A_ROW = 3
"""Records in which something must have been wrong: players take turns at being ahead."""
_TOLD, _JUDGING = 0.97, 0.2
_FEW = 0.5
_RATES = (0.7, 1.4)
_MORE = "lower the weight of smoothness (smooth), or the threshold of segmentation so that there are more segments"
_LESS = (
    "raise the weight of smoothness (smooth), or the threshold of segmentation so that there are fewer segments; see "
    "that silence is cut from the recordings"
)


@dataclass(frozen=True, slots=True)
class Alarm:
    """name: for programs. step: of the latest record. says: what is wrong. remedy: what to try."""

    name: Name
    step: int
    says: str
    remedy: str


def alarms(records: Sequence[Watched], *, after: float = 0.2, steps: int = 0) -> list[Alarm]:
    """What is wrong now: in each of the last three records.

    after, steps: nothing is said before this share of so many steps, when every training looks bad.
    """
    last = records[-_IN_A_ROW:]
    if len(last) < _IN_A_ROW or last[-1].step < after * steps:
        return []
    now, found = last[-1], []
    if all(one.told >= _TOLD and one.judging <= _JUDGING for one in last):
        found.append(
            Alarm(
                "discriminator",
                now.step,
                f"the discriminator has won: it knows {now.told:.0%} of the sequences for what they are, and the "
                "generator learns nothing from it any more",
                "take larger batches, a lower discriminator_rate, a narrower discriminator (hidden, reach) or another "
                "seed; see that silences are as frequent in the text as in the audio",
            )
        )
    if all(one.used < _FEW * one.phones for one in last):
        found.append(
            Alarm(
                "phones",
                now.step,
                f"few phones are used: {now.used} of {now.phones}, perplexity {now.perplexity:.1f}",
                "raise the weight of diversity (diverse), or try another seed; drop phones from the inventory that "
                "the recordings cannot have",
            )
        )
    if all(one.rate < _RATES[0] for one in last) or all(one.rate > _RATES[1] for one in last):
        found.append(
            Alarm(
                "rate",
                now.step,
                f"the rate is off: what is read is {now.rate:.2f} times as long as sentences are",
                _MORE if now.rate < 1 else _LESS,
            )
        )
    return found
