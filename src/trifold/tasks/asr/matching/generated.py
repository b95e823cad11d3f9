"""What the adversarial matcher has learnt, as arrays: reading needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from trifold.tasks.asr.sound.features import Frames

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Generated", "Read", "generated_of"]

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
Read: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Generated:
    """From features to phones: sounds = features @ mixing + shift, and a convolution of them.

    kernel: (K, D, V), K segments seen at once, of which K // 2 are before. mixing, shift: (D, D) and (D,), the
    normalisation and the linear layer of 2.0 as one; None without.
    """

    kernel: Array
    mixing: Array | None = None
    shift: Array | None = None

    def logits(self, features: Frames) -> Frames:
        """Of an utterance, (segments, D), for each segment and phone, (segments, V)."""
        sounds = features
        if self.mixing is not None and self.shift is not None:
            sounds = features @ self.mixing + self.shift
        size, count = len(self.kernel), len(sounds)
        padded = np.pad(sounds, ((size // 2, size - 1 - size // 2), (0, 0)))
        found = np.zeros((count, self.kernel.shape[2]), np.float32)
        for at, weights in enumerate(self.kernel):
            found += padded[at : at + count] @ weights
        return found

    def read(self, utterances: Sequence[Frames]) -> list[Read]:
        """The likeliest phone of each segment of each utterance."""
        return [np.asarray(self.logits(features).argmax(1), np.int64) for features in utterances]

    def phones(self, utterances: Sequence[Frames]) -> list[tuple[int, ...]]:
        """What is read in each utterance, runs of the same phone as one, silences kept."""
        return [tuple(phones[np.flatnonzero(np.diff(phones, prepend=-1))].tolist()) for phones in self.read(utterances)]


def generated_of(network: nn.Module) -> Generated:
    """The weights of a `generator`, copied."""
    import torch

    with torch.no_grad():
        kernel = network.convolution.weight.permute(2, 1, 0).cpu().numpy().copy()
        if network.norm is None:
            return Generated(kernel)
        norm, residual = network.norm, network.residual
        gain = norm.weight / (norm.running_var + norm.eps).sqrt()
        offset = norm.bias - norm.running_mean * gain
        onward = torch.eye(len(gain), device=gain.device) + residual.weight.T
        mixing, shift = gain[:, None] * onward, offset @ onward + residual.bias
        return Generated(kernel, mixing.cpu().numpy().copy(), shift.cpu().numpy().copy())
