"""``shopsight index``: build an index of a trained run, change it, check it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from shopsight.api.data import load
from shopsight.api.ranker import Ranker, open_ranker
from shopsight.api.search import Index
from shopsight.cli.argv import as_text, split_command
from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser, call
from shopsight.cli.progress import stage_progress
from shopsight.errors import UsageError, unknown_name
from shopsight.formats.content import numbered_lines, read_text
from shopsight.search.manifest import check_new_index
from shopsight.tables import Grid


class _Subcommand(NamedTuple):
    """A subcommand.

    Attributes:
        overview: its line in the overview.
        method: the method that carries it out.
        examples: for its help.
        options: parameters without a default that are options.
    """

    overview: str
    method: Callable[..., Any]
    examples: list[str]
    options: tuple[str, ...] = ()


def run(command: str, argv: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight index SUBCOMMAND``."""
    if not argv or argv[0] in ("-h", "--help"):
        lines = [f"  {name:<7}  {sub.overview}" for name, sub in _SUBCOMMANDS.items()]
        usage = f"usage: shopsight index {'|'.join(_SUBCOMMANDS)} ..."
        hint = "shopsight index build --help explains it and gives examples."
        print("\n".join([usage, "", *lines, "", hint]))
        return
    name, rest = split_command(argv)
    if name not in _SUBCOMMANDS:
        raise unknown_name("index subcommand", name, list(_SUBCOMMANDS))
    subcommand = _SUBCOMMANDS[name]
    examples = [f"index {name} {example}" for example in subcommand.examples]
    parser = Parser(f"index {name}", subcommand.method, examples)
    if name == "build":
        parser.add_parameters(open_ranker, skip={"device"}, path="RUN")
    else:
        parser.add_parameters(Index, skip={"engine"}, path="INDEX")
    if name == "remove":
        parser.add_argument("product_ids", metavar="ID", nargs="*", help="product ids")
        parser.add_argument("--from", metavar="FILE", help="file with one id per line")
    parser.add_parameters(subcommand.method, *subcommand.options, out="INDEX", engine="URL")
    args = parser.read(rest)
    if name == "remove":
        args.product_ids = _ids(args)
    if name == "build":
        check_new_index(Path(args.out))  # before torch is loaded
        load(args.data)
    _carry_out(name, args)


def _carry_out(name: str, args: Any) -> None:
    path, started = args.out if name == "build" else args.path, time.perf_counter()
    with stage_progress(args) as progress:
        if name == "build":
            call(open_ranker(args.path, "cpu").build_index, args, progress=progress)
        elif name != "stats":
            call(getattr(Index(path), name), args, progress=progress)
    seconds = time.perf_counter() - started
    if args.json:
        print_json(Index(path).stats() | {"seconds": seconds})
    elif name == "stats":
        _print_stats(Index(path).stats())
    elif not args.quiet:
        note = "all checksums match" if name == "check" else f"{seconds:,.1f} s"
        print(f"{path}: {Index(path).generation}; {note}")


def _ids(args: Any) -> list[str]:
    ids = [as_text(product) for product in args.product_ids]
    if args["from"]:
        ids += [line.strip() for _, line in numbered_lines(read_text(args["from"]))]
    if not ids:
        raise UsageError("give product ids, or --from FILE")
    return ids


def _print_stats(stats: dict[str, Any]) -> None:
    rows = [(name, f"{stats[name]:,}") for name in ("products", "generation", "bytes")]
    rows += [(f"weight of {name}", f"{weight:g}") for name, weight in stats["models"].items()]
    rows += [(name, str(value)) for name, value in stats["settings"].items()]
    print_grid(Grid(("", stats["index"]), tuple(rows)))
    columns = ("name", "rows", "removed", "kind", "nlist", "nprobe", "recall")
    segments = (tuple(str(info.get(key, "")) for key in columns) for info in stats["segments"])
    print_grid(Grid(("segment", *columns[1:]), tuple(segments)))


_SUBCOMMANDS = {
    "build": _Subcommand(
        "build an index of a prepared folder's products with the models of a run",
        Ranker.build_index,
        ["RUN DATA --out INDEX", "RUN DATA --out INDEX --precision int8 --regions false"],
        ("out",),
    ),
    "add": _Subcommand(
        "add the products of a prepared folder", Index.add, ["INDEX DATA", "INDEX DATA --json"]
    ),
    "update": _Subcommand(
        "add the products of a prepared folder, replacing those that exist",
        Index.update,
        ["INDEX DATA", "INDEX prices.csv", "INDEX DATA --json"],
    ),
    "remove": _Subcommand(
        "remove products", Index.remove, ["INDEX 100000017 100000023", "INDEX --from ids.txt"]
    ),
    "compact": _Subcommand(
        "rewrite an index as one segment without removed products", Index.compact, ["INDEX"]
    ),
    "check": _Subcommand(
        "verify every file against its checksum", Index.check, ["INDEX", "INDEX --json"]
    ),
    "stats": _Subcommand("show counts, sizes and segments", Index.stats, ["INDEX", "INDEX --json"]),
    "load": _Subcommand(
        "load an index into a Milvus server, or bring one up to date",
        Index.load,
        ["INDEX --engine http://127.0.0.1:19530", "INDEX --engine products.db"],
        ("engine",),
    ),
}
