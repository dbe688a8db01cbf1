"""Shards of a large table, prepared on several machines and merged.

A shard reads a range of rows and extracts their regions. Merging concatenates the shards and then
does everything that depends on the whole table: words, splits, queries and pools. The result has
the bytes of the whole table prepared at once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shopsight.data.dataset import SHARD, PreparedData
from shopsight.data.region_store import RegionStore, packed_ranges
from shopsight.errors import DataError, OutputError, UsageError
from shopsight.formats.checksums import check_contents
from shopsight.prepare.journal import DATA, EXTRACTOR, SPOOL, Journal, open_journal
from shopsight.prepare.output_dir import check_output_dir, has_content, is_prepared, publish
from shopsight.prepare.photos.extract_regions import BATCH, RegionSource, StoredPhotos
from shopsight.prepare.photos.finish import finish
from shopsight.prepare.photos.given_pools import QueryInputs
from shopsight.prepare.photos.ingest import PhotoInputs, open_ingest
from shopsight.prepare.photos.photo_reader import STAMPS
from shopsight.prepare.photos.queries_and_splits import read_queries_and_splits
from shopsight.prepare.photos.settings import PhotosSettings
from shopsight.prepare.photos.writers import (
    ROWS,
    SKIPPED,
    SKIPPED_HEADER,
    TABLE,
    PhotosState,
    ProductFiles,
    ProductRows,
)
from shopsight.prepare.region_writer import RegionWriter
from shopsight.prepare.tables import vocabulary_maker, write_manifest, write_store
from shopsight.types import AnyArray, Progress, no_progress

_SHARD = "shard"


def prepare_shard(
    table: str | Path,
    out: Path | str,
    region_source: RegionSource,
    settings: PhotosSettings | None = None,
    shard: tuple[int, int] = (1, 1),
    *,
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Read and extract one part of a table; `merge_shards` joins all parts.

    Arguments and errors are those of `prepare_photos`, and ``shard``: the number of this part
    (from 1) and of all parts. An extractor cannot be trained here. Returns the shard's manifest.
    """
    if region_source.learn:
        reason = "--learn needs the whole catalogue, and a shard is a part of it"
        raise UsageError(f"{reason}: learn first, then prepare the shards with --extractor FOLDER")
    inputs = PhotoInputs(str(table), settings or PhotosSettings(), region_source)
    out, (number, count) = Path(out), shard
    fingerprint = f"{inputs.table_fingerprint}; shard:{number}/{count}"
    start, stop = (len(inputs.table) * part // count for part in (number - 1, number))

    def changed(manifest: dict[str, Any]) -> str:
        return inputs.changed_photos(start, stop, manifest["state"]["stamps"])

    if is_prepared(out, inputs.path, fingerprint, SHARD, force=force, changed=changed):
        return SHARD.read(out)
    with open_ingest(out, inputs, fingerprint, progress, start) as ingest:
        ingest.read(start, stop)
        ingest.extract(None)
        progress("finishing", 0, 0)
        manifest = {
            "fingerprint": fingerprint,
            "table_fingerprint": inputs.table_fingerprint,
            "shard": [number, count],
            "products": len(ingest.products),
            "state": asdict(ingest.state),
            "info": ingest.info(),
        }
        _write_shard(ingest.partial, manifest)
        publish(out, _SHARD)
    return SHARD.read(out)


def _write_shard(partial: Path, manifest: dict[str, Any]) -> None:
    """Collect the files of a shard; hard links leave the originals to a run that resumes."""
    whole = partial / _SHARD
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir()
    for name in (DATA, SPOOL, EXTRACTOR):
        if (partial / name).is_dir():
            shutil.copytree(partial / name, whole / name, copy_function=_link)
    counts = np.load(partial / SPOOL / "region_counts.npy")
    write_store(whole / DATA, ProductRows(partial).ids, counts)
    write_manifest(whole, manifest, SHARD)


def merge_shards(
    shards: Sequence[Path | str],
    out: Path | str,
    *,
    clicks: Path | str | None = None,
    on_error: str = "stop",
    force: bool = False,
) -> PreparedData:
    """Merge the shards of a table, in any order, into a prepared folder.

    With ``on_error`` "skip", the first of products with the same id in two shards is kept.

    Raises:
        DataError: a folder that is not a shard, or shards that do not belong together.
        UsageError: a missing or repeated shard.
        OutputError: ``out`` exists, or cannot be written.
    """
    out = Path(out)
    parts = _in_order([Path(shard) for shard in shards])
    for part in parts:
        check_output_dir(out, part.folder)
    if has_content(out) and not force:
        raise OutputError(f"{out} exists; choose another --out, or replace it with --force")
    query_inputs = QueryInputs.read(clicks, on_error=on_error)
    first = parts[0].manifest
    info = first["info"]
    settings = PhotosSettings.from_dict(info["settings"])
    vocabulary = vocabulary_maker(settings.photos)
    fingerprint = f"{first['table_fingerprint']}; {query_inputs.fingerprint}"
    # Copying is quick, so an interrupted merge starts over.
    with open_journal(out, PhotosState, fingerprint, resume=False) as journal:
        _concatenate(journal, parts, settings, skip_duplicates=on_error == "skip")
        rows, queries = read_queries_and_splits(journal.folder, settings, query_inputs)
        if info["extractor"].get("name") == "features":  # each shard has some of the labels
            info["extractor"]["label_names"] = journal.state.label_names
        finish(journal.folder, journal.state, rows, queries, info, vocabulary)
        publish(out)
    return PreparedData.open(out)


@dataclass(frozen=True)
class _Part:
    folder: Path
    manifest: dict[str, Any]


def _in_order(folders: Sequence[Path]) -> list[_Part]:
    """The shards by number, checked: complete, intact, and of one table and its settings."""
    parts = [_Part(folder, SHARD.read(folder)) for folder in folders]
    first = parts[0]
    for part in parts:
        if part.manifest["table_fingerprint"] != first.manifest["table_fingerprint"]:
            reason = "differ in their table or settings"
            raise DataError(f"{first.folder} and {part.folder} {reason}")
        check_contents(part.folder, part.manifest["files"], SHARD.remedy)
    count = first.manifest["shard"][1]
    numbers = [part.manifest["shard"][0] for part in parts]
    repeated = sorted(number for number in set(numbers) if numbers.count(number) > 1)
    missing = sorted(set(range(1, count + 1)) - set(numbers))
    if repeated:
        raise UsageError(f"duplicate shard {repeated[0]}/{count}")
    if missing:
        raise UsageError(f"shard {missing[0]}/{count} is missing; name all {count} of them")
    if len({_extractor_digest(part) for part in parts}) > 1:
        raise DataError(f"{first.folder} and others were prepared with different extractors")
    return sorted(parts, key=lambda part: part.manifest["shard"])


def _concatenate(
    journal: Journal[PhotosState],
    parts: Sequence[_Part],
    settings: PhotosSettings,
    *,
    skip_duplicates: bool,
) -> None:
    """Fill the append-only files with the content of all shards."""
    if (parts[0].folder / EXTRACTOR).is_dir():
        shutil.copytree(parts[0].folder / EXTRACTOR, journal.folder / EXTRACTOR)
    state, files, config = journal.state, journal.files, settings.photos
    state.feature_width = parts[0].manifest["state"]["feature_width"]
    products = ProductFiles(files)
    regions = RegionWriter(files, state.feature_width, config.dtype, config.shard_mib)
    for part in parts:
        part_state = PhotosState(**part.manifest["state"])
        width = part_state.feature_width
        if width != state.feature_width:
            raise DataError(f"{part.folder}: features of width {width}, not {state.feature_width}")
        _merge_labels(part_state, state)
        state.stamps = (state.stamps + part_state.stamps) % STAMPS
        kept = _append_products(products, part, state, skip_duplicates=skip_duplicates)
        names = [state.label_names.index(name) for name in part_state.label_names]
        _append_regions(regions, RegionStore(part.folder / DATA), kept, np.array(names, np.int16))
        skipped = (part.folder / SKIPPED).read_bytes()
        products.skipped.extend(
            skipped.removeprefix(SKIPPED_HEADER) if products.skipped.rows else skipped
        )
        for kind, entry in part_state.skipped.get(TABLE, {}).items():
            state.skip(TABLE, kind, entry["first"], entry["count"])
    files.sync()
    state.lengths = files.lengths()


def _append_products(
    products: ProductFiles, part: _Part, state: PhotosState, *, skip_duplicates: bool
) -> AnyArray:
    """Append the products of a shard that no earlier one has; returns their indices."""
    lines = (part.folder / ROWS).read_bytes().splitlines(keepends=True)
    sizes = np.load(part.folder / DATA / "image_sizes.npy")
    photos = StoredPhotos(part.folder)
    kept = []
    for i, line in enumerate(lines):
        product_id = json.loads(line)["id"]
        if product_id not in products.ids:
            kept.append(i)
            products.append_stored(product_id, line, photos.jpeg(i), sizes[i : i + 1])
        elif skip_duplicates:
            message = f"product '{product_id}': duplicate product id"
            state.skip(TABLE, "repeated", message)
            products.skip(0, product_id, "repeated", message)
        else:
            reason = f"product '{product_id}' is in an earlier shard too"
            raise DataError(f"{part.folder}: {reason} (--on-error skip keeps the first)")
    return np.array(kept, np.int64)


def _append_regions(
    regions: RegionWriter, store: RegionStore, kept: AnyArray, label_ids: AnyArray
) -> None:
    """Append the regions of products, with label ids mapped to ``label_ids``."""
    is_mapped = not np.array_equal(label_ids, np.arange(len(label_ids)))
    for start in range(0, len(kept), BATCH):
        batch = kept[start : start + BATCH]
        counts = store.offsets[batch + 1] - store.offsets[batch]
        rows = packed_ranges(store.offsets[batch], counts)
        labels = store.labels[rows]
        labels = label_ids[labels] if is_mapped else labels
        regions.append(store.features(rows), store.pixel_boxes[rows], labels, counts)


def _merge_labels(part: PhotosState, merged: PhotosState) -> None:
    merged.label_names += [name for name in part.label_names if name not in merged.label_names]


def _extractor_digest(part: _Part) -> str:
    files = part.manifest["files"]
    return ";".join(files[name]["sha256"] for name in sorted(files) if name.startswith(EXTRACTOR))


def _link(source: str, target: str) -> None:
    """Hard-link a file, or copy it on file systems without links."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
