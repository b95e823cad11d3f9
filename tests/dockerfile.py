"""A Dockerfile carried out without Docker: its files, steps and variables, in a folder that stands for the container.

It knows as much of the format as our Dockerfile uses, and refuses what it does not know. The Python is the one that
runs the tests, whatever the base image says.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Image", "context", "instructions", "make"]


@dataclass
class Image:
    """What a stage of a Dockerfile came to."""

    root: Path
    """The folder that stands for `/`."""
    variables: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    user: str = "0"
    ports: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def environ(self) -> dict[str, str]:
        """The variables of a process in the container."""
        outside = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
        outside["PATH"] = f"{self.root / 'python'}{os.pathsep}{os.environ['PATH']}"
        return outside | {"HOME": str(self.inside("/nowhere")), "TMPDIR": str(self.inside("/tmp"))} | self.variables

    def inside(self, text: str) -> str:
        """A text in which absolute paths lie in the folder that stands for `/`."""
        return re.sub(r"(?:(?<=[\s\"'=:(])|^)/(?=\w)", f"{self.root}/", text)

    def process(self, command: list[str]) -> list[str]:
        """A command that `environ()["PATH"]` finds in the container."""
        found = shutil.which(command[0], path=self.environ()["PATH"])
        assert found is not None, f"{command[0]} is not in the image"
        return [found, *command[1:]]


def instructions(dockerfile: Path) -> Iterator[tuple[str, str]]:
    """Each instruction with its arguments on one line."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, rest.strip()


def context(folder: Path) -> list[Path]:
    """The files that `.dockerignore` lets into the build, relative to the folder."""
    rules = [line for line in (folder / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    patterns = [(not rule.startswith("!"), re.compile(_expression(rule.lstrip("!")))) for rule in rules]

    def ignored(path: Path) -> bool:
        verdicts = [drop for drop, pattern in patterns if pattern.match(path.as_posix())]
        return bool(verdicts) and verdicts[-1]

    top = [path for path in folder.iterdir() if not ignored(path.relative_to(folder))]
    files = [path for one in top for path in ([one] if one.is_file() else one.rglob("*")) if path.is_file()]
    relative = sorted(path.relative_to(folder) for path in files)
    return [path for path in relative if not ignored(path)]


def make(dockerfile: Path, place: Path, changes: Mapping[str, str]) -> Image:
    """The last stage of a Dockerfile. `changes` are further variables for its RUN steps."""
    stages: dict[str, Path] = {}
    name, image = "", None
    for word, rest in instructions(dockerfile):
        if word == "FROM":
            base, _, alias = rest.partition(" AS ")
            assert re.fullmatch(r"python:3\.\d+-slim", base), base
            if image is not None:  # what has its place written into it keeps that place in the next stage
                stages[name] = image.root.rename(place / f"stage-{name}")
            name, image = alias, _stage(place / "root")
            continue
        assert image is not None, f"{word} stands before FROM"
        match word:
            case "WORKDIR":
                image.folder = Path(image.inside(rest))
                image.folder.mkdir(parents=True, exist_ok=True)
            case "COPY":
                _copy(dockerfile.parent, stages, image, shlex.split(rest))
            case "RUN":
                _run(image, rest, changes)
            case "ENV":
                for setting in shlex.split(rest):
                    name, _, value = setting.partition("=")
                    image.variables[name] = image.inside(value).replace("$PATH", image.environ()["PATH"])
            case "USER":
                image.user = rest
            case "EXPOSE":
                image.ports += rest.split()
            case "VOLUME":
                image.volumes += json.loads(rest)
            case "HEALTHCHECK":
                image.health = json.loads(rest.partition(" CMD ")[2])
            case "ENTRYPOINT":
                image.entrypoint = json.loads(rest)
            case "LABEL":
                assert all("=" in label for label in shlex.split(rest)), rest
            case _:
                raise AssertionError(f"{word} is not known here")
    assert image is not None
    return image


def _expression(pattern: str) -> str:
    """The expression of a pattern of `.dockerignore`: it also matches whatever lies in a folder that it names."""
    parts = (re.escape(part).replace(r"\*", "[^/]*") for part in pattern.removeprefix("**/").split("/"))
    return ("(.*/)?" if pattern.startswith("**/") else "") + "/".join(parts) + "(/.*)?$"


def _stage(root: Path) -> Image:
    for folder in ("python", "tmp", "nowhere"):
        (root / folder).mkdir(parents=True)
    python = root / "python" / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    return Image(root)


def _copy(folder: Path, stages: Mapping[str, Path], image: Image, words: list[str]) -> None:
    """COPY of files and folders of the context, or of one folder of an earlier stage."""
    origin = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else None
    *sources, goal = words
    target = Path(image.inside(goal)) if goal.startswith("/") else (image.folder or image.root) / goal
    if origin is not None:
        (source,) = sources
        shutil.copytree(stages[origin] / source.lstrip("/"), target, symlinks=True)
        return
    files = context(folder)
    for source in sources:
        chosen = [path for path in files if path.is_relative_to(source)]
        assert chosen, f"COPY {source}: .dockerignore keeps it out, or it is not there"
        for path in chosen:
            # A folder's content is copied; a file keeps its name when the goal is a folder.
            place = target / (path.name if path == Path(source) else path.relative_to(source))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / path, place)


def _run(image: Image, command: str, changes: Mapping[str, str]) -> None:
    mine = image.inside(command).replace("-o 10001 -g 10001", f"-o {os.getuid()} -g {os.getgid()}")
    done = subprocess.run(
        ["/bin/sh", "-c", mine],
        cwd=image.folder or image.root,
        env={**image.environ(), **changes},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
