"""A reader as a network that learns: from a base's folder to logits, and back to a folder."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trifold.errors import InvalidInput, MissingExtra
from trifold.task import Arrays, Unit
from trifold.tasks.qa.making.apart import check_apart, last_states
from trifold.tasks.qa.settings import Apart
from trifold.training.arithmetic import settle_arithmetic
from trifold.training.batches import padded_length
from trifold.training.quiet import quiet_transformers

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Network", "apart_feeds", "bf16_is_fast", "device_of"]

_FP16_HOLDS = 60_000.0


class Network:
    """A question-answering model of transformers with the device and arithmetic it runs in."""

    def __init__(self, folder: Path, *, device: str, bf16: bool, seed: int, apart: Apart | None = None) -> None:
        """Load config.json and model.safetensors; a head that is missing there is made anew from the seed.

        apart: for a reader whose lower layers read question and passage apart. Raises InvalidInput for a model that
        cannot be divided so.
        """
        import torch
        from transformers import AutoModelForQuestionAnswering

        settle_arithmetic()
        torch.manual_seed(seed)
        # On a CPU the gradient of torch's fused attention takes a third of a step, several times what it fuses.
        attention = "eager" if device == "cpu" else "sdpa"
        with quiet_transformers():
            self.model: Any = AutoModelForQuestionAnswering.from_pretrained(
                folder,
                dtype=torch.float32,
                attn_implementation=attention,
                local_files_only=True,
                use_safetensors=True,
            )
        self.model.to(device)
        self.device, self.bf16, self._apart = device, bf16, apart
        if apart is not None:
            check_apart(self.model, apart)
        accepted = inspect.signature(self.model.forward).parameters
        self._inputs = [n for n in ("input_ids", "attention_mask", "token_type_ids") if n in accepted]

    def logits(self, units: Sequence[Unit]) -> tuple[Tensor, Tensor]:
        """Start and end logits of a batch, float32, shape (batch, padded length)."""
        import torch

        if self._apart is not None:
            return self._logits_apart(units, self._apart)
        length = padded_length(max(unit.cost for unit in units))
        feeds = {name: torch.zeros(len(units), length, dtype=torch.int64) for name in self._inputs}
        for name, batch in feeds.items():
            for row, unit in zip(batch, units, strict=True):
                row[: unit.cost] = torch.from_numpy(np.asarray(unit.arrays[name]))
        feeds = {name: batch.to(self.device) for name, batch in feeds.items()}
        with self._autocast():
            out = self.model(**feeds)
        return out.start_logits.float(), out.end_logits.float()

    def _logits_apart(self, units: Sequence[Unit], apart: Apart) -> tuple[Tensor, Tensor]:
        feeds = {name: batch.to(self.device) for name, batch in apart_feeds(units).items()}
        with self._autocast():
            # LoRA's wrapper keeps the reader inside.
            reader = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
            start, end = reader.qa_outputs(last_states(reader, apart, **feeds)).float().unbind(-1)
        return start, end

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        import torch

        return torch.autocast(self.device, torch.bfloat16) if self.bf16 else contextlib.nullcontext()

    def freeze_words(self) -> None:
        """Leave the table of word vectors as it is: little data moves few of its rows, and those away from the rest."""
        self.model.get_input_embeddings().weight.requires_grad_(False)

    def train_low_rank(self, rank: int) -> None:
        """Train matrices of low rank beside the weights instead of the weights (LoRA: Hu et al. 2022), and the head."""
        try:
            from peft import LoraConfig, get_peft_model
        except ImportError as error:
            raise MissingExtra("--lora", "lora") from error

        head = [n for n, m in self.model.named_children() if "qa" in n or n == "classifier"]
        config = LoraConfig(
            r=rank, lora_alpha=2 * rank, target_modules="all-linear", exclude_modules=head, modules_to_save=head
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for what is about to be renamed
            self.model = get_peft_model(self.model, config)

    def merge(self) -> None:
        """Make one set of weights of the low-rank matrices and what they stand beside."""
        if hasattr(self.model, "merge_and_unload"):
            self.model = self.model.merge_and_unload()

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors, in fp16 where that holds the weights, half the size."""
        import torch

        model = self.model.to("cpu")
        largest = max(float(p.detach().abs().max()) for p in model.parameters())
        with quiet_transformers():
            model.to(torch.float16 if largest < _FP16_HOLDS else torch.float32).save_pretrained(folder)
        for file in folder.iterdir():
            file.chmod(0o644)  # safetensors writes for the owner alone

    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """What training changes, by name."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}


def apart_feeds(units: Sequence[Unit]) -> dict[str, Tensor]:
    """Windows of two parts as one padded batch, for `making.apart.last_states`; int64, shape (batch, length)."""
    import torch

    length = padded_length(max(unit.cost for unit in units))
    feeds = {name: torch.zeros(len(units), length, dtype=torch.int64) for name in ("ids", "positions", "types")}
    feeds["parts"] = torch.full((len(units), length), -1)
    for row, unit in enumerate(units):
        assert unit.prefix is not None
        parts = (unit.arrays, unit.prefix.arrays)
        for name, batch in feeds.items():
            arrays = [_column(name, n, part) for n, part in enumerate(parts)]
            batch[row, : unit.cost] = torch.from_numpy(np.concatenate(arrays))
    return feeds


def _column(name: str, number: int, part: Arrays) -> np.ndarray[Any, Any]:
    stored = {"ids": "input_ids", "positions": "position_ids", "types": "token_type_ids"}
    return part[stored[name]] if name in stored else np.full(len(part["input_ids"]), number)


def bf16_is_fast(device: str) -> bool:
    """Whether this device multiplies bf16 faster than fp32."""
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and bool(torch.cpu._is_amx_tile_supported())


def device_of(wanted: str) -> str:
    """The device to train on; `auto` takes a GPU where there is one. Raises InvalidInput for one that is not there."""
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[wanted]:
        raise InvalidInput(f"device: torch finds no {wanted!r} here. Choose cpu or auto.", field="device")
    return wanted
