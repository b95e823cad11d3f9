"""The client of a service that answers questions: what `Reader` offers, over the network."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Mapping, Sequence
from typing import Any

from trifold.errors import TrifoldError
from trifold.remote.batches import Route, encode
from trifold.remote.exchange import Call, Flow, fetch
from trifold.remote.service import AsyncService, Service
from trifold.remote.settings import Settings
from trifold.remote.shapes import entry, listed, number, record
from trifold.tasks.qa.client_corrections import KeptCorrection, Span, correct_at, corrections_at
from trifold.tasks.qa.records import LONGEST_ANSWER, Answer, Reply, Verdict

__all__ = ["AsyncClient", "Client", "read_reply"]

_ONE, _MANY = "/v1/answer", "/v1/answers"
_IN_FLIGHT = 4


class Client(Service):
    """A service that answers questions (`trifold serve`). Safe to share between threads.

    >>> with trifold.Client("http://127.0.0.1:8000") as client:
    ...     reply = client.ask("Who wrote it?", "The report was written by Ada Lovelace in 1843.")
    >>> reply.answers[0].text
    'Ada Lovelace'

    url: where `trifold serve` says that it listens. api_key: where the service wants one; by default that of the
    environment variable TRIFOLD_API_KEY; an empty one stands for none. model: for questions that name none; by default
    the service's own choice. timeout: seconds for a call with all its repetitions, None for as long as it takes; the
    service is told, and drops what would come too late. connect_timeout: seconds for one connection. retries: how often
    a request is sent again that found no service or a full one, or a `trifold.remote.retries.Retries`. ssl_context:
    which certificates are trusted, by default those of the system.

    A proxy of the environment (HTTP_PROXY, ...) is used for other machines than this one. Redirections are not
    followed.

    Raises InvalidInput for what cannot be used.
    """

    def ask(
        self,
        question: str,
        passage: str | Sequence[str],
        *,
        top_k: int | None = None,
        always_answer: bool = False,
        max_answer_len: int = LONGEST_ANSWER,
        model: str | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """Answer one question from a passage, or from several that are read together: see `Reader.ask`.

        model, timeout: instead of the client's.

        Raises InvalidInput for what cannot be asked, ModelNotFound, WrongTask, AccessDenied; Overloaded,
        DeadlineExceeded, NotReady, Unreachable where another try may succeed later; EngineError when the computation
        fails.
        """
        row = _row(question, passage, top_k, always_answer, max_answer_len, model or self._model)
        return self._run(_asked(self._settings, row, timeout))

    def ask_many(
        self, rows: Iterable[Mapping[str, Any]], *, model: str | None = None, in_flight: int = _IN_FLIGHT
    ) -> Generator[Reply | TrifoldError, None, None]:
        """Answer many questions, in order, several requests at a time and in bounded memory.

        rows: mappings with `question`, `passage` (or `passages`) and, where wanted, the options of `ask` and `model`;
        read as they are needed, so an endless source is fine. in_flight: requests at a time, of up to 32 rows each.
        The time limit of the client is that of each such batch.

        A row that cannot be answered, or not in time, yields its error in its place and never touches its neighbours.
        What would meet all rows to come as well is raised, after the replies to those before: Unreachable, NotReady,
        AccessDenied.
        """
        return self._many(rows, Route(_MANY, model or self._model), read_reply, in_flight)

    def correct(
        self,
        question: str,
        passage: str,
        answers: Sequence[Span],
        *,
        reply: Reply | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> KeptCorrection:
        """Tell the service what is right about a passage, for it to be learnt later: see docs/serving.md.

        answers: where the right answers stand, each right by itself; none where the passage does not say. reply: what
        the model had said. A later correction of the same question about the same passage replaces this one.

        Raises InvalidInput for what does not fit and for a data set that is full, and what `ask` raises.
        """
        return self._run(correct_at(self._settings, question, passage, answers, reply, note, timeout))

    def corrections(self, query: str = "") -> Generator[KeptCorrection, None, None]:
        """The corrections that the service keeps, the one that was changed last first.

        query: words that stand in any of the texts, in any case. Raises what `ask` raises.
        """
        offset: int | None = 0
        while offset is not None:
            page = self._run(corrections_at(self._settings, query, offset))
            yield from page.corrections
            offset = page.next_offset


class AsyncClient(AsyncService):
    """`Client` for asyncio. Safe to share between the tasks of one event loop.

    >>> async with trifold.AsyncClient("http://127.0.0.1:8000") as client:
    ...     reply = await client.ask("Who wrote it?", "The report was written by Ada Lovelace in 1843.")

    Its arguments are those of `Client`.
    """

    async def ask(
        self,
        question: str,
        passage: str | Sequence[str],
        *,
        top_k: int | None = None,
        always_answer: bool = False,
        max_answer_len: int = LONGEST_ANSWER,
        model: str | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """Answer one question: see `Client.ask`. When it is cancelled, the service drops the question."""
        row = _row(question, passage, top_k, always_answer, max_answer_len, model or self._model)
        return await self._run(_asked(self._settings, row, timeout))

    def ask_many(
        self,
        rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        model: str | None = None,
        in_flight: int = _IN_FLIGHT,
    ) -> AsyncGenerator[Reply | TrifoldError, None]:
        """Answer many questions, in order: see `Client.ask_many`. rows: may come asynchronously.

        Who leaves it early closes it (`async with contextlib.aclosing(client.ask_many(rows)) as replies`), which
        cancels what is under way.
        """
        return self._many(rows, Route(_MANY, model or self._model), read_reply, in_flight)

    async def correct(
        self,
        question: str,
        passage: str,
        answers: Sequence[Span],
        *,
        reply: Reply | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> KeptCorrection:
        """Tell the service what is right about a passage: see `Client.correct`."""
        return await self._run(correct_at(self._settings, question, passage, answers, reply, note, timeout))

    async def corrections(self, query: str = "") -> AsyncGenerator[KeptCorrection, None]:
        """The corrections that the service keeps: see `Client.corrections`."""
        offset: int | None = 0
        while offset is not None:
            page = await self._run(corrections_at(self._settings, query, offset))
            for one in page.corrections:
                yield one
            offset = page.next_offset


def _row(
    question: str,
    passage: str | Sequence[str],
    top_k: int | None,
    always_answer: bool,
    max_answer_len: int,
    model: str | None,
) -> dict[str, Any]:
    """The fields of a request; those that are not given are left to the service."""
    given = {"top_k": top_k, "model": model}
    return {
        "question": question,
        "passage" if isinstance(passage, str) else "passages": passage,
        "always_answer": always_answer,
        "max_answer_len": max_answer_len,
        **{name: value for name, value in given.items() if value is not None},
    }


def _asked(settings: Settings, row: Mapping[str, Any], timeout: float | None) -> Flow[Reply]:
    return fetch(Call("POST", _ONE, encode(row)), settings, read_reply, timeout=timeout)


def read_reply(value: object) -> Reply:
    """A reply of JSON, whatever else it holds. Raises Misread."""
    found = record(value, "a reply")
    verdict = found.get("verdict")
    return Reply(
        entry(found, "question", str),
        tuple(_answer(item) for item in listed(found.get("answers"), "answers")),
        None if found.get("no_answer_score") is None else number(found, "no_answer_score"),
        entry(found, "model", str),
        tuple(str(item) for item in listed(found.get("warnings", []), "warnings")),
        None if verdict is None else _verdict(verdict),
    )


def _answer(value: object) -> Answer:
    found = record(value, "an answer")
    return Answer(
        entry(found, "text", str),
        entry(found, "start", int),
        entry(found, "end", int),
        number(found, "score"),
        entry(found, "passage", int),
    )


def _verdict(value: object) -> Verdict:
    found = record(value, "verdict")
    return Verdict(entry(found, "text", str), number(found, "score"))
