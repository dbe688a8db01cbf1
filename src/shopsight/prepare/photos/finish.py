"""Final step: tables, vocabulary and ``data.json`` from the append-only files; repeatable."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shopsight.data.photo_store import FIELDS, PHOTO_OFFSETS, PHOTOS
from shopsight.formats.atomic import write_npy
from shopsight.prepare.journal import EXTRACTOR
from shopsight.prepare.photos.queries_and_splits import QueriesAndSplits
from shopsight.prepare.photos.settings import PhotosSettings
from shopsight.prepare.photos.splits import SPLITS
from shopsight.prepare.photos.state import KINDS, PhotosState
from shopsight.prepare.photos.typed_fields import fields_table
from shopsight.prepare.photos.writers import SKIPPED, ProductRows, photo_offsets
from shopsight.prepare.tables import (
    region_statistics,
    remove_leftovers,
    write_manifest,
    write_products,
    write_splits,
    write_table,
)
from shopsight.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class TableInfo:
    """The part of ``data.json`` that does not come from counting.

    Attributes:
        settings: of everything.
        extractor: name, settings and label names of the extractor.
        field_names: columns that are kept as fields.
        typed: whether their values have types.
    """

    settings: PhotosSettings
    extractor: dict[str, Any]
    field_names: tuple[str, ...]
    typed: bool


def finish(
    partial: Path,
    state: PhotosState,
    rows: ProductRows,
    queries: QueriesAndSplits,
    info: TableInfo,
    vocabulary: Vocabulary | int,
) -> None:
    """Complete ``partial/data``; ``vocabulary`` may be the size of one to train."""
    data = partial / "data"
    remove_leftovers(data, state.lengths)
    if not (partial / SKIPPED).stat().st_size:
        (partial / SKIPPED).unlink()
    ids = pa.array(rows.ids, pa.string())
    counts = np.load(partial / "spool" / "region_counts.npy")
    write_products(data, ids, counts, queries.splits, list(SPLITS))
    sizes = _write_photo_offsets(partial)
    write_table(data / FIELDS, fields_table(rows.fields, info.field_names, typed=info.typed))
    if (partial / EXTRACTOR).is_dir():
        shutil.copytree(partial / EXTRACTOR, data / EXTRACTOR)
    warnings = list(queries.warnings)
    splits, query_statistics = write_splits(data, queries.rows, ids, vocabulary, warnings)
    names = dict(enumerate(info.extractor.get("label_names", ())))
    manifest = {
        "fingerprint": state.fingerprint,
        "settings": info.settings.as_dict(),
        "extractor": info.extractor,
        "feature_width": state.feature_width,
        "splits": splits,
        "products": len(ids),
        "photos": sizes,
        "regions": region_statistics(data, names),
        "query_source": queries.info,
        "queries": query_statistics,
        "skipped": state.skipped_with_meanings(KINDS),
        "warnings": warnings,
    }
    write_manifest(data, manifest)


def _write_photo_offsets(partial: Path) -> dict[str, int]:
    """Write ``photo_offsets.npy``, or remove the empty photo file; returns counts."""
    data, offsets = partial / "data", photo_offsets(partial)
    if offsets[-1]:
        write_npy(data / PHOTO_OFFSETS, offsets)
    else:
        (data / PHOTOS).unlink()
    return {"photos": int((np.diff(offsets) > 0).sum()), "bytes": int(offsets[-1])}
