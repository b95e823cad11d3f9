"""Who sends slowly, or reads slowly, holds neither a connection for ever nor the memory of the server."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from bare_requests import EXPECT, GOOD, HOST, LIVE, ONE, UPGRADE, Watch, answers, checked, chunked, get, post
from live_server import Serving, Wire, is_error


@pytest.fixture(scope="module")
def impatient() -> Iterator[Serving]:
    with Serving("--header-timeout", "0.5", "--body-timeout", "0.5", "--max-connections", "40") as running:
        yield running


def drip(wire: Wire, content: bytes, seconds: float) -> None:
    """Send byte by byte over so many seconds, or until the server has had enough."""
    for byte in content:
        try:
            wire.send(bytes([byte]))
        except OSError:
            return
        time.sleep(seconds / len(content))


SLOW: dict[str, tuple[bytes, bytes]] = {
    "headers": (b"", LIVE[:30]),
    "headers after a blank line": (b"\r\n", LIVE[:30]),
    "a body": (post(b"", size=1000), GOOD[:30]),
    "a body in chunks": (chunked(GOOD, end=b""), b"1\r\n \r\n" * 6),
}


@pytest.mark.parametrize("name", SLOW)
def test_who_sends_slowly_is_told_and_left(impatient: Serving, name: str) -> None:
    start, rest = SLOW[name]
    began = time.monotonic()
    with Wire(impatient, 5) as wire:
        wire.send(start)
        drip(wire, rest, 1.5)
        checked(wire.reply(), (408,), name)
        assert wire.hangs_up(1)
    assert time.monotonic() - began < 4


HELD: dict[str, tuple[bytes, bytes]] = {
    "silence": (b"", b""),
    "blank lines after a reply": (LIVE, b"\r\n"),
    "half a request after a reply": (LIVE, b"GET"),
    "a body that nobody reads": (get(b"/v2/health/live", HOST, b"Content-Length: 100\r\n"), b"a"),
    "a body that nobody reads, in chunks": (get(b"/v2/health/live", HOST, b"Transfer-Encoding: chunked\r\n"), b"1\r\n"),
    "a body for nobody": (post(b"", "/v1/nowhere", size=100), b"a"),
    "an offer to upgrade": (get(b"/v2/health/live", HOST, UPGRADE), b"\r\n"),
    "nothing after 413": (post(b"", ONE, EXPECT, size=9_000_000), b""),
}


def test_no_connection_is_held_for_ever(impatient: Serving) -> None:
    with ExitStack() as stack:
        wires = {name: stack.enter_context(Wire(impatient, 5)) for name in HELD}
        for name, (start, more) in HELD.items():
            if start:
                wires[name].send(start)
                wires[name].reply()
            if more:
                wires[name].send(more)
        limit = time.monotonic() + 3
        held = [name for name, wire in wires.items() if not wire.hangs_up(max(0.01, limit - time.monotonic()))]
    assert held == []


def test_a_body_that_nobody_reads_leaves_the_connection_as_it_was(impatient: Serving) -> None:
    with Wire(impatient, 5) as wire:
        wire.send(post(b"", "/v1/nowhere", size=10))
        checked(wire.reply(), (404,), "before the body")
        wire.send(b"0123456789")
        time.sleep(1)
        wire.send(LIVE)
        checked(wire.reply(), (200,), "after it")


def test_a_crowd_of_slow_senders(impatient: Serving) -> None:
    """More than may be connected: what was connected before is answered meanwhile, and everybody soon after."""
    with Watch(impatient) as watch, Wire(impatient) as friend, ExitStack() as stack:
        friend.send(post(GOOD))
        checked(friend.reply(), (200,), "before")
        crowd = [stack.enter_context(Wire(impatient, 5)) for _ in range(120)]
        for number, wire in enumerate(crowd):
            with suppress(OSError):
                wire.send((LIVE[:20], post(b"", size=1000) + b"{", b"")[number % 3])
        for number in range(20):
            friend.send(post(GOOD[:-1] + b', "id": %d}' % number))
            checked(friend.reply(), (200,), "meanwhile")
        status, headers, reply = impatient.ask()
        assert status == 200 or (is_error(status, reply) and status == 503 and int(headers["retry-after"]) > 0)
        assert all(wire.hangs_up(5) for wire in crowd)
        answers(impatient)
    assert set(watch.replies) == {200}
    assert watch.worst < 1


def test_bodies_that_stop_halfway_do_not_fill_the_memory(impatient: Serving) -> None:
    before = impatient.memory(peak=True)
    with ExitStack() as stack:
        crowd = [stack.enter_context(Wire(impatient, 5)) for _ in range(30)]
        for wire in crowd:
            with suppress(OSError):
                wire.send(post(b"a" * 7_000_000, size=8_000_000))
        for wire in crowd:
            checked(wire.reply(), (408, 429, 503), "stopped")
    assert impatient.memory(peak=True) - before < 150
    answers(impatient)


def test_who_never_reads_the_replies_does_not_fill_the_memory(impatient: Serving) -> None:
    before = impatient.memory()
    with Watch(impatient) as watch, ExitStack() as stack:
        for _ in range(4):
            wire = stack.enter_context(Wire(impatient, 0.5))
            with suppress(OSError):
                wire.send(get(b"/openapi.json") * 100_000)
        answers(impatient)
        assert impatient.memory() - before < 60
    assert watch.worst < 1


BUNDLE = b"/docs/swagger-ui-bundle.js"


def narrow(server: Serving) -> Wire:
    """A connection that takes little before it is read."""
    wire = Wire(server, 5)
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    return wire


def test_who_takes_nothing_of_a_reply_is_left(impatient: Serving) -> None:
    with narrow(impatient) as wire:
        wire.send(get(BUNDLE) * 20)
        time.sleep(2)
        assert wire.hangs_up(2)


def test_a_crowd_that_takes_nothing_of_a_large_reply_shares_it() -> None:
    with Serving() as server, ExitStack() as stack:
        before = server.memory()
        for _ in range(100):
            wire = stack.enter_context(narrow(server))
            wire.send(get(BUNDLE) * 20)
        answers(server)
        assert server.memory() - before < 40


def test_who_takes_replies_slowly_gets_them_whole(impatient: Serving) -> None:
    size = len(impatient.get(BUNDLE.decode())[2].encode())
    with narrow(impatient) as wire:
        wire.send(get(BUNDLE) * 5)
        for _ in range(5):
            status, headers = wire.head()
            assert (status, headers["content-length"]) == (200, str(size))
            for _ in range(size // 65_536):
                wire.read(65_536)
                time.sleep(0.02)
            wire.read(size % 65_536)
