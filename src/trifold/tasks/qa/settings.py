"""What a reader's `trifold.json` says beside its graphs (`task_settings`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from trifold.errors import ModelDamaged
from trifold.tasks.qa.calibration import Calibration
from trifold.tasks.qa.windows import LEAST_ROOM, WindowSize

__all__ = ["Answers", "Apart", "QaSettings"]

Answers: TypeAlias = Literal["one", "several", "yes-no"]


@dataclass(frozen=True, slots=True)
class Apart:
    """How a reader's lower layers read question and passage apart (DeFormer: Cao et al. 2020).

    layers: how many of them. position: that of the passage's first token, whatever the length of the question.
    """

    layers: int
    position: int = 32


@dataclass(frozen=True, slots=True)
class QaSettings:
    """How a reader's inputs are laid out and its outputs are read.

    null: whether the model was trained to score "no answer". languages, scripts: what it reads. answers: what it is
    made for: the one best answer, every answer of a passage, or yes and no. apart: for a reader of two stages.
    """

    window: WindowSize
    null: bool
    languages: tuple[str, ...]
    scripts: frozenset[str]
    calibration: Calibration
    answers: Answers = "one"
    apart: Apart | None = None

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> QaSettings:
        """Read the settings. Raises ModelDamaged for what is missing or of the wrong kind."""
        try:
            window = WindowSize(_whole(facts["window"]["length"]), _whole(facts["window"]["stride"]))
            languages, scripts = _texts(facts["languages"]), frozenset(_texts(facts["scripts"]))
            if not isinstance(facts["null"], bool):
                raise TypeError("'null' is neither true nor false")
            calibration = Calibration.from_dict(facts["calibration"])
            answers = facts.get("answers", "one")
            if answers not in get_args(Answers):
                raise TypeError(f"'answers' is {answers!r}, expected one of {', '.join(get_args(Answers))}")
            if answers != "one" and not facts["null"]:
                raise TypeError(f"answers of the kind {answers!r} need a trained null")
            parts = facts.get("apart")
            apart = None if parts is None else Apart(_whole(parts["layers"]), _whole(parts["position"]))
        except (KeyError, TypeError) as error:
            raise ModelDamaged(f"the model's task_settings cannot be read ({error!r}). Get the model again.") from None
        if window.length <= LEAST_ROOM or window.stride < 0:
            raise ModelDamaged(
                f"the model's windows must be longer than {LEAST_ROOM} tokens and share 0 or more, found "
                f"{window.length} and {window.stride}."
            )
        if apart is not None and min(apart.layers, apart.position) < 0:
            raise ModelDamaged(f"the model's layers apart must begin at 0 or later, found {apart}.")
        return cls(window, facts["null"], languages, scripts, calibration, answers, apart)

    def to_dict(self) -> dict[str, Any]:
        return {
            "window": {"length": self.window.length, "stride": self.window.stride},
            "null": self.null,
            "languages": list(self.languages),
            "scripts": sorted(self.scripts),
            "calibration": self.calibration.to_dict(),
            "answers": self.answers,
            **({} if self.apart is None else {"apart": asdict(self.apart)}),
        }


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"expected a whole number, found {value!r}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TypeError(f"expected a list of texts, found {value!r}")
    return tuple(value)
