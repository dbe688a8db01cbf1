"""Build an index of a trained run, change it while others search it, and check it.

All functions raise DataError if a folder is not an index or does not fit it, and OutputError while
another process changes it.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shopsight.config import IndexConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.features import check_features, feature_source
from shopsight.errors import DataError, UsageError
from shopsight.formats.atomic import write_json
from shopsight.formats.checksums import check_contents, checksums
from shopsight.formats.locks import folder_lock
from shopsight.formats.outputs import check_space
from shopsight.inference.run_folder import RunFolder
from shopsight.search.conform import changed_fields
from shopsight.search.encoders import SearchModels, copy_models, models_of
from shopsight.search.fit import fit_cutoff, fit_weight
from shopsight.search.image_query import READING
from shopsight.search.lexical import TermIndex
from shopsight.search.manifest import (
    EXTRACTOR,
    INDEX,
    MODELS,
    Generation,
    check_new_index,
    read_generation,
)
from shopsight.search.publish import compact, compact_if_needed, mark_removed, publish
from shopsight.search.retrievers.faiss import faiss_module
from shopsight.search.segment import VECTORS, EncodingArray
from shopsight.search.segment_sources import SegmentSource, from_data, from_snapshot, write_segment
from shopsight.search.snapshot import Snapshot
from shopsight.types import IntArray, Progress, no_progress


def build_index(
    run: RunFolder,
    data: PreparedData,
    out: str | Path,
    config: IndexConfig | None = None,
    progress: Progress = no_progress,
) -> Generation:
    """Build an index of a prepared folder's products with a run's models.

    A killed build resumes when it is called again with the same arguments.
    """
    faiss_module()
    folder = Path(out)
    models = models_of(run)
    run.check_data(data)
    check_new_index(folder)
    if config is None or config.regions:
        features = data.manifest["regions"]["total"] * data.store.width * 2  # float16
        check_space(folder, features, "the regions of the products")
    with folder_lock(folder):
        check_new_index(folder)  # another process may have built it meanwhile
        copy_models(run, list(models), folder / MODELS)
        extractor = _copy_extractor(data, folder)
        search_models = SearchModels(folder / MODELS)
        # The checksums of the models identify the partial segment that a killed build left.
        empty = Generation(
            number=0,
            identity=uuid.uuid4().hex,
            settings=config or IndexConfig(),
            models=models,
            normalise=search_models.ensemble.config.normalise,
            feature_width=data.store.width,
            files=checksums(folder, [MODELS, *extractor]),
        )
        segment = write_segment(folder, empty, from_data(folder, empty, data), progress)
        vectors = EncodingArray(folder / segment.name, search_models.retrieval, VECTORS)
        cutoff = fit_cutoff(search_models, data, vectors.read, empty.settings.match_recall)
        terms = TermIndex.open(folder / segment.name)
        weight = 0.0 if terms is None else fit_weight(search_models, data, vectors.read, terms)
        fitted = replace(empty, cutoff=cutoff, text_weight=weight)
        return publish(folder, fitted, [segment], [segment.name], progress)


def add_products(
    path: str | Path, data: PreparedData, progress: Progress = no_progress
) -> Generation:
    """Add a prepared folder's products to an index; UsageError if it holds one already."""
    return _add(Path(path), data, replace=False, progress=progress)


def update_products(
    path: str | Path, data: PreparedData, progress: Progress = no_progress
) -> Generation:
    """Add a prepared folder's products to an index, or replace those that it already holds."""
    return _add(Path(path), data, replace=True, progress=progress)


def update_fields(
    path: str | Path,
    changes: Mapping[str, Mapping[str, Any]],
    progress: Progress = no_progress,
) -> Generation:
    """Change fields of products, by product and field, without reading photos; all or none.

    The products are copied with their encodings into a new segment.

    Raises:
        UnknownProductError: the index does not hold a product.
        ChangeError: an unknown field, or a value that is not of its type.
    """
    folder, product_ids = Path(path), list(changes)
    read_generation(folder)
    faiss_module()
    with folder_lock(folder):
        snapshot = Snapshot.current(folder)
        rows = snapshot.known_rows(product_ids)
        if not product_ids:
            return snapshot.generation
        table = snapshot.fields.table.take(pa.array(rows))
        source = from_snapshot(
            snapshot, rows, changed_fields(table, product_ids, changes),
            {name: dict(cells) for name, cells in changes.items()},
        )  # fmt: skip
        return _replace(folder, snapshot, source, rows, progress)


def remove_products(
    path: str | Path, product_ids: Sequence[str], progress: Progress = no_progress
) -> Generation:
    """Remove products from an index: all of them, or none if one is unknown."""
    folder = Path(path)
    read_generation(folder)  # first, since taking the lock would create a missing folder
    with folder_lock(folder):
        snapshot = Snapshot.current(folder)
        rows = snapshot.known_rows(product_ids)
        segments, files = mark_removed(folder, snapshot, rows)
        generation = publish(folder, snapshot.generation, segments, files, progress)
        return compact_if_needed(folder, generation, progress)


def compact_index(path: str | Path, progress: Progress = no_progress) -> Generation:
    """Rewrite an index as one segment without removed products."""
    read_generation(path)
    with folder_lock(Path(path)):
        return compact(Path(path), progress)


def check_index(path: str | Path, progress: Progress = no_progress) -> Generation:
    """Verify every file of an index against its checksum, and the files against each other."""
    folder = Path(path)
    generation = read_generation(folder)
    check_contents(folder, generation.files, INDEX.remedy, progress)
    snapshot = Snapshot(folder, generation)
    snapshot.open_all()
    ids = snapshot.ids(np.flatnonzero(snapshot.alive))
    if len(ids) != generation.products:
        raise DataError(f"{folder}: {len(ids):,} products, expected {generation.products:,}")
    if len(set(ids)) != len(ids):
        raise DataError(f"{folder}: duplicate product id")
    SearchModels(folder / MODELS, list(generation.models))
    return generation


def index_stats(path: str | Path) -> dict[str, Any]:
    """Counts, sizes, models, settings and segments of an index, as JSON holds them."""
    generation = read_generation(path)
    return {
        "index": str(path),
        "products": generation.products,
        "generation": generation.number,
        "bytes": sum(entry["bytes"] for entry in generation.files.values()),
        "models": dict(generation.models),
        "settings": asdict(generation.settings),
        "cutoff": generation.cutoff,
        "text_weight": generation.text_weight,
        "segments": [
            {"name": segment.name, "rows": segment.rows, "removed": segment.removed}
            | dict(segment.faiss)
            for segment in generation.segments
        ],
    }


def _add(folder: Path, data: PreparedData, *, replace: bool, progress: Progress) -> Generation:
    read_generation(folder)
    faiss_module()  # the last step needs it
    with folder_lock(folder):
        snapshot = Snapshot.current(folder)
        generation = snapshot.generation
        features = feature_source(folder, generation.files)
        check_features(data, generation.feature_width, features, folder)
        source = from_data(folder, generation, data, snapshot.fields.table.schema)
        rows = snapshot.rows_of(data.products)
        if not replace and (rows >= 0).any():
            duplicate = data.products[int(np.argmax(rows >= 0))]
            raise UsageError(
                f"{folder}: product '{duplicate}' already exists; use `shopsight index update`"
            )
        return _replace(folder, snapshot, source, rows[rows >= 0], progress)


def _replace(
    folder: Path, snapshot: Snapshot, source: SegmentSource, rows: IntArray, progress: Progress
) -> Generation:
    """Add a segment and remove the rows (n,) that it replaces."""
    segment = write_segment(folder, snapshot.generation, source, progress)
    segments, files = mark_removed(folder, snapshot, rows)
    new_files = [segment.name, *files]
    generation = publish(folder, snapshot.generation, [*segments, segment], new_files, progress)
    return compact_if_needed(folder, generation, progress)


def _copy_extractor(data: PreparedData, folder: Path) -> list[str]:
    """Copy the region extractor and the photo settings; returns its folder name, if any."""
    if not (data.path / EXTRACTOR).is_dir():
        return []
    shutil.copytree(data.path / EXTRACTOR, folder / EXTRACTOR, dirs_exist_ok=True)
    write_json(folder / EXTRACTOR / READING, data.manifest["settings"].get("small", {}))
    return [EXTRACTOR]
