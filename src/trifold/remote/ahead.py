"""Work on a stream, several pieces at a time, results in order, never far ahead of who takes them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["ahead", "ahead_async"]

Job = TypeVar("Job")
Result = TypeVar("Result")


def ahead(
    jobs: Iterator[Job], work: Callable[[Job, threading.Event], Result], most: int
) -> Generator[Result, None, None]:
    """Results of the jobs, in order, of which `most` at once are worked on, each in a thread of its own.

    Jobs are read by the caller's thread, as results are taken. Leaving early sets the event that `work` gets; nothing
    waits for what is then under way. The error of a job is raised in its place; when the source of the jobs raises, its
    error follows the results of what it gave before.
    """
    left = threading.Event()
    waiting: deque[Future[Result]] = deque()
    broken: Exception | None = None
    try:
        while True:
            try:
                job = next(jobs)
            except StopIteration:
                break
            except Exception as error:
                broken = error
                break
            waiting.append(_begin(job, work, left))
            while waiting and (len(waiting) >= most or waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        if broken is not None:
            raise broken
    finally:
        left.set()


def _begin(job: Job, work: Callable[[Job, threading.Event], Result], left: threading.Event) -> Future[Result]:
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work(job, left))
        except BaseException as error:
            future.set_exception(error)

    # A daemon, so that a program can end while a service does not answer.
    threading.Thread(target=run, name="trifold-request", daemon=True).start()
    return future


async def ahead_async(
    jobs: AsyncIterator[Job], work: Callable[[Job], Coroutine[Any, Any, Result]], most: int
) -> AsyncGenerator[Result, None]:
    """`ahead` in tasks instead of threads. Leaving early cancels what is under way."""
    waiting: deque[asyncio.Task[Result]] = deque()
    broken: Exception | None = None
    try:
        while True:
            try:
                job = await anext(jobs)
            except StopAsyncIteration:
                break
            except Exception as error:
                broken = error
                break
            waiting.append(asyncio.create_task(work(job)))
            while waiting and (len(waiting) >= most or waiting[0].done()):
                yield await waiting.popleft()
        while waiting:
            yield await waiting.popleft()
        if broken is not None:
            raise broken
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
