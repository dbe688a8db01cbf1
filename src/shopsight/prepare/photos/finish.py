"""The last step: tables, vocabulary and ``data.json`` from what was grown; may be repeated."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shopsight.data.photo_store import FIELDS, PHOTO_OFFSETS, PHOTOS
from shopsight.data.split_names import TRAIN
from shopsight.prepare.photos.queries_and_splits import Shoppers
from shopsight.prepare.photos.splits import SPLITS
from shopsight.prepare.photos.state import KINDS, PhotosState
from shopsight.prepare.photos.typed_fields import fields_table
from shopsight.prepare.photos.writers import SKIPPED, ProductRows, photo_offsets
from shopsight.prepare.tables import (
    each,
    grown_in,
    region_statistics,
    remove_leftovers,
    train_on,
    write_manifest,
    write_npy,
    write_products,
    write_split,
    write_table,
)
from shopsight.text.query_stats import describe_queries
from shopsight.text.vocabulary import Vocabulary

EXTRACTOR = "extractor"


@dataclass(frozen=True)
class About:
    """What ``data.json`` says beside counts.

    Attributes:
        fingerprint: of the table and the settings.
        settings: of everything.
        extractor: name, settings and label names of what described the photos.
        field_names: the columns of the table that are kept.
        typed: whether their values have types.
        vocabulary: the named tokenizer; None where one is trained.
        vocabulary_size: of the trained one.
    """

    fingerprint: str
    settings: dict[str, Any]
    extractor: dict[str, Any]
    field_names: tuple[str, ...]
    typed: bool
    vocabulary: Vocabulary | None
    vocabulary_size: int


def finish(
    partial: Path, state: PhotosState, rows: ProductRows, shoppers: Shoppers, about: About
) -> None:
    """Complete ``partial/data``.

    Args:
        partial: the folder of the preparation.
        state: how it went.
        rows: the products.
        shoppers: queries, splits and pools.
        about: what else ``data.json`` says.
    """
    data = partial / "data"
    remove_leftovers(data, grown_in(data, state.lengths))
    if not (data / Path(SKIPPED).name).stat().st_size:
        (data / Path(SKIPPED).name).unlink()
    ids = pa.array(rows.ids, pa.string())
    counts = np.load(partial / "spool" / "region_counts.npy")
    write_products(data, ids, counts, shoppers.splits, list(SPLITS))
    _write_photos(partial)
    write_table(data / FIELDS, fields_table(rows.fields, about.field_names, typed=about.typed))
    if (partial / EXTRACTOR).is_dir():
        shutil.copytree(partial / EXTRACTOR, data / EXTRACTOR)
    warnings = list(shoppers.warnings)
    splits: dict[str, Any] = {}
    for split in shoppers.rows:
        splits[split.name] = write_split(data, split, ids, warnings)
        if split.name == TRAIN:
            vocabulary = about.vocabulary or train_on(split.texts, about.vocabulary_size)
            vocabulary.save(data / "vocabulary")
    names = dict(enumerate(about.extractor.get("label_names", ())))
    summary = {
        "fingerprint": about.fingerprint,
        "settings": about.settings,
        "extractor": about.extractor,
        "feature_width": state.feature_width,
        "splits": splits,
        "products": len(ids),
        "photos": _photo_statistics(partial),
        "regions": region_statistics(data, lambda label: names.get(label, "")),
        "asked": shoppers.about,
        "queries": describe_queries(t for split in shoppers.rows for t in each(split.texts)),
        "skipped": _skipped(state),
        "warnings": warnings,
    }
    write_manifest(data, summary)


def _write_photos(partial: Path) -> None:
    """``photo_offsets.npy``; or no photos at all where no product has one."""
    data, offsets = partial / "data", photo_offsets(partial)
    if offsets[-1]:
        write_npy(data / PHOTO_OFFSETS, offsets)
    else:
        (data / PHOTOS).unlink()


def _photo_statistics(partial: Path) -> dict[str, int]:
    sizes = np.load(partial / "spool" / "photo_bytes.npy")
    return {"photos": int((sizes > 0).sum()), "bytes": int(sizes.sum())}


def _skipped(state: PhotosState) -> dict[str, Any]:
    kinds = {kind: {"meaning": KINDS[kind], **entry} for kind, entry in state.skipped.items()}
    return {"table": kinds} if kinds else {}
