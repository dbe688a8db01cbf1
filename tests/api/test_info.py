"""Identification of folders and files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import shopsight as ss


def test_folders(small_data: Path, trained: tuple[Path, str]) -> None:
    data = ss.info(small_data)
    assert (data.kind, data.summary["products"]) == (
        "prepared data",
        len(ss.load(small_data).products),
    )
    run = ss.info(trained[0])
    assert (run.kind, "dual" in run.summary["models"]) == ("run folder", True)
    assert json.dumps([data.to_dict(), run.to_dict()])


@pytest.mark.parametrize(
    ("content", "kind", "summary"),
    [
        ('{"q": {"a": 1.5, "b": 0}}', "ranking", {"queries": 1, "candidates": 2, "products": 2}),
        ('{"q": ["a", "b"]}', "qrels", {"queries": 1, "judgements": 2, "relevant": 2}),
        ("q 0 a 0\nq 0 b 2\n", "qrels", {"queries": 1, "judgements": 2, "relevant": 1}),
        ("q Q0 a 1 0.5 x\n", "ranking", {"queries": 1, "candidates": 1, "products": 1}),
        (
            "query_id\tproduct_id\nq\ta\nr\ta\n",
            "candidates",
            {"queries": 2, "candidates": 2, "products": 1},
        ),
    ],
)
def test_files(tmp_path: Path, content: str, kind: str, summary: dict[str, int]) -> None:
    (tmp_path / "file").write_text(content)
    result = ss.info(tmp_path / "file")
    assert (result.kind, result.summary) == (kind, summary)
    assert kind in str(result)


def test_unknown(tmp_path: Path) -> None:
    with pytest.raises(ss.ShopsightError, match="not prepared data, a run folder or an index"):
        ss.info(tmp_path)
    (tmp_path / "file").write_text("what is this\n")
    with pytest.raises(ss.ShopsightError, match="file"):
        ss.info(tmp_path / "file")
    with pytest.raises(ss.ShopsightError, match="no such file"):
        ss.info(tmp_path / "none")
