"""Prepared data: import, open, look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from shopsight.api.runs import Qrels
from shopsight.api.settings import build_settings
from shopsight.config import (
    KddcupConfig,
    LearnConfig,
    PhotoColumnsConfig,
    PhotosConfig,
    QueryGenerationConfig,
    RegionsConfig,
    SmallPhotoConfig,
)
from shopsight.data import dataset
from shopsight.errors import pluralise
from shopsight.tables import Grid, html_table
from shopsight.types import Progress, no_progress


class PreparedData(dataset.PreparedData):
    """A prepared data set: products with regions, queries, candidate pools, judgements.

    Build it with `prepare_photos` or `prepare_kddcup`; open it with `load`.
    """

    def qrels(self, split: str) -> Qrels:
        """Relevance judgements of a split. Raises DataError if it has none."""
        return Qrels(super().qrels(split).relevance)

    def grid(self) -> Grid:
        """A row per split: rows, queries, products."""
        rows = tuple(
            (split, *(f"{counts[name]:,}" for name in ("rows", "queries", "products")))
            for split, counts in self.manifest["splits"].items()
        )
        return Grid(("split", "rows", "queries", "products"), rows, repr(self))

    def __repr__(self) -> str:
        products = pluralise(self.manifest["products"], "product")
        return f"PreparedData({str(self.path)!r}, {products}, splits {', '.join(self.splits)})"

    def _repr_html_(self) -> str:
        return html_table(self.grid())


def load(path: str | Path) -> PreparedData:
    """Open prepared data. Raises DataError if the folder is not one, or is incomplete."""
    return PreparedData.open(path)


def as_data(data: dataset.PreparedData | str | Path) -> PreparedData:
    """Prepared data from prepared data or a path."""
    if isinstance(data, PreparedData):
        return data
    if isinstance(data, dataset.PreparedData):
        return PreparedData(data.path, data.manifest)
    return load(data)


def prepare_photos(
    table: str | Path,
    out: str | Path,
    text: str | Sequence[str] = (),
    clicks: str | Path | None = None,
    force: bool = False,
    progress: Progress = no_progress,
    **settings: Any,
) -> PreparedData:
    """Prepare a table of products with photos; an interrupted call resumes when repeated.

    Args:
        table: CSV, TSV, JSON Lines or Parquet, the folder of a Hugging Face dataset, or a hub id.
        out: the folder to write.
        text: columns whose words describe the product.
        clicks: a click log with columns query, product_id and optionally clicks; without it,
            queries come from a column of the table or are sampled from product texts.
        force: replace prepared data at ``out``.
        progress: receives the stage and the number of rows or photos done and in all.
        settings: ``seed``, ``learn`` (True, or a dict of `LearnConfig` fields, to train the region
            extractor on these photos), and fields of `PhotosConfig`, `PhotoColumnsConfig`,
            `SmallPhotoConfig`, `QueryGenerationConfig` and `RegionsConfig`.

    Raises:
        InputError: a table, row or photo that cannot be read.
        UsageError: an unknown or contradictory setting.
        OutputError: ``out`` holds something else or cannot be written.
    """
    from shopsight.prepare.photos import ingest
    from shopsight.prepare.photos.settings import PhotosSettings
    from shopsight.regions.factory import region_source

    seed, learn = settings.pop("seed", 0), settings.pop("learn", None)
    photos, columns, small, generation, regions = build_settings(
        {**settings, "text": text},
        PhotosConfig,
        PhotoColumnsConfig,
        SmallPhotoConfig,
        QueryGenerationConfig,
        RegionsConfig,
    )
    learning = None
    if learn:
        # The name of the extractor belongs to the source; what it learns does not depend on it.
        unnamed = replace(regions, extractor=RegionsConfig.extractor)
        learning = LearnConfig(regions=unnamed, **(learn if isinstance(learn, Mapping) else {}))
    data = ingest.prepare_photos(
        table,
        out,
        region_source(regions.extractor, regions, learning),
        PhotosSettings(photos, columns, small, generation, seed),
        clicks=clicks,
        force=force,
        progress=progress,
    )
    return as_data(data)


def prepare_kddcup(
    raw: str | Path,
    out: str | Path,
    splits: Sequence[str] = (),
    labels: str | Path | None = None,
    force: bool = False,
    progress: Progress = no_progress,
    **settings: Any,
) -> PreparedData:
    """Prepare the raw files of KDD Cup 2020 Multimodalities Recall; an interrupted call resumes.

    Args:
        raw: the raw folder, one raw file, or "-" for standard input.
        out: the folder to write.
        splits: default: all.
        labels: multimodal_labels.txt, if it is not beside the raw files.
        force: replace prepared data at ``out``.
        progress: receives the split and the number of bytes done and in all.
        settings: fields of `KddcupConfig`.
    """
    from shopsight.prepare.kddcup import ingest

    (config,) = build_settings(settings, KddcupConfig)
    data = ingest.prepare_kddcup(
        raw,
        out,
        config,
        splits=splits,
        labels=labels,
        force=force,
        progress=progress,
    )
    return as_data(data)
