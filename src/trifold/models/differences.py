"""What differs between two model versions, by their manifests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trifold.models.folder import ModelFolder

__all__ = ["Change", "Differences", "Figure", "Measured", "differences"]

_COURSE = ("history", "points")
"""How a training went, step by step: the report plots it, and a list of figures tells nobody anything."""
_COMPARED_ELSEWHERE = {"format", "name", "version", "files", "metrics"}
_DEEPEST = 12
"""Manifests come from anywhere: what is nested deeper is compared as one value."""


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that differs; `what` is its path in the manifest, None stands for a fact that is not given."""

    what: str
    a: object
    b: object


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of both versions; the difference b - a, None where the questions were not the same number."""

    name: str
    a: float
    b: float
    difference: float | None


@dataclass(frozen=True, slots=True)
class Measured:
    """Both versions on the same data under the same conditions (`on`, such as data, always_answer, precision)."""

    on: Mapping[str, str | bool]
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Differences:
    """Versions `a` and `b`. files: which are the `same`, `changed`, `only_a`, `only_b`."""

    a: str
    b: str
    changes: tuple[Change, ...]
    metrics: tuple[Measured, ...]
    files: Mapping[str, tuple[str, ...]]

    def to_dict(self) -> dict[str, Any]:
        """`trifold models diff --json`."""
        return asdict(self)


def differences(a: ModelFolder, b: ModelFolder) -> Differences:
    """Compare where two versions come from, how they are set, what they were found to be worth, and their files."""
    return Differences(
        a.version, b.version, _changes(a.manifest, b.manifest), _measured(a.manifest, b.manifest), _files(a, b)
    )


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Change, ...]:
    found = []
    for key in dict.fromkeys([*a, *b]):
        if key not in _COMPARED_ELSEWHERE:
            before, after = dict(_facts(a.get(key), key)), dict(_facts(b.get(key), key))
            for what in dict.fromkeys([*before, *after]):
                if before.get(what) != after.get(what):
                    found.append(Change(what, before.get(what), after.get(what)))
    return tuple(found)


def _facts(value: object, path: str, depth: int = 0) -> Iterator[tuple[str, object]]:
    """Every fact below a value, with its path; what is null or empty is no fact."""
    if isinstance(value, Mapping) and depth < _DEEPEST:
        for key, inner in value.items():
            if key not in _COURSE:
                yield from _facts(inner, f"{path}.{key}", depth + 1)
    elif isinstance(value, list) and depth < _DEEPEST and any(isinstance(item, dict) for item in value):
        for key, item in _by_file(value):
            yield from _facts(item, f"{path}[{key}]", depth + 1)
    elif value is not None and value != []:
        yield path, value


def _by_file(items: list[Any]) -> Iterator[tuple[str, object]]:
    """The items of a list with the file that they are about, so that an added one does not shift the others."""
    names = [item["file"] if isinstance(item, dict) and isinstance(item.get("file"), str) else "" for item in items]
    count = Counter(names)
    for number, (name, item) in enumerate(zip(names, items, strict=True)):
        if name and count[name] == 1:
            yield name, {key: inner for key, inner in item.items() if key != "file"} or True
        else:
            yield str(number), item


def _measured(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Measured, ...]:
    before, after = _by_conditions(a), _by_conditions(b)
    found = []
    for key in before.keys() & after.keys():
        (on, old), (_, new) = before[key], after[key]
        counts = [name for name in old.keys() & new.keys() if name.split(".")[-1] == "n"]
        same = all(old[name] == new[name] for name in counts)
        figures = [
            Figure(name, old[name], new[name], round(new[name] - old[name], 6) if same else None)
            for name in old
            if name in new
        ]
        found.append((list(before).index(key), Measured(on, tuple(figures))))
    return tuple(measured for _, measured in sorted(found, key=lambda pair: pair[0]))


def _by_conditions(
    manifest: Mapping[str, Any],
) -> dict[tuple[tuple[str, str | bool], ...], tuple[dict[str, str | bool], dict[str, float]]]:
    """Each measurement's conditions and figures by its conditions: the words and truths in its record."""
    found = {}
    metrics = manifest.get("metrics")
    for record in metrics if isinstance(metrics, list) else []:
        if isinstance(record, dict):
            on = {key: value for key, value in record.items() if isinstance(value, str | bool) and key != "model"}
            figures = {
                path.removeprefix("."): value
                for path, value in _facts(record, "")
                if isinstance(value, int | float) and not isinstance(value, bool) and "[" not in path
            }
            found[tuple(sorted(on.items()))] = (on, figures)
    return found


def _files(a: ModelFolder, b: ModelFolder) -> dict[str, tuple[str, ...]]:
    before, after = a.manifest["files"], b.manifest["files"]
    both = [name for name in before if name in after]
    same = {name for name in both if before[name]["sha256"] == after[name]["sha256"]}
    return {
        "same": tuple(name for name in both if name in same),
        "changed": tuple(name for name in both if name not in same),
        "only_a": tuple(name for name in before if name not in after),
        "only_b": tuple(name for name in after if name not in before),
    }
