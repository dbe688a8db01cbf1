"""Making an index of a trained run, and changing it while others search."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from shopsight.batches.batch import as_regions
from shopsight.config import IndexConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.region_store import RegionBatch
from shopsight.errors import DataError, OutputError, UsageError, pluralise
from shopsight.formats.atomic import sync_folder, write_json, write_npy
from shopsight.formats.checksums import check_contents, checksums, fingerprint
from shopsight.formats.locks import folder_lock
from shopsight.inference.run_folder import RunFolder
from shopsight.search.encoders import SearchModels, copy_models, models_of
from shopsight.search.errors import UnknownProductError
from shopsight.search.image_query import READING
from shopsight.search.manifest import (
    EXTRACTOR,
    INDEX,
    INDEX_FILE,
    MODELS,
    Generation,
    SegmentInfo,
    drop_pending,
    pending,
    read_generation,
    removed_name,
    segment_name,
    write_generation,
)
from shopsight.search.retrievers.faiss import faiss_module
from shopsight.search.segment import DUAL
from shopsight.search.segment_writer import SegmentWriter
from shopsight.search.snapshot import Snapshot
from shopsight.types import IntArray, Progress, no_progress

_AT_ONCE = 512
_CHECKPOINT = 8192  # products that a killed process may have to encode again


def build_index(
    run: RunFolder,
    data: PreparedData,
    out: str | Path,
    config: IndexConfig | None = None,
    progress: Progress = no_progress,
) -> Generation:
    """Make an index of a prepared folder's products, or go on where that was cut short.

    Args:
        run: the run folder.
        data: the prepared folder.
        out: the index, which must not be there yet.
        config: how.
        progress: told how far it is.

    Raises:
        OutputError: something else is there, or it cannot be written.
        DataError: the data are not what the run was trained on.
        UsageError: the run lacks the dual encoder; faiss is not installed.
    """
    faiss_module()
    folder, config = Path(out), config or IndexConfig()
    models = models_of(run)
    _check_width(int(run.manifest["feature_width"]), data)
    _refuse_foreign(folder)
    with folder_lock(folder):
        if (folder / INDEX_FILE).exists():
            raise OutputError(
                f"{folder}: an index is there already; change it with --add, --update or"
                " --remove, or choose another --out"
            )
        copy_models(run, data, list(models), folder / MODELS)
        extractor = _copy_extractor(data, folder)
        files = checksums(folder, [MODELS, *extractor])
        begun = Generation(
            0,
            uuid.uuid4().hex,
            config,
            models,
            SearchModels(folder / MODELS, []).ensemble.config.normalise,
            data.store.width,
            files=files,
        )
        part = _encoded(folder, begun, data, np.arange(len(data.store)), progress)
        return publish(folder, begun, [part], [part.name], progress)


def add_products(
    path: str | Path, data: PreparedData, *, update: bool = False, progress: Progress = no_progress
) -> Generation:
    """Add a prepared folder's products to an index that others may be searching.

    Args:
        path: the index.
        data: the prepared folder.
        update: replace products that are there already; else they are refused.
        progress: told how far it is.

    Raises:
        UsageError: a product is there already.
        DataError: not an index; data of another feature width, or with fields of other kinds.
        OutputError: another process changes it.
    """
    folder = Path(path)
    read_generation(folder)
    with folder_lock(folder):
        snapshot = Snapshot.current(folder)
        found = snapshot.generation
        _check_width(found.feature_width, data)
        _check_fields(snapshot, data)
        ids = data.store.product_ids
        there = snapshot.rows_of(ids)
        if not update and (there >= 0).any():
            known = ids[int(np.flatnonzero(there >= 0)[0])]
            raise UsageError(f"{folder}: product '{known}' is there already; --update replaces it")
        part = _encoded(folder, found, data, np.arange(len(ids)), progress)
        parts, removed = _with_removed(folder, snapshot, there[there >= 0])
        changed = publish(folder, found, [*parts, part], [part.name, *removed], progress)
        return _tidied(folder, changed, progress)


def remove_products(
    path: str | Path, product_ids: Sequence[str], progress: Progress = no_progress
) -> Generation:
    """Remove products from an index that others may be searching.

    Args:
        path: the index.
        product_ids: which; one that is not there is refused, and then none is removed.
        progress: told how far it is, where the index is tidied.

    Raises:
        UnknownProductError: a product is not there.
        DataError: not an index.
        OutputError: another process changes it.
    """
    folder = Path(path)
    read_generation(folder)
    with folder_lock(folder):
        snapshot = Snapshot.current(folder)
        wanted = list(dict.fromkeys(product_ids))
        rows = snapshot.rows_of(wanted)
        if (rows < 0).any():
            raise UnknownProductError(wanted[int(np.flatnonzero(rows < 0)[0])])
        parts, removed = _with_removed(folder, snapshot, rows)
        changed = publish(folder, snapshot.generation, parts, removed, progress)
        return _tidied(folder, changed, progress)


def compact_index(path: str | Path, progress: Progress = no_progress) -> Generation:
    """Write an index anew as one part, without its removed products.

    Raises:
        DataError: not an index.
        OutputError: another process changes it.
    """
    folder = Path(path)
    read_generation(folder)
    with folder_lock(folder):
        return _compacted(folder, progress)


def check_index(path: str | Path, progress: Progress = no_progress) -> Generation:
    """Read every file of an index and compare it with what was written.

    Returns:
        The state that was checked.

    Raises:
        DataError: naming the first file that is missing, changed, or does not fit the others.
    """
    folder = Path(path)
    found = read_generation(folder)
    check_contents(folder, found.files, INDEX.remedy, progress)
    snapshot = Snapshot(folder, found)
    snapshot.open_all()
    rows = np.flatnonzero(snapshot.alive)
    ids = snapshot.ids(rows)
    if len(ids) != found.products:
        raise DataError(f"{folder}: {len(ids):,} products, not the {found.products:,} counted")
    if len(set(ids)) != len(ids):
        raise DataError(f"{folder}: a product is there twice")
    SearchModels(folder / MODELS, list(found.models))
    return found


def _encoded(
    folder: Path, found: Generation, data: PreparedData, wanted: IntArray, progress: Progress
) -> SegmentInfo:
    """A new part of products (n,) of a prepared folder, encoded by the index's own models."""
    models = SearchModels(folder / MODELS, list(found.models))
    key = _key(found, data.manifest["files"])
    place, store = pending(folder, key), data.store
    with closing(SegmentWriter(place, found.settings)) as writer:
        saved = writer.done
        while writer.done < len(wanted):
            progress("encode", writer.done, len(wanted))
            batch = store.read(wanted[writer.done : writer.done + _AT_ONCE])
            codes = models.encode_products(as_regions(batch))
            writer.append(codes, batch if found.settings.regions else None)
            if writer.done - saved >= _CHECKPOINT:
                writer.checkpoint()
                saved = writer.done
        progress("encode", len(wanted), len(wanted))
        ids = store.product_ids
        photos = None
        if data.photos is not None:
            photos = (data.photos.jpeg(one) for one in wanted.tolist())
        fields = None if data.fields is None else data.fields.take(pa.array(wanted))
        progress("recall", 0, 1)
        about = writer.finish(
            [ids[one] for one in wanted.tolist()], fields, photos, models.sample_vectors()
        )
    return settled(folder, place, len(wanted), about)


def _compacted(folder: Path, progress: Progress) -> Generation:
    snapshot = Snapshot.current(folder)
    found = snapshot.generation
    rows = np.flatnonzero(snapshot.alive)
    if not len(rows):
        return publish(folder, found, [], [], progress)
    place = pending(folder, _key(found, {"rows": found.number}))
    models = SearchModels(folder / MODELS, [DUAL])
    with closing(SegmentWriter(place, found.settings)) as writer:
        for some in _batches(rows[writer.done :]):
            progress("compact", writer.done, len(rows))
            codes = {name: snapshot.encodings(name, some) for name in found.models}
            writer.append(codes, _regions(snapshot, some) if snapshot.has_regions else None)
        photos = (snapshot.photo(row) for row in rows.tolist()) if snapshot.has_photos else None
        fields = snapshot.fields.table
        about = writer.finish(
            snapshot.ids(rows),
            fields.take(pa.array(rows)) if fields.column_names else None,
            photos,
            models.sample_vectors(),
        )
    part = settled(folder, place, len(rows), about)
    return publish(folder, found, [part], [part.name], progress)


def _regions(snapshot: Snapshot, rows: IntArray) -> RegionBatch:
    found = snapshot.regions(rows)
    labels = np.zeros(len(found.features), np.int16)
    return RegionBatch(found.features.numpy(), found.boxes.numpy(), labels, found.lengths.numpy())


def _batches(rows: IntArray) -> Iterator[IntArray]:
    for start in range(0, len(rows), _AT_ONCE):
        yield rows[start : start + _AT_ONCE]


def settled(folder: Path, place: Path, rows: int, about: dict[str, object]) -> SegmentInfo:
    """Give a finished part its name; nothing knows of it yet.

    Args:
        folder: the index.
        place: where the part was written.
        rows: products in it.
        about: how they are recalled.
    """
    sync_folder(place)
    name = segment_name(folder)
    place.rename(folder / name)
    return SegmentInfo(name, rows, faiss=about)


def _with_removed(
    folder: Path, snapshot: Snapshot, rows: IntArray
) -> tuple[list[SegmentInfo], list[str]]:
    """The parts with some more rows removed, those without any left dropped; and new files."""
    gone, number = ~snapshot.alive, snapshot.generation.number + 1
    gone[rows] = True
    parts, files = [], []
    for i, part in enumerate(snapshot.generation.segments):
        start, stop = snapshot.bounds[i : i + 2].tolist()
        local = np.flatnonzero(gone[start:stop])
        if len(local) == part.rows:
            continue
        if len(local) == part.removed:
            parts.append(part)
            continue
        name = removed_name(number, part.name)
        write_npy(folder / name, local)
        files.append(name)
        parts.append(replace(part, removed=len(local), removed_file=name))
    return parts, files


def publish(
    folder: Path,
    old: Generation,
    parts: Sequence[SegmentInfo],
    new: Sequence[str],
    progress: Progress,
) -> Generation:
    """Make these parts the index.

    Args:
        folder: the index.
        old: the state before.
        parts: those that count from now on.
        new: files and folders that the state before had not.
        progress: told how far it is.
    """
    progress("checksums", 0, 1)
    names = {MODELS, EXTRACTOR} | {one for part in parts for one in (part.name, part.removed)}
    files = {name: one for name, one in old.files.items() if name.split("/")[0] in names}
    files.update(checksums(folder, new))
    found = replace(old, number=old.number + 1, segments=tuple(parts), files=files)
    write_generation(folder, found)
    drop_pending(folder)
    return found


def _tidied(folder: Path, found: Generation, progress: Progress) -> Generation:
    """Compact an index of many parts, or with many removed products."""
    rows = sum(part.rows for part in found.segments)
    share = 1 - found.products / rows if rows else 0.0
    if (
        len(found.segments) <= found.settings.compact_above
        and share <= found.settings.compact_fraction
    ):
        return found
    return _compacted(folder, progress)


def _key(found: Generation, content: object) -> str:
    """Names the content of a part that is being written."""
    weights = {name: one["sha256"] for name, one in found.files.items() if name.startswith(MODELS)}
    text = json.dumps([weights, asdict(found.settings), content], sort_keys=True)
    return fingerprint([text])[:16]


def _check_width(width: int, data: PreparedData) -> None:
    if data.store.width != width:
        raise DataError(
            f"{data.path}: {data.store.width} numbers per region, but the models were trained on"
            f" {width}; prepare it as the training data were"
        )


def _check_fields(snapshot: Snapshot, data: PreparedData) -> None:
    if data.fields is None:
        return
    try:
        pa.unify_schemas(
            [snapshot.fields.table.schema, data.fields.schema], promote_options="permissive"
        )
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        reason = str(error).split(". ")[0].replace("\n", " ")
        raise DataError(f"{data.path}: its fields do not fit those of the index ({reason})") from (
            error
        )


def _copy_extractor(data: PreparedData, folder: Path) -> list[str]:
    """Copy what looks at photos, and how they were read, where the data have it; its name."""
    if not (data.path / EXTRACTOR).is_dir():
        return []
    shutil.copytree(data.path / EXTRACTOR, folder / EXTRACTOR, dirs_exist_ok=True)
    write_json(folder / EXTRACTOR / READING, data.manifest["settings"].get("small", {}))
    return [EXTRACTOR]


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: a file is in the way; choose another --out")
    if folder.is_dir() and not (folder / INDEX_FILE).exists():
        ours = (MODELS, EXTRACTOR, "pending-", "segment-", ".")
        foreign = sorted(one.name for one in folder.iterdir() if not one.name.startswith(ours))
        if foreign:
            raise OutputError(f"{folder}: not an index, but it holds {foreign[0]}")


def said(found: Generation) -> str:
    """An index in a sentence."""
    parts = pluralise(len(found.segments), "segment")
    return f"{pluralise(found.products, 'product')} in {parts}, state {found.number}"
