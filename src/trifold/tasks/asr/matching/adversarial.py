"""The networks and the losses of wav2vec-U: a generator of phones from sounds, and a discriminator that compares.

Baevski, Hsu, Conneau & Auli (2021), "Unsupervised speech recognition"; Liu, Hsu, Auli & Baevski (2022), "Towards
end-to-end unsupervised speech recognition", for the auxiliary loss and the normalisation. Shapes: B utterances, T
segments (or phones), D features, V phones. `inside` is bool, (B, T): what is no padding.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "GanSettings",
    "discriminator",
    "diversity",
    "generator",
    "gradient_penalty",
    "joined",
    "smoothness",
    "verdict_loss",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GanSettings:
    """What may be chosen of the adversarial matcher; the defaults are those of wav2vec-U 1.0 where it has them.

    kernel: segments that the generator sees at once. normalise: begin with a normalisation of the features with the
    gain 30 (2.0). hidden, reach: width of the discriminator and phones that each of its layers sees. penalty, smooth,
    diverse, auxiliary: weights of the losses; auxiliary predicts clusters of the sounds from what the generator sees
    (2.0). generator_rate, discriminator_rate: of Adam. batch: utterances in a step. steps: of generator and
    discriminator together, in turns.
    """

    kernel: int = 4
    normalise: bool = False
    dropout: float = 0.1
    hidden: int = 384
    reach: int = 6
    penalty: float = 1.5
    smooth: float = 0.5
    diverse: float = 4.0
    auxiliary: float = 0.0
    generator_rate: float = 4e-4
    discriminator_rate: float = 5e-4
    discriminator_decay: float = 1e-4
    batch: int = 160
    steps: int = 20_000


def generator(features: int, phones: int, clusters: int, settings: GanSettings) -> nn.Module:
    """From features (B, T, D) to logits (B, T, V), and to logits of clusters (B, T, C), None without auxiliary loss.

    One convolution, without bias, as there: what it may say depends on the sounds alone.
    """
    import torch

    class Generator(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(features) if settings.normalise else None
            self.drop = torch.nn.Dropout(settings.dropout)
            self.residual = torch.nn.Linear(features, features) if settings.normalise else None
            self.convolution = torch.nn.Conv1d(features, phones, settings.kernel, bias=False)
            self.clusters = torch.nn.Linear(features, clusters) if settings.auxiliary else None
            if self.norm is not None:
                torch.nn.init.constant_(self.norm.weight, 30.0)

        def forward(self, sounds: Tensor, inside: Tensor) -> tuple[Tensor, Tensor | None]:
            if self.norm is not None and self.residual is not None:
                # Padding is no sound and must not count in means and variances.
                normal = torch.zeros_like(sounds)
                normal[inside] = self.norm(sounds[inside])
                sounds = normal + self.residual(self.drop(normal)) * inside[:, :, None]
            else:
                sounds = self.drop(sounds)
            left = settings.kernel // 2
            padded = torch.nn.functional.pad(sounds.transpose(1, 2), (left, settings.kernel - 1 - left))
            logits = self.convolution(padded).transpose(1, 2)
            return logits, None if self.clusters is None else self.clusters(sounds)

    return Generator()


def discriminator(phones: int, settings: GanSettings) -> nn.Module:
    """From distributions over phones (B, T, V) to one number for each sequence (B,), high for what is taken for made.

    Three causal convolutions, the mean over what is no padding.
    """
    import torch

    class Discriminator(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            widths = [phones, settings.hidden, settings.hidden, 1]
            self.layers = torch.nn.ModuleList(
                torch.nn.Conv1d(a, b, settings.reach) for a, b in itertools.pairwise(widths)
            )

        def forward(self, shares: Tensor, inside: Tensor) -> Tensor:
            hidden = (shares * inside[:, :, None]).transpose(1, 2)
            for number, layer in enumerate(self.layers):
                if number == 2:
                    hidden = torch.nn.functional.gelu(hidden)
                hidden = layer(torch.nn.functional.pad(hidden, (settings.reach - 1, 0)))
            scores = hidden[:, 0] * inside
            return scores.sum(1) / inside.sum(1).clamp(min=1)

    return Discriminator()


def joined(logits: Tensor, inside: Tensor, chance: Any = None) -> tuple[Tensor, Tensor]:
    """Runs of segments with the same likeliest phone as one: logits (B, T', V) and what of them is inside, (B, T').

    chance: a torch.Generator draws one member of each run, as training does; None takes the mean.
    """
    import torch

    batch, length, phones = logits.shape
    best = logits.argmax(2)
    begins = torch.ones_like(inside)
    begins[:, 1:] = best[:, 1:] != best[:, :-1]
    begins &= inside
    run = begins.long().cumsum(1) - 1
    runs = begins.sum(1)
    longest = max(1, int(runs.max()))
    # Padding goes to a run of its own behind the last, which is cut off.
    place = torch.where(inside, run, longest).clamp(min=0)
    kept = torch.arange(longest, device=logits.device) < runs[:, None]
    if chance is None:
        total = logits.new_zeros(batch, longest + 1, phones).scatter_add(1, place[:, :, None].expand_as(logits), logits)
        count = logits.new_zeros(batch, longest + 1).scatter_add(1, place, inside.to(logits.dtype))
        return (total / count.clamp(min=1)[:, :, None])[:, :longest], kept
    drawn = torch.rand(batch, length, generator=chance, device=logits.device)
    most = drawn.new_zeros(batch, longest + 1).scatter_reduce(1, place, drawn, "amax")
    winner = inside & (drawn == most.gather(1, place))
    source = torch.zeros(batch, longest + 1, dtype=torch.long, device=logits.device)
    source.scatter_(
        1, torch.where(winner, place, longest), torch.arange(length, device=logits.device).expand(batch, -1)
    )
    return logits.gather(1, source[:, :longest, None].expand(-1, -1, phones)), kept


def verdict_loss(scores: Tensor, *, made: bool) -> Tensor:
    """Binary cross-entropy, summed over the batch, of taking sequences for made (label 1) or for real (label 0)."""
    import torch

    wanted = torch.full_like(scores, float(made))
    return torch.nn.functional.binary_cross_entropy_with_logits(scores, wanted, reduction="sum")


def gradient_penalty(judge: nn.Module, real: Tensor, made: Tensor, inside: Tensor, chance: Any) -> Tensor:
    """Sum of (||gradient|| - 1)^2 at points between real and made sequences (Gulrajani et al. 2017).

    real, made: of the same shape (B, T, V); inside: where both are. As in the published code, a norm is over time,
    one for each utterance and phone.
    """
    import torch

    share = torch.rand(len(real), 1, 1, generator=chance, device=real.device)
    between = (share * real + (1 - share) * made).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(judge(between, inside).sum(), between, create_graph=True)
    # The root of 0 has no gradient.
    norms = (gradient.square().sum(1) + 1e-12).sqrt()
    return ((norms - 1) ** 2).sum()


def smoothness(logits: Tensor, inside: Tensor) -> Tensor:
    """Mean square of the difference between neighbours, over what is inside."""
    import torch

    both = (inside[:, 1:] & inside[:, :-1])[:, :, None]
    moved = torch.where(both, logits[:, 1:] - logits[:, :-1], logits.new_zeros(()))
    return moved.square().sum() / (both.sum() * logits.shape[2]).clamp(min=1)


def diversity(shares: Tensor, inside: Tensor) -> Tensor:
    """(V - exp(entropy of the mean distribution)) / V: 0 where all phones are used alike, near 1 for only one."""
    phones = shares.shape[2]
    mean = (shares * inside[:, :, None]).sum((0, 1)) / inside.sum().clamp(min=1)
    entropy = -(mean * (mean + 1e-7).log()).sum()
    return (phones - entropy.exp()) / phones
