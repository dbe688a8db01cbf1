"""Final step: tables, vocabulary and ``data.json`` from the append-only files; repeatable."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shopsight.data.photo_store import FIELDS, FIELDS_WRITTEN, PHOTO_OFFSETS, PHOTOS
from shopsight.formats.atomic import write_npy
from shopsight.prepare.journal import EXTRACTOR
from shopsight.prepare.photos.queries_and_splits import QueriesAndSplits
from shopsight.prepare.photos.splits import SPLITS
from shopsight.prepare.photos.typed_fields import typed_fields
from shopsight.prepare.photos.writers import (
    KINDS,
    SKIPPED,
    PhotosState,
    ProductRows,
    photo_offsets,
)
from shopsight.prepare.tables import (
    MakeVocabulary,
    remove_leftovers,
    write_prepared,
    write_products,
    write_splits,
    write_table,
)


def finish(
    partial: Path,
    state: PhotosState,
    rows: ProductRows,
    queries: QueriesAndSplits,
    info: dict[str, Any],
    vocabulary: MakeVocabulary,
) -> None:
    """Complete ``partial/data``.

    ``info`` has the settings, the extractor, the ``field_names`` that are kept, and the ``roles``
    of the other columns.
    """
    data = partial / "data"
    remove_leftovers(data, state.lengths)
    if not (partial / SKIPPED).stat().st_size:
        (partial / SKIPPED).unlink()
    ids = pa.array(rows.ids, pa.string())
    counts = np.load(partial / "spool" / "region_counts.npy")
    write_products(data, ids, counts, queries.splits, list(SPLITS))
    photos = {**_write_photo_offsets(partial), "stamps": state.stamps}
    fields = typed_fields(rows.fields, info["field_names"], rows.places)
    write_table(data / FIELDS, fields.table)
    write_table(data / FIELDS_WRITTEN, fields.written)
    if (partial / EXTRACTOR).is_dir():
        shutil.copytree(partial / EXTRACTOR, data / EXTRACTOR)
    warnings = list(queries.warnings)
    write_prepared(
        data,
        state.counts(KINDS)
        | write_splits(data, queries.rows, ids, vocabulary, warnings)
        | {"settings": info["settings"], "extractor": info["extractor"], "photos": photos}
        | {"columns": info["roles"] | fields.report}
        | {"query_source": queries.info, "warnings": warnings},
        dict(enumerate(info["extractor"].get("label_names", ()))),
    )


def _write_photo_offsets(partial: Path) -> dict[str, int]:
    """Write ``photo_offsets.npy``, or remove the empty photo file; returns counts."""
    data, offsets = partial / "data", photo_offsets(partial)
    if offsets[-1]:
        write_npy(data / PHOTO_OFFSETS, offsets)
    else:
        (data / PHOTOS).unlink()
    return {"photos": int((np.diff(offsets) > 0).sum()), "bytes": int(offsets[-1])}
