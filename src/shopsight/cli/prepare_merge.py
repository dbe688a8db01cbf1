"""``shopsight prepare merge``: merge the shards of a table of photos."""

from __future__ import annotations

from shopsight.cli.parser import Parser
from shopsight.cli.prepare_options import add_clicks, add_on_error, add_output, print_prepared
from shopsight.prepare.photos.shards import merge_shards


def run(argv: list[str]) -> None:
    """Run ``shopsight prepare merge ...``."""
    parser = Parser(
        "prepare merge",
        "Merge the shards that shopsight prepare photos --shard I/N made, on one machine or many, "
        "into a prepared folder: the same as the whole table prepared at once.",
        [
            "prepare merge part1 part2 --out data",
            "prepare merge part* --out data --clicks clicks.tsv",
        ],
    )
    parser.add_argument("shards", metavar="SHARD", nargs="+", help="folders of all shards")
    add_output(parser)
    add_clicks(parser)
    add_on_error(parser)
    args = parser.read(argv)
    data = merge_shards(
        args.shards, args.out, clicks=args.clicks, on_error=args.on_error, force=args.force
    )
    print_prepared(args, data)
