"""``shopsight info``: identify and summarise a folder or file."""

from __future__ import annotations

from shopsight.api.info import info
from shopsight.cli.output import print_result
from shopsight.cli.parser import Parser


def run(command: str, argv: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight info`` with its arguments."""
    parser = Parser(
        "info",
        "Identify a folder or file by its content (prepared data, run folder, index, ranking,"
        " relevance judgements or candidates) and summarise it.",
        ["info data", "info run --json", "info valid_answer.json"],
    )
    parser.add_argument("path", metavar="PATH", help="folder or file")
    parser.add_json()
    args = parser.read(argv)
    print_result(info(args.path), as_json=args.json)
