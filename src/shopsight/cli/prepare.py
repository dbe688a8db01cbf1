"""``shopsight prepare``: raw files in, prepared folder out."""

from __future__ import annotations

from shopsight.api.data import prepare_kddcup
from shopsight.cli.options import config_from, settings_from
from shopsight.cli.output import print_json
from shopsight.cli.parser import Parser
from shopsight.cli.prepare_options import add_output, print_prepared
from shopsight.cli.progress import ThroughputReporter, progress_bar, progress_callback
from shopsight.config import KddcupConfig, NegativesConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import TRAIN
from shopsight.errors import UsageError, pluralise, unknown_name

_OVERVIEW = """usage: shopsight prepare kddcup|photos|merge|negatives ...

  kddcup     raw competition files to a prepared folder
  photos     a table of products with photos to a prepared folder
  merge      shards of photos to a prepared folder
  negatives  group the training queries of a prepared folder for hard negatives

See shopsight prepare photos --help for options and examples."""


def run(command: str, argv: list[str]) -> None:
    """Run ``shopsight prepare KIND ...``."""
    kinds = {"kddcup": _kddcup, "photos": _photos, "merge": _merge, "negatives": _negatives}
    if not argv or argv[0] in ("-h", "--help"):
        print(_OVERVIEW)
        return
    if argv[0].startswith("-"):
        raise UsageError(f"name what to prepare first: shopsight {command} kddcup RAW --out DATA")
    if argv[0] not in kinds:
        raise unknown_name("kind of preparation", argv[0], list(kinds))
    kinds[argv[0]](argv[1:])


def _kddcup(argv: list[str]) -> None:
    parser = Parser(
        "prepare kddcup",
        "Turn the raw files of KDD Cup 2020 Multimodalities Recall into a prepared folder: "
        "memory-mapped region features, each product once, and tables of queries, pairs and "
        "pools. After an interruption, the same command resumes.",
        [
            "prepare kddcup raw --out data",
            "prepare kddcup raw --out data --splits valid testA --on-error skip",
            "prepare kddcup raw/valid/valid.tsv.gz --out data --dtype float32",
            "prepare kddcup - --splits train --labels multimodal_labels.txt --out data < train.tsv",
        ],
    )
    parser.add_argument("raw", help="raw folder, one raw file (.tsv, .tsv.gz), or - for stdin")
    parser.add_argument("--splits", nargs="+", default=[], help="splits to take (default: all)")
    parser.add_argument("--labels", default=None, help="multimodal_labels.txt, if elsewhere")
    add_output(parser)
    parser.add_class_arguments(KddcupConfig, None)
    args = parser.read(argv)
    with progress_bar(quiet=args.quiet) as bar:
        reporter = ThroughputReporter(bar, "MB", 1e6, quiet=args.quiet)
        data = prepare_kddcup(
            args.raw,
            args.out,
            args.splits,
            args.labels,
            args.force,
            reporter,
            **settings_from(args, KddcupConfig),
        )
    print_prepared(args, data)
    reporter.print_rates(args)


def _photos(argv: list[str]) -> None:
    from shopsight.cli.prepare_photos import run as prepare_photos

    prepare_photos(argv)


def _merge(argv: list[str]) -> None:
    from shopsight.cli.prepare_merge import run as prepare_merge

    prepare_merge(argv)


def _negatives(argv: list[str]) -> None:
    from shopsight.negatives.groups import build_query_groups, save_query_groups

    parser = Parser(
        "prepare negatives",
        "Group the training queries of a prepared folder for hard negatives: by last word, by "
        "cluster, and by shared words. Writes DATA/negatives; training does the same if it is "
        "missing.",
        ["prepare negatives data", "prepare negatives data --clusters 500 --neighbours 50"],
    )
    parser.add_argument("data", metavar="DATA", help="prepared folder with a train split")
    parser.add_json()
    parser.add_class_arguments(NegativesConfig, None)
    args = parser.read(argv)
    data = PreparedData.open(args.data)
    config = config_from(NegativesConfig, args)
    with progress_bar(quiet=args.quiet) as bar:
        texts = data.queries(TRAIN).texts
        groups = build_query_groups(texts, config, args.seed, progress=progress_callback(bar))
    save_query_groups(groups, data.path / "negatives")
    if args.json:
        print_json(groups.manifest)
    elif not args.quiet:
        manifest = groups.manifest
        print(
            f"{data.path / 'negatives'}: {manifest['texts']:,} distinct queries in "
            f"{pluralise(manifest['last_words'], 'last-word group')} and "
            f"{pluralise(manifest['clusters'], 'cluster')}, "
            f"{groups.neighbours.shape[1]} overlap neighbours each"
        )
