"""What the client does when a service is absent, full, slow, or none of trifold's."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from service_stub import (
    PASSAGE,
    Both,
    Says,
    Stub,
    answered,
    free_port,
    refused,
)
from trifold import (
    AccessDenied,
    DeadlineExceeded,
    InvalidInput,
    NotReady,
    Overloaded,
    TrifoldError,
    Unreachable,
)
from trifold.remote import transport
from trifold.remote.exchange import Call, Failed, Outcome, Received, Send, exchange
from trifold.remote.retries import Retries, retry_after
from trifold.remote.settings import Settings


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, stub: Stub) -> Both:
    return Both(request.param, stub.url)


# Trying again


@pytest.mark.parametrize(
    "says",
    [
        Says(429, refused("overloaded")),
        Says(503, refused("not_ready")),
        Says(503, text="<html>upstream</html>"),
        Says(502, text="<html>bad gateway</html>"),
        Says(hang_up=True),
    ],
)
def test_what_may_succeed_later_is_tried_again(call: Both, stub: Stub, says: Says) -> None:
    stub.say(says, says)
    assert call("ask", "who?", PASSAGE).question == "who?"
    assert len(stub.asked) == 3


def test_retry_after_is_waited_for(call: Both, stub: Stub) -> None:
    stub.say(Says(429, refused("overloaded"), {"Retry-After": "0.15"}))
    call("ask", "who?", PASSAGE)
    first, second = stub.asked
    assert 0.15 <= second.at - first.at < 2


def test_a_wait_beyond_the_time_limit_is_not_begun(call: Both, stub: Stub) -> None:
    stub.say(Says(429, refused("overloaded", "256 wait."), {"Retry-After": "11"}))
    began = time.monotonic()
    with pytest.raises(Overloaded, match="256 wait") as caught:
        call("ask", "who?", PASSAGE)
    assert caught.value.retry_after == 11
    assert time.monotonic() - began < 3
    assert len(stub.asked) == 1


@pytest.mark.parametrize(
    ("status", "word", "expected"), [(429, "overloaded", Overloaded), (503, "not_ready", NotReady)]
)
def test_the_last_try_says_why(call: Both, stub: Stub, status: int, word: str, expected: type[TrifoldError]) -> None:
    call.options["retries"] = Retries(2, 0.001, 0.001)
    stub.otherwise = lambda _: Says(status, refused(word))
    with pytest.raises(expected, match=r"^No\."):
        call("ask", "who?", PASSAGE)
    assert len(stub.asked) == 3


def test_a_service_that_starts_late(call: Both, stub: Stub) -> None:
    """Its address refuses connections at first."""
    call.options["retries"] = Retries(40, 0.05, 0.05)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        call.url = f"http://127.0.0.1:{held.getsockname()[1]}"

        def listen() -> None:
            held.listen()
            connection, _ = held.accept()
            with connection:
                connection.recv(65536)
                body = json.dumps(answered("who?")).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        timer = threading.Timer(0.2, listen)
        timer.start()
        assert call("ask", "who?", PASSAGE).question == "who?"
        timer.join()


def test_nobody_there(call: Both) -> None:
    call.options["retries"] = Retries(2, 0.001, 0.001)
    call.url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable, match="does not answer: Connection refused") as caught:
        call("ask", "who?", PASSAGE)
    assert str(caught.value).startswith(call.url + "/v1/answer ")
    assert "(3 tries). Is `trifold serve` running there?" in str(caught.value)


def test_the_time_limit_is_that_of_the_whole_call(call: Both, stub: Stub) -> None:
    call.options["timeout"] = 0.5
    stub.say(Says(429, refused("overloaded"), {"Retry-After": "0.1"}), Says(after=5))
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"did not answer within 0\.5 s"):
        call("ask", "who?", PASSAGE)
    assert 0.45 < time.monotonic() - began < 2
    first, second = (float(asked.headers["x-timeout"]) for asked in stub.asked)
    assert first <= 0.5
    assert second <= 0.4


def test_a_reply_in_dribs_has_the_same_limit(call: Both, stub: Stub) -> None:
    """Each piece comes in time, the whole does not."""
    call.options["timeout"] = 0.25
    with socket.create_server(("127.0.0.1", 0)) as server:
        call.url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def dribble() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(100):
                    time.sleep(0.05)
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=dribble)
        thread.start()
        with pytest.raises(DeadlineExceeded):
            call("ask", "who?", PASSAGE)
        thread.join(timeout=2)
        assert not thread.is_alive()


def test_no_time_limit(call: Both, stub: Stub) -> None:
    call.options["timeout"] = None
    call("ask", "who?", PASSAGE)
    call("ask", "who?", PASSAGE, timeout=5)
    first, second = stub.asked
    assert "x-timeout" not in first.headers
    assert 4 < float(second.headers["x-timeout"]) <= 5


class Hand:
    """Drives a request by hand, with a clock of its own."""

    def __init__(self, *, timeout: float | None = 60.0, retries: Retries | None = None, chance: float = 1.0) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.limits: list[str] = []
        self.settings = Settings(
            "http://there",
            False,
            timeout,
            5.0,
            retries or Retries(),
            clock=lambda: self.now,
            chance=lambda: chance,
        )

    def run(self, got: Received | Failed, takes: float = 0.0) -> Outcome:
        """Every try is met by the same, after some seconds."""
        flow = exchange(Call("GET", "/x"), self.settings, self.settings.tries())
        step = next(flow)
        try:
            while True:
                if isinstance(step, Send):
                    self.limits.append(step.headers.get("X-Timeout", "none"))
                    self.now += takes
                    step = flow.send(got)
                else:
                    self.waits.append(step.seconds)
                    self.now += step.seconds
                    step = next(flow)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome


def test_waits_double_up_to_the_longest() -> None:
    hand = Hand(retries=Retries(times=6, first_wait=0.5, longest_wait=4.0))
    assert isinstance(hand.run(Failed("absent", "refused")).value, Unreachable)
    assert hand.waits == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert hand.limits == ["60.000", "59.500", "58.500", "56.500", "52.500", "48.500", "44.500"]


def test_waits_are_spread_evenly_from_nothing() -> None:
    hand = Hand(retries=Retries(times=3, first_wait=0.5), chance=0.25)
    hand.run(Failed("absent", "refused"))
    assert hand.waits == [0.125, 0.25, 0.5]


def test_what_the_service_asks_to_wait_is_the_least() -> None:
    hand = Hand(retries=Retries(times=2, first_wait=0.5), timeout=20)
    record = json.dumps(refused("overloaded")).encode()
    outcome = hand.run(Received(429, {"retry-after": "7"}, record))
    assert hand.waits == [7.5, 8.0]
    assert isinstance(outcome.value, Overloaded)
    assert Hand(timeout=None).run(Received(429, {"retry-after": "7"}, record)).retry_after == 7


def test_half_of_the_time_left_is_for_the_try_itself() -> None:
    hand = Hand(timeout=10, retries=Retries(times=2, first_wait=100, longest_wait=100))
    hand.run(Received(503, {"retry-after": "2"}, b""))
    assert hand.waits == [2 + 4, 2 + 1]


def test_tries_end_with_the_time() -> None:
    hand = Hand(timeout=10, retries=Retries(times=99, first_wait=4, longest_wait=4))
    outcome = hand.run(Failed("lost", "reset"), takes=1.0)
    assert isinstance(outcome.value, Unreachable)
    assert sum(hand.waits) < 10 < hand.now - 1000 + 1.5
    assert all(float(limit) > 0 for limit in hand.limits)


@pytest.mark.parametrize(
    ("value", "date", "expected"),
    [
        ("3", "", 3.0),
        (" 0.5 ", "", 0.5),
        ("Wed, 21 Oct 2015 07:28:10 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", 10.0),
        ("Wed, 21 Oct 2015 07:28:10 -0000", "Wed, 21 Oct 2015 08:28:10 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT", "", 0.0),
        ("", "", None),
        ("-1", "", None),
        ("soon", "", None),
        ("nan", "", None),
        ("1e400", "", None),
        ("Wed, 99 Oct 2015 07:28:10 GMT", "", None),
        ("٣", "", None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(value: str, date: str, expected: float | None) -> None:
    assert retry_after({"retry-after": value, "date": date}) == expected


# What is there is none of trifold's


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        (Says(text="<html>hello</html>", headers={"Content-Type": "text/html"}), "200 OK .* type 'text/html'"),
        (Says(404, text="<html>"), "404 Not Found"),
        (Says(404, {"detail": "Not Found"}), "404 Not Found"),
        (Says(418, text="tea"), "no reply of trifold's"),
        (Says(599, text="?"), "599"),
        (Says(record=["a"]), "a reply: expected an object, found a list"),
        (Says(record={"question": "q", "model": "m"}), "answers: expected a list, found nothing"),
        (Says(record=answered("q", model=7)), "model: expected a text, found a whole number"),
        (Says(record=answered("q", answers=[{"text": "x", "start": True}])), "start: expected a whole number"),
        (Says(record=answered("q", no_answer_score="high")), "no_answer_score: expected a number, found a text"),
        (Says(text='{"question": NaN}'), "no reply of trifold's"),
        (Says(text="[" * 100_000), "no reply of trifold's"),
        (Says(text="9" * 5000), "no reply of trifold's"),
        (Says(text=""), "a reply: expected an object, found nothing"),
    ],
)
def test_something_else_answers(stub: Stub, says: Says, sentence: str) -> None:
    call = Both("sync", stub.url)
    stub.say(says)
    with pytest.raises(Unreachable, match=sentence) as caught:
        call("ask", "who?", PASSAGE)
    assert f"{stub.url}/v1/answer answered with " in str(caught.value)
    assert "Is it the address of `trifold serve`" in str(caught.value)
    assert len(stub.asked) == 1


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, AccessDenied), (403, AccessDenied), (413, InvalidInput), (429, Overloaded), (504, DeadlineExceeded)],
)
def test_a_proxy_in_front_refuses_in_its_own_words(
    call: Both, stub: Stub, status: int, expected: type[TrifoldError]
) -> None:
    call.options["retries"] = 0
    stub.say(Says(status, text="<html>"))
    with pytest.raises(expected, match="which a proxy in front of trifold may send"):
        call("ask", "who?", PASSAGE)


def test_something_that_does_not_speak_http(call: Both) -> None:
    call.options["retries"] = 0
    with socket.create_server(("127.0.0.1", 0)) as server:
        call.url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
                connection.recv(65536)

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(Unreachable, match="does not answer"):
            call("ask", "who?", PASSAGE)
        thread.join()


def test_a_service_without_a_certificate(call: Both, stub: Stub) -> None:
    call.url = f"https://127.0.0.1:{stub.port}"
    with pytest.raises(Unreachable, match=r"does not speak TLS\. Write http://"):
        call("ask", "who?", PASSAGE)


def test_a_reply_without_end_is_given_up(call: Both, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_MOST_BYTES", 1 << 20)
    stub.say(Says(text=" " * ((1 << 20) + 1)))
    with pytest.raises(Unreachable, match="more than 1 MiB"):
        call("ask", "who?", PASSAGE)
    assert len(stub.asked) == 1


def test_redirections_are_not_followed(call: Both, stub: Stub) -> None:
    call.options["api_key"] = "a-key-for-one-address-only"
    with Stub() as other:
        stub.say(Says(307, headers={"Location": f"{other.url}/v1/answer"}, text=""))
        with pytest.raises(Unreachable, match=f"points to another address, '{other.url}/v1/answer'"):
            call("ask", "who?", PASSAGE)
        assert not other.asked
