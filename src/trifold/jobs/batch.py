"""The batch job: answers every row of a table and writes a table of the answers."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from trifold import __version__
from trifold.engine.loaded import Loaded, open_model
from trifold.engine.runner import Runner
from trifold.errors import DataError, InvalidInput, TooManyErrors, UsageError, WrongTask
from trifold.jobs.answering import CHUNK, Stopped, answers
from trifold.jobs.journal import Chunk, Journal, Record
from trifold.jobs.order import Order, Summary, Watcher
from trifold.jobs.requests import ID, Shape
from trifold.jobs.stamps import Stamps, check_stamps, stamps_of
from trifold.jobs.tally import Tally
from trifold.jsontext import to_json
from trifold.models.folder import ModelFolder, hash_file
from trifold.models.registry import find
from trifold.tables.forms import Form, form_of
from trifold.tables.publishing import check_target, publishing
from trifold.tables.source import Source, open_source
from trifold.tables.writing import Column, check_form, stream_rows, write_rows
from trifold.task import Columns, Tabular

__all__ = ["run"]

_LIBRARIES = ("numpy", "onnxruntime", "tokenizers")
STREAM = "-"


def run(order: Order, watcher: Watcher, *, resume: bool = False, restart: bool = False) -> Summary:
    """Do a job to its end, or go on with it.

    The output appears when all of it is there. What was answered before an interruption, whatever it was, is kept in
    the journal beside the output, and `resume` goes on from there to the same bytes. Standard input and output cannot
    be gone on with.

    Raises UsageError and its kinds for what was ordered, TooManyErrors, EngineError for a disk that is full or gone.
    """
    began = time.monotonic()
    streamed = order.output == STREAM or _is_device(Path(order.output))
    form = form_of(order.output, order.output_format)
    check_form(form)
    if order.errors == STREAM:
        raise UsageError("--errors: expected a file. Without it, errors are shown where the answers are streamed.")
    if not streamed:
        check_target(Path(order.output))
    if order.errors or not streamed:
        check_target(_errors_path(order))
    folder = find(order.model)
    loaded = open_model(folder, order.precision)
    task = loaded.task
    if not isinstance(task, Tabular):
        raise WrongTask(f"{loaded.version} is a model for the task {task.name!r}, which has no rows to answer.")
    shape = _shape(order, loaded, task)
    source = open_source(list(order.inputs), form=order.input_format, unnest=task.unnest)
    shape.check(source.columns())
    _check_targets(order, source, None if streamed else _errors_path(order))
    if resume and (streamed or not source.resumable):
        raise UsageError("--resume: standard input and output cannot be gone on with. Give files for both.")
    runner = Runner(loaded, limits=order.limits)
    job = _Job(order, form, loaded, task, shape, source, runner, watcher)
    if streamed:
        return job.stream(began)
    journal = Journal(Path(os.path.realpath(order.output)))  # beside the file that is replaced, on the same disk
    watcher.stage("reading the input")
    stamps = stamps_of(source)
    journal.begin(_facts(order, folder, loaded, source), resume=resume, restart=restart)
    try:
        return job.to_file(journal, stamps, began)
    finally:
        if not source.resumable:
            journal.remove()  # nothing can go on with it
        journal.close()


@dataclass(frozen=True, slots=True)
class _Job:
    order: Order
    form: Form
    loaded: Loaded
    task: Tabular
    shape: Shape
    source: Source
    runner: Runner
    watcher: Watcher

    def to_file(self, journal: Journal, stamps: Stamps, began: float) -> Summary:
        """Answer what the journal lacks, then put the output together. stamps: of the input as it was hashed."""
        order, watcher = self.order, self.watcher
        if not self.source.resumable:
            watcher.warn("standard input is read once: an interrupted job cannot be gone on with.")
        resumed = journal.tally.rows
        watcher.begin(self.source.count(), resumed)
        skip = journal.first_missing() * CHUNK
        unseen = self._expected()
        errors_path = _errors_path(order)
        try:
            for chunk in self._chunks(skip, journal, unseen):
                check_stamps(stamps, self.source)
                journal.save(chunk)
        except Stopped as stop:
            _write_errors(errors_path, chain(journal.records(), *(chunk.records for chunk in stop.chunks)))
            hint = " Mend them and begin with --restart, or allow more and go on with --resume."
            raise TooManyErrors(
                f"more than {order.max_errors:,} rows could not be answered, so the job stopped. They are in "
                f"{errors_path}.{hint if self.source.resumable else ''}"
            ) from stop
        self._warn_of(unseen if not resumed else ())
        if not journal.tally.rows:
            raise DataError(f"{', '.join(order.inputs)}: there are no rows in it.")
        watcher.stage("writing the output")
        if journal.tally.failed or order.errors:
            _write_errors(errors_path, journal.records())
        try:
            with publishing(Path(order.output), journal.folder / "output.partial") as stream:
                columns, answer = self._columns(journal), self.shape.columns.answer
                write_rows(stream, self.form, lambda: _rows(journal.records()), columns, headline=answer)
        except DataError as error:
            if self.form.kind != "predictions" or not self.source.resumable:
                raise
            raise DataError(f"{error} What was answered is kept: --resume with another --format writes it.") from error
        if not journal.tally.failed and not order.errors and errors_path.is_file():
            errors_path.unlink()  # of an earlier job: this one has none
        tally = journal.tally
        journal.remove()
        shown = str(errors_path) if tally.failed or order.errors else None
        return Summary(self.loaded.version, order.output, shown, tally, resumed, time.monotonic() - began)

    def stream(self, began: float) -> Summary:
        """Answer and write as the rows come."""
        order, watcher = self.order, self.watcher
        if self.shape.keep is None and self.form.kind != "jsonl":
            raise UsageError("--keep-all: only JSON lines can be written to standard output with all columns.")
        if sys.stdout is not None and not sys.stdout.isatty():
            watcher.warn("standard output is written as it comes: an interrupted job cannot be gone on with.")
        tally, unseen = Tally(), self._expected()
        watcher.begin(self.source.count(), 0)
        with _opened(order.output) as target, _error_stream(order.errors) as errors:
            writer = stream_rows(target, self.form, self._columns(None))

            def give(chunk: Chunk) -> None:
                tally.add(chunk.tally)
                for kind, record in chunk.records:
                    if kind == "row":
                        writer.write(record)
                    elif errors is None:
                        watcher.failed(record)
                    else:
                        errors.write(f"{to_json(record)}\n".encode())

            stopped = None
            try:
                for chunk in self._chunks(0, None, unseen):
                    give(chunk)
            except Stopped as stop:
                stopped = stop
                for chunk in stop.chunks:
                    give(chunk)
            writer.close()
        if stopped is not None:
            raise TooManyErrors(
                f"more than {order.max_errors:,} rows could not be answered, so the job stopped. Mend them, or allow "
                "more."
            ) from stopped
        self._warn_of(unseen)
        if not tally.rows:
            raise DataError(f"{', '.join(order.inputs)}: there are no rows in it.")
        return Summary(self.loaded.version, order.output, order.errors, tally, 0, time.monotonic() - began)

    def _warn_of(self, unseen: Iterable[str]) -> None:
        for name in unseen:
            self.watcher.warn(f"no row of the input has a column {name}.")

    def _expected(self) -> set[str]:
        """The columns that the user named."""
        return {*(self.order.keep or ()), *self.order.columns.values()}

    def _chunks(self, skip: int, journal: Journal | None, unseen: set[str]) -> Iterator[Chunk]:
        before = journal.tally.rows if journal else 0
        failed = journal.tally.failed if journal else 0
        return answers(
            self.runner,
            self.task,
            self.shape,
            self.source.rows(skip),
            done=journal.done if journal else (),
            failed=failed,
            max_errors=self.order.max_errors,
            advance=lambda rows, errors: self.watcher.advance(before + rows, failed + errors),
            unseen=unseen,
        )

    def _columns(self, journal: Journal | None) -> list[Column]:
        """The columns of the output; which ones all rows together keep is known when they are answered."""
        shape = self.shape
        found = [Column(ID, "any"), *(Column(name, kind) for name, kind in shape.columns.reply.items())]
        if shape.keep is not None:
            return found + [Column(shape.free(name), "any") for name in shape.keep]
        names: dict[str, None] = {}
        for row in _rows(journal.records()) if journal and self.form.kind != "predictions" else ():
            names.update(dict.fromkeys(row))
        return found + [Column(name, "any") for name in names if name not in {column.name for column in found}]


def _shape(order: Order, loaded: Loaded, task: Tabular) -> Shape:
    """The shape of rows, its options checked once and for all. Raises UsageError."""
    columns: Columns = task.columns(order.options)
    if unknown := [name for name in order.columns if name not in (ID, *columns.request)]:
        raise UsageError(f"--column: expected one of {', '.join((ID, *columns.request))}, found {unknown[0]!r}.")
    if unknown := [name for name in order.options if name not in columns.options]:
        known = ", ".join(columns.options) or "none"
        raise UsageError(f"--set: {loaded.version} has no option {unknown[0]!r} (its options: {known}).")
    try:
        loaded.task.check({**columns.example, **order.options}, order.limits)
    except InvalidInput as error:
        raise UsageError(f"--set: {error}") from None
    keep = None if order.keep is None else tuple(dict.fromkeys(order.keep))
    return Shape(columns, order.columns, order.options, keep)


def _facts(order: Order, folder: ModelFolder, loaded: Loaded, source: Source) -> dict[str, Any]:
    """Everything that decides what the output is."""
    return {
        "format": 1,
        "resumable": source.resumable,
        "input": source.digests(),
        "model": {
            "name": loaded.version,
            "sha256": hash_file(folder.path / "trifold.json"),
            "precision": loaded.precision,
        },
        "options": {
            "--column": dict(order.columns),
            "--set": dict(order.options),
            "--keep": "all" if order.keep is None else list(order.keep),
            "--input-format": order.input_format,
            "passage limit": order.limits.text_bytes,
        },
        "chunk": CHUNK,
        "version of": {"trifold": __version__, **{name: version(name) for name in _LIBRARIES}},
    }


def _check_targets(order: Order, source: Source, errors: Path | None) -> None:
    """Refuse to write over what is read."""
    targets = {"the output": order.output, "the errors file": order.errors or errors}
    named = {label: Path(name) for label, name in targets.items() if name not in (None, STREAM)}
    for label, path in named.items():
        for file in source.files:
            if path.exists() and file.exists() and path.samefile(file):
                raise UsageError(f"{path}: {label} is also an input. Choose another name.")
    if len(named) == 2 and len({os.path.realpath(path) for path in named.values()}) == 1:
        raise UsageError(f"{order.output}: the output is also the errors file. Choose another name for one of them.")


def _is_device(path: Path) -> bool:
    """Whether a path is written to as it is: a pipe, /dev/null."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _errors_path(order: Order) -> Path:
    """Where bad rows go."""
    return Path(order.errors or f"{order.output}.errors.jsonl")


def _rows(records: Iterator[Record]) -> Iterator[Mapping[str, Any]]:
    return (record for kind, record in records if kind == "row")


def _write_errors(path: Path, records: Iterable[Record]) -> None:
    with publishing(path) as stream:
        for kind, record in records:
            if kind == "error":
                stream.write(f"{to_json(record)}\n".encode())


@contextmanager
def _opened(output: str) -> Iterator[BinaryIO]:
    """The stream of an output that is no file."""
    if output == STREAM:
        if not hasattr(sys.stdout, "buffer"):
            raise UsageError("standard output is closed. Name a file for the answers.")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with Path(output).open("wb") as stream:
            yield stream


def _error_stream(path: str | None) -> Any:
    return nullcontext() if path is None else publishing(Path(path))
