"""Sequences of unequal length in one table, from which padded batches are taken; sentences as if badly segmented.

B sequences, T the longest one's length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Rows", "repeated"]

_TIMES = (0.04, 0.78, 0.17, 0.01)
"""Chen, Tsai, Lee & Lee (2019): how often a phone is found 0, 1, 2 and 3 times by automatic segmentation."""


@dataclass(frozen=True, slots=True)
class Rows:
    """table: all sequences one after the other, (rows, ...). first, lengths: of each sequence, (sequences,)."""

    table: Tensor
    first: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, sequences: Sequence[np.ndarray[Any, Any]], device: str) -> Rows:
        """Sequences, none of them empty, as they are to be batched."""
        import torch

        sizes = np.array([len(one) for one in sequences], np.int64)
        lengths = torch.from_numpy(sizes).to(device)
        table = torch.from_numpy(np.concatenate(list(sequences))).to(device)
        return cls(table, torch.cumsum(lengths, 0) - lengths, lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, chosen: np.ndarray[Any, Any]) -> tuple[Tensor, Tensor]:
        """The chosen sequences as a batch, (B, T, ...), 0 beyond their ends, and where they are, bool, (B, T)."""
        import torch

        at = torch.from_numpy(chosen).to(self.table.device)
        lengths = self.lengths[at]
        inside = torch.arange(int(lengths.max()), device=at.device) < lengths[:, None]
        rows = self.first[at, None] + torch.arange(inside.shape[1], device=at.device)
        found = self.table[rows.clamp(max=len(self.table) - 1)]
        found[~inside] = 0
        return found, inside


def repeated(phones: np.ndarray[Any, Any], chance: np.random.Generator) -> np.ndarray[Any, Any]:
    """A sentence, (phones,), with each phone 0, 1, 2 or 3 times, as an automatic segmentation loses and doubles them.

    A sentence of which nothing would be left stays as it is.
    """
    times = chance.choice(len(_TIMES), len(phones), p=_TIMES)
    return np.repeat(phones, times) if times.any() else phones
