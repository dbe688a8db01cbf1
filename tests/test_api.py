"""The public surface: documented, importable without side effects, in step with its papers."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import shopsight

MODULES = sorted(m.name for m in pkgutil.walk_packages(shopsight.__path__, "shopsight."))


def public_objects(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Public functions and classes that ``module`` itself defines, and the classes' methods."""
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield f"{module.__name__}.{name}", thing
        if inspect.isclass(thing):
            for part, member in vars(thing).items():
                function = getattr(member, "__func__", getattr(member, "fget", member))
                if not part.startswith("_") and inspect.isfunction(function):
                    yield f"{module.__name__}.{name}.{part}", function


def documented_arguments(thing: Any) -> list[str]:
    """Names in the Args section of a Google docstring."""
    section = re.search(r"\nArgs:\n((?:    .*\n?|\n)+)", (inspect.getdoc(thing) or "") + "\n")
    return re.findall(r"^    \*{0,2}(\w+)(?: \(.*\))?:", section[1], re.M) if section else []


@pytest.fixture(scope="module")
def public() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in MODULES:
        found.update(public_objects(importlib.import_module(name)))
    return found


def test_everything_public_has_a_docstring(public: dict[str, Any]) -> None:
    assert len(MODULES) >= 70
    assert len(public) >= 150
    inherited = [name for name, thing in public.items() if not thing.__doc__]
    assert inherited == []
    assert [m for m in MODULES if not importlib.import_module(m).__doc__] == []


def test_documented_arguments_exist(public: dict[str, Any]) -> None:
    looked_at, stale = 0, []
    for name, thing in public.items():
        arguments = documented_arguments(thing)
        looked_at += len(arguments)
        known = inspect.signature(thing).parameters if arguments else {}
        stale.extend(f"{name}: {argument}" for argument in arguments if argument not in known)
    assert stale == []
    assert looked_at >= 100


def test_exported_names_exist() -> None:
    looked_at = 0
    for name in MODULES:
        module = importlib.import_module(name)
        for exported in getattr(module, "__all__", []):
            looked_at += 1
            assert hasattr(module, exported), f"{name}.{exported}"
    assert looked_at >= 1


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("shopsight", ("numpy", "torch", "sklearn", "pyarrow", "jsonargparse", "rich")),
        ("shopsight.cli.main", ("numpy", "torch", "sklearn", "pyarrow", "jsonargparse", "rich")),
        ("shopsight.cli.evaluate", ("torch", "sklearn", "pyarrow", "tokenizers", "jinja2")),
        (
            "shopsight.metrics.evaluate, shopsight.ranking.fusion",
            ("torch", "sklearn", "pyarrow", "tokenizers", "scipy"),
        ),
    ],
)
def test_importing_is_light_and_silent(
    tmp_path: Path, modules: str, absent: tuple[str, ...]
) -> None:
    code = f"import sys, {modules}; print([m for m in {absent} if m in sys.modules])"
    command = [sys.executable, "-B", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    assert list(tmp_path.iterdir()) == []


def test_changelog_and_package_agree_on_the_version(repository: Path) -> None:
    versions = re.findall(r"^## (\S+)", (repository / "CHANGELOG.md").read_text(), re.M)
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert versions[0] == shopsight.__version__
    assert project["dynamic"] == ["version"]


def needed(requirements: list[str], extras: frozenset[str], found: set[str]) -> None:
    """Add to ``found`` every distribution that these requirements bring along."""
    for line in requirements:
        wanted = Requirement(line)
        marker = wanted.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        name = canonicalize_name(wanted.name)
        if name not in found or wanted.extras:
            found.add(name)
            needed(metadata.requires(name) or [], frozenset(wanted.extras), found)


def test_every_dependency_is_pinned(repository: Path) -> None:
    """Constraints name everything that an installation with all extras needs, and nothing else."""
    lines = (repository / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    found: set[str] = set()
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    needed(project["dependencies"] + extras, frozenset(), found)
    pinned = {canonicalize_name(name) for name in pins}
    found.discard("shopsight")  # an extra of ours within another
    assert sorted(found - pinned) == []
    if sys.platform == "linux":  # elsewhere some pins may not be needed
        assert sorted(pinned - found) == []
    assert len(found) >= 30
