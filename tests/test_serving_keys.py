"""Keys let in whom they should, come and go with their file, and are never shown."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from bare_requests import GOOD, ONE, checked, chunked, post
from conftest import Run
from live_server import Serving, Wire
from trifold.errors import UsageError
from trifold.interfaces.http.keys import Keys

OLD, NEW, ADMIN, WRONG = "the-old-key-of-alice", "the-new-key-of-alice", "the-key-of-the-admin", "a-key-nobody-has-got"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"# who may ask\nuser alice {OLD}\nadmin root {ADMIN}\n")
    return path


def ask(server: Serving, key: str, header: str = "X-API-Key") -> tuple[int, Any]:
    status, _, reply = server.ask(headers={header: f"Bearer {key}" if header == "Authorization" else key})
    return status, reply


@pytest.mark.parametrize("flags", [(), ("--log-json",)])
def test_keys_are_never_shown(keys: Path, flags: tuple[str, ...]) -> None:
    shown = []
    with Serving("--api-key-file", str(keys), "--log-level", "debug", *flags) as server:
        for key, expected in ((OLD, 200), (ADMIN, 200), (WRONG, 401)):
            for headers in (
                {"X-API-Key": key},
                {"Authorization": f"Bearer {key}"},
                {"Authorization": f"BEARER  {key} "},
            ):
                status, given, reply = server.ask(headers=headers)
                assert status == expected
                shown += [str(given), str(reply)]
            for path in ("/metrics", "/info", "/v1/models", "/v1/nowhere", f"/info?key={key}&api_key={key}"):
                _, given, reply = server.get(path, headers={"X-API-Key": key})
                shown += [str(given), str(reply)]
            for header in ("Authorization", "Cookie", "X-Timeout", "Content-Type", "User-Agent", "Referer"):
                server.ask(headers={header: key})
            server.ask(path=f"{ONE}?key={key}", headers={"X-API-Key": key, "X-Request-ID": key})
            server.ask(headers={"X-API-Key": key, "X-Request-ID": key, "Host": "evil.example"})
        with Wire(server) as wire:
            wire.send(post(GOOD, ONE, b"X-API-Key: %s\r\n" % OLD.encode(), b"bad header\r\n"))
            checked(wire.reply(), (400,), "bad header")
        shown.append(server.log())
    assert len("".join(shown)) > 20_000
    for key in (OLD, ADMIN, WRONG):
        assert not any(key in text for text in shown)


def test_a_key_is_taken_from_the_headers_alone(keys: Path) -> None:
    with Serving("--api-key-file", str(keys)) as server, Wire(server) as wire:
        key = b"X-API-Key: %s\r\n" % OLD.encode()
        wire.send(chunked(GOOD, end=b"0\r\n" + key + b"\r\n"))
        checked(wire.reply(), (401,), "a trailer")
        for query in (f"?key={OLD}", f"?api_key={OLD}", f"?X-API-Key={OLD}"):
            assert server.ask(path=ONE + query)[0] == 401


def test_keys_are_read_again_when_they_change(keys: Path) -> None:
    with Serving("--api-key-file", str(keys)) as server:
        assert (ask(server, OLD)[0], ask(server, NEW)[0]) == (200, 401)
        keys.write_text(f"user alice {NEW}\n")
        time.sleep(1.1)
        assert (ask(server, OLD)[0], ask(server, NEW, "Authorization")[0]) == (401, 200)
        keys.write_text(f"user alice {WRONG}\nnonsense\n")
        time.sleep(1.1)
        assert (ask(server, NEW)[0], ask(server, WRONG)[0]) == (200, 401)
        assert "the API keys stay as they were" in server.log()
        assert not any(key in server.log() for key in (OLD, NEW, WRONG))


def test_what_is_no_file_of_keys_leaves_the_old_ones(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trifold.interfaces.http.keys._EVERY", 0)
    known = Keys(keys)
    for broken in (b"user alice short\n", b"\xff\xfe\n", b"", f"user alice {WRONG}\nnonsense\n".encode(), None):
        keys.unlink() if broken is None else keys.write_bytes(broken)
        holder = known.holder(OLD)
        assert holder is not None
        assert (holder.name, holder.role) == ("alice", "user")
        assert known.holder(WRONG) is None
    keys.write_text(f"admin bob {NEW}\n")
    assert (known.holder(OLD), getattr(known.holder(NEW), "name", None)) == (None, "bob")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "no keys in it"),
        (b"# nothing but this\n", "no keys in it"),
        (b"user alice 123456789012345\n", "line 1: expected .*at least 16"),
        (b"user alice\n", "line 1: expected"),
        (f"user alice {OLD}\nuser bob {OLD}\n".encode(), "line 2: this key stands there twice"),
        (f"user alice {OLD}\nowner bob {NEW}\n".encode(), "line 2: expected"),
        (f"user alice {OLD} more\n".encode(), "line 1: expected"),
        (b"user alice \xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\n", "not a text file"),
        ("user alice пароль-пароль-пароль\n".encode(), "line 1: expected"),
        (b"user alice " + b"a" * 600 + b"\n", "line 1: expected"),
        (f"user alice {OLD}\n".encode() + b"#" * 1_000_001, "larger than 1 MB"),
    ],
)
def test_a_file_of_keys_that_is_none(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        Keys(path)
    assert OLD not in str(caught.value)
    assert NEW not in str(caught.value)


def test_a_server_without_its_keys_does_not_start(run: Run, keys: Path) -> None:
    keys.write_text("user alice short-key\n")
    done = run("serve", "--port", "0", "--api-key-file", str(keys))
    assert done.returncode == 2
    assert "line 1: expected `user NAME KEY`" in done.stderr
    assert "short-key" not in done.stderr
    assert "Traceback" not in done.stderr
