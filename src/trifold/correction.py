"""The contract of corrections: what people say is right, kept as a data set that a task can learn from.

A part of the contract between the floors (`trifold.task`) with a page of its own. Interfaces bring corrections in, a
job keeps them, and the task knows what they mean and how its data sets look.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from trifold.task import Limits

__all__ = ["Checked", "Correctable", "Correction", "CorrectionForm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One correction as it is kept.

    revision: 1, and one more with each change. created, changed: when, in ISO 8601 and UTC; None for what was put into
    the file by hand. about: the text that many corrections may be about, held once. content: the task's own record of
    the rest. extra: what else stands in the file, to be kept there.
    """

    id: str
    revision: int = 1
    created: str | None = None
    changed: str | None = None
    about: str
    content: Any
    extra: Mapping[str, Any] = field(default_factory=dict)


class Checked(NamedTuple):
    """A correction found well-formed. notes: what was put right about it, in sentences."""

    about: str
    content: Any
    notes: tuple[str, ...]


class CorrectionForm(Protocol):
    """How corrections of a task look to those who send them, and as a data set.

    The data set is a JSON object with a list at `data`, of which each element holds some corrections.
    """

    request: Mapping[str, Any]
    """JSON Schema (2020-12) of what `check` takes; `render` gives the same fields, with null for those not given."""

    examples: Mapping[str, Mapping[str, Any]]
    """Corrections that fit, by what they show."""

    head: Mapping[str, Any]
    """What else the data set says, beside `data`."""

    def check(self, raw: Mapping[str, Any], limits: Limits) -> Checked:
        """Make a record of an untrusted mapping. Raises InvalidInput with the remedy."""

    def asked(self, about: str, content: Any) -> Mapping[str, Any]:
        """The raw request to the task whose reply this corrects."""

    def key(self, content: Any) -> Hashable:
        """Of two corrections about one text with equal keys the later one counts."""

    def texts(self, content: Any) -> Iterable[str]:
        """What a search looks through, beside `about`."""

    def render(self, about: str, content: Any) -> Mapping[str, Any]:
        """The fields of a correction in JSON types."""

    def missing(self, corrections: Iterable[Correction]) -> str | None:
        """What they lack for `command` to learn from them alone, in a sentence or two; None where they suffice."""

    def read(self, place: str, element: Any) -> Iterable[Correction]:
        """The corrections of one element of `data`. place: where it stands, for messages.

        Raises DataError where it does not fit.
        """

    def elements(self, corrections: Iterable[Correction]) -> Iterator[Mapping[str, Any]]:
        """The elements of `data`, in JSON types, that `read` makes the same corrections of."""

    def command(self, file: str, name: str, base: str | None) -> Sequence[str]:
        """The words of the command that learns from such a file. name: of the new model. base: None for the usual."""


@runtime_checkable
class Correctable(Protocol):
    """A plugin whose replies can be corrected."""

    name: str

    def corrections(self) -> CorrectionForm:
        """How corrections of the task look."""
