"""Training the encoder: masked prediction of clusters and cepstra, by AdamW with a rate that rises, then falls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trifold.errors import MissingExtra
from trifold.task import Progress, no_progress
from trifold.tasks.asr.pretraining.material import NONE, TOLD, Batch, Material
from trifold.tasks.asr.pretraining.network import network, write_network
from trifold.tasks.asr.pretraining.settings import OwnSettings
from trifold.tasks.asr.sound.own import Own

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["pretrained"]

_RISES, _LEAST = 0.08, 0.02
"""Share of the steps in which the rate rises, and of the rate that is left at the end."""
_OF_CEPSTRA = 3.0
"""Weight of a cepstrum's distance beside the cross-entropy."""
_BETAS, _DECAY, _CLIP = (0.9, 0.98), 0.01, 5.0


def pretrained(
    material: Material,
    settings: OwnSettings,
    place: Path,
    *,
    seed: int = 0,
    watch: Callable[[float], None] = lambda _: None,
    progress: Progress = no_progress,
) -> Own:
    """Train, and write the graph to `place`. watch: told the loss of each step.

    The same material and seed give the same file on the same machine. Raises MissingExtra without torch.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("training an encoder of speech", "asr") from error
    from trifold.training.arithmetic import settle_arithmetic

    settle_arithmetic()
    steps = max(settings.fewest, settings.passes * material.steps(settings))
    rises = max(1, round(_RISES * steps))
    with torch.random.fork_rng(devices=[]):  # the first weights draw from torch's own generator, which is the caller's
        torch.manual_seed(seed)
        learner = network(settings, TOLD)
    optimiser = torch.optim.AdamW(learner.parameters(), settings.rate, _BETAS, weight_decay=_DECAY)
    batches = material.batches(settings, seed)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * min(1.0, (step + 1) / rises) * max(_LEAST, 1 - step / steps)
        loss = _loss(learner, next(batches), settings.hidden)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), _CLIP)
        optimiser.step()
        watch(float(loss.detach()))
        progress(step + 1, steps)
    part = place.with_suffix(".part")
    write_network(learner, material.mean, material.spread, part)
    part.replace(place)
    return Own.open(place)


def _loss(learner: nn.Module, batch: Batch, hidden: float) -> Tensor:
    """Cross-entropy of the clusters and distance of the cepstra, hidden frames apart from those that are seen."""
    import torch

    features = learner(batch.mel)
    logits = learner.head(features)
    each = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), batch.labels.flatten(), ignore_index=NONE, reduction="none"
    ).view(batch.labels.shape)
    each = each + _OF_CEPSTRA * (learner.cepstra(features) - batch.cepstra).abs().mean(2)
    told = batch.labels != NONE
    parts = [(each * some).sum() / some.sum().clamp(min=1) for some in (told & batch.hidden, told & ~batch.hidden)]
    return hidden * parts[0] + (1 - hidden) * parts[1]
