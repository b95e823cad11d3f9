"""The reader in Python: load a model once, ask it many questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from typing import Any, cast

from trifold.engine.loaded import Loaded, open_model
from trifold.engine.runner import Runner
from trifold.errors import InvalidInput, ModelDamaged, TrifoldError, WrongTask
from trifold.models.registry import find
from trifold.task import Limits, Progress, no_progress
from trifold.tasks.qa.records import LONGEST_ANSWER, Reply
from trifold.tasks.qa.task import QaTask

__all__ = ["Reader", "load"]


class Reader:
    """A model that answers questions about passages. Safe to share between threads.

    >>> reader = trifold.load()
    >>> reply = reader.ask("Who wrote it?", "The report was written by Ada Lovelace in 1843.")
    >>> reply.answers[0].text
    'Ada Lovelace'
    """

    def __init__(self, loaded: Loaded, *, limits: Limits | None = None) -> None:
        if not isinstance(loaded.task, QaTask):
            raise WrongTask(
                f"{loaded.version} is a model for the task {loaded.task.name!r}; a Reader needs one for 'qa'."
            )
        if loaded.session is None:
            raise ModelDamaged(f"{loaded.version} has no graph to answer with. Get the model again.")
        self.task = loaded.task
        self.precision = loaded.precision
        self._runner = Runner(loaded, limits=limits)

    @property
    def model(self) -> str:
        """The model's version, such as `default@1`."""
        return self.task.version

    def ask(
        self,
        question: str,
        passage: str | Sequence[str],
        *,
        top_k: int | None = None,
        always_answer: bool = False,
        max_answer_len: int = LONGEST_ANSWER,
        progress: Progress = no_progress,
    ) -> Reply:
        """Answer one question from a passage, or from several that are read together.

        top_k: how many answers at most, none overlapping another; by default one, or all from a model made for
        that. always_answer: give the best answer even where the passages probably do not say. max_answer_len: in
        the model's tokens. progress: called with the windows read so far
        and all of them.

        Raises InvalidInput for what cannot be asked, EngineError when the computation fails.
        """
        row = {
            "question": question,
            "passage" if isinstance(passage, str) else "passages": passage,
            "top_k": top_k,
            "always_answer": always_answer,
            "max_answer_len": max_answer_len,
        }
        ((_, reply),) = self._runner.map([(None, row)], computed=progress)
        if isinstance(reply, Exception):
            raise reply
        return cast("Reply", reply)

    def ask_many(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Reply | TrifoldError]:
        """Answer many questions, in order, batched over all cores and in bounded memory.

        rows: mappings with `question`, `passage` (or `passages`) and, where wanted, the options of `ask`; read
        as they are needed, so an endless source is fine. A row that cannot be answered yields its error in its
        place and never touches its neighbours.
        """
        for _, reply in self._runner.map(enumerate(rows)):
            yield cast("Reply | TrifoldError", reply)


def load(
    model: str | PathLike[str] = "default", *, precision: str | None = None, limits: Limits | None = None
) -> Reader:
    """Load a model that answers questions.

    model: `default` (comes with the package), a name or `name@version` of the registry, or a folder.
    precision: `int8` or `fp32` where the model has both; by default its fast form. limits: bounds on one request.

    Raises ModelNotFound, ModelDamaged, WrongTask, InvalidInput.
    """
    name = fspath(model) if isinstance(model, str | PathLike) else None
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"model: expected a name or a folder, found {model!r}. Try 'default'.", field="model")
    return Reader(open_model(find(name), precision), limits=limits)
