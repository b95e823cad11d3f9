"""What the encoder is trained on: log-mel bands of speech; to be told of each frame are the cluster that its cepstra
are in, and the cepstra themselves, those before and after it too.

Inputs are hidden in part and changed as another mouth and another microphone would change them, while what is to be
told stays that of what was said: HuBERT's masked prediction (Hsu et al. 2021) with the warped frequencies of Jaitly &
Hinton (2013).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from trifold.errors import DataError
from trifold.tasks.asr.matching.units import clustered
from trifold.tasks.asr.pretraining.settings import OwnSettings
from trifold.tasks.asr.sound.activity import Stretch
from trifold.tasks.asr.sound.audio import RATE, Samples
from trifold.tasks.asr.sound.features import Frames, cepstra_of_mel, log_mel, normalised, warped_bands, with_deltas
from trifold.tasks.asr.sound.own import BANDS, evened

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NONE", "TOLD", "Batch", "Heard", "Material"]

Heard: TypeAlias = tuple[Samples, list[Stretch]]
"""A recording, and its stretches of speech."""
Labels: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

NONE = -1
"""The label of frames that nothing is to be told of."""
_AROUND = (-6, 0, 6)
TOLD = 39 * len(_AROUND)
"""Cepstra with their slopes that are to be told at each frame, of three."""
_OF_ONE = 300 * RATE
"""Samples of one recording at most."""
_MARGIN, _GAP = 16, 32
"""Frames on either side of a stretch that are heard with it, and of nothing from one to the next."""
_CLUSTERED = 60_000
_AT_ONCE = 8192
_WARPS, _COLOURS = 21, 4


@dataclass(frozen=True, slots=True)
class Batch:
    """mel: as it is heard, (B, T, 40). labels, hidden: of each frame, (B, T). cepstra: around each, (B, T, 117)."""

    mel: Tensor
    labels: Tensor
    cepstra: Tensor
    hidden: Tensor


@dataclass(frozen=True, slots=True)
class Material:
    """mel: all stretches one after the other, gaps of nothing between them: (frames, 40). labels: (frames,). cepstra:
    with their slopes, each with mean 0 and variance 1, (frames, 39). mean, spread: of the bands in all speech, (40,)
    each."""

    mel: Frames
    labels: Labels
    cepstra: Frames
    mean: Frames
    spread: Frames

    @classmethod
    def of(cls, recordings: Iterable[Heard], settings: OwnSettings, seed: int) -> Material:
        """recordings: in a random order; they are read until there is enough.

        Raises DataError where there are fewer frames of speech than clusters, or than a piece has.
        """
        heard: list[tuple[list[Frames], list[Stretch]]] = []
        count, least = 0, max(settings.clusters, settings.stretch)
        for samples, stretches in recordings:
            heard.append(_cut(log_mel(samples[:_OF_ONE]), stretches))
            count += sum(last - first for first, last in heard[-1][1])
            if count >= settings.most:
                break
        if count < least:
            raise DataError(
                f"the recordings: expected at least {least:,} frames of speech to train an encoder on, found "
                f"{count:,}. Record more."
            )
        whole = [(np.concatenate(pieces), inside) for pieces, inside in heard if pieces]
        mean, spread = _scale(whole)
        even = np.concatenate([evened(mel, inside, mean, spread) for mel, inside in whole])
        cuts = np.cumsum([len(piece) for pieces, _ in heard for piece in pieces])[:-1]
        parts = np.split(even, cuts)
        cepstra = normalised(np.concatenate([with_deltas(cepstra_of_mel(part)) for part in parts]))
        labels = _clusters(cepstra, settings.clusters, seed)
        spaced = _spaced(parts, 0.0), _spaced(np.split(labels, cuts), NONE), _spaced(np.split(cepstra, cuts), 0.0)
        return cls(*spaced, mean, spread)

    def steps(self, settings: OwnSettings) -> int:
        """In one pass."""
        return max(1, len(self.mel) // (settings.stretch * settings.batch))

    def batches(self, settings: OwnSettings, seed: int) -> Iterator[Batch]:
        """Without end, pass after pass, each cut at other places and in another order."""
        import torch

        mel, labels, cepstra = (torch.from_numpy(one) for one in (self.mel, self.labels, self.cepstra))
        chance = torch.Generator().manual_seed(seed)
        warps = np.linspace(-settings.warp, settings.warp, _WARPS)
        bends = torch.from_numpy(np.stack([warped_bands(warp) for warp in warps]))
        angles = np.pi * np.arange(_COLOURS)[:, None] * (np.arange(BANDS) + 0.5) / BANDS
        colours = torch.from_numpy(np.cos(angles).astype(np.float32))
        within = torch.arange(settings.stretch)
        while True:
            first = int(torch.randint(min(settings.stretch, len(mel) - settings.stretch + 1), (1,), generator=chance))
            pieces = torch.randperm((len(mel) - first) // settings.stretch, generator=chance)
            for chosen in pieces.split(settings.batch):
                places = first + chosen[:, None] * settings.stretch + within
                bend = bends[torch.randint(_WARPS, (len(chosen),), generator=chance)]
                colour = torch.randn(len(chosen), 1, _COLOURS, generator=chance) @ colours
                hidden = _hidden(len(chosen), settings, chance)
                heard = (mel[places] @ bend + settings.tilt * colour).masked_fill(hidden[:, :, None], 0.0)
                around = [cepstra[(places + away).clamp(0, len(cepstra) - 1)] for away in _AROUND]
                yield Batch(heard, labels[places], torch.cat(around, 2), hidden)


def _cut(mel: Frames, stretches: list[Stretch]) -> tuple[list[Frames], list[Stretch]]:
    """What is in and beside the stretches, and where they are in that, one after the other."""
    pieces: list[Frames] = []
    inside: list[Stretch] = []
    at = 0
    for first, last in stretches:
        begin, end = max(0, first - _MARGIN), min(last + _MARGIN, len(mel))
        if first < len(mel):
            pieces.append(mel[begin:end].copy())
            inside.append((at + first - begin, at + min(last, len(mel)) - begin))
            at += end - begin
    return pieces, inside


def _scale(heard: list[tuple[Frames, list[Stretch]]]) -> tuple[Frames, Frames]:
    count, total, squares = 0, np.zeros(BANDS), np.zeros(BANDS)
    for mel, inside in heard:
        for first, last in inside:
            frames = mel[first:last].astype(np.float64)
            count, total, squares = count + len(frames), total + frames.sum(0), squares + (frames**2).sum(0)
    mean = total / count
    spread = np.sqrt(np.maximum(squares / count - mean**2, 1e-3))
    return mean.astype(np.float32), spread.astype(np.float32)


def _spaced(parts: Sequence[np.ndarray[Any, Any]], value: float) -> np.ndarray[Any, Any]:
    """One after the other, with a gap of a value after each."""
    gap = np.full((_GAP, *parts[0].shape[1:]), value, parts[0].dtype)
    return np.concatenate([piece for part in parts for piece in (part, gap)])


def _clusters(told: Frames, count: int, seed: int) -> Labels:
    """The cluster of each frame."""
    some = told[np.random.default_rng(seed).permutation(len(told))[:_CLUSTERED]]
    numbers = clustered(some, count, seed)
    sizes = np.maximum(np.bincount(numbers, minlength=count), 1)[:, None]
    centres = np.stack([np.bincount(numbers, column, count) for column in some.T], 1) / sizes
    half = 0.5 * (centres**2).sum(1)
    nearest = [(told[at : at + _AT_ONCE] @ centres.T - half).argmax(1) for at in range(0, len(told), _AT_ONCE)]
    return np.concatenate(nearest)


def _hidden(pieces: int, settings: OwnSettings, chance: Any) -> Tensor:
    """Which frames of each piece are hidden: spans that may lie over one another."""
    import torch

    shape = (pieces, settings.stretch)
    begins = torch.rand(shape, generator=chance) < settings.begins
    lengths = torch.randint(settings.span // 2, settings.span + settings.span // 2 + 1, shape, generator=chance)
    ends = torch.where(begins, torch.arange(settings.stretch) + lengths, 0)
    return ends.cummax(1).values > torch.arange(settings.stretch)
