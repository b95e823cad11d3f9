"""Back from the fine-tuned weights towards the base's, as far as what was known before demands.

The weights on the line between both are readers too, and keep most of the gain for a fraction of the forgetting
(Wortsman et al. 2022: robust fine-tuning of zero-shot models).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Point", "move_to", "walk_back"]


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the line. share: 0 is the base, 1 the fine-tuned weights. figures: as `Learner.validate` gives."""

    share: float
    figures: Mapping[str, float]


def move_to(
    share: float, weights: Mapping[str, torch.nn.Parameter], base: Mapping[str, Tensor], tuned: Mapping[str, Tensor]
) -> None:
    """Set the weights to (1 - share) * base + share * tuned."""
    import torch

    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(torch.lerp(base[name], tuned[name], share))


def walk_back(
    measure: Callable[[float], Mapping[str, float]], shares: Sequence[float], figure: str, least: float
) -> list[Point]:
    """The points on the way from the fine-tuned weights to the base, up to the first whose figure is at least `least`.

    measure: moves to a share and measures there. shares: falling. The last point is the one to take.
    """
    points: list[Point] = []
    for share in shares:
        points.append(Point(share, measure(share)))
        if points[-1].figures[figure] >= least:
            break
    return points
