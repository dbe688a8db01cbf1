"""``shopsight prepare photos``: a table of products with photos in, prepared folder out."""

from __future__ import annotations

import re
from typing import Any

from shopsight.api.data import prepare_photos
from shopsight.cli.options import config_from, settings_from
from shopsight.cli.output import print_json
from shopsight.cli.parser import Parser
from shopsight.cli.prepare_options import add_clicks, add_output, print_prepared
from shopsight.cli.progress import ThroughputReporter, progress_bar
from shopsight.config import (
    LearnConfig,
    PhotoColumnsConfig,
    PhotosConfig,
    QueryGenerationConfig,
    RegionsConfig,
    SmallPhotoConfig,
)
from shopsight.errors import UsageError
from shopsight.prepare.photos.extract_regions import RegionSource
from shopsight.prepare.photos.settings import PhotosSettings
from shopsight.prepare.photos.shards import prepare_shard

_CONFIGS = (PhotosConfig, PhotoColumnsConfig, SmallPhotoConfig, QueryGenerationConfig)
_SHARD = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})")


def run(argv: list[str]) -> None:
    """Run ``shopsight prepare photos ...``."""
    args = _parser().read(argv)
    shard = _parse_shard(args.shard) if args.shard else None
    if shard and args.clicks:
        raise UsageError("--clicks belongs to shopsight prepare merge, which sees all products")
    with progress_bar(quiet=args.quiet) as bar:
        reporter = ThroughputReporter(bar, "photos", quiet=args.quiet)
        how = {"force": args.force, "progress": reporter}
        if shard:
            settings = PhotosSettings(
                config_from(PhotosConfig, args),
                config_from(PhotoColumnsConfig, args),
                config_from(SmallPhotoConfig, args),
                config_from(QueryGenerationConfig, args),
                args.seed,
            )
            source = _region_source(args)
            manifest = prepare_shard(args.table, args.out, source, settings, shard, **how)
        else:
            how |= settings_from(args, *_CONFIGS, RegionsConfig)
            how |= {"learn": args.learn and args.learning.as_dict(), "seed": args.seed}
            data = prepare_photos(args.table, args.out, clicks=args.clicks, **how)
    if not shard:
        print_prepared(args, data)
        reporter.print_rates(args)
    elif args.json:
        print_json(manifest)
    elif not args.quiet:
        print(f"{args.out}: shard {args.shard}, {manifest['products']:,} products")
        print("  next: shopsight prepare merge SHARD... --out DATA")


def _parser() -> Parser:
    parser = Parser(
        "prepare photos",
        "Turn a table of products with photos into a prepared folder: small photos, regions with "
        "features, queries from a click log or from the products' texts, splits without overlap, "
        "and candidate pools. After an interruption, the same command resumes.",
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
    add_output(parser)
    add_clicks(parser)
    parser.add_argument(
        "--extractor",
        metavar="NAME",
        default=RegionsConfig.extractor,
        help="region extractor: classic; hf:MODEL, a Hugging Face backbone; features, for"
        " precomputed ones in columns; or the folder of a saved extractor",
    )
    parser.add_argument(
        "--learn",
        action="store_true",
        help="train an extractor on the catalogue's own photos and words",
    )
    parser.add_argument(
        "--shard", metavar="I/N", default=None, help="do part I of N; prepare merge joins them"
    )
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


def _region_source(args: Any) -> RegionSource:
    # The extractors need packages that the other prepare commands do without.
    from shopsight.regions.factory import region_source

    learning = LearnConfig(**args.learning.as_dict()) if args.learn else None
    return region_source(args.extractor, config_from(RegionsConfig, args), learning)


def _parse_shard(text: str) -> tuple[int, int]:
    """Parse ``i/n`` (1-based shard)."""
    match = _SHARD.fullmatch(text)
    if not match or int(match[1]) > int(match[2]):
        raise UsageError(f"--shard must be I/N, such as 1/4, not '{text}'")
    return int(match[1]), int(match[2])
