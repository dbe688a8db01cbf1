"""``shopsight prepare photos``: a table of products with photos in, prepared folder out."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.progress import Progress

from shopsight.cli.options import config_from
from shopsight.cli.output import print_json
from shopsight.cli.parser import Parser
from shopsight.cli.progress import progress_bar
from shopsight.config import (
    LearnConfig,
    PhotoColumnsConfig,
    PhotosConfig,
    QueryGenerationConfig,
    RegionsConfig,
    SmallPhotoConfig,
)
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError
from shopsight.prepare.photos.ingest import PhotosProgress, PhotosSettings, prepare_photos

SECONDS_BETWEEN_LINES = 30.0
_SHARD = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})")


def run(arguments: list[str]) -> None:
    """Carry out ``shopsight prepare photos ...``."""
    from shopsight.regions.factory import region_source

    parser = _parser()
    given = parser.read(arguments)
    settings = PhotosSettings(
        config_from(PhotosConfig, given),
        config_from(PhotoColumnsConfig, given),
        config_from(SmallPhotoConfig, given),
        config_from(QueryGenerationConfig, given),
        given.seed,
    )
    regions = _regions(given)
    learning = _learning(given, regions) if given.learn else None
    source = region_source(given.extractor, regions, learning)
    clicks = Path(given.clicks) if given.clicks else None
    with progress_bar(quiet=given.quiet) as bar:
        reporter = Reporter(bar, quiet=given.quiet)
        if given.shard:
            from shopsight.prepare.photos.shards import prepare_shard

            _refuse_with_shard(given)
            summary = prepare_shard(
                given.table,
                given.out,
                source,
                settings,
                _shard(given.shard),
                force=given.force,
                progress=reporter,
            )
        else:
            data = prepare_photos(
                given.table,
                given.out,
                source,
                settings,
                clicks=clicks,
                force=given.force,
                progress=reporter,
            )
            summary = data.manifest
    if given.json:
        print_json(summary)
    elif not given.quiet and given.shard:
        print(f"{given.out}: shard {given.shard}, {summary['products']:,} products")
        print("  next: shopsight prepare merge SHARD... --out DATA")
    elif not given.quiet:
        print_summary(data)
        for line in reporter.rates():
            print(f"  {line}")


def _parser() -> Parser:
    parser = Parser(
        "prepare photos",
        "Turn a table of products with photos into a prepared folder: every photo small and cut "
        "into regions with features, queries from a click log or from the products' texts, "
        "splits that share nothing, and candidate pools. Long work may be interrupted; the same "
        "command continues it.",
        [
            "prepare photos products.csv --out data --text title",
            "prepare photos products.parquet --out data --text title --clicks clicks.tsv",
            "prepare photos products.csv --out data --learn --on-error skip",
            "prepare photos products.csv --out data --extractor hf:facebook/dinov2-small",
            "prepare photos owner/dataset --out data --id sku --image photo --split-column split",
            "prepare photos products.csv --out part1 --shard 1/2",
        ],
    )
    parser.add_argument(
        "table",
        metavar="TABLE",
        help="CSV, TSV, JSON Lines or Parquet; the folder of a Hugging Face dataset; or a hub id",
    )
    parser.add_argument("--out", metavar="DATA", required=True, help="prepared folder to make")
    parser.add_argument(
        "--clicks",
        metavar="FILE",
        default=None,
        help="click log: a table with columns query, product_id and, perhaps, clicks",
    )
    parser.add_argument(
        "--extractor",
        metavar="NAME",
        default=RegionsConfig.extractor,
        help="what describes photos: classic; hf:MODEL, a Hugging Face backbone; features, for"
        " columns that hold them; or the folder of an extractor that was saved",
    )
    parser.add_argument(
        "--learn",
        action="store_true",
        help="learn features from the catalogue's own photos and words",
    )
    parser.add_argument(
        "--shard", metavar="I/N", default=None, help="do part I of N; prepare merge joins them"
    )
    parser.add_argument("--force", action="store_true", help="replace DATA and start over")
    parser.add_json()
    parser.add_argument(
        "--text",
        metavar="COL",
        nargs="+",
        default=[],
        help="columns whose words describe the product",
    )
    parser.add_class_arguments(PhotoColumnsConfig, None, skip={"text"})
    for config in (PhotosConfig, SmallPhotoConfig, QueryGenerationConfig):
        parser.add_class_arguments(config, None)
    parser.add_class_arguments(RegionsConfig, None, skip={"extractor"})
    parser.add_class_arguments(LearnConfig, "learning", skip={"regions"})
    return parser


def _regions(given: Any) -> RegionsConfig:
    names = (one.name for one in fields(RegionsConfig) if one.name != "extractor")
    return RegionsConfig(**{name: given[name] for name in names})


def _learning(given: Any, regions: RegionsConfig) -> LearnConfig:
    return LearnConfig(**{**given.learning.as_dict(), "regions": regions})


def _shard(text: str) -> tuple[int, int]:
    """Which part of how many, both from 1."""
    found = _SHARD.fullmatch(text)
    if not found or int(found[1]) > int(found[2]):
        raise UsageError(f"--shard must be I/N, such as 1/4, not '{text}'")
    return int(found[1]), int(found[2])


def _refuse_with_shard(given: Any) -> None:
    if given.clicks:
        raise UsageError("--clicks belongs to shopsight prepare merge, which sees all products")
    if given.learn:
        reason = "--learn looks at the whole catalogue, which a shard is not"
        raise UsageError(f"{reason}: learn first, then describe the shards with --extractor FOLDER")


class Reporter:
    """Shows photos a second and the time left; what an earlier, cut run did does not count."""

    def __init__(self, bar: Progress, *, quiet: bool) -> None:
        self._bar, self._task = bar, bar.add_task("reading", rate="", total=None)
        self._plain = bar.disable and not quiet  # away from a terminal: a line now and then
        self._value = time.monotonic()
        self._stages: dict[str, tuple[float, int, float, int]] = {}  # first time, done; last ones

    def __call__(self, now: PhotosProgress) -> None:
        """Show how far it is."""
        clock = time.monotonic()
        is_new = now.stage not in self._stages
        since, first, *_ = self._stages.get(now.stage, (clock, now.done, clock, now.done))
        self._stages[now.stage] = since, first, clock, now.done
        rate = now.said or self._rate(now.stage)
        self._bar.update(
            self._task,
            description=now.stage,
            completed=now.done,
            total=now.total or None,
            rate=rate,
        )
        if is_new:
            self._bar.reset(self._task, description=now.stage, completed=now.done)
        due = clock - self._value > SECONDS_BETWEEN_LINES
        if self._plain and (now.said or due):
            self._value = clock
            of = f" {now.done:,} of {now.total:,}," if now.total else ""
            print(f"{now.stage}:{of} {rate}", file=sys.stderr, flush=True)

    def rates(self) -> list[str]:
        """Photos a second of each stage that had some."""
        return [f"{stage} at {rate}" for stage in self._stages if (rate := self._rate(stage))]

    def _rate(self, stage: str) -> str:
        since, first, until, done = self._stages[stage]
        return f"{(done - first) / max(until - since, 1e-6):,.0f} photos/s" if done > first else ""


def print_summary(data: PreparedData) -> None:
    """What was made, and what a person should know about it."""
    summary = data.manifest
    regions = summary["regions"]
    size = sum(entry["bytes"] for entry in summary["files"].values())
    print(
        f"{data.path}: {summary['products']:,} products, {regions['total']:,} regions "
        f"of width {summary['feature_width']} ({regions['per_product']['mean']:.2f} a product), "
        f"{size / 1e6:,.1f} MB"
    )
    for split, counts in summary["splits"].items():
        print(
            f"  {split}: {counts['rows']:,} rows, {counts['queries']:,} queries, "
            f"{counts['products']:,} products"
        )
    for kinds in summary["skipped"].values():
        for entry in kinds.values():
            print(f"  left out {entry['count']:,}, {entry['meaning']}; the first is")
            print(f"    {entry['first']}")
    if summary["skipped"]:
        print(f"  all of them: {data.path / 'skipped.tsv'}")
    for warning in summary["warnings"]:
        print(f"  note: {warning}")
