"""``shopsight index``: build an index of a trained run, change it, check it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shopsight.cli.options import config_from
from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser
from shopsight.cli.progress import progress_bar, progress_callback
from shopsight.config import IndexConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError, unknown_name
from shopsight.formats.content import numbered_lines, read_text
from shopsight.tables import Grid
from shopsight.types import Progress

if TYPE_CHECKING:
    from shopsight.search.manifest import Generation


@dataclass(frozen=True)
class _Subcommand:
    """A subcommand.

    Attributes:
        overview: its line in the overview.
        summary: for its help.
        examples: for its help.
        add_arguments: adds its arguments to a parser.
        action: receives `shopsight.search.index`, the arguments and a progress callback. The module
            is passed so that help and wrong arguments do not wait for torch.
        note: printed instead of the seconds.
    """

    overview: str
    summary: str
    examples: list[str]
    add_arguments: Callable[[Parser], None]
    action: Callable[[Any, Any, Progress], Generation | None]
    note: str = ""


def run(command: str, argv: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight index SUBCOMMAND``."""
    if not argv or argv[0] in ("-h", "--help"):
        lines = [f"  {name:<7}  {sub.overview}" for name, sub in _SUBCOMMANDS.items()]
        usage = f"usage: shopsight index {'|'.join(_SUBCOMMANDS)} ..."
        hint = "shopsight index build --help explains it and gives examples."
        print("\n".join([usage, "", *lines, "", hint]))
        return
    name, *rest = argv
    if name not in _SUBCOMMANDS:
        raise unknown_name("index subcommand", name, list(_SUBCOMMANDS))
    subcommand = _SUBCOMMANDS[name]
    examples = [f"index {name} {example}" for example in subcommand.examples]
    parser = Parser(f"index {name}", subcommand.summary, examples)
    subcommand.add_arguments(parser)
    parser.add_json()
    args = parser.read(rest)

    from shopsight.search import index

    started = time.perf_counter()
    with progress_bar(quiet=args.quiet or args.json) as bar:
        generation = subcommand.action(index, args, progress_callback(bar))
    seconds = time.perf_counter() - started
    if args.json:
        print_json(index.index_stats(args.index) | {"seconds": seconds})
    elif generation is None:
        _print_stats(index.index_stats(args.index))
    elif not args.quiet:
        print(f"{args.index}: {generation}; {subcommand.note or f'{seconds:,.1f} s'}")


def _print_stats(stats: dict[str, Any]) -> None:
    rows = [(name, f"{stats[name]:,}") for name in ("products", "generation", "bytes")]
    rows += [(f"weight of {name}", f"{weight:g}") for name, weight in stats["models"].items()]
    rows += [(name, str(value)) for name, value in stats["settings"].items()]
    print_grid(Grid(("", stats["index"]), tuple(rows)))
    columns = ("name", "rows", "removed", "kind", "nlist", "nprobe", "recall")
    segments = (tuple(str(info.get(key, "")) for key in columns) for info in stats["segments"])
    print_grid(Grid(("segment", *columns[1:]), tuple(segments)))


def _index_argument(parser: Parser) -> None:
    parser.add_argument("index", metavar="INDEX", help="index folder")


def _build_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="run folder")
    parser.add_argument("data", metavar="DATA", help="prepared folder")
    parser.add_argument(
        "--out", metavar="INDEX", dest="index", required=True, help="index folder to create"
    )
    parser.add_class_arguments(IndexConfig, None)


def _data_arguments(parser: Parser) -> None:
    _index_argument(parser)
    parser.add_argument("data", metavar="DATA", help="prepared folder")


def _remove_arguments(parser: Parser) -> None:
    _index_argument(parser)
    parser.add_argument("ids", metavar="ID", nargs="*", help="product ids")
    parser.add_argument("--from", metavar="FILE", dest="file", help="file with one id per line")


def _load_arguments(parser: Parser) -> None:
    _index_argument(parser)
    parser.add_argument("--engine", metavar="URL", required=True, help="Milvus server or file")


def _build(index: Any, args: Any, progress: Progress) -> Generation:
    from shopsight.inference.run_folder import RunFolder

    run, data = RunFolder.read(args.run), PreparedData.open(args.data)
    config = config_from(IndexConfig, args)
    generation: Generation = index.build_index(run, data, args.index, config, progress)
    return generation


def _remove(index: Any, args: Any, progress: Progress) -> Generation:
    ids = [str(product_id) for product_id in args.ids]
    if args.file:
        ids += [line.strip() for _, line in numbered_lines(read_text(args.file))]
    if not ids:
        raise UsageError("give product ids, or --from FILE")
    generation: Generation = index.remove_products(args.index, ids, progress)
    return generation


def _load(index: Any, args: Any, progress: Progress) -> Generation:  # noqa: ARG001
    from shopsight.search.manifest import read_generation
    from shopsight.search.retrievers.factory import load_retriever

    load_retriever(args.engine, args.index, progress)
    return read_generation(args.index)


_SUBCOMMANDS = {
    "build": _Subcommand(
        "build an index of a prepared folder's products with the models of a run",
        "Build an index of a prepared folder's products with the models of a run. The index folder"
        " is self-contained. A killed build resumes when the same command runs again.",
        ["RUN DATA --out INDEX", "RUN DATA --out INDEX --precision int8 --regions false"],
        _build_arguments,
        _build,
    ),
    "add": _Subcommand(
        "add the products of a prepared folder",
        "Add the products of a prepared folder to an index, which may be searched meanwhile. The"
        " index must not hold any of them; see `index update`.",
        ["INDEX DATA", "INDEX DATA --json"],
        _data_arguments,
        lambda index, args, progress: index.add_products(
            args.index, PreparedData.open(args.data), progress
        ),
    ),
    "update": _Subcommand(
        "add the products of a prepared folder, replacing those that exist",
        "Add the products of a prepared folder to an index, replacing those that exist. The index"
        " may be searched meanwhile.",
        ["INDEX DATA", "INDEX DATA --json"],
        _data_arguments,
        lambda index, args, progress: index.update_products(
            args.index, PreparedData.open(args.data), progress
        ),
    ),
    "remove": _Subcommand(
        "remove products",
        "Remove products from an index, which may be searched meanwhile. If an id is unknown,"
        " nothing is removed.",
        ["INDEX 100000017 100000023", "INDEX --from ids.txt"],
        _remove_arguments,
        _remove,
    ),
    "compact": _Subcommand(
        "rewrite an index as one segment without removed products",
        "Rewrite an index as one segment without removed products. Changes do so themselves when"
        " there are many segments or removed products.",
        ["INDEX"],
        _index_argument,
        lambda index, args, progress: index.compact_index(args.index, progress),
    ),
    "check": _Subcommand(
        "verify every file against its checksum",
        "Read every file of an index and compare it with its checksum.",
        ["INDEX", "INDEX --json"],
        _index_argument,
        lambda index, args, progress: index.check_index(args.index, progress),
        note="all checksums match",
    ),
    "stats": _Subcommand(
        "show counts, sizes and segments",
        "Show products, bytes, models, settings and segments of an index.",
        ["INDEX", "INDEX --json"],
        _index_argument,
        lambda index, args, progress: None,  # noqa: ARG005
    ),
    "load": _Subcommand(
        "load an index into a Milvus server, or bring one up to date",
        "Load the products of an index into a Milvus server or a Milvus Lite file, or bring one"
        " that holds an earlier generation up to date.",
        ["INDEX --engine http://127.0.0.1:19530", "INDEX --engine products.db"],
        _load_arguments,
        _load,
    ),
}
