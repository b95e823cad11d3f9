"""What a layer of a large network hears: features of wav2vec 2.0, XLS-R, HuBERT and their like, at the product's rate.

Baevski et al. (2020, 2021), Conneau et al. (2020), Babu et al. (2021), Hsu et al. (2021). Weights are read from
safetensors alone, and what is loaded is code of transformers alone.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trifold.errors import DataError, InvalidInput, MissingExtra, ModelDamaged, ModelNotFound, WrongTask
from trifold.models.adoption import read_config
from trifold.models.folder import hash_file
from trifold.models.registry import checkpoint_of
from trifold.task import Checkpoint
from trifold.tasks.asr.sound.audio import RATE, Samples
from trifold.tasks.asr.sound.features import HOP, WINDOW, Frames
from trifold.tasks.asr.sound.reduction import Reduction

__all__ = ["LAYER", "Encoder"]

LAYER, _DEPTH = 15, 24
"""The layer, counted from 1, that wav2vec-U hears with, and how many its encoder has."""

_KINDS = ("data2vec-audio", "hubert", "wav2vec2", "wavlm")
"""Types of transformers that take samples and have convolutions of this shape, then layers of attention."""
_WEIGHTS, _INDEX, _PARTS = "model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors"
_SPARE = "masked_spec_embed"
"""A weight that is for training alone: it may be missing."""
_CORE, _CONTEXT = 30 * RATE, RATE
"""Samples of a window whose features are kept, at most, and that are heard with it on either side."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """A network up to one of its layers. Nothing in it is drawn by chance: the same samples give the same frames.

    name: what `open` finds it by again, from anywhere: the folder's whole path, or `org/name@commit`. identity: whose
    weights these are, `org/name@commit` or `folder@sha256:hash`. layer: counted from 1. width: of its features. scaled:
    whether a recording is brought to mean 0 and variance 1 first, as the network learnt to hear it.
    field, step: samples that one of its own frames sees, and from one to the next: 400 and 320, so 25 and 20 ms.
    """

    name: str
    identity: str
    layer: int
    width: int
    scaled: bool
    field: int
    step: int
    _network: Any

    @classmethod
    def open(cls, name: str, layer: int | None = None, *, device: str = "cpu") -> Encoder:
        """name: a folder, or `org/name` or `org/name@revision` of the Hugging Face hub: from the local cache, else
        downloaded where its settings allow that (HF_HUB_OFFLINE; see `models.hub`).

        layer: from 1; by default the 15th of 24 or more, and of fewer the one in the middle. device: torch's.

        Raises ModelNotFound where there is none, ModelDamaged where it cannot be read or has no safetensors, WrongTask
        for a model of another kind, InvalidInput for a layer that it has not, MissingExtra without transformers.
        """
        checkpoint = _checkpoint(name)
        config = read_config(checkpoint)
        if config.get("model_type") not in _KINDS:
            raise WrongTask(
                f"{checkpoint.name}: expected an encoder of speech ({', '.join(_KINDS)}), found "
                f"{config.get('model_type')!r:.60}. Choose another."
            )
        scaled = _scaled(checkpoint, config)
        weights = _weights(checkpoint)
        network = _loaded(checkpoint)
        depth = len(network.encoder.layers)
        if layer is None:
            layer = LAYER if depth >= _DEPTH else (depth + 1) // 2
        if not 1 <= layer <= depth:
            raise InvalidInput(
                f"layer: expected 1 to {depth}, as many as {checkpoint.name} has, found {layer}.", field="layer"
            )
        _cut(network, layer)
        field, step = 1, 1
        for kernel, stride in zip(network.config.conv_kernel, network.config.conv_stride, strict=True):
            field, step = field + (kernel - 1) * step, step * stride
        identity = f"{checkpoint.name}@{checkpoint.revision or f'sha256:{_digest(weights)}'}"
        place = identity if checkpoint.revision else str(checkpoint.path)
        width = int(network.config.hidden_size)
        return cls(place, identity, layer, width, scaled, field, step, _moved(network, device))

    def frames(self, samples: Samples, reduction: Reduction | None = None) -> Frames:
        """Features as of the frames of `features.mfcc`, shape (frames, width), or that of the reduction.

        The network's frames come every 20 ms and see 25 ms, as those of cepstra do, so every second one of these is
        one of the network's with the same middle (`frame_times`), and the others are the mean of their neighbours.

        Longer recordings are heard in windows of 32 s at most, whose outer seconds are context only: memory is bounded
        but for what is returned (0.4 MB a second of 1,024 features; a reduction is applied to each window). Raises
        DataError for a reduction of features of another width, ModelDamaged where the network gives no numbers.
        """
        count = max(0, 1 + (len(samples) - WINDOW) // HOP)
        if reduction is not None and reduction.mean.shape != (self.width,):
            raise DataError(
                f"the reduction: expected one of {self.width} features, found {len(reduction.mean)}. It is of another "
                "network: fit it anew."
            )
        if not count:
            return np.zeros((0, reduction.width if reduction is not None else self.width), np.float32)
        heard = self._windows(self._prepared(samples))
        own = np.concatenate([one if reduction is None else reduction.apply(one) for one in heard])
        middle = np.arange(count) * HOP + (WINDOW - self.field) / 2
        return _between(own, middle / self.step)

    def _prepared(self, samples: Samples) -> Samples:
        """On the scale that the network hears on, and long enough for a frame of it."""
        found = np.asarray(samples, np.float32)
        if self.scaled:
            found = found - found.mean(dtype=np.float64).astype(np.float32)
            found /= np.sqrt(np.dot(found, found) / len(found) + np.float32(1e-7))  # as transformers has it
        return np.pad(found, (0, max(0, self.field - len(found))))

    def _windows(self, samples: Samples) -> Iterator[Frames]:
        """The network's own frames, a part of the recording after the other."""
        count = 1 + (len(samples) - self.field) // self.step
        parts, around = -(-count * self.step // _CORE), _CONTEXT // self.step
        for first, last in itertools.pairwise(np.linspace(0, count, parts + 1).astype(int).tolist()):
            begin, end = max(0, first - around), min(count, last + around)
            # The last samples are of no frame, but of the norm over all of them that some networks have.
            stop = len(samples) if end == count else (end - 1) * self.step + self.field
            yield self._hear(samples[begin * self.step : stop])[first - begin : last - begin]

    def _hear(self, window: Samples) -> Frames:
        import torch

        network = self._network
        with torch.inference_mode():
            heard = network(torch.from_numpy(window)[None].to(network.device)).last_hidden_state[0]
        found = np.asarray(heard.float().cpu().numpy(), np.float32)
        if not np.isfinite(found).all():
            raise ModelDamaged(f"{self.identity}: expected numbers as features, found none. Get the model again.")
        return found


def _checkpoint(name: str) -> Checkpoint:
    """The folder or the id of the hub that a name stands for."""
    try:
        path = Path(name).expanduser()
        here = path.is_dir()
    except (OSError, RuntimeError):  # such as a name that is too long, or the home of nobody
        here = False
    if here and not (path / "config.json").is_file():
        raise ModelDamaged(
            f"{name}: expected config.json, preprocessor_config.json and {_WEIGHTS} in it, found no config.json. "
            "Give the folder of an encoder as transformers saves it."
        )
    found = checkpoint_of(str(path.resolve()) if here else name)
    if found is None:
        raise ModelNotFound(
            f"{name[:80]}: expected the folder of an encoder of speech or an id of the Hugging Face hub (org/name), "
            "found neither. Check the spelling."
        )
    return found


def _scaled(checkpoint: Checkpoint, config: Mapping[str, Any]) -> bool:
    """Whether samples are brought to one scale, as the extractor of features that is beside the weights says.

    Where there is none: with the networks whose convolutions have layer norms, as fairseq trained them.
    """
    for file in checkpoint.fetch("preprocessor_config.json") or checkpoint.fetch("processor_config.json"):
        try:
            known = json.loads(file.read_bytes())
            known = known.get("feature_extractor", known)
            scaled, rate = known.get("do_normalize", True), known.get("sampling_rate", RATE)
            if not isinstance(scaled, bool) or rate != RATE:
                raise ValueError(f"do_normalize is {scaled!r:.20}, sampling_rate {rate!r:.20}")
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            raise ModelDamaged(
                f"{checkpoint.name}: {file.name} is not that of an encoder of {RATE:,} Hz ({error}). Get it again."
            ) from None
        return scaled
    return config.get("feat_extract_norm") == "layer"


def _weights(checkpoint: Checkpoint) -> list[Path]:
    """The files of weights, on this machine."""
    found = checkpoint.fetch(_WEIGHTS)
    if not found and checkpoint.fetch(_INDEX):
        found = checkpoint.fetch(_PARTS, required=True)
    if not found:
        checkpoint.fetch(_WEIGHTS, required=True)  # raises where the hub could not be asked
        raise ModelDamaged(
            f"{checkpoint.name}: expected weights in {_WEIGHTS}, found none; files of PyTorch's own format (.bin) can "
            "hold code and are not opened. Name a revision that has safetensors, or convert it where you trust it: "
            "transformers.AutoModel.from_pretrained(...).save_pretrained(folder)"
        )
    return found


def _digest(files: list[Path]) -> str:
    hashes = [hash_file(file) for file in files]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _loaded(checkpoint: Checkpoint) -> Any:
    """The whole network, in fp32 and ready to compute."""
    try:
        import torch
        from transformers import AutoModel
    except ImportError as error:
        raise MissingExtra("hearing with an encoder of speech", "train") from error
    from trifold.training.arithmetic import settle_arithmetic
    from trifold.training.quiet import quiet_transformers

    settle_arithmetic()
    try:
        with quiet_transformers():
            network, report = AutoModel.from_pretrained(
                checkpoint.path,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except Exception as error:  # whatever torch and transformers meet in files of any age
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        raise ModelDamaged(
            f"{checkpoint.name}: it cannot be loaded ({type(error).__name__}: {reason}). Get the model again."
        ) from error
    missing = sorted(name for name in report["missing_keys"] if not name.endswith(_SPARE))
    if missing:
        raise ModelDamaged(f"{checkpoint.name}: its weights lack {missing[0]} and would hear at random. Get it again.")
    return network.eval()


def _cut(network: Any, layer: int) -> None:
    """Leave out what comes after a layer, which a norm of all layers' sum and an adapter may."""
    import torch

    network.encoder.layers = network.encoder.layers[:layer]
    if getattr(network.config, "do_stable_layer_norm", False):
        network.encoder.layer_norm = torch.nn.Identity()
    if getattr(network, "adapter", None) is not None:
        network.adapter = None


def _moved(network: Any, device: str) -> Any:
    try:
        return network.to(device)
    except (AssertionError, RuntimeError) as error:  # as torch was built, or as the machine is
        reason = str(error).splitlines()[0][:200]
        told = f"device: torch cannot use {device!r:.40} ({reason})."
        raise InvalidInput(told, "Choose cpu.", field="device") from None


def _between(own: Frames, position: np.ndarray[Any, np.dtype[np.float64]]) -> Frames:
    """Frames at places between the network's own, by straight lines; before the first and after the last as there."""
    position = position.clip(0, len(own) - 1)
    before = position.astype(np.int64)
    share = (position - before).astype(np.float32)[:, None]
    after = np.minimum(before + 1, len(own) - 1)
    return np.asarray(own[before] * (1 - share) + own[after] * share, np.float32)
