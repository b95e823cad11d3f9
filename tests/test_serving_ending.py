"""A server that ends leaves nobody without a word: not who has just connected, nor who still sends, nor who waits."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack

from bare_requests import GOOD, LIVE, checked, post
from live_server import Serving, Wire


def test_whoever_can_connect_is_answered() -> None:
    with Serving() as server:
        outcomes: Counter[object] = Counter()

        def ask() -> None:
            while True:
                try:
                    wire = Wire(server)
                except ConnectionRefusedError:
                    return
                with wire:
                    try:
                        wire.send(post(GOOD))
                        outcomes[wire.reply().status] += 1
                    except (OSError, EOFError) as error:
                        outcomes[repr(error)] += 1

        crowd = [threading.Thread(target=ask) for _ in range(8)]
        for one in crowd:
            one.start()
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        for one in crowd:
            one.join(20)
        assert outcomes.keys() == {200, 503}


def test_who_sends_while_the_server_ends_can_read_the_refusal() -> None:
    """More than fits into buffers, so that the refusal comes before all is sent."""
    with Serving() as server, Wire(server) as asking, ExitStack() as stack:
        sending = [stack.enter_context(Wire(server)) for _ in range(5)]
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        asking.send(LIVE)
        checked(asking.reply(), (200,), "lives")
        for wire in sending:
            wire.send(post(b"a" * 7_000_000, size=8_000_000))
        for wire in sending:
            reply = wire.reply()
            checked(reply, (503,), "ending")
            assert (reply.headers["connection"], int(reply.headers["retry-after"]) > 0) == ("close", True)


def test_idle_connections_do_not_hold_up_the_end() -> None:
    with Serving() as server, ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(50)]
        for wire in wires[:25]:
            wire.send(LIVE)
            checked(wire.reply(), (200,), "idle")
        time.sleep(0.6)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 3
        assert all(wire.hangs_up(1) for wire in wires)
        assert "timeout" not in server.log()
