"""Prepared data: import, open, look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from shopsight.api.runs import Qrels
from shopsight.api.settings import build_settings, settings_of, takes
from shopsight.config import (
    KddcupConfig,
    LearnConfig,
    NegativesConfig,
    PhotoColumnsConfig,
    PhotosConfig,
    QueryGenerationConfig,
    RegionsConfig,
    SmallPhotoConfig,
)
from shopsight.data import dataset
from shopsight.data.split_names import TRAIN
from shopsight.errors import pluralise
from shopsight.formats.outputs import check_output_folder
from shopsight.tables import Grid, html_table
from shopsight.types import Progress, no_progress

if TYPE_CHECKING:
    from shopsight.negatives.groups import QueryGroups
    from shopsight.prepare.photos.extract_regions import RegionSource
    from shopsight.prepare.photos.settings import PhotosSettings


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


@takes(
    PhotoColumnsConfig,
    PhotosConfig,
    SmallPhotoConfig,
    QueryGenerationConfig,
    RegionsConfig,
)
def prepare_photos(
    table: str | Path,
    out: str | Path,
    text: Sequence[str] | str = (),
    clicks: str | Path | None = None,
    pools: Sequence[str | Path] = (),
    force: bool = False,
    progress: Progress = no_progress,
    **settings: Any,
) -> PreparedData:
    """Turn a table of products with photos into prepared data.

    It has small photos, regions with features, queries from a click log or from the products'
    texts, splits without overlap, and candidate pools. An interrupted call resumes when repeated.

    Args:
        table: CSV, TSV, JSON Lines or Parquet; the folder of a Hugging Face dataset; or a hub id.
        out: prepared folder to write.
        text: columns whose words describe the product.
        clicks: click log: a table with columns query, product_id and, optionally, clicks.
        pools: candidates of evaluation queries, instead of generated ones: tables with query_id,
            query and product_id, named after their split (valid.tsv), with answers beside them
            (valid_answer.json).
        force: replace prepared data at ``out`` and start over.
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
    from shopsight.prepare.photos.given_pools import QueryInputs

    config, source = _photo_settings({**settings, "text": text})
    queries = QueryInputs.read(clicks, pools, config.photos.on_error)
    how: dict[str, Any] = {"queries": queries, "force": force, "progress": progress}
    return as_data(ingest.prepare_photos(table, out, source, config, **how))


def prepare_shard(
    table: str | Path,
    out: str | Path,
    shard: tuple[int, int],
    force: bool = False,
    progress: Progress = no_progress,
    **settings: Any,
) -> dict[str, Any]:
    """Do part i of n of `prepare_photos`; `merge_shards` joins the parts. Returns its manifest.

    Args:
        shard: (i, n); i counts from 1.
        settings: those of `prepare_photos`, and ``text``.
    """
    from shopsight.prepare.photos import shards

    config, source = _photo_settings(settings)
    return shards.prepare_shard(table, out, source, config, shard, force=force, progress=progress)


def merge_shards(
    shards: Sequence[str | Path],
    out: str | Path,
    clicks: str | Path | None = None,
    on_error: Literal["stop", "skip"] = "stop",
    force: bool = False,
) -> PreparedData:
    """Merge the shards of a table, made on one machine or many, into prepared data.

    The result is that of the whole table prepared at once.

    Args:
        shards: folders of all shards.
        out: prepared folder to write.
        clicks: click log: a table with columns query, product_id and, optionally, clicks.
        on_error: at an invalid row of the click log or a duplicate product, stop, or skip and
            count it.
        force: replace prepared data at ``out``.
    """
    from shopsight.prepare.photos import shards as parts

    return as_data(parts.merge_shards(shards, out, clicks=clicks, on_error=on_error, force=force))


@takes(KddcupConfig)
def prepare_kddcup(
    raw: str | Path,
    out: str | Path,
    splits: Sequence[str] = (),
    labels: str | Path | None = None,
    force: bool = False,
    progress: Progress = no_progress,
    **settings: Any,
) -> PreparedData:
    """Turn the raw files of KDD Cup 2020 Multimodalities Recall into prepared data.

    It has memory-mapped region features, each product once, and tables of queries, pairs and
    pools. An interrupted call resumes when repeated.

    Args:
        raw: raw folder, one raw file (.tsv, .tsv.gz), or - for standard input.
        out: prepared folder to write.
        splits: splits to take; all of them by default.
        labels: multimodal_labels.txt, if it is not beside the raw files.
        force: replace prepared data at ``out`` and start over.
        progress: receives the split and the number of bytes done and in all.
        settings: fields of `KddcupConfig`.
    """
    from shopsight.prepare.kddcup import ingest

    (config,) = build_settings(settings, KddcupConfig)
    how: dict[str, Any] = {"labels": labels, "force": force, "progress": progress}
    return as_data(ingest.prepare_kddcup(raw, out, config, splits=splits, **how))


@takes(NegativesConfig)
def group_queries(
    data: dataset.PreparedData | str | Path,
    seed: int = 0,
    progress: Progress = no_progress,
    **settings: Any,
) -> QueryGroups:
    """Group the training queries for hard negatives: by last word, by cluster, by shared words.

    Writes ``negatives`` into the prepared folder; training does the same if it is missing.

    Args:
        data: prepared folder with a train split.
        seed: of clusters and samples.
        settings: fields of `NegativesConfig`.
    """
    from shopsight.negatives.groups import build_query_groups, save_query_groups

    (config,) = build_settings(settings, NegativesConfig)
    data = as_data(data)
    check_output_folder(data.path / "negatives", ())
    groups = build_query_groups(data.queries(TRAIN).texts, config, seed, progress=progress)
    save_query_groups(groups, data.path / "negatives")
    return groups


def _photo_settings(settings: dict[str, Any]) -> tuple[PhotosSettings, RegionSource]:
    """The settings of a preparation of photos, and its region extractor."""
    from shopsight.prepare.photos.settings import PhotosSettings
    from shopsight.regions.factory import region_source

    seed, learn = settings.pop("seed", 0), settings.pop("learn", None)
    columns, photos, small, generation, regions = build_settings(
        settings, *settings_of(prepare_photos)
    )
    learning = None
    if learn:
        # The name of the extractor belongs to the source; what it learns does not depend on it.
        unnamed = replace(regions, extractor=RegionsConfig.extractor)
        learning = LearnConfig(regions=unnamed, **(learn if isinstance(learn, Mapping) else {}))
    source = region_source(regions.extractor, regions, learning)
    return PhotosSettings(photos, columns, small, generation, seed), source
