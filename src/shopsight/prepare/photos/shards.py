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
from shopsight.data.photo_store import PHOTOS
from shopsight.errors import DataError, OutputError, UsageError
from shopsight.formats.checksums import check_contents
from shopsight.prepare.journal import DATA, EXTRACTOR, SPOOL, Journal, open_journal
from shopsight.prepare.output_dir import (
    check_output_dir,
    existing_manifest,
    has_content,
    publish,
)
from shopsight.prepare.photos.extract_regions import BATCH, RegionSource
from shopsight.prepare.photos.finish import TableInfo, finish
from shopsight.prepare.photos.ingest import PhotoInputs, open_click_log, open_ingest
from shopsight.prepare.photos.precomputed_regions import PrecomputedRegions
from shopsight.prepare.photos.queries_and_splits import read_queries_and_splits
from shopsight.prepare.photos.settings import PhotosSettings
from shopsight.prepare.photos.state import TABLE, PhotosState
from shopsight.prepare.photos.writers import (
    ROWS,
    SKIPPED,
    ProductFiles,
    RegionFiles,
    photo_offsets,
)
from shopsight.prepare.tables import vocabulary_or_size, write_manifest
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
    (from 1) and of all parts. An extractor cannot be trained here.

    Returns:
        The shard's manifest.
    """
    if region_source.learn:
        reason = "--learn needs the whole catalogue, and a shard is a part of it"
        raise UsageError(f"{reason}: learn first, then prepare the shards with --extractor FOLDER")
    inputs = PhotoInputs(str(table), settings or PhotosSettings(), region_source)
    out, (number, count) = Path(out), shard
    check_output_dir(out, inputs.path)
    fingerprint = f"{inputs.table_fingerprint}; shard:{number}/{count}"
    if has_content(out) and not force:
        return existing_manifest(out, fingerprint, SHARD)
    start, stop = (len(inputs.table) * part // count for part in (number - 1, number))
    with open_ingest(out, inputs, fingerprint, progress) as ingest:
        ingest.read(start, stop)
        ingest.extract(None)
        progress("finishing", 0, 0)
        info = ingest.table_info()
        manifest = {
            "fingerprint": fingerprint,
            "table_fingerprint": inputs.table_fingerprint,
            "shard": [number, count],
            "products": ingest.product_count(),
            "state": asdict(ingest.state),
            "info": {**asdict(info), "settings": info.settings.as_dict()},
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
    write_manifest(whole, manifest, SHARD)


def merge_shards(
    shards: Sequence[Path | str],
    out: Path | str,
    *,
    clicks: Path | str | None = None,
    on_error: str = "stop",
    force: bool = False,
) -> PreparedData:
    """Merge the shards of a table into a prepared folder.

    Args:
        shards: all of them, in any order.
        out: the prepared folder to make.
        clicks: a click log.
        on_error: with "skip", the first of products with the same id in two shards is kept.
        force: replace the prepared folder at ``out``.

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
    click_log, log_fingerprint = open_click_log(clicks)
    first = parts[0].manifest
    info = first["info"]
    settings = PhotosSettings.from_dict(info["settings"])
    vocabulary = vocabulary_or_size(settings.photos)
    fingerprint = f"{first['table_fingerprint']}; {log_fingerprint}"
    # Copying is quick, so an interrupted merge starts over.
    with open_journal(out, PhotosState, fingerprint, resume=False) as journal:
        _concatenate(journal, parts, settings, skip_duplicates=on_error == "skip")
        rows, queries = read_queries_and_splits(journal.folder, settings, click_log)
        extractor = dict(info["extractor"])
        if extractor.get("name") == "features":  # labels in the table: each shard has some
            extractor["label_names"] = journal.state.label_names
        table = TableInfo(settings, extractor, tuple(info["field_names"]), info["typed"])
        finish(journal.folder, journal.state, rows, queries, table, vocabulary)
        publish(out)
    return PreparedData.open(out)


@dataclass(frozen=True)
class _Part:
    folder: Path
    manifest: dict[str, Any]


class _ShardContent:
    """Products and regions of a shard.

    Attributes:
        ids: (P,) product ids.
        lines: (P,) their lines, as `ProductFiles` wrote them.
        sizes: (P, 2) height and width of their photos.
        skipped: the lines of ``skipped.tsv``.
    """

    def __init__(self, folder: Path) -> None:
        self.lines = (folder / ROWS).read_bytes().splitlines(keepends=True)
        self.ids: list[str] = [json.loads(line)["id"] for line in self.lines]
        self.sizes = np.load(folder / "data" / "image_sizes.npy")
        self.skipped = (folder / SKIPPED).read_bytes()
        self._photos = folder / "data" / PHOTOS
        self._photo_offsets = photo_offsets(folder)
        counts = np.load(folder / "spool" / "region_counts.npy")
        self._offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        self._boxes = np.load(folder / "data" / "boxes.npy", mmap_mode="r")
        self._labels = np.load(folder / "data" / "labels.npy", mmap_mode="r")
        paths = sorted((folder / "data").glob("features-*.npy"))
        self._features = [np.load(path, mmap_mode="r") for path in paths]
        self._starts = np.cumsum([0, *map(len, self._features)])

    def jpeg(self, product: int) -> bytes:
        """A product's photo."""
        start, stop = self._photo_offsets[product : product + 2].tolist()
        with open(self._photos, "rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def regions(self, product: int, label_ids: AnyArray | None) -> PrecomputedRegions:
        """A product's regions, with label ids mapped to ``label_ids`` if there are any."""
        start, stop = self._offsets[product : product + 2].tolist()
        shard = int(np.searchsorted(self._starts, start, side="right")) - 1
        first = start - int(self._starts[shard])
        labels = self._labels[start:stop]
        return PrecomputedRegions(
            self._boxes[start:stop],
            self._features[shard][first : first + stop - start],
            labels if label_ids is None else label_ids[labels],
            (0, 0),
        )


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
    regions = RegionFiles(files, state.feature_width, config.dtype, config.shard_mib)
    for part in parts:
        part_state = PhotosState(**part.manifest["state"])
        width = part_state.feature_width
        if width != state.feature_width:
            raise DataError(f"{part.folder}: features of width {width}, not {state.feature_width}")
        label_ids = _label_ids(part_state, state)
        content = _ShardContent(part.folder)
        for start in range(0, len(content.ids), BATCH):
            kept = []
            for i in range(start, min(start + BATCH, len(content.ids))):
                if content.ids[i] not in products.ids:
                    kept.append(i)
                    size = content.sizes[i : i + 1]
                    products.append_stored(content.ids[i], content.lines[i], content.jpeg(i), size)
                elif skip_duplicates:
                    message = f"product '{content.ids[i]}': duplicate product id"
                    state.skip(TABLE, "repeated", message)
                    products.skip(0, content.ids[i], "repeated", message)
                else:
                    reason = f"product '{content.ids[i]}' is in an earlier shard too"
                    raise DataError(f"{part.folder}: {reason} (--on-error skip keeps the first)")
            regions.append([content.regions(i, label_ids) for i in kept])
        products.append_skipped(content.skipped)
        for kind, entry in part_state.skipped.get(TABLE, {}).items():
            state.skip(TABLE, kind, entry["first"], entry["count"])
    for array in files.arrays():
        array.sync()
    state.lengths = files.lengths()


def _label_ids(part: PhotosState, merged: PhotosState) -> AnyArray | None:
    """Merged label ids by a shard's label id; None if they are equal."""
    for name in part.label_names:
        if name not in merged.label_names:
            merged.label_names.append(name)
    if part.label_names == merged.label_names[: len(part.label_names)]:
        return None
    return np.array([merged.label_names.index(name) for name in part.label_names], np.int16)


def _extractor_digest(part: _Part) -> str:
    files = part.manifest["files"]
    return ";".join(files[name]["sha256"] for name in sorted(files) if name.startswith(EXTRACTOR))


def _link(source: str, target: str) -> None:
    """Hard-link a file, or copy it on file systems without links."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
