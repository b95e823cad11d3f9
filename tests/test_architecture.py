"""The house keeps its floors, and its doors what they promise."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import trifold

SOURCE = Path(trifold.__file__).parent
FLOORS = ["interfaces", "jobs", "tasks", "training", "engine", "models", "tables", "documents", "remote"]
BASEMENT = ["plugins", "printable", "jsontext", "correction", "task", "wire", "errors"]


def imports(path: Path) -> set[str]:
    """Names of trifold's own modules that a file imports anywhere, for types or in functions too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names if node.module != "trifold")
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.split(".")[0] == "trifold"}


def floor(module: str) -> int:
    parts = module.split(".")
    name = parts[1] if len(parts) > 1 else ""
    order = FLOORS + BASEMENT
    return order.index(name) if name in order else -1


FILES = sorted(p for p in SOURCE.rglob("*.py") if p.parent != SOURCE or p.stem in BASEMENT)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_imports_point_down(path: Path) -> None:
    own = floor("trifold." + ".".join(path.relative_to(SOURCE).with_suffix("").parts))
    for module in imports(path):
        if module == "trifold":  # the version number, which the command line shows and a journal writes down
            assert path.relative_to(SOURCE).parts[0] in ("interfaces", "jobs")
            continue
        assert floor(module) >= own, f"{path.name} imports {module}, from a floor above"


def test_nothing_above_the_tasks_names_one_of_them() -> None:
    tasks = [p.name for p in (SOURCE / "tasks").iterdir() if p.is_dir() and p.name != "__pycache__"]
    assert tasks
    for directory in ("interfaces", "jobs", "engine", "models", "tables"):
        for path in (SOURCE / directory).rglob("*.py"):
            assert not any(f"trifold.tasks.{task}" in name for task in tasks for name in imports(path)), path


def test_answering_needs_none_of_the_extras() -> None:
    code = (
        "import sys, trifold; trifold.load().ask('Who?', 'It was Ada.');"
        "print(sorted({'torch', 'transformers', 'ray', 'onnx', 'safetensors'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_what_the_package_offers() -> None:
    assert trifold.__all__ == sorted(trifold.__all__, key=lambda n: (n.startswith("_") or n[0].islower(), n))
    for name in trifold.__all__:
        assert getattr(trifold, name) is not None
    assert set(trifold.__all__) == set(dir(trifold))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = trifold.nothing


def test_the_error_tree_is_drawn_as_it_is() -> None:
    from trifold import errors

    drawn = errors.__doc__ or ""
    for name in errors.__all__:
        assert f" {name} " in f"{drawn} ".replace("\n", " "), name
        assert issubclass(getattr(errors, name), errors.TrifoldError)


def test_modules_stay_readable() -> None:
    for path in SOURCE.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 320, f"{path} has grown past one idea"
