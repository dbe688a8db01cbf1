"""The public surface: documented, importable without side effects, consistent with its metadata."""

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
    """Public functions and classes defined in ``module``, and the classes' methods."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value) or inspect.isclass(value):
            yield f"{module.__name__}.{name}", value
        if inspect.isclass(value):
            for attribute, member in vars(value).items():
                if attribute.startswith("_"):
                    continue
                function = getattr(member, "__func__", getattr(member, "fget", member))
                # A function that is assigned under another name is documented where it is defined.
                if inspect.isfunction(function) and function.__name__ == attribute:
                    yield f"{module.__name__}.{name}.{attribute}", function


def documented_arguments(value: Any) -> list[str]:
    """Names in the Args section of a Google docstring."""
    section = re.search(r"\nArgs:\n((?:    .*\n?|\n)+)", (inspect.getdoc(value) or "") + "\n")
    return re.findall(r"^    \*{0,2}(\w+)(?: \(.*\))?:", section[1], re.M) if section else []


@pytest.fixture(scope="module")
def public() -> dict[str, Any]:
    objects: dict[str, Any] = {}
    for name in MODULES:
        objects.update(public_objects(importlib.import_module(name)))
    return objects


def test_everything_public_has_a_docstring(public: dict[str, Any]) -> None:
    assert len(MODULES) >= 70
    assert len(public) >= 150
    assert [name for name, value in public.items() if not value.__doc__] == []
    assert [m for m in MODULES if not importlib.import_module(m).__doc__] == []


def test_documented_arguments_exist(public: dict[str, Any]) -> None:
    checked, stale = 0, []
    for name, value in public.items():
        arguments = documented_arguments(value)
        checked += len(arguments)
        parameters = inspect.signature(value).parameters if arguments else {}
        stale.extend(f"{name}: {argument}" for argument in arguments if argument not in parameters)
    assert stale == []
    assert checked >= 100


def test_exported_names_exist() -> None:
    missing = [
        f"{name}.{exported}"
        for name in ["shopsight", *MODULES]
        for exported in getattr(importlib.import_module(name), "__all__", [])
        if not hasattr(importlib.import_module(name), exported)
    ]
    assert missing == []


FUNCTIONS = (
    "prepare_photos prepare_kddcup load train open_ranker open_index evaluate compare fuse rerank"
    " audit submit info read_run read_qrels judge plan"
    " compare_trainings group_queries prepare_shard merge_shards"
)
CLASSES = "Run Qrels PreparedData Ranker Index ShopsightError"
METHODS = {
    "PreparedData": "products queries qrels pools regions",
    "Ranker": "rank encode_queries encode_products describe build_index report",
    "Run": "from_dict from_dataframe to_dict to_dataframe save",
    "Qrels": "from_dict from_dataframe to_dict to_dataframe save",
    "Index": "search search_many similar search_photo add update remove stats close __enter__",
}


def test_front_door() -> None:
    names = [*FUNCTIONS.split(), *CLASSES.split()]
    assert sorted(shopsight.__all__) == sorted([*names, "__version__"])
    assert dir(shopsight) == sorted(shopsight.__all__)
    for name in names:
        assert getattr(shopsight, name).__doc__, name
    for name, methods in METHODS.items():
        kind = getattr(shopsight, name)
        assert "_repr_html_" in dir(kind) or name in ("Ranker", "Index")
        for method in methods.split():
            assert hasattr(kind, method), f"{name}.{method}"
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        shopsight.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("shopsight", ("numpy", "torch", "sklearn", "pyarrow", "jsonargparse", "rich")),
        ("shopsight.api", ("numpy", "torch", "sklearn", "pyarrow", "jsonargparse", "rich")),
        ("shopsight.api.evaluation", ("torch", "sklearn", "pyarrow", "pandas", "rich")),
        ("shopsight.api.data", ("torch", "sklearn", "pandas", "rich")),
        ("shopsight.cli.main", ("numpy", "torch", "sklearn", "pyarrow", "jsonargparse", "rich")),
        ("shopsight.cli.evaluate", ("torch", "sklearn", "pyarrow", "tokenizers", "jinja2")),
        (
            "shopsight.metrics.evaluate, shopsight.ranking.fusion",
            ("torch", "sklearn", "pyarrow", "tokenizers", "scipy"),
        ),
    ],
)
def test_imports_are_light_and_silent(
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


def add_dependencies(lines: list[str], extras: frozenset[str], names: set[str]) -> None:
    """Add every distribution that these requirements install to ``names``."""
    for line in lines:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        name = canonicalize_name(requirement.name)
        if name not in names or requirement.extras:
            names.add(name)
            add_dependencies(metadata.requires(name) or [], frozenset(requirement.extras), names)


def test_every_dependency_is_pinned(repository: Path) -> None:
    """Constraints name everything that an installation with all extras needs, and nothing else."""
    constraints = (repository / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in constraints if line and not line.startswith("#"))
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    names: set[str] = set()
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    add_dependencies(project["dependencies"] + extras, frozenset(), names)
    pinned = {canonicalize_name(name) for name in pins}
    names.discard("shopsight")  # an extra includes another
    assert sorted(names - pinned) == []
    if sys.platform == "linux":  # elsewhere some pins may not be needed
        assert sorted(pinned - names) == []
    assert len(names) >= 30
