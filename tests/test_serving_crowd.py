"""More connections than may be, or than there are files for: who is in is answered, and who is not is told so."""

from __future__ import annotations

import re
import resource
import time
from contextlib import ExitStack, suppress

from bare_requests import GOOD, LIVE, answers, checked, get, post
from live_server import Reply, Serving, Wire

READY = get(b"/v2/health/ready")


def lives(server: Serving) -> Reply:
    """What a newcomer hears of the server's health."""
    with Wire(server, 5) as wire:
        wire.send(LIVE)
        return wire.reply()


def counted(server: Serving, metric: str, label: str) -> float:
    """The sum of a metric over its series with this label."""
    found = re.findall(rf"^{metric}{{.*{label}.*}} (\S+)$", server.get("/metrics")[2], re.MULTILINE)
    return sum(map(float, found))


def test_who_is_one_too_many_is_told_and_hears_that_the_server_lives() -> None:
    with Serving("--max-connections", "5") as server, ExitStack() as stack:
        time.sleep(0.2)
        inside = [stack.enter_context(Wire(server)) for _ in range(5)]
        for wire in inside:
            wire.send(LIVE)
            checked(wire.reply(), (200,), "inside")
        with Wire(server) as wire:
            wire.send(post(GOOD, "/v1/answer", b"X-Request-ID: mine\r\n"))
            reply = wire.reply()
            checked(reply, (503,), "outside")
            assert (reply.headers["x-request-id"], reply.headers["retry-after"]) == ("mine", "1")
            assert wire.hangs_up(1)
        silent = [stack.enter_context(Wire(server)) for _ in range(200)]
        for _ in range(5):
            reply = lives(server)
            assert (reply.status, reply.headers["connection"]) == (200, "close")
        checked(silent[0].reply(), (503,), "pushed out")
        inside[0].send(post(GOOD))
        checked(inside[0].reply(), (200,), "inside")
        assert all(wire.hangs_up(3) for wire in silent)
        stack.close()
        time.sleep(0.2)
        answers(server)
        assert counted(server, "trifold_rejected_total", 'reason="not_ready"') > 100


def test_refusals_before_there_is_a_request_are_on_record() -> None:
    """With a name, in the metrics and the log; what was sent is in neither."""
    secret = b"a-secret-of-the-client"
    refused = {
        400: b"GET /%s what\r\n\r\n" % secret,
        431: get(b"/v2", b"X: %s\r\n" % (secret * 2000)),
        408: b"GET /%s" % secret,
    }
    with Serving("--header-timeout", "0.5") as server:
        for status, content in refused.items():
            with Wire(server) as wire:
                wire.send(content)
                reply = wire.reply()
            checked(reply, (status,), content[:60])
            (line,) = [line for line in server.log().splitlines() if reply.headers["x-request-id"] in line]
            assert f" {status} " in line
            assert counted(server, "trifold_requests_total", f'status="{status}"') == 1
        for reason in ("malformed", "headers_too_large", "slow_request"):
            assert counted(server, "trifold_rejected_total", f'reason="{reason}"') == 1
            assert f"refused={reason}" in server.log()
        assert secret.decode() not in server.log()


def test_the_limit_of_files_is_raised_where_it_may_be() -> None:
    with Serving("--max-connections", "400", files=(256, 4096)) as server, ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(400)]
        for wire in wires:
            wire.send(LIVE)
        assert {wire.reply().status for wire in wires} == {200}
        assert "ulimit" not in server.log()


def test_where_it_may_not_be_fewer_are_let_in_and_the_log_says_so() -> None:
    with Serving("--max-connections", "400", files=(256, 256)) as server, ExitStack() as stack:
        assert "enough for 64 connections, not for --max-connections 400" in server.log()
        wires = [stack.enter_context(Wire(server)) for _ in range(300)]
        for wire in wires[:60]:
            wire.send(READY)
            checked(wire.reply(), (200,), "let in")
        assert lives(server).status == 200


def test_without_a_file_left_the_server_waits_in_peace() -> None:
    with Serving() as server, Wire(server) as friend, ExitStack() as stack:
        friend.send(LIVE)
        checked(friend.reply(), (200,), "before")
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (server.files, hard))
        for _ in range(20):
            with suppress(OSError):
                stack.enter_context(Wire(server)).send(LIVE)
        used = server.seconds
        time.sleep(1)
        assert server.seconds - used < 0.5
        friend.send(post(GOOD))
        checked(friend.reply(), (200,), "meanwhile")
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (hard, hard))
        stack.close()
        answers(server, 3)
