"""Options and output that the ``shopsight prepare`` commands share."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from shopsight.cli.output import print_json
from shopsight.cli.parser import Parser
from shopsight.config.data import ImportConfig
from shopsight.data.dataset import PreparedData


def add_output(parser: Parser) -> None:
    """Add ``--out``, ``--force`` and ``--json``."""
    parser.add_argument("--out", metavar="DATA", required=True, help="prepared folder to make")
    parser.add_argument("--force", action="store_true", help="replace DATA and start over")
    parser.add_json()


def add_clicks(parser: Parser) -> None:
    """Add ``--clicks``."""
    parser.add_argument(
        "--clicks",
        metavar="FILE",
        default=None,
        help="click log: a table with columns query, product_id and, optionally, clicks",
    )


def add_on_error(parser: Parser) -> None:
    """Add ``--on-error`` without the other settings of an import."""
    others = {setting.name for setting in fields(ImportConfig)} - {"on_error"}
    parser.add_class_arguments(ImportConfig, None, skip=others)


def print_prepared(args: Any, data: PreparedData) -> None:
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
    for group, kinds in manifest["skipped"].items():
        for entry in kinds.values():
            print(f"  {group}: skipped {entry['count']:,}, {entry['meaning']}; the first is")
            print(f"    {entry['first']}")
    if "skipped.tsv" in manifest["files"]:
        print(f"  all of them: {data.path / 'skipped.tsv'}")
    for warning in manifest["warnings"]:
        print(f"  note: {warning}")
