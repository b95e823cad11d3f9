"""What a checkpoint of Hugging Face says of itself: its config, its tokenizer's settings, its card."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trifold.errors import ModelDamaged
from trifold.tasks.qa.calibration import Calibration
from trifold.tasks.qa.settings import QaSettings
from trifold.tasks.qa.tokens import QaTokenizer
from trifold.tasks.qa.windows import LEAST_ROOM, WindowSize

__all__ = ["card_facts", "declines", "is_reader", "license_of", "needs_code", "settings_of", "tokenizer_limits"]

_READER = "ForQuestionAnswering"
_NATIVE = {
    *("albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta", "deberta-v2", "distilbert"),
    *("electra", "ernie", "funnel", "ibert", "megatron-bert", "mobilebert", "modernbert", "mpnet", "mra"),
    *("nystromformer", "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "squeezebert"),
    *("xlm-roberta", "xlm-roberta-xl", "xmod", "yoso"),
}
"""Encoders that transformers knows without code from the repository."""
_OTHER_INPUTS = {"blip", "layoutlm", "layoutlmv2", "layoutlmv3", "lilt", "lxmert", "markuplm", "tapas", "vilt"}
_OTHER_HEADS = {"flaubert", "splinter", "xlm", "xlnet"}
_POSITIONS_BEHIND_PADDING = {
    *("camembert", "data2vec-text", "ibert", "longformer", "luke", "mpnet", "roberta", "roberta-prelayernorm"),
    *("xlm-roberta", "xlm-roberta-xl", "xmod"),
}
"""Families that number positions from pad_token_id + 1 on, so that as many of `max_position_embeddings` are lost."""
_MULTILINGUAL = {"rembert", "xlm-roberta", "xlm-roberta-xl", "xmod"}
_LONGEST, _STRIDE = 384, 128
_NO_LIMIT = 1_000_000
"""Tokenizers without a limit state one of 10^30."""
_LARGEST_CARD = 1_000_000

_SCRIPTS = {
    "Arabic": "ar fa ur",
    "Bengali": "bn",
    "Cyrillic": "be bg kk mk mn ru uk",
    "Devanagari": "hi mr ne",
    "Greek": "el",
    "Hangul": "ko",
    "Han": "zh ja",
    "Hebrew": "he",
    "Japanese": "ja",
    "Latin": "af ca cs cy da de en es et eu fi fr ga gl hr hu id is it lt lv ms nl no pl pt ro sk sl sq sv sw tl tr vi",
    "Tamil": "ta",
    "Telugu": "te",
    "Thai": "th",
}


def is_reader(config: Mapping[str, Any]) -> bool:
    """Whether a `config.json` names an architecture with a question-answering head."""
    return any(name.endswith(_READER) for name in _architectures(config))


def needs_code(config: Mapping[str, Any]) -> bool:
    """Whether the checkpoint can only be computed by Python code of its repository, which is never run."""
    kind = _kind(config)
    if not config.get("auto_map") or kind in _NATIVE:
        return False
    try:
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    except ImportError:
        return True
    return kind not in CONFIG_MAPPING_NAMES


def declines(name: str, config: Mapping[str, Any]) -> str | None:
    """Why a checkpoint is no reader of text that trifold can use, with the remedy; None when it is one."""
    kind = _kind(config)
    found = ", ".join(architecture[:60] for architecture in _architectures(config)) or "nothing"
    if needs_code(config):
        return (
            f"{name}: it needs Python code from its repository (auto_map, model type {kind}), which trifold never "
            "runs. Choose a model of an architecture that transformers has, such as bert, deberta-v2 or modernbert."
        )
    if not is_reader(config):
        remedy = "Choose a question-answering model."
        if kind in _NATIVE:
            remedy = f"`trifold finetune DATA --base {name}` makes a reader of it."
        return f"{name} is no reader: expected an architecture ...{_READER} in its config.json, found {found}. {remedy}"
    if kind in _OTHER_INPUTS:
        return f"{name}: a {kind} reads images, tables or layouts, not only text. Choose a reader of plain text."
    if kind in _OTHER_HEADS:
        return f"{name}: a {kind} scores answers with a head that trifold does not read. Choose another architecture."
    return None


def settings_of(
    name: str, config: Mapping[str, Any], tokenizer: QaTokenizer, limits: Mapping[str, Any], card: Mapping[str, Any]
) -> QaSettings:
    """How a reader that others trained is used; uncalibrated.

    limits: its tokenizer_config.json. card: the metadata of its model card. Raises ModelDamaged for one whose null or
    window cannot be used.
    """
    if not tokenizer.frame.before:
        raise ModelDamaged(
            f"{name}: its tokenizer puts no token before the question, so there is none that stands for 'no answer'. "
            "Choose a reader whose first token does, such as one of BERT's or RoBERTa's family."
        )
    languages = _languages(card)
    multilingual = _kind(config) in _MULTILINGUAL or re.search(r"multilingual|mdeberta|mbert", name.lower())
    scripts = frozenset[str]() if multilingual else _scripts_of(languages)
    return QaSettings(_window(name, config, limits), _has_null(name, card), languages, scripts, Calibration())


def card_facts(readme: Path) -> Mapping[str, Any]:
    """The metadata (front matter) of a model card; empty when there is none that can be read."""
    from huggingface_hub.repocard import metadata_load

    try:
        found = metadata_load(readme) if readme.stat().st_size <= _LARGEST_CARD else None
    except Exception:  # whatever a stranger wrote there, the model works without
        return {}
    return found or {}


def license_of(card: Mapping[str, Any]) -> str:
    """The licence that a card states, or "unknown"."""
    stated = card.get("license")
    plain = stated if isinstance(stated, str) and re.fullmatch(r"[\w.+ -]{1,60}", stated, re.A) else "unknown"
    if (
        plain == "other"
        and isinstance(named := card.get("license_name"), str)
        and re.fullmatch(r"[\w.+-]{1,60}", named)
    ):
        return named
    return plain


def tokenizer_limits(path: Path) -> Mapping[str, Any]:
    """A `tokenizer_config.json`; empty when there is none that can be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _architectures(config: Mapping[str, Any]) -> list[str]:
    found = config.get("architectures")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _kind(config: Mapping[str, Any]) -> str:
    found = config.get("model_type")
    return found[:60] if isinstance(found, str) else "unknown"


def _window(name: str, config: Mapping[str, Any], limits: Mapping[str, Any]) -> WindowSize:
    positions, padding = config.get("max_position_embeddings"), config.get("pad_token_id")
    if isinstance(positions, int) and _kind(config) in _POSITIONS_BEHIND_PADDING:
        positions -= (padding if isinstance(padding, int) else 1) + 1
    stated = limits.get("model_max_length")
    known = [int(n) for n in (positions, stated) if isinstance(n, int | float) and 0 < n < _NO_LIMIT]
    length = min(_LONGEST, *known) if known else _LONGEST
    if length <= LEAST_ROOM:
        raise ModelDamaged(
            f"{name}: it reads {length} tokens at a time, expected more than {LEAST_ROOM}. Choose another model."
        )
    return WindowSize(length, min(_STRIDE, length // 3))


def _has_null(name: str, card: Mapping[str, Any]) -> bool:
    """Whether a reader was trained on questions without an answer, as far as its name or its card's data tell.

    The data sets with such questions are the versions 2 of SQuAD, whose names vary in their punctuation only.
    """
    told = [name, *_texts(card.get("datasets"))]
    return any(re.search(r"squad[-_. ]?(v[-_. ]?)?2", text.lower()) for text in told)


def _languages(card: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(t.lower() for t in _texts(card.get("language")) if re.fullmatch(r"[A-Za-z]{2,3}", t))[:200]


def _scripts_of(languages: Sequence[str]) -> frozenset[str]:
    """What the languages are written in, and Latin; nothing when one of them is not known here."""
    found = {language: {s for s, known in _SCRIPTS.items() if language in known.split()} for language in languages}
    if not found or not all(found.values()):
        return frozenset()
    return frozenset({"Latin"}.union(*found.values()))


def _texts(value: object) -> list[str]:
    """A card gives one text or a list of them."""
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
