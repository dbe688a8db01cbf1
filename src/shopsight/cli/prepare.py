"""``shopsight prepare``: raw files in, prepared folder out."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from shopsight.catalogue.data import PreparedData
from shopsight.catalogue.ingest import IngestProgress, prepare_kddcup
from shopsight.cli.parser import Parser
from shopsight.cli.progress import progress_bar
from shopsight.config import KddcupConfig
from shopsight.errors import UsageError, unknown_name

_OVERVIEW = """usage: shopsight prepare kddcup|negatives ...

  kddcup     raw competition files to a prepared folder
  negatives  group the training queries of a prepared folder for hard negatives

shopsight prepare kddcup --help explains it and gives examples."""


def run(command: str, arguments: list[str]) -> None:
    """Carry out ``shopsight prepare KIND ...``."""
    kinds = {"kddcup": _kddcup, "negatives": _negatives}
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
    parser.add_class_arguments(KddcupConfig)
    asked = parser.read(arguments)
    config = KddcupConfig(**{key: asked[key] for key in KddcupConfig.__dataclass_fields__})
    started = time.monotonic()
    with progress_bar(quiet=asked.quiet) as bar:
        data = prepare_kddcup(
            Path(asked.raw),
            Path(asked.out),
            config,
            splits=tuple(asked.splits),
            labels=Path(asked.labels) if asked.labels else None,
            force=asked.force,
            progress=_Reporter(bar, started),
        )
    if asked.json:
        json.dump(data.summary, sys.stdout, indent=1)
        print()
    elif not asked.quiet:
        _print_summary(data)


class _Reporter:
    """Shows rows/s, MB/s and the time left, and keeps the last figures."""

    def __init__(self, bar: Progress, started: float) -> None:
        self._bar, self._started = bar, started
        self._task = bar.add_task("reading", rate="", total=None)
        self._last: IngestProgress | None = None
        self._first_bytes = 0

    def __call__(self, now: IngestProgress) -> None:
        if self._last is None:
            self._first = now  # a continued run does not count what an earlier one read
            self._since = time.monotonic()
        self._last = now
        seconds = max(time.monotonic() - self._since, 1e-6)
        rows, size = now.rows - self._first.rows, now.bytes_read - self._first.bytes_read
        rate = f"{rows / seconds:,.0f} rows/s  {size / seconds / 1e6:,.0f} MB/s"
        self._bar.update(
            self._task,
            description=now.split,
            completed=now.bytes_read,
            total=now.bytes_total or None,
            rate=rate,
        )


def _print_summary(data: PreparedData) -> None:
    summary = data.summary
    console = Console(highlight=False)
    per_product = summary["regions"]["per_product"]
    console.print(
        f"{data.path}: {summary['products']:,} products, {summary['regions']['total']:,} regions "
        f"of width {summary['feature_width']} ({per_product['mean']:.2f} a product, "
        f"at most {per_product['max']})"
    )
    for split, counts in summary["splits"].items():
        console.print(
            f"  {split}: {counts['rows']:,} rows, {counts['queries']:,} queries, "
            f"{counts['products']:,} products"
        )
    for split, kinds in summary["skipped"].items():
        for entry in kinds.values():
            console.print(f"  {split}: left out {entry['count']:,} ({entry['first']})")
    for warning in summary["warnings"]:
        console.print(f"  note: {warning}")


def _negatives(arguments: list[str]) -> None:
    raise NotImplementedError
