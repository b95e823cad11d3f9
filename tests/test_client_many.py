"""Many rows through the client, in order and in bounded memory."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from itertools import count, islice
from typing import Any

import pytest

from service_stub import (
    PASSAGE,
    Asked,
    Both,
    Says,
    Stub,
    answered,
    obliging,
    questions,
    refused,
    rows,
)
from trifold import (
    AccessDenied,
    AsyncClient,
    Client,
    InvalidInput,
    ModelNotFound,
    Reply,
    TrifoldError,
    Unreachable,
)
from trifold.remote.retries import Retries


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, stub: Stub) -> Both:
    return Both(request.param, stub.url)


# Many rows


def test_many_rows_in_order_and_several_at_a_time(call: Both, stub: Stub) -> None:
    """The first batch takes longest."""
    lock, now, most = threading.Lock(), 0, 0

    def slowly(asked: Asked) -> Says:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.2 if asked.body["items"][0]["question"] == "who 0?" else 0.02)
        with lock:
            now -= 1
        return obliging(asked)

    stub.otherwise = slowly
    assert questions(call("ask_many", rows(200), in_flight=3)) == [f"who {i}?" for i in range(200)]
    assert most == 3
    assert len(stub.asked) < 20


def test_no_rows(call: Both, stub: Stub) -> None:
    assert call("ask_many", []) == []
    assert not stub.asked


def test_rows_keep_their_options_and_models(call: Both, stub: Stub) -> None:
    call.options["model"] = "mine"
    row = {"id": 7, "question": "q", "passages": ("a", "b"), "top_k": 2, "model": "other"}
    call("ask_many", [row])
    call("ask_many", [row], model="third")
    assert stub.asked[0].body == {"items": [{**row, "passages": ["a", "b"]}], "model": "mine"}
    assert stub.asked[1].body["model"] == "third"


def test_a_bad_row_stays_alone_in_its_place(call: Both, stub: Stub) -> None:
    def picky(asked: Asked) -> Says:
        says = obliging(asked)
        for index, item in enumerate(asked.body["items"]):
            if item["question"] == "who 5?":
                says.record["items"][index] = refused("invalid_input", "Too long.", field="passage")
        return says

    stub.otherwise = picky
    many: list[Any] = rows(12)
    many[3], many[8] = ["no", "mapping"], {"question": "q", "passage": b"bytes"}
    replies = call("ask_many", many)
    assert [i for i, reply in enumerate(replies) if isinstance(reply, InvalidInput)] == [3, 5, 8]
    assert sum(isinstance(reply, Reply) for reply in replies) == 9
    assert str(replies[3]) == "expected an object with the fields of a request, found a list."
    assert (str(replies[5]), replies[5].field) == ("Too long.", "passage")
    assert replies[8].field == "passage"


def test_a_batch_that_is_refused_for_one_row_is_taken_apart(call: Both, stub: Stub) -> None:
    def strict(asked: Asked) -> Says:
        bad = any(item["question"] == "who 21?" for item in asked.body["items"])
        return Says(422, refused("invalid_input")) if bad else obliging(asked)

    stub.otherwise = strict
    replies = call("ask_many", rows(50))
    assert questions(replies) == [f"who {i}?" if i != 21 else "InvalidInput" for i in range(50)]


@pytest.mark.parametrize("says", [Says(413, refused("too_large")), Says(413, text="<html>nginx</html>")])
def test_a_batch_that_is_too_large_is_split_and_the_next_are_smaller(call: Both, stub: Stub, says: Says) -> None:
    refusals = 0

    def narrow(asked: Asked) -> Says:
        nonlocal refusals
        if len(asked.body["items"]) > 5:
            refusals += 1
            return says
        return obliging(asked)

    stub.otherwise = narrow
    assert questions(call("ask_many", rows(100), in_flight=1)) == [f"who {i}?" for i in range(100)]
    assert refusals <= 2


def test_a_row_that_alone_is_too_large(call: Both, stub: Stub) -> None:
    stub.otherwise = lambda asked: obliging(asked) if len(str(asked.body)) < 5000 else Says(413, refused("too_large"))
    many = rows(6)
    many[2]["passage"] = "x" * 5000
    replies = call("ask_many", many)
    assert [i for i, reply in enumerate(replies) if not isinstance(reply, Reply)] == [2]
    assert isinstance(replies[2], InvalidInput)


def test_long_passages_go_in_small_batches(call: Both, stub: Stub) -> None:
    many = [{"question": "q", "passage": "x" * 50_000} for _ in range(10)]
    assert len(call("ask_many", many)) == 10
    assert {len(asked.body["items"]) for asked in stub.asked} == {2}


def test_rows_for_which_there_was_no_room_are_asked_again(call: Both, stub: Stub) -> None:
    stub.say(Says(record={"items": [answered("who 0?"), refused("overloaded"), answered("who 2?")]}))
    assert questions(call("ask_many", rows(3))) == ["who 0?", "who 1?", "who 2?"]
    assert [len(asked.body["items"]) for asked in stub.asked] == [3, 1]


def test_a_full_service_is_waited_for_then_told_in_place(call: Both, stub: Stub) -> None:
    call.options["retries"] = Retries(2, 0.001)
    stub.say(*[Says(429, refused("overloaded"))] * 2)
    assert questions(call("ask_many", rows(2))) == ["who 0?", "who 1?"]
    stub.say(*[Says(429, refused("overloaded"))] * 3)
    assert questions(call("ask_many", rows(6), in_flight=1)) == ["Overloaded"] * 4 + ["who 4?", "who 5?"]


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        (Says(401, refused("unauthorized")), AccessDenied),
        (Says(404, refused("model_not_found")), ModelNotFound),
        (Says(text="<html>"), Unreachable),
        (Says(record={"items": []}), Unreachable),
        (Says(record={"items": [{"question": 1}] * 8}), Unreachable),
    ],
)
def test_what_meets_every_row_is_raised_after_the_replies_before(
    call: Both, stub: Stub, says: Says, expected: type[TrifoldError]
) -> None:
    """The first batch has four rows, the second eight."""
    call.options["retries"] = 0
    stub.otherwise = lambda asked: obliging(asked) if len(asked.body["items"]) == 4 else says
    taken, error = call.until_it_breaks(rows(500))
    assert type(error) is expected
    assert questions(taken) == [f"who {i}?" for i in range(4)]
    assert len(stub.asked) < 10


def test_an_endless_source_is_read_as_it_is_needed(stub: Stub) -> None:
    read = 0

    def endless() -> Iterator[dict[str, Any]]:
        nonlocal read
        for read in count():
            yield {"question": f"who {read}?", "passage": PASSAGE}

    async def take(client: AsyncClient, source: Any) -> list[Any]:
        found = []
        replies = client.ask_many(source)
        async for reply in replies:
            found.append(reply)
            if len(found) == 100:
                break
        await replies.aclose()
        return found

    async def endless_async() -> AsyncIterator[dict[str, Any]]:
        for row in endless():
            yield row

    async def run(source: Any) -> list[Any]:
        async with AsyncClient(stub.url) as client:
            return await take(client, source)

    expected = [f"who {i}?" for i in range(100)]
    with Client(stub.url) as client:
        replies = client.ask_many(endless())
        assert read == 0
        assert questions(list(islice(replies, 100))) == expected
        replies.close()
    assert read < 100 + 6 * 32
    assert questions(asyncio.run(run(endless()))) == expected
    assert questions(asyncio.run(run(endless_async()))) == expected
    assert read < 100 + 6 * 32


def test_leaving_early_stops_what_is_under_way(call: Both, stub: Stub) -> None:
    """The first batch is answered; all others are to come back in a minute."""
    stub.otherwise = lambda asked: (
        obliging(asked) if len(asked.body["items"]) == 4 else Says(429, refused("overloaded"), {"Retry-After": "55"})
    )

    async def run() -> None:
        async with AsyncClient(stub.url) as client:
            replies = client.ask_many(rows(1000))
            assert isinstance(await anext(replies), Reply)
            await replies.aclose()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    began = time.monotonic()
    if call.kind == "sync":
        with Client(stub.url) as client:
            replies = client.ask_many(rows(1000))
            assert isinstance(next(replies), Reply)
            replies.close()
            deadline = time.monotonic() + 5
            while any(t.name == "trifold-request" for t in threading.enumerate()) and time.monotonic() < deadline:
                time.sleep(0.01)
            assert not [t for t in threading.enumerate() if t.name == "trifold-request"]
    else:
        asyncio.run(run())
    assert time.monotonic() - began < 5


def test_a_program_ends_while_a_batch_is_not_answered(stub: Stub) -> None:
    stub.otherwise = lambda asked: obliging(asked) if len(asked.body["items"]) == 4 else Says(after=30)
    code = (
        "import sys, trifold\n"
        "row = {'question': 'q', 'passage': 'p'}\n"
        "for reply in trifold.Client(sys.argv[1]).ask_many([row] * 100):\n    break\n"
        "print(reply.question)"
    )
    done = subprocess.run([sys.executable, "-c", code, stub.url], capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr) == ("q\n", "")


def test_the_error_of_the_source_follows_the_replies_to_what_it_gave(call: Both) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield from rows(6)
        raise OSError("the disk is gone")

    async def broken_async() -> AsyncIterator[dict[str, Any]]:
        for row in broken():
            yield row

    taken, error = call.until_it_breaks(broken_async() if call.kind == "async" else broken())
    assert isinstance(error, OSError)
    assert questions(taken) == [f"who {i}?" for i in range(6)]


def test_how_many_at_a_time_is_checked_at_once(stub: Stub) -> None:
    with Client(stub.url) as client, pytest.raises(InvalidInput, match="in_flight: expected a whole number from 1"):
        client.ask_many(rows(1), in_flight=0)


def test_a_cancelled_question_hangs_up(stub: Stub) -> None:
    stub.say(Says(after=10))

    async def run() -> None:
        async with AsyncClient(stub.url) as client:
            asking = asyncio.create_task(client.ask("who?", PASSAGE))
            while not stub.asked:
                await asyncio.sleep(0.01)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert await asyncio.to_thread(stub.left.wait, 5)

    asyncio.run(run())
