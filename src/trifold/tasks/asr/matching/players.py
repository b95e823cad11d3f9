"""The two players of the adversarial matcher with their optimisers and their luck: one turn, a record, a state to keep.

Losses are divided by the utterances of a batch before gradients are clipped, as the published code of wav2vec-U does.
Shapes as in `adversarial`: B utterances, T segments, D features, V phones.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trifold.tasks.asr.matching.adversarial import (
    GanSettings,
    discriminator,
    diversity,
    generator,
    gradient_penalty,
    joined,
    smoothness,
    verdict_loss,
)
from trifold.tasks.asr.matching.batches import Rows, repeated
from trifold.tasks.asr.matching.generated import Generated, generated_of

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Match", "Watched"]

_CLIP = 5.0
_BETAS, _EPSILON = (0.5, 0.98), 1e-6
_LOOKED_AT = 512
"""Utterances that a record is made of, evenly spaced."""
_SELDOM = 1e-3


@dataclass(frozen=True, slots=True)
class Watched:
    """How the duel stands at a step; losses are means for an utterance since the last record.

    judging: the discriminator's cross-entropy over real and made, 2 ln 2 = 1.39 where it can only guess. generating:
    the generator's. told: share of the sequences, real and made, that the discriminator takes for what they are.
    perplexity: exp(entropy) of the mean distribution over phones. used: phones that are at least a thousandth of
    those read. phones: how many there are, silence included. rate: mean length of what is read, runs joined, over
    that of a sentence.
    """

    step: int
    judging: float
    generating: float
    told: float
    perplexity: float
    used: int
    phones: int
    rate: float


class Match:
    """Both players, their optimisers and their luck: everything that a checkpoint keeps."""

    def __init__(
        self,
        sounds: Rows,
        text: Rows,
        clusters: Rows | None,
        symbols: int,
        kinds: int,
        settings: GanSettings,
        repeats: bool,
        seed: int,
        device: str,
    ) -> None:
        import torch

        self.sounds, self.text, self.clusters = sounds, text, clusters
        self.symbols, self.settings, self.repeats, self.device = symbols, settings, repeats, device
        self.maker = generator(sounds.table.shape[1], symbols, kinds, settings).to(device)
        self.judge = discriminator(symbols, settings).to(device)
        # Weight decay is apart from the gradients' moments, as in fairseq's Adam.
        self.optimisers = [
            torch.optim.AdamW(
                self.judge.parameters(), settings.discriminator_rate, _BETAS, _EPSILON, settings.discriminator_decay
            ),
            torch.optim.AdamW(self.maker.parameters(), settings.generator_rate, _BETAS, _EPSILON, 0.0),
        ]
        self.chance = torch.Generator(device).manual_seed(seed)
        self.draw = np.random.default_rng(seed)
        self.step = 0
        # Sums since the last record: judging, its steps, generating, its steps, told.
        self.sums = [0.0, 0.0, 0.0, 0.0, 0.0]

    def turn(self) -> None:
        """One step of whose turn it is."""
        import torch

        judging = self.step % 2 == 0
        player = self.judge if judging else self.maker
        loss = self._judged() if judging else self._made()
        optimiser = self.optimisers[0 if judging else 1]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(player.parameters(), _CLIP)
        optimiser.step()
        self.step += 1

    def _read(self, chosen: np.ndarray[Any, Any]) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """Of a batch: logits and where they are, runs joined; logits of clusters and where segments are."""
        sounds, inside = self.sounds.take(chosen)
        logits, clusters = self.maker(sounds, inside)
        made, kept = (logits, inside) if self.repeats else joined(logits, inside, self.chance)
        return made, kept, clusters, inside

    def _judged(self) -> Tensor:
        import torch

        chosen = self._chosen()
        with torch.no_grad():
            logits, kept, _, _ = self._read(chosen)
            made = logits.softmax(2)
        real, there = self._real(len(chosen))
        for_made, for_real = self.judge(made, kept), self.judge(real, there)
        verdict = verdict_loss(for_made, made=True) + verdict_loss(for_real, made=False)
        common = min(made.shape[1], real.shape[1])
        both = (kept[:, :common] & there[:, :common]).contiguous()
        penalty = gradient_penalty(self.judge, real[:, :common], made[:, :common], both, self.chance)
        self._add(0, verdict, len(chosen))
        self.sums[4] += float((for_made > 0).sum() + (for_real < 0).sum()) / (2 * len(chosen))
        return (verdict + self.settings.penalty * penalty) / len(chosen)

    def _made(self) -> Tensor:
        import torch

        settings, chosen = self.settings, self._chosen()
        logits, kept, clusters, inside = self._read(chosen)
        shares = logits.softmax(2)
        verdict = verdict_loss(self.judge(shares, kept), made=False)
        loss = verdict / len(chosen)
        loss = loss + settings.smooth * smoothness(logits, kept) + settings.diverse * diversity(shares, kept)
        if clusters is not None and self.clusters is not None:
            wanted = self.clusters.take(chosen)[0]
            auxiliary = torch.nn.functional.cross_entropy(clusters[inside], wanted[inside])
            loss = loss + settings.auxiliary * auxiliary
        self._add(2, verdict, len(chosen))
        return loss

    def _chosen(self) -> np.ndarray[Any, Any]:
        count = len(self.sounds)
        return self.draw.choice(count, min(self.settings.batch, count), replace=False)

    def _real(self, count: int) -> tuple[Tensor, Tensor]:
        """So many sentences drawn from the text, one-hot, (B, T, V), and where they are."""
        import torch

        chosen = self.draw.integers(len(self.text), size=count)
        phones, inside = self.text.take(chosen)
        if self.repeats:
            lengths = inside.sum(1).tolist()
            rows = [row[:size] for row, size in zip(phones.cpu().numpy(), lengths, strict=True)]
            drawn = Rows.of([repeated(row, self.draw) for row in rows], self.device)
            phones, inside = drawn.take(np.arange(count))
        return torch.nn.functional.one_hot(phones, self.symbols).float() * inside[:, :, None], inside

    def _add(self, at: int, loss: Tensor, utterances: int) -> None:
        self.sums[at] += float(loss.detach()) / utterances
        self.sums[at + 1] += 1

    def record(self) -> Watched:
        """How it stands, and the sums begin anew."""
        import torch

        count = len(self.sounds)
        looked = np.unique(np.linspace(0, count - 1, min(count, _LOOKED_AT)).astype(np.int64))
        total = torch.zeros(self.symbols, dtype=torch.float64)
        seen = torch.zeros(self.symbols, dtype=torch.int64)
        self.maker.eval()
        with torch.no_grad():
            for at in range(0, len(looked), self.settings.batch):
                sounds, inside = self.sounds.take(looked[at : at + self.settings.batch])
                logits, kept = joined(self.maker(sounds, inside)[0], inside)
                total += logits.softmax(2)[kept].sum(0).cpu()
                seen += torch.bincount(logits.argmax(2)[kept], minlength=self.symbols).cpu()
        self.maker.train()
        shares = total / total.sum()
        entropy = -float((shares * (shares + 1e-12).log()).sum())
        judging, judged, generating, made, told = self.sums
        self.sums = [0.0, 0.0, 0.0, 0.0, 0.0]
        read = int(seen.sum())
        return Watched(
            self.step,
            judging / max(judged, 1),
            generating / max(made, 1),
            told / max(judged, 1),
            math.exp(entropy),
            int((seen >= max(1.0, _SELDOM * read)).sum()),
            self.symbols,
            read / len(looked) / (len(self.text.table) / len(self.text)),
        )

    def generated(self) -> Generated:
        return generated_of(self.maker)

    def state(self) -> dict[str, Any]:
        import torch

        cuda = torch.device(self.device).type == "cuda"
        return copy.deepcopy(
            {
                "step": self.step,
                "sums": self.sums,
                "draw": self.draw.bit_generator.state,
                "maker": self.maker.state_dict(),
                "judge": self.judge.state_dict(),
                "optimisers": [one.state_dict() for one in self.optimisers],
                "chance": self.chance.get_state(),
                "torch": torch.cuda.get_rng_state(self.device) if cuda else torch.get_rng_state(),
            }
        )

    def restore(self, state: Mapping[str, Any]) -> None:
        import torch

        self.step, self.sums = int(state["step"]), list(state["sums"])
        self.draw.bit_generator.state = state["draw"]
        self.maker.load_state_dict(state["maker"])
        self.judge.load_state_dict(state["judge"])
        for one, saved in zip(self.optimisers, state["optimisers"], strict=True):
            one.load_state_dict(copy.deepcopy(saved))
        self.chance.set_state(state["chance"])
        if torch.device(self.device).type == "cuda":
            torch.cuda.set_rng_state(state["torch"], self.device)
        else:
            torch.set_rng_state(state["torch"])
