"""Parts of a large table, prepared on several machines, and joined.

A shard is the reading and describing of a run of rows. Merging lays the shards end to end and then
does what needs to see everything: words, splits, queries and pools. The result has the bytes of
the whole table prepared at once.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shopsight.config import (
    PhotoColumnsConfig,
    PhotosConfig,
    QueryGenerationConfig,
    SmallPhotoConfig,
)
from shopsight.data.dataset import (
    SHARD,
    PreparedData,
)
from shopsight.errors import DataError, OutputError, UsageError
from shopsight.formats.checksums import check_contents, file_fingerprint
from shopsight.formats.click_logs import read_clicks
from shopsight.formats.locks import folder_lock
from shopsight.prepare.journal import GrowingFiles
from shopsight.prepare.output_dir import check_place, put_in_place
from shopsight.prepare.photos.asking import ask
from shopsight.prepare.photos.extract_regions import BATCH, RegionSource
from shopsight.prepare.photos.finish import EXTRACTOR, About, finish
from shopsight.prepare.photos.ingest import (
    PhotoSource,
    PhotosSettings,
    Progress,
    preparation,
)
from shopsight.prepare.photos.state import PhotosState
from shopsight.prepare.photos.writers import ProductFiles, RegionFiles, ShardContent
from shopsight.prepare.tables import write_manifest
from shopsight.text.vocabulary import load_vocabulary


def prepare_shard(
    table: str,
    out: Path | str,
    region_source: RegionSource,
    settings: PhotosSettings | None = None,
    shard: tuple[int, int] = (1, 1),
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Read and describe one part of a table; `merge_shards` makes a prepared folder of all.

    Args:
        table: see `prepare_photos`.
        out: the shard's folder.
        region_source: where regions come from; nothing that is learned.
        settings: everything else.
        shard: which part, from 1, of how many.
        force: replace what is at ``out``.
        progress: told how far it is.

    Returns:
        What the shard's ``data.json`` says.
    """
    source = PhotoSource(table, settings or PhotosSettings(), region_source, None)
    out, (number, count) = Path(out), shard
    check_place(out, source.place)
    fingerprint = f"{source.fingerprint_before_log}; shard:{number}/{count}"
    if not force and out.exists() and any(out.iterdir()):
        return _same_shard(out, fingerprint)
    start, stop = (len(source.table) * one // count for one in (number - 1, number))
    partial = out.with_name(f"{out.name}.partial")
    with preparation(partial, source, fingerprint, progress) as work:
        work.read(start, stop)
        work.describe(None)
        work.report("finishing", 0, 0)
        whole = partial / "shard"
        shutil.rmtree(whole, ignore_errors=True)
        whole.mkdir()
        for name in ("data", "spool", EXTRACTOR):
            if (partial / name).is_dir():
                shutil.copytree(partial / name, whole / name, copy_function=_linked)
        summary = {
            "fingerprint": fingerprint,
            "fingerprint_of_all": source.fingerprint_before_log,
            "shard": [number, count],
            "products": work.product_count(),
            "state": {**asdict(work.state), "fingerprint": ""},
            "about": asdict(source.about(work), dict_factory=_plain),
        }
        write_manifest(whole, summary, SHARD)
        put_in_place(partial, out, "shard")
    return SHARD.read(out)


def merge_shards(
    shards: Sequence[Path],
    out: Path | str,
    *,
    clicks: Path | None = None,
    drop_repeated: bool = False,
    force: bool = False,
) -> PreparedData:
    """Join the shards of a table into a prepared folder.

    Args:
        shards: their folders, in any order; all parts of one table.
        out: the prepared folder to make.
        clicks: a click log.
        drop_repeated: keep the first of products that stand in two shards; else that is an error.
        force: replace the prepared folder that is at ``out``.

    Raises:
        DataError: a folder that is no shard, or shards that do not belong together.
        OutputError: ``out`` exists, or cannot be written.
    """
    out = Path(out)
    parts = _in_order(shards)
    for part in parts:
        check_place(out, part.folder)
    if out.exists() and any(out.iterdir()) and not force:
        raise OutputError(f"{out} exists; choose another --out, or replace it with --force")
    click_log = read_clicks(clicks) if clicks else None
    first = parts[0].manifest
    about, settings = first["about"], _settings(first["about"]["settings"])
    tokenizer = settings.photos.tokenizer
    log = file_fingerprint(clicks) if clicks else "none"
    partial = out.with_name(f"{out.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    with folder_lock(partial):
        try:
            state = _joined(partial, parts, settings.photos, drop_repeated)
            rows, shoppers = ask(
                partial,
                settings.shoppers,
                settings.seed,
                click_log,
                as_given=bool(settings.columns.split_column),
                from_column=bool(settings.columns.queries),
            )
            extractor = {**about["extractor"]}
            if extractor.get("name") == "features":
                extractor["label_names"] = state.label_names
            whole = About(
                f"{first['fingerprint_of_all']}; pairs:{log}",
                about["settings"],
                extractor,
                tuple(about["field_names"]),
                about["typed"],
                load_vocabulary(tokenizer) if tokenizer else None,
                about["vocabulary_size"],
            )
            finish(partial, state, rows, shoppers, whole)
            put_in_place(partial, out)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return PreparedData.open(out)


@dataclass(frozen=True)
class _Part:
    folder: Path
    manifest: dict[str, Any]


def _in_order(folders: Sequence[Path]) -> list[_Part]:
    """The shards by number, checked: whole, of one table and its settings, and all there."""
    parts = [_Part(folder, SHARD.read(folder)) for folder in folders]
    first = parts[0]
    for part in parts:
        if part.manifest["fingerprint_of_all"] != first.manifest["fingerprint_of_all"]:
            reason = "are not of the same table, prepared with the same settings"
            raise DataError(f"{first.folder} and {part.folder} {reason}")
        check_contents(part.folder, part.manifest["files"], SHARD.remedy)
    count = first.manifest["shard"][1]
    numbers = [part.manifest["shard"][0] for part in parts]
    twice = sorted(number for number in set(numbers) if numbers.count(number) > 1)
    missing = sorted(set(range(1, count + 1)) - set(numbers))
    if twice:
        raise UsageError(f"shard {twice[0]}/{count} is given twice")
    if missing:
        raise UsageError(f"shard {missing[0]}/{count} is missing; name all {count} of them")
    if len({_extractor_digest(part) for part in parts}) > 1:
        raise DataError(f"{first.folder} and others were described by different extractors")
    return sorted(parts, key=lambda part: part.manifest["shard"])


def _joined(
    partial: Path, parts: Sequence[_Part], config: PhotosConfig, drop_repeated: bool
) -> PhotosState:
    """The growing files of all shards end to end."""
    for name in ("data", "spool", EXTRACTOR):
        shutil.rmtree(partial / name, ignore_errors=True)
    for name in ("data", "spool"):
        (partial / name).mkdir()
    if (parts[0].folder / EXTRACTOR).is_dir():
        shutil.copytree(parts[0].folder / EXTRACTOR, partial / EXTRACTOR)
    files = GrowingFiles(partial, {})
    state = PhotosState("")
    products = ProductFiles(files)
    regions: RegionFiles | None = None
    for part in parts:
        noted = PhotosState(**part.manifest["state"])
        width = noted.feature_width
        if regions is None:
            state.feature_width = width
            regions = RegionFiles(files, width, config.dtype, config.shard_mib)
        if width != state.feature_width:
            raise DataError(f"{part.folder}: features of width {width}, not {state.feature_width}")
        labels = _label_numbers(noted, state)
        content = ShardContent(part.folder)
        for start in range(0, len(content), BATCH):
            kept = _new(content, start, products, part.folder, drop_repeated, state)
            products.take_over(content, kept)
            regions.append([content.regions(i, labels) for i in kept])
        products.take_over_skipped(content)
        for kind, entry in noted.skipped.items():
            state.skipped.setdefault(kind, {**entry, "count": 0})["count"] += entry["count"]
    for array in files.arrays():
        array.sync()
    state.lengths = files.lengths()
    files.close()
    return state


def _new(
    content: ShardContent,
    start: int,
    products: ProductFiles,
    folder: Path,
    drop_repeated: bool,
    state: PhotosState,
) -> list[int]:
    """The products of a batch that were not met in a shard before."""
    kept = []
    for i in range(start, min(start + BATCH, len(content))):
        product_id = content.ids[i]
        if product_id not in products.known:
            kept.append(i)
        elif drop_repeated:
            sentence = f"product '{product_id}': was met before"
            state.skip("repeated", sentence)
            products.skip(0, product_id, "repeated", sentence)
        else:
            reason = f"product '{product_id}' stands in a shard before too"
            raise DataError(f"{folder}: {reason} (--on-error skip keeps the first)")
    return kept


def _label_numbers(noted: PhotosState, state: PhotosState) -> np.ndarray[Any, Any] | None:
    """What a shard's label numbers are in the whole; None where they are the same."""
    for name in noted.label_names:
        if name not in state.label_names:
            state.label_names.append(name)
    if noted.label_names == state.label_names[: len(noted.label_names)]:
        return None
    return np.array([state.label_names.index(one) for one in noted.label_names], np.int16)


def _same_shard(out: Path, fingerprint: str) -> dict[str, Any]:
    try:
        summary = SHARD.read(out)
    except DataError as error:
        raise OutputError(f"{error}; choose another --out, or replace it with --force") from error
    if summary["fingerprint"] != fingerprint:
        reason = "was prepared from other files or with other settings"
        raise OutputError(f"{out} {reason}; choose another --out, or replace it with --force")
    return summary


def _extractor_digest(part: _Part) -> str:
    files = part.manifest["files"]
    return ";".join(files[name]["sha256"] for name in sorted(files) if name.startswith(EXTRACTOR))


def _settings(saved: dict[str, Any]) -> PhotosSettings:
    columns = {**saved["columns"], "text": tuple(saved["columns"]["text"])}
    return PhotosSettings(
        PhotosConfig(**saved["photos"]),
        PhotoColumnsConfig(**columns),
        SmallPhotoConfig(**saved["small"]),
        QueryGenerationConfig(**saved["shoppers"]),
        saved["seed"],
    )


def _plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in items if key not in ("vocabulary", "fingerprint")}


def _linked(source: str, target: str) -> None:
    """A second name for a file, or a copy where the file system has none."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
