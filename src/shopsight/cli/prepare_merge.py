"""``shopsight prepare merge``: the shards of a table of photos, joined."""

from __future__ import annotations

from pathlib import Path

from shopsight.cli.output import print_json
from shopsight.cli.parser import Parser
from shopsight.cli.prepare_photos import print_summary
from shopsight.prepare.photos.shards import merge_shards


def run(arguments: list[str]) -> None:
    """Carry out ``shopsight prepare merge ...``."""
    parser = Parser(
        "prepare merge",
        "Join the shards that shopsight prepare photos --shard I/N made, on one machine or many, "
        "into a prepared folder: the same as the whole table prepared at once.",
        [
            "prepare merge part1 part2 --out data",
            "prepare merge part* --out data --clicks clicks.tsv",
        ],
    )
    parser.add_argument("shards", metavar="SHARD", nargs="+", help="folders of all shards")
    parser.add_argument("--out", metavar="DATA", required=True, help="prepared folder to make")
    parser.add_argument(
        "--clicks",
        metavar="FILE",
        default=None,
        help="click log: a table with columns query, product_id and, perhaps, clicks",
    )
    parser.add_argument(
        "--on-error",
        choices=["stop", "skip"],
        default="stop",
        help="at a product of two shards, stop, or keep the first",
    )
    parser.add_argument("--force", action="store_true", help="replace DATA")
    parser.add_json()
    given = parser.read(arguments)
    data = merge_shards(
        [Path(one) for one in given.shards],
        given.out,
        clicks=Path(given.clicks) if given.clicks else None,
        drop_repeated=given.on_error == "skip",
        force=given.force,
    )
    if given.json:
        print_json(data.manifest)
    elif not given.quiet:
        print_summary(data)
