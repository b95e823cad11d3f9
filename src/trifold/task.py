"""The one contract between the floors: what a model means, and what a plugin brings.

A *task* turns a request into units of work for the engine and the engine's arrays into a reply. The engine
knows nothing else about it. A *plugin* (entry point group `trifold.tasks`) brings a task to the interfaces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    import click
    import numpy as np
    from rich.console import Console

__all__ = [
    "Adopter",
    "Arrays",
    "Checkpoint",
    "Columns",
    "Encoded",
    "Fetch",
    "Host",
    "Kind",
    "Limits",
    "Panel",
    "Paneled",
    "Payload",
    "Plugin",
    "Prefix",
    "Progress",
    "Route",
    "Servable",
    "Tabular",
    "Task",
    "Unit",
    "no_progress",
]

Req = TypeVar("Req")
Rep = TypeVar("Rep", covariant=True)

if TYPE_CHECKING:
    Arrays = Mapping[str, np.ndarray[Any, Any]]
    """Named arrays of one unit. Axis 0 is the unit's own length (tokens, frames); there is no batch axis."""
else:
    Arrays = Mapping


@dataclass(frozen=True, slots=True)
class Prefix:
    """Work that several units share, such as the states of a passage about which there are many questions.

    key: equal exactly where the contents are; the engine adds the model to it. arrays: the inputs of the model's first
    stage, each of shape (length, ...), all of the same length.
    """

    key: bytes
    arrays: Arrays


@dataclass(frozen=True, slots=True)
class Unit:
    """One stretch of work that the engine may batch with units of other requests.

    arrays: the model's inputs, each of shape (length, ...), all of the same length.
    cost: in the task's own unit (tokens, frames); the planner budgets batches and look-ahead by it.
    prefix: what a model of two stages computes first, once for all units that have it. The outputs of such a unit are
    of its own length and its prefix's together.
    """

    arrays: Arrays
    cost: int
    prefix: Prefix | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds on one request. An interface that faces strangers lowers them.

    text_bytes: size of one text (a passage), in bytes of UTF-8.
    texts: how many texts (passages) one request may hold.
    files: whether a request may name files of this machine, which a caller from elsewhere must not be able to read.
    """

    text_bytes: int = 10_000_000
    texts: int = 10_000
    files: bool = True


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request made ready: its units, and what `decode` will want to know of them (such as token positions)."""

    units: Sequence[Unit]
    memo: Any = None


class Task(Protocol[Req, Rep]):
    """What one version of a model means. Immutable, pure and thread-safe."""

    @property
    def name(self) -> str:
        """The plugin's name, as in `trifold.json`."""

    def check(self, raw: Mapping[str, Any], limits: Limits) -> Req:
        """Make a typed request of an untrusted mapping.

        Raises InvalidInput with the remedy. Nothing later may fail because of the input.
        """

    def encode(self, request: Req) -> Encoded:
        """The units of a request; there may be none."""

    def decode(self, request: Req, memo: Any, outputs: Sequence[Arrays]) -> Rep:
        """The reply, from the memo of `encode` and the outputs of its units, in their order."""


Kind = Literal["text", "integer", "number", "json"]
"""What the cells of a column hold, where they are not empty; "json" are lists and objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How the requests and replies of a task stand in the rows of a table.

    request: the fields of a raw request that a row gives, each with the names that its column may bear, best first.
    needed: fields of which a row must give one, group by group. options: the other fields of a raw request, which say
    how to answer; the same for all rows. example: a raw request that fits.

    reply: the columns of a reply and their kinds. answer: the one that holds
    the answer, empty where there is none. score: the one with the probability that the reply is right, if any.
    """

    request: Mapping[str, Sequence[str]]
    needed: Sequence[Sequence[str]]
    options: Sequence[str]
    example: Mapping[str, Any]
    reply: Mapping[str, Kind]
    answer: str
    score: str | None


@runtime_checkable
class Tabular(Protocol):
    """A task whose requests can be the rows of a table, so that it runs as a batch job."""

    def columns(self, options: Mapping[str, Any]) -> Columns:
        """The columns, where `options` holds for every row."""

    def cells(self, reply: Any) -> Mapping[str, Any]:
        """The reply's columns, as many as any `columns` may name, in JSON types; and `warnings`, a tuple of texts."""

    def unnest(self, element: Any) -> Iterable[tuple[str, Any]] | None:
        """The rows inside one element of a JSON document, each with its place there; None where it is itself a row.

        What is no mapping is no row. Never raises.
        """


class Progress(Protocol):
    """Called as work goes on."""

    def __call__(self, done: int, total: int, /) -> None: ...


class Host(Protocol):
    """What the command line lends to a plugin's commands (`click.pass_obj`)."""

    out: Console
    """Standard output, with colours where a person reads."""

    err: Console
    """Standard error: progress, warnings."""

    def progress(self, label: str) -> AbstractContextManager[Progress]:
        """A progress display with the time left, shown once the work has taken two seconds."""

    def print_json(self, value: object) -> None:
        """Write one JSON document to standard output, the same on a terminal and in a pipe."""


def no_progress(done: int, total: int, /) -> None:
    """For work that nobody watches."""


class Plugin(Protocol):
    """What a task brings. Importing a plugin must be cheap: it happens for `trifold --help`."""

    name: str
    """The task's name in `trifold.json`."""

    def open(self, folder: Path, version: str, settings: Mapping[str, Any]) -> Task[Any, Any]:
        """The task for one model version; `settings` is the `task_settings` object of its `trifold.json`.

        Raises ModelDamaged when the folder lacks what the task needs.
        """

    def commands(self) -> Sequence[click.Command]:
        """The task's words on the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The form in which Hugging Face's inference clients ask a task, and in which they want the reply.

    read: the raw request of a payload (a JSON object); raises InvalidInput. write: the response to that payload, in
    JSON types, from the reply. request, response: their JSON Schemas. example: a payload.
    """

    read: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    write: Callable[[Mapping[str, Any], Any], Any]
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    example: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How a task is reached over HTTP: one raw request at the path `one`, a list of them at the path `many`.

    request, reply: JSON Schemas (2020-12) of a raw request and of what `render` makes of a reply. examples: raw
    requests that fit, by what they show. payload: Hugging Face's form of the same, where it has one.
    """

    one: str
    many: str
    summary: str
    description: str
    request: Mapping[str, Any]
    reply: Mapping[str, Any]
    examples: Mapping[str, Mapping[str, Any]]
    render: Callable[[Any], Mapping[str, Any]]
    payload: Payload | None = None


@runtime_checkable
class Servable(Protocol):
    """A plugin whose tasks can be asked over HTTP."""

    name: str

    def routes(self) -> Sequence[Route]:
        """The paths of the task."""


@dataclass(frozen=True, slots=True)
class Panel:
    """What a task adds to the web page: static files, which are served at `page/tasks/NAME/` of the page's address.

    files: the folder that holds them. script: the module in it that the page loads; it finds the modules of the page
    itself at `../../`, and adds its panel by what these offer.
    """

    files: Path
    script: str


@runtime_checkable
class Paneled(Protocol):
    """A plugin that has a panel of the web page."""

    name: str

    def panel(self) -> Panel:
        """The files of the panel."""


class Fetch(Protocol):
    """Gives files of a checkpoint; those of the hub are downloaded where they are not here yet."""

    def __call__(self, *patterns: str, required: bool = False) -> list[Path]:
        """The files that match one of the patterns, as `Path.glob` reads them; none where there are none.

        required: a hub that cannot be reached is an error (ModelNotFound) rather than a checkpoint without such files.
        """


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model as others publish it, before a plugin has made a model folder of it.

    path: where its files are. name: its id on the Hugging Face hub, or the folder's name. revision: the hub's commit,
    None for a folder of this machine. label: `name@version` of the model folder that is made of it.
    """

    path: Path
    name: str
    revision: str | None
    label: str
    fetch: Fetch


@runtime_checkable
class Adopter(Protocol):
    """A plugin that can also take over checkpoints that others made."""

    name: str

    def declines(self, name: str, config: Mapping[str, Any]) -> str | None:
        """Why the task cannot use the checkpoint `name` with this `config.json`, and what to do; None when it can."""

    def adopt(self, checkpoint: Checkpoint, folder: Path) -> Mapping[str, Any]:
        """Write everything but `trifold.json` of a model folder; returns the facts of that (see `write_manifest`).

        folder: exists and is empty. Raises ModelDamaged for a checkpoint that cannot be used, MissingExtra.
        """
