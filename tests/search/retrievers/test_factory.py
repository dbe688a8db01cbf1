"""Choice of a retriever by URL."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from shopsight.errors import UsageError
from shopsight.search.searcher import Searcher


def test_unknown_engines(index: Path) -> None:
    with pytest.raises(UsageError, match="unknown engine 'qdrant://x': expected"):
        Searcher.open(index, "qdrant://x")
    assert Searcher.open(index, "embedded").info()["engine"] == "embedded"


def test_a_missing_client_names_the_package(
    index: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(UsageError, match=r"pip install 'shopsight\[milvus\]'"):
        Searcher.open(index, str(tmp_path / "engine.db"))
