"""Write a segment from its source: a prepared folder, or the segments that it merges."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from shopsight.batches.batch import as_regions
from shopsight.data.dataset import PreparedData
from shopsight.data.region_store import RegionBatch
from shopsight.formats.atomic import sync_folder
from shopsight.formats.checksums import fingerprint
from shopsight.models.base import Encodings
from shopsight.models.registry import retrieval_model
from shopsight.search.conform import conformed_fields
from shopsight.search.encoders import SearchModels
from shopsight.search.manifest import MODELS, Generation, SegmentInfo, pending, segment_name
from shopsight.search.retrievers.base import Vectors
from shopsight.search.segment_writer import SegmentWriter
from shopsight.search.snapshot import Snapshot
from shopsight.types import IntArray, Progress

_BATCH = 512
_CHECKPOINT = 8192  # products to encode again after a kill, at most

Batch = tuple[Mapping[str, Encodings], RegionBatch | None]


@dataclass(frozen=True)
class SegmentSource:
    """The P products of a segment to write.

    Attributes:
        stage: name of the work for the progress callback.
        content: identifies the products; a partial segment of the same content is resumed.
        queries: (Q, D) vectors of queries to tune nprobe on.
    """

    stage: str
    content: object
    ids: Sequence[str]
    read: Callable[[IntArray], Batch]
    fields: pa.Table | None
    photos: Iterable[bytes | None] | None
    queries: Vectors | None


def from_data(
    folder: Path, generation: Generation, data: PreparedData, schema: pa.Schema | None = None
) -> SegmentSource:
    """The products of a prepared folder, encoded by the index's own models.

    Their fields take the types of ``schema``. Raises DataError for a cell that does not fit.
    """
    fields = data.fields if schema is None else conformed_fields(data, schema)
    models = SearchModels(folder / MODELS, list(generation.models))

    def read(rows: IntArray) -> Batch:
        batch = data.store.read(rows)
        encodings = models.encode_products(as_regions(batch))
        return encodings, batch if generation.settings.regions else None

    ids, photos = data.products, data.photos
    jpegs = None if photos is None else (photos.jpeg(row) for row in range(len(ids)))
    content = data.manifest["files"]
    return SegmentSource("encode", content, ids, read, fields, jpegs, models.sample_vectors())


def from_snapshot(
    snapshot: Snapshot, rows: IntArray, fields: pa.Table | None = None, content: object = None
) -> SegmentSource:
    """Products (n,) of an index, at least one, as they are but for new ``fields`` (n rows).

    ``content`` identifies the new fields.
    """
    models = SearchModels(snapshot.folder / MODELS)

    def read(part: IntArray) -> Batch:
        chosen = rows[part]
        encodings = {name: snapshot.encodings(name, chosen) for name in snapshot.models}
        if not snapshot.has_regions:
            return encodings, None
        regions = snapshot.regions(chosen)
        features, labels = regions.features.numpy(), np.zeros(len(regions.features), np.int16)
        batch = RegionBatch(features, regions.boxes.numpy(), labels, regions.lengths.numpy())
        return encodings, batch

    table = snapshot.fields.table
    if fields is None and table.column_names:
        fields = table.take(pa.array(rows))
    photos = (snapshot.photo(row) for row in rows.tolist()) if snapshot.has_photos else None
    key = {"generation": snapshot.generation.number, "rows": rows.tolist(), "fields": content}
    ids, queries = snapshot.ids(rows), models.sample_vectors()
    return SegmentSource("copy", key, ids, read, fields, photos, queries)


def write_segment(
    folder: Path, generation: Generation, source: SegmentSource, progress: Progress
) -> SegmentInfo:
    """Write a segment that no generation lists yet, resuming a killed process's work."""
    rows = len(source.ids)
    partial = pending(folder, _key(generation, source.content))
    retrieval = str(retrieval_model(generation.models))
    with closing(SegmentWriter(partial, generation.settings, retrieval)) as writer:
        saved = writer.done
        while writer.done < rows:
            progress(source.stage, writer.done, rows)
            writer.append(*source.read(np.arange(writer.done, min(writer.done + _BATCH, rows))))
            if writer.done - saved >= _CHECKPOINT:
                writer.checkpoint()
                saved = writer.done
        progress(source.stage, rows, rows)
        progress("faiss", 0, 1)
        params = writer.finish(source.ids, source.fields, source.photos, source.queries)
    return finish_segment(folder, partial, rows, params)


def finish_segment(
    folder: Path, partial: Path, rows: int, params: Mapping[str, object]
) -> SegmentInfo:
    """Sync a complete segment and rename it; ``params`` are those of its Faiss index."""
    sync_folder(partial)
    name = segment_name(folder)
    partial.rename(folder / name)
    return SegmentInfo(name, rows, faiss=params)


def _key(generation: Generation, content: object) -> str:
    """Identity of a segment's content: products, models and settings."""
    weights = {
        name: entry["sha256"] for name, entry in generation.files.items() if name.startswith(MODELS)
    }
    text = json.dumps([weights, asdict(generation.settings), content], sort_keys=True)
    return fingerprint([text])[:16]
