"""``shopsight prepare``: raw files in, prepared folder out."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.progress import Progress

from shopsight.cli.options import config_from
from shopsight.cli.output import print_json
from shopsight.cli.parser import Parser
from shopsight.cli.progress import progress_bar
from shopsight.config import KddcupConfig, NegativesConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import TRAIN
from shopsight.errors import UsageError, pluralise, unknown_name
from shopsight.prepare.kddcup.ingest import IngestProgress, prepare_kddcup

_SECONDS_BETWEEN_LINES = 30.0
_OVERVIEW = """usage: shopsight prepare kddcup|photos|merge|negatives ...

  kddcup     raw competition files to a prepared folder
  photos     a table of products with photos to a prepared folder
  merge      shards of photos to a prepared folder
  negatives  group the training queries of a prepared folder for hard negatives

shopsight prepare photos --help explains it and gives examples."""


def run(command: str, arguments: list[str]) -> None:
    """Carry out ``shopsight prepare KIND ...``."""
    kinds = {"kddcup": _kddcup, "photos": _photos, "merge": _merge, "negatives": _negatives}
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_OVERVIEW)
        return
    if arguments[0].startswith("-"):
        raise UsageError(f"name what to prepare first: shopsight {command} kddcup RAW --out DATA")
    if arguments[0] not in kinds:
        raise unknown_name("kind of preparation", arguments[0], list(kinds))
    kinds[arguments[0]](arguments[1:])


def _kddcup(arguments: list[str]) -> None:
    parser = Parser(
        "prepare kddcup",
        "Turn the raw files of KDD Cup 2020 Multimodalities Recall into a prepared folder: "
        "memory-mapped region features, each product once, and tables of queries, pairs and "
        "pools. Long work may be interrupted; the same command continues it.",
        [
            "prepare kddcup raw --out data",
            "prepare kddcup raw --out data --splits valid testA --on-error skip",
            "prepare kddcup raw/valid/valid.tsv.gz --out data --dtype float32",
            "prepare kddcup - --splits train --labels multimodal_labels.txt --out data < train.tsv",
        ],
    )
    parser.add_argument("raw", help="raw folder, one raw file (.tsv, .tsv.gz), or - for stdin")
    parser.add_argument("--out", required=True, help="prepared folder to make")
    parser.add_argument("--splits", nargs="+", default=[], help="splits to take (default: all)")
    parser.add_argument("--labels", default=None, help="multimodal_labels.txt, if elsewhere")
    parser.add_argument("--force", action="store_true", help="replace OUT and start over")
    parser.add_json()
    parser.add_class_arguments(KddcupConfig, None)
    given = parser.read(arguments)
    with progress_bar(quiet=given.quiet) as bar:
        reporter = _Reporter(bar, quiet=given.quiet)
        data = prepare_kddcup(
            given.raw,
            given.out,
            config_from(KddcupConfig, given),
            splits=tuple(given.splits),
            labels=Path(given.labels) if given.labels else None,
            force=given.force,
            progress=reporter,
        )
    if given.json:
        print_json(data.manifest)
    elif not given.quiet:
        _print_summary(data)
        if reporter.rate():
            print(f"  read at {reporter.rate()}")


def _photos(arguments: list[str]) -> None:
    from shopsight.cli.prepare_photos import run as prepare_photos

    prepare_photos(arguments)


def _merge(arguments: list[str]) -> None:
    from shopsight.cli.prepare_merge import run as prepare_merge

    prepare_merge(arguments)


class _Reporter:
    """Shows rows/s, MB/s and the time left; what an earlier, cut run read does not count."""

    def __init__(self, bar: Progress, *, quiet: bool) -> None:
        self._bar, self._task = bar, bar.add_task("reading", rate="", total=None)
        self._first: IngestProgress | None = None
        self._last: IngestProgress | None = None
        self._started = self._value = time.monotonic()
        self._plain = bar.disable and not quiet  # away from a terminal: a line now and then

    def __call__(self, now: IngestProgress) -> None:
        self._first, self._last = self._first or now, now
        self._bar.update(
            self._task,
            description=now.stage,
            completed=now.bytes_read,
            total=now.bytes_total or None,
            rate=self.rate(),
        )
        if self._plain and time.monotonic() - self._value > _SECONDS_BETWEEN_LINES:
            self._value = time.monotonic()
            print(f"{now.stage}: {now.rows:,} rows, {self.rate()}", file=sys.stderr, flush=True)

    def rate(self) -> str:
        """Rows and bytes a second since the start of this run."""
        if not self._first or not self._last or self._first.rows == self._last.rows:
            return ""
        seconds = max(time.monotonic() - self._started, 1e-6)
        rows = self._last.rows - self._first.rows
        size = self._last.bytes_read - self._first.bytes_read
        return f"{rows / seconds:,.0f} rows/s  {size / seconds / 1e6:,.0f} MB/s"


def _print_summary(data: PreparedData) -> None:
    summary = data.manifest
    per_product = summary["regions"]["per_product"]
    print(
        f"{data.path}: {summary['products']:,} products, {summary['regions']['total']:,} regions "
        f"of width {summary['feature_width']} ({per_product['mean']:.2f} a product, "
        f"at most {per_product['max']})"
    )
    for split, counts in summary["splits"].items():
        print(
            f"  {split}: {counts['rows']:,} rows, {counts['queries']:,} queries, "
            f"{counts['products']:,} products"
        )
    for split, kinds in summary["skipped"].items():
        for entry in kinds.values():
            print(f"  {split}: left out {entry['count']:,}, {entry['meaning']}; the first is")
            print(f"    {entry['first']}")
    for warning in summary["warnings"]:
        print(f"  note: {warning}")


def _negatives(arguments: list[str]) -> None:
    from shopsight.negatives.groups import build_query_groups, save_query_groups

    parser = Parser(
        "prepare negatives",
        "Group the training queries of a prepared folder for hard negatives: by last word, by "
        "cluster, and by the words they share. Writes DATA/negatives; training does this by "
        "itself where it has not been done.",
        ["prepare negatives data", "prepare negatives data --clusters 500 --neighbours 50"],
    )
    parser.add_argument("data", metavar="DATA", help="prepared folder with a train split")
    parser.add_json()
    parser.add_class_arguments(NegativesConfig, None)
    given = parser.read(arguments)
    data = PreparedData.open(given.data)
    config = config_from(NegativesConfig, given)
    with progress_bar(quiet=given.quiet) as bar:
        task = bar.add_task("words", rate="", total=None)
        groups = build_query_groups(
            data.queries(TRAIN).texts,
            config,
            given.seed,
            progress=lambda stage, done, total: bar.update(
                task, description=stage, completed=done, total=total
            ),
        )
    save_query_groups(groups, data.path / "negatives")
    if given.json:
        print_json(groups.manifest)
    elif not given.quiet:
        about = groups.manifest
        print(
            f"{data.path / 'negatives'}: {about['texts']:,} distinct queries in "
            f"{pluralise(about['last_words'], 'last-word group')} and "
            f"{pluralise(about['clusters'], 'cluster')}, "
            f"{groups.neighbours.shape[1]} overlap neighbours each"
        )
