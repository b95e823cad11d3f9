"""The weights and the tokenizer of a checkpoint, in the one form that a model folder has them in."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from trifold.errors import MissingExtra, ModelDamaged
from trifold.task import Checkpoint
from trifold.training.quiet import quiet_transformers

if TYPE_CHECKING:
    from torch import Tensor

Read: TypeAlias = "Callable[[Path], Iterator[tuple[str, Tensor]]]"

__all__ = ["WEIGHTS", "place", "write_tokenizer", "write_weights"]

WEIGHTS = "model.safetensors"
_TOKENIZER = "tokenizer.json"
_VOCABULARIES = ("vocab.txt", "vocab.json", "*.model")
_BESIDE_VOCABULARIES = ("merges.txt", "added_tokens.json", "special_tokens_map.json")
_KEPT = {"F16", "F32", "I64", "BOOL", "U8"}
"""Types of tensors that stay as they are stored."""
_LARGEST_HEADER = 100_000_000


def place(file: Path, target: Path, *, link: bool) -> None:
    """Put a file into a model folder: as a second name of it (files of the hub's cache never change), or a copy."""
    if link:
        try:
            os.link(file.resolve(), target)
        except OSError:  # another file system, or one without links
            pass
        else:
            return
    shutil.copyfile(file, target)


def write_weights(checkpoint: Checkpoint, folder: Path) -> None:
    """Write `model.safetensors`, fp32 or fp16, of weights in one or several files of safetensors or PyTorch's.

    Raises ModelDamaged when there are none or they hold more than tensors, MissingExtra when they need converting.
    """
    files, read = _files(checkpoint)
    if len(files) == 1 and read is _read_safetensors and _kinds(files[0]) <= _KEPT:
        place(files[0], folder / WEIGHTS, link=checkpoint.revision is not None)
        return
    try:
        import torch
        from safetensors.torch import save_file
    except ImportError as error:
        raise MissingExtra(f"{checkpoint.name}: converting its weights", "train") from error
    tensors: dict[str, Tensor] = {}
    for file in files:
        for name, tensor in read(file):
            wide = tensor.float() if tensor.is_floating_point() and tensor.dtype != torch.float16 else tensor
            tensors[name] = wide.clone().contiguous()  # tensors that share memory would be refused
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def _files(checkpoint: Checkpoint) -> tuple[list[Path], Read]:
    """The files that hold the weights, and what reads them: those that are here already go before others."""
    readers: dict[str, Read] = {WEIGHTS: _read_safetensors, "pytorch_model.bin": _read_pickled}
    choices = [(single, name) for name in readers for single in (name, f"{name}.index.json")]
    choices.sort(key=lambda choice: not (checkpoint.path / choice[0]).is_file())
    for file, name in choices:
        found = checkpoint.fetch(file)
        if found:
            return (found if file == name else _parts(checkpoint, found[0])), readers[name]
    checkpoint.fetch(WEIGHTS, required=True)  # raises when the hub could not be asked
    if (checkpoint.path / "adapter_config.json").is_file():
        raise ModelDamaged(f"{checkpoint.name}: it is an adapter (LoRA) only. Merge it into its model first.")
    raise ModelDamaged(
        f"{checkpoint.name}: expected weights in {' or '.join(readers)}, found neither; those of TensorFlow and Flax "
        "are not read. Choose another model, or save this one from transformers for PyTorch."
    )


def _parts(checkpoint: Checkpoint, index: Path) -> list[Path]:
    """The files that an index of weights lists."""
    try:
        parts = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        if not parts or any(not isinstance(p, str) or Path(p).name != p or set(p) & set("*?[\\") for p in parts):
            raise ValueError("its parts are no files of the repository")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise ModelDamaged(f"{checkpoint.name}: {index.name} cannot be read ({error}). Get it again.") from None
    files = []
    for part in parts:
        found = checkpoint.fetch(part, required=True)
        if not found:
            raise ModelDamaged(f"{checkpoint.name}: the part {part} of its weights is missing. Get the model again.")
        files += found
    return files


def _kinds(file: Path) -> set[str]:
    """The types of the tensors in a safetensors file (header size, JSON header, bytes)."""
    try:
        with file.open("rb") as stream:
            (size,) = struct.unpack("<Q", stream.read(8))
            if size > _LARGEST_HEADER:
                raise ValueError("its header is too long")
            header = json.loads(stream.read(size))
        bodies = {name: facts for name, facts in header.items() if name != "__metadata__"}
        end = 8 + size + max(facts["data_offsets"][1] for facts in bodies.values())
        if file.stat().st_size != end:
            raise ValueError(f"{file.stat().st_size:,} bytes found, {end:,} expected")
        return {str(facts["dtype"]) for facts in bodies.values()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error) as error:
        raise ModelDamaged(f"{file}: not a safetensors file ({error}). Get it again.") from None


def _read_safetensors(file: Path) -> Iterator[tuple[str, Tensor]]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        yield from load_file(file).items()
    except SafetensorError as error:
        raise ModelDamaged(f"{file}: not a safetensors file ({error}). Get it again.") from None


def _read_pickled(file: Path) -> Iterator[tuple[str, Tensor]]:
    """PyTorch's own format, read as tensors only: nothing in it is run."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that it refuses a line later
            state = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ModelDamaged(
            f"{file}: expected a file of tensors, found something else ({reason}). It is not opened any further; "
            "choose a model with safetensors."
        ) from None
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise ModelDamaged(f"{file}: expected named tensors, found something else. Choose a model with safetensors.")
    yield from state.items()


def write_tokenizer(checkpoint: Checkpoint, folder: Path) -> None:
    """Write `tokenizer.json` and, where there is one, `tokenizer_config.json`.

    Raises ModelDamaged when there is no tokenizer, MissingExtra when an older form of one needs converting.
    """
    for file in checkpoint.fetch("tokenizer_config.json"):
        place(file, folder / file.name, link=checkpoint.revision is not None)
    for file in checkpoint.fetch(_TOKENIZER):
        place(file, folder / _TOKENIZER, link=checkpoint.revision is not None)
        return
    if not any(checkpoint.fetch(pattern) for pattern in _VOCABULARIES):
        checkpoint.fetch(*_VOCABULARIES, required=True)  # raises when the hub could not be asked
        raise ModelDamaged(
            f"{checkpoint.name}: expected {_TOKENIZER}, vocab.txt, vocab.json or a sentencepiece model, found none. "
            "Choose another model."
        )
    for name in _BESIDE_VOCABULARIES:
        checkpoint.fetch(name)
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise MissingExtra(
            f"{checkpoint.name}: converting its tokenizer, which is of an older form,", "train"
        ) from error
    try:
        with quiet_transformers():
            converted = AutoTokenizer.from_pretrained(checkpoint.path, local_files_only=True, trust_remote_code=False)
        converted.backend_tokenizer.save(str(folder / _TOKENIZER))
    except Exception as error:  # whatever transformers meets in files of any age
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ModelDamaged(
            f"{checkpoint.name}: its tokenizer cannot be converted to {_TOKENIZER} ({reason}). Choose another model."
        ) from None
