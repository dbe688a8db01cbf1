"""The notebooks of ``examples/`` run from top to bottom in an empty folder."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

QUICK = ("compare_runs",)
SLOW = ("competition_run", "photos_to_search")


def cells_of(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text())["cells"]


def test_all_notebooks_are_tested_and_cleared(repository: Path) -> None:
    notebooks = sorted((repository / "examples").glob("*.ipynb"))
    assert [path.stem for path in notebooks] == sorted([*QUICK, *SLOW])
    for path in notebooks:
        code = [cell for cell in cells_of(path) if cell["cell_type"] == "code"]
        assert code
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_notebook(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = repository / "examples" / f"{name}.ipynb"
    namespace: dict[str, Any] = {"__name__": name}
    shown = 0
    for number, cell in enumerate(cells_of(path)):
        if cell["cell_type"] == "code":
            value = run_cell("".join(cell["source"]), f"{path.name}, cell {number}", namespace)
            assert len(repr(value)) < 1_000
            if hasattr(value, "_repr_html_"):
                assert "<table>" in value._repr_html_()
                shown += 1
    assert shown >= 3
    assert list(tmp_path.iterdir())


def run_cell(source: str, name: str, namespace: dict[str, Any]) -> Any:
    """Execute a cell; returns the value of its last expression, which a notebook displays."""
    tree = ast.parse(source, name)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), namespace)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), name, "eval"), namespace)
