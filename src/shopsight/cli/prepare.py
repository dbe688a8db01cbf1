"""``shopsight prepare kddcup | photos | merge | negatives``: prepared folders."""

from __future__ import annotations

import re
from typing import Any

from shopsight.api.data import (
    group_queries,
    merge_shards,
    prepare_kddcup,
    prepare_photos,
    prepare_shard,
)
from shopsight.api.settings import settings_of
from shopsight.cli.argv import split_command
from shopsight.cli.output import print_json
from shopsight.cli.parser import Parser, call, settings_from
from shopsight.cli.progress import ThroughputReporter, progress_bar, stage_progress
from shopsight.config import LearnConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError, pluralise, unknown_name

_OVERVIEW = """usage: shopsight prepare kddcup|photos|merge|negatives ...

  kddcup     raw competition files to a prepared folder
  photos     a table of products with photos to a prepared folder
  merge      shards of photos to a prepared folder
  negatives  group the training queries of a prepared folder for hard negatives

See shopsight prepare photos --help for options and examples."""
_SHARD = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})")


def run(command: str, argv: list[str]) -> None:
    """Run ``shopsight prepare KIND ...``."""
    kinds = {"kddcup": _kddcup, "photos": _photos, "merge": _merge, "negatives": _negatives}
    if not argv or argv[0] in ("-h", "--help"):
        print(_OVERVIEW)
        return
    name, rest = split_command(argv)
    if name.startswith("-"):
        raise UsageError(f"name what to prepare first: shopsight {command} kddcup RAW --out DATA")
    if name not in kinds:
        raise unknown_name("kind of preparation", name, list(kinds))
    kinds[name](rest)


def _kddcup(argv: list[str]) -> None:
    examples = [
        "prepare kddcup raw --out data",
        "prepare kddcup raw --out data --splits valid testA --on-error skip",
        "prepare kddcup raw/valid/valid.tsv.gz --out data --dtype float32",
        "prepare kddcup - --splits train --labels multimodal_labels.txt --out data < train.tsv",
    ]
    parser = Parser("prepare kddcup", prepare_kddcup, examples)
    parser.add_parameters(prepare_kddcup, "out", out="DATA")
    args = parser.read(argv)
    with progress_bar(quiet=args.quiet) as bar:
        reporter = ThroughputReporter(bar, "MB", 1e6, quiet=args.quiet)
        data = call(prepare_kddcup, args, progress=reporter)
    _print_prepared(args, data)
    reporter.print_rates(args)


def _photos(argv: list[str]) -> None:
    examples = [
        "prepare photos products.csv --out data --text title",
        "prepare photos products.parquet --out data --text title --clicks clicks.tsv",
        "prepare photos products.csv --out data --learn --on-error skip",
        "prepare photos products.csv --out data --extractor hf:facebook/dinov2-small",
        "prepare photos owner/dataset --out data --id sku --image photo --split-column split",
        "prepare photos t.csv --out data --split-column split --clicks c.tsv --pools valid.tsv",
        "prepare photos products.csv --out part1 --shard 1/2",
    ]
    parser = Parser("prepare photos", prepare_photos, examples)
    add = parser.add_argument
    values = {"out": "DATA", "text": "COL", "clicks": "FILE", "pools": "FILE"}
    parser.add_parameters(prepare_photos, "out", **values)
    text = "fine-tune an extractor on the catalogue's own photos and words"
    add("--learn", action="store_true", help=text)
    add("--shard", metavar="I/N", help="do part I of N; prepare merge joins them")
    parser.add_class_arguments(LearnConfig, "learning", skip={"regions"})
    args = parser.read(argv)
    shard = _parse_shard(args.shard) if args.shard else None
    if shard and args.clicks:
        raise UsageError("--clicks belongs to shopsight prepare merge, which sees all products")
    if shard and args.pools:
        raise UsageError("--pools needs the whole catalogue, and a shard is a part of it")
    more = {"learn": args.learn and args.learning.as_dict(), "seed": args.seed}
    with progress_bar(quiet=args.quiet) as bar:
        more["progress"] = reporter = ThroughputReporter(bar, "photos", quiet=args.quiet)
        if not shard:
            data = call(prepare_photos, args, **more)
        else:
            more |= settings_from(args, *settings_of(prepare_photos))
            manifest = call(prepare_shard, args, **more | {"shard": shard})
    if not shard:
        _print_prepared(args, data)
        reporter.print_rates(args)
    elif args.json:
        print_json(manifest)
    elif not args.quiet:
        print(f"{args.out}: shard {args.shard}, {manifest['products']:,} products")
        print("  next: shopsight prepare merge SHARD... --out DATA")


def _merge(argv: list[str]) -> None:
    examples = [
        "prepare merge part1 part2 --out data",
        "prepare merge part* --out data --clicks clicks.tsv",
    ]
    parser = Parser("prepare merge", merge_shards, examples)
    parser.add_parameters(merge_shards, "out", out="DATA", clicks="FILE")
    args = parser.read(argv)
    _print_prepared(args, call(merge_shards, args))


def _negatives(argv: list[str]) -> None:
    examples = [
        "prepare negatives data",
        "prepare negatives data --clusters 500 --neighbours 50",
    ]
    parser = Parser("prepare negatives", group_queries, examples)
    parser.add_parameters(group_queries)
    args = parser.read(argv)
    with stage_progress(args) as progress:
        groups = call(group_queries, args, progress=progress)
    manifest = groups.manifest
    if args.json:
        print_json(manifest)
    elif not args.quiet:
        print(
            f"{args.data}/negatives: {manifest['texts']:,} distinct queries in "
            f"{pluralise(manifest['last_words'], 'last-word group')} and "
            f"{pluralise(manifest['clusters'], 'cluster')}, "
            f"{groups.neighbours.shape[1]} overlap neighbours each"
        )


def _parse_shard(text: str) -> tuple[int, int]:
    """Parse ``i/n`` (1-based shard)."""
    match = _SHARD.fullmatch(text)
    if not match or int(match[1]) > int(match[2]):
        raise UsageError(f"--shard must be I/N, such as 1/4, not '{text}'")
    return int(match[1]), int(match[2])


def _print_prepared(args: Any, data: PreparedData) -> None:
    """Print counts, skipped rows and warnings of a prepared folder; its manifest with --json."""
    if args.json:
        print_json(data.manifest)
    if args.json or args.quiet:
        return
    manifest = data.manifest
    per_product = manifest["regions"]["per_product"]
    size = sum(entry["bytes"] for entry in manifest["files"].values())
    print(
        f"{data.path}: {manifest['products']:,} products, {manifest['regions']['total']:,} regions "
        f"of width {manifest['feature_width']} ({per_product['mean']:.2f} a product, "
        f"at most {per_product['max']}), {size / 1e6:,.1f} MB"
    )
    for split, counts in manifest["splits"].items():
        print(
            f"  {split}: {counts['rows']:,} rows, {counts['queries']:,} queries, "
            f"{counts['products']:,} products"
        )
    for name, description in manifest.get("columns", {}).items():
        print(f"  column {name}: {description}")
    for group, kinds in manifest["skipped"].items():
        for entry in kinds.values():
            print(f"  {group}: skipped {entry['count']:,}, {entry['meaning']}; the first is")
            print(f"    {entry['first']}")
    if "skipped.tsv" in manifest["files"]:
        print(f"  all of them: {data.path / 'skipped.tsv'}")
    for warning in manifest["warnings"]:
        print(f"  note: {warning}")
