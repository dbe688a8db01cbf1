"""Prepared data through the front door."""

from __future__ import annotations

from pathlib import Path

import pytest

import shopsight as ss
from photoshop import items, write_csv


def test_load(small_data: Path) -> None:
    data = ss.load(small_data)
    assert repr(data).startswith(f"PreparedData({str(small_data)!r}, ")
    assert data.regions(data.products[:2]).lengths.tolist()
    assert isinstance(data.qrels("valid"), ss.Qrels)
    assert len(data.pools("valid")) == len(data.queries("valid"))
    assert "<td>valid</td>" in data._repr_html_()
    with pytest.raises(ss.ShopsightError, match=r"data\.json"):
        ss.load(small_data.parent)


def test_prepare_kddcup(small_world: Path, small_data: Path, tmp_path: Path) -> None:
    data = ss.prepare_kddcup(small_world, tmp_path / "data", ["valid"], workers=1)
    assert data.splits == ["valid"]
    assert data.qrels("valid").relevance == ss.load(small_data).qrels("valid").relevance


def test_prepare_photos(tmp_path: Path) -> None:
    table = write_csv(tmp_path, items(60))
    settings = {"word_products": 3, "word_fraction": 0.0, "vocabulary_size": 200, "workers": 1}
    stages = set()
    data = ss.prepare_photos(
        table,
        tmp_path / "data",
        text="title",
        progress=lambda stage, done, total: stages.add(stage),
        id="sku",
        max_regions=2,
        seed=1,
        **settings,
    )
    assert len(data.products) == 60
    assert stages
    assert data.manifest["regions"]["per_product"]["max"] <= 2
    assert data.manifest["settings"]["columns"]["text"] == ["title"]
    with pytest.raises(ss.ShopsightError, match="unknown setting 'max_region'"):
        ss.prepare_photos(table, tmp_path / "other", max_region=2)
