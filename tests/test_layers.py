"""Structure of the package: layers without upward imports, names, sizes, mirrored tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

# A unit may import from the units of earlier lines and from itself.
LAYERS = (
    ("errors",),
    ("tables",),
    ("types",),
    ("config",),
    ("formats",),
    ("text",),
    ("data", "ranking"),
    ("metrics",),
    ("negatives", "prepare"),
    ("device", "weights"),
    ("regions", "batches", "scoring"),
    ("losses",),
    ("models",),
    ("inference",),
    ("training",),
    ("reports", "search"),
    ("web",),
    ("demo",),
    ("api",),
    ("cli",),
    ("bench", "__main__"),
)
LEVEL = {unit: level for level, units in enumerate(LAYERS) for unit in units}
FIRST_WITH_TENSORS = LEVEL["device"]
NEURAL = {"torch", "torchvision", "transformers", "safetensors"}


def module_name(path: Path, source: Path) -> str:
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_of(source: Path) -> dict[str, ast.Module]:
    """Every module of the package by its dotted name."""
    paths = sorted((source / "shopsight").rglob("*.py"))
    return {module_name(p, source): ast.parse(p.read_text(), str(p)) for p in paths}


def imports_of(tree: ast.Module) -> Iterator[str]:
    """Dotted names that a module imports anywhere in it, ``from a import b`` as ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def as_run(tree: ast.Module) -> ast.Module:
    """The module without ``if TYPE_CHECKING`` blocks, which never run."""
    body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    return ast.Module(body, [])


def unit_of(name: str) -> str | None:
    """The unit of a dotted name; None for other packages and for the bare package."""
    parts = name.split(".")
    return parts[1] if parts[0] == "shopsight" and len(parts) > 1 and parts[1] in LEVEL else None


@pytest.fixture(scope="module")
def modules(repository: Path) -> dict[str, ast.Module]:
    return modules_of(repository / "src")


def test_every_module_has_a_layer(modules: dict[str, ast.Module]) -> None:
    assert len(modules) >= 70
    unassigned = [name for name in modules if name != "shopsight" and unit_of(name) is None]
    assert unassigned == []
    used = {unit_of(name) for name in modules}
    assert {"types", "formats", "data", "ranking", "metrics", "reports", "cli"} <= used


def test_imports_come_from_earlier_layers(modules: dict[str, ast.Module]) -> None:
    checked, wrong = 0, []
    for name, tree in modules.items():
        own = unit_of(name)
        for imported in imports_of(tree):
            unit = unit_of(imported)
            if own is None or unit is None or unit == own:
                continue
            checked += 1
            if LEVEL[unit] >= LEVEL[own]:
                wrong.append(f"{name} imports {imported}")
    assert wrong == []
    assert checked >= 50


def test_layers_without_tensors_never_import_torch(modules: dict[str, ast.Module]) -> None:
    wrong, checked = [], 0
    for name, tree in modules.items():
        unit = unit_of(name)
        if unit is None or LEVEL[unit] >= FIRST_WITH_TENSORS:
            continue
        checked += 1
        neural = {imported.split(".")[0] for imported in imports_of(tree)} & NEURAL
        wrong.extend(f"{name} imports {module}" for module in neural)
    assert wrong == []
    assert checked >= 30


def test_no_import_cycles(modules: dict[str, ast.Module]) -> None:
    graph = {}
    for name, tree in modules.items():
        targets = set()
        for imported in imports_of(as_run(tree)):
            parent = imported.rpartition(".")[0]
            targets |= {module for module in (imported, parent) if module in modules}
        graph[name] = targets - {name, "shopsight"}
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) >= len(modules) - 1


def test_no_vague_module_names(modules: dict[str, ast.Module]) -> None:
    vague = {"utils", "util", "common", "helpers", "helper", "misc", "tools"}
    assert [name for name in modules if vague & set(name.split("."))] == []


def test_no_module_is_above_500_lines(repository: Path) -> None:
    paths = sorted((repository / "src").rglob("*.py"))
    assert len(paths) >= 70
    assert [str(p) for p in paths if len(p.read_text().splitlines()) > 500] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from shopsight.types import Run", "shopsight.types.Run"),
        ("def f():\n    import shopsight.metrics.gain", "shopsight.metrics.gain"),
        ("from shopsight import metrics", "shopsight.metrics"),
    ],
)
def test_nested_imports_are_found(source: str, expected: str) -> None:
    assert list(imports_of(ast.parse(source))) == [expected]


def test_type_checking_imports_are_ignored() -> None:
    source = "import a\nif TYPE_CHECKING:\n    import b\nif a:\n    import c"
    assert list(imports_of(as_run(ast.parse(source)))) == ["a", "c"]


def test_relative_imports_raise() -> None:
    with pytest.raises(AssertionError, match="absolute"):
        list(imports_of(ast.parse("from . import types")))
