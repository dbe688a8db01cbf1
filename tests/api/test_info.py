"""Identification of folders and files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import shopsight as ss
from shopsight.data.dataset import SHARD


def test_folders(small_data: Path, trained: tuple[Path, str]) -> None:
    data = ss.info(small_data)
    assert (data.kind, data.summary["products"]) == (
        "prepared data",
        len(ss.load(small_data).products),
    )
    run = ss.info(trained[0])
    assert (run.kind, "dual" in run.summary["models"]) == ("run folder", True)
    assert data.next == f"shopsight train {small_data} --recipe RECIPE --out RUN"
    assert f"shopsight index build {trained[0]} DATA --out INDEX" in str(run)
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
    assert "shopsight " in result.next
    assert str(tmp_path / "file") in result.next


def test_whole_numbers_may_be_either(tmp_path: Path) -> None:
    (tmp_path / "a b.json").write_text('{"q": {"a": 2, "b": 1}}')
    result = ss.info(tmp_path / "a b.json")
    path = f"'{tmp_path}/a b.json'"
    assert result.kind == "qrels"
    assert result.next.endswith(
        f"or, if it is a ranking, shopsight evaluate {path} --answers QRELS"
    )


def test_further_folders(tmp_path: Path, trained: tuple[Path, str]) -> None:
    demo = tmp_path / "demo"
    (demo / "run").mkdir(parents=True)
    (demo / ".shopsight-demo").touch()
    assert ss.info(demo).to_dict() == {
        "path": str(demo), "kind": "demo", "folders": ["run"], "next": f"shopsight info {demo}/run",
    }  # fmt: skip
    unfinished = tmp_path / "run"
    unfinished.mkdir()
    shutil.copy(trained[0] / "run.json", unfinished)
    assert ss.info(unfinished).next.endswith(f"--out {unfinished} --resume")
    shard = {"format": "shopsight shard", "version": SHARD.version, "files": {}, "shard": [1, 2]}
    (tmp_path / "data.json").write_text(json.dumps(shard))
    result = ss.info(tmp_path)
    assert (result.kind, result.summary) == ("shard", {"shard": [1, 2]})
    assert "prepare merge" in result.next


def test_unknown(tmp_path: Path) -> None:
    with pytest.raises(ss.ShopsightError, match="not prepared data, a run folder or an index"):
        ss.info(tmp_path)
    (tmp_path / "file").write_text("what is this\n")
    with pytest.raises(ss.ShopsightError, match="file"):
        ss.info(tmp_path / "file")
    with pytest.raises(ss.ShopsightError, match="no such file"):
        ss.info(tmp_path / "none")
