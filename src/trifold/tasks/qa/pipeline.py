"""The drop-in for the `question-answering` pipeline that transformers 5.3 removed (docs/migration.md)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from trifold.engine.loaded import Loaded, open_model
from trifold.engine.runner import Runner
from trifold.errors import InvalidInput, TrifoldError, WrongTask
from trifold.models.registry import find
from trifold.tasks.qa.pipeline_inputs import LIMITS, Options, Sample, change, read_call
from trifold.tasks.qa.pipeline_spans import PipelineTask
from trifold.tasks.qa.reader import Reader

__all__ = ["QuestionAnsweringPipeline", "pipeline"]

_TASK = "question-answering"
_WINDOW = 384
_NO_LIMIT = 1_000_000
"""Tokenizers without a length of their own say a much larger number."""
_REFUSED = (
    "config",
    "feature_extractor",
    "image_processor",
    "processor",
    "model_kwargs",
    "pipeline_class",
    "modelcard",
)


class QuestionAnsweringPipeline:
    """Answers as the removed pipeline did; `pipeline` makes one. Safe to share between threads.

    >>> answer = trifold.pipeline("question-answering")
    >>> answer(question="Who wrote it?", context="The report was written by Ada Lovelace in 1843.")["answer"]
    'Ada Lovelace'

    reader: the same model behind the interface of `trifold.load`.
    """

    task = _TASK

    def __init__(self, loaded: Loaded, folder: Path, **defaults: Any) -> None:
        """folder: of the model. defaults: parameters for every call. Raises WrongTask, InvalidInput."""
        self.reader = Reader(loaded)
        settings = self.reader.task.settings
        if settings.answers == "yes-no":
            raise WrongTask(f"{loaded.version} answers yes or no, which a pipeline cannot say. Use trifold.load().")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        window = min(_WINDOW, settings.window.length)
        longest = _longest(folder)
        task = PipelineTask(tokenizer, null=settings.null, window=window, longest=longest, apart=settings.apart)
        self._runner = Runner(replace(loaded, task=task), limits=LIMITS)
        self._defaults = change(Options(), defaults)

    @property
    def model(self) -> str:
        """The model's version, such as `default@1`."""
        return self.reader.model

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Answer `question` from `context`, or each question of a list, of dictionaries, or of a stream.

        question, context: texts, or lists of them (one context serves all questions). Instead of them one positional
        argument: a dictionary with both, a SquadExample, a list of such, or a generator or torch Dataset of such,
        which is read as the answers are asked for. Parameters, each also taken by `pipeline` for every call:

        top_k: how many answers (1). max_answer_len: in tokens (15). handle_impossible_answer: let "no answer"
        compete, which is an empty text (False). align_to_words: answers end where words do (True). max_seq_len:
        tokens of a window (384, or the model's own where that is less). doc_stride: tokens that neighbouring
        windows share (128, or half a window). padding, max_question_len, batch_size and num_workers have no effect.

        Returns {"score", "start", "end", "answer"}, a list of such where top_k finds several, a list with one of
        these for each question where there are several questions, and an iterator for a stream. `answer` is
        `context[start:end]`. `score` is the old, uncalibrated product of start and end probability for a passage of
        one window; for a longer one it keeps that scale, but windows compare by their evidence (pipeline_spans).
        `reader.ask` gives calibrated scores.

        Raises PipelineInputError, an InvalidInput and a ValueError, before anything of a list is answered; for a
        stream when the item is reached, and the iterator can go on. Raises EngineError when the computation fails.
        """
        inputs, is_stream, parameters = read_call(args, kwargs)
        options = change(self._defaults, parameters)
        if is_stream:
            return self._answers(inputs, options)
        if isinstance(inputs, Sample):
            return next(self._answers([inputs], options))
        return list(self._answers(inputs, options))

    @staticmethod
    def create_sample(question: str | Sequence[str], context: str | Sequence[str]) -> Sample | list[Sample]:
        """A question with its context as a sample, or a list of them."""
        if isinstance(question, str) and isinstance(context, str):
            return Sample(question, context)
        contexts = [context] * len(question) if isinstance(context, str) else context
        return [Sample(q, c) for q, c in zip(question, contexts, strict=True)]

    def _answers(self, items: Iterable[Any], options: Options) -> Iterator[Any]:
        rows = ((None, {"item": item, "options": options}) for item in items)
        return map(_unwrap, self._runner.map(rows))


def pipeline(
    task: str | None = _TASK,
    model: str | PathLike[str] | None = None,
    *,
    tokenizer: Any = None,
    revision: str | None = None,
    framework: str | None = None,
    use_fast: bool = True,
    token: str | bool | None = None,
    device: Any = None,
    device_map: Any = None,
    dtype: Any = None,
    torch_dtype: Any = None,
    trust_remote_code: bool | None = None,
    precision: str | None = None,
    **defaults: Any,
) -> QuestionAnsweringPipeline:
    """Make what `transformers.pipeline("question-answering", ...)` made until transformers 5.3.

    model: as for `trifold.load`; None for `default`. revision: of a hub id, or a version. dtype (or torch_dtype):
    float32 for the model's fp32 graph, "auto" or None for its fast one; precision: the same by its name here.
    defaults: the parameters of a call. The other arguments are accepted where they ask for what happens anyway, get a
    warning where they have no effect, and are refused where they ask for something else: a GPU, a model object,
    another tokenizer, foreign code.

    Raises InvalidInput, ModelNotFound, ModelDamaged, WrongTask.
    """
    if task not in (_TASK, None):
        raise InvalidInput(f"task: trifold has {_TASK!r} as a pipeline, found {str(task)[:80]!r}.", field="task")
    name = _name("default" if model is None else model)
    _check_tokenizer(tokenizer, name)
    _check_device(device, device_map)
    if framework not in (None, "pt", "tf"):
        raise InvalidInput(f"framework: expected 'pt' or none, found {framework!r}.", field="framework")
    if trust_remote_code:
        raise InvalidInput("trust_remote_code: code of a repository is never run. Leave it out.")
    for refused in _REFUSED:
        if defaults.pop(refused, None):
            raise InvalidInput(f"{refused}: a model is opened with its own. Leave it out.", field=refused)
    if not use_fast:
        warnings.warn("use_fast=False has no effect: the model's tokenizer.json is used", UserWarning, stacklevel=2)
    if isinstance(token, str):
        warnings.warn("token has no effect: set HF_TOKEN, or log in: hf auth login", UserWarning, stacklevel=2)
    precision = precision or _precision(torch_dtype if dtype is None else dtype)
    folder = find(_versioned(name, revision))
    return QuestionAnsweringPipeline(open_model(folder, precision), folder.path, **defaults)


def _unwrap(outcome: tuple[None, list[dict[str, Any]] | TrifoldError]) -> Any:
    """A single answer comes alone, whatever top_k was; what went wrong with an item is raised in its turn."""
    _, reply = outcome
    if isinstance(reply, Exception):
        raise reply
    return reply[0] if len(reply) == 1 else reply


def _name(model: object) -> str:
    name = fspath(model) if isinstance(model, str | PathLike) else None
    if not isinstance(name, str) or not name:
        raise InvalidInput(
            f"model: expected a name or a folder, found a {type(model).__name__}. Save a model object with "
            "save_pretrained(folder), its tokenizer too, and give the folder.",
            field="model",
        )
    return name


def _versioned(model: str, revision: str | None) -> str:
    if revision in (None, "main"):
        return model
    if "@" in model or Path(model).is_dir():
        raise InvalidInput(
            f"revision: {model[:80]!r} names one version already, found the revision {str(revision)[:80]!r} too. "
            "Leave one of them out.",
            field="revision",
        )
    return f"{model}@{revision}"


def _check_tokenizer(tokenizer: Any, model: str) -> None:
    """Accept the model's own, by its name or as an object that was loaded by that name."""
    name = tokenizer if isinstance(tokenizer, str | PathLike) else getattr(tokenizer, "name_or_path", None)
    if tokenizer is not None and (name is None or fspath(name) != model):
        raise InvalidInput(
            f"tokenizer: {model} is read with its own tokenizer, found another one. Leave it out.", field="tokenizer"
        )


def _check_device(device: Any, device_map: Any) -> None:
    if device not in (None, -1) and str(device).partition(":")[0] != "cpu":
        raise InvalidInput(
            f"device: answers are computed on the CPU, found {str(device)[:80]!r}. Leave it out, or give 'cpu'.",
            field="device",
        )
    if device_map not in (None, "auto", "cpu", {"": "cpu"}):
        raise InvalidInput(
            f"device_map: answers are computed on the CPU, found {str(device_map)[:80]!r}. Leave it out.",
            field="device_map",
        )


def _precision(dtype: Any) -> str | None:
    name = "auto" if dtype is None else str(dtype).removeprefix("torch.")
    if name not in ("auto", "float32", "float16", "bfloat16"):
        raise InvalidInput(f"dtype: expected float32 or 'auto', found {name[:80]!r}.", field="dtype")
    if name in ("float16", "bfloat16"):
        warnings.warn(f"dtype {name} has no effect: the model's fast graph is used", UserWarning, stacklevel=3)
    return "fp32" if name == "float32" else None


def _longest(folder: Path) -> int | None:
    """How many tokens a model can read at once, by what its own files say."""
    found = []
    for file, key in (("tokenizer_config.json", "model_max_length"), ("config.json", "max_position_embeddings")):
        try:
            value = json.loads((folder / file).read_bytes())[key]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(value, int) and 0 < value < _NO_LIMIT:
            found.append(value)
    return min(found, default=None)
