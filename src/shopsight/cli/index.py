"""``shopsight index``: build an index of a trained run, change it, check it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
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

_OVERVIEW = """usage: shopsight index build|add|update|remove|compact|check|stats|load ...

  build    build an index of a prepared folder's products with the models of a run
  add      add the products of a prepared folder
  update   add the products of a prepared folder, replacing those that exist
  remove   remove products
  compact  rewrite an index as one segment without removed products
  check    verify every file against its checksum
  stats    counts, sizes and segments of an index
  load     load an index into a Milvus server, or bring one up to date

shopsight index build --help explains it and gives examples."""


def run(command: str, argv: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight index SUBCOMMAND ...``."""
    if not argv or argv[0] in ("-h", "--help"):
        print(_OVERVIEW)
        return
    name, *rest = argv
    if name not in _SUBCOMMANDS:
        raise unknown_name("index subcommand", name, list(_SUBCOMMANDS))
    _SUBCOMMANDS[name](rest)


def _build(argv: list[str]) -> None:
    parser = Parser(
        "index build",
        "Build an index of a prepared folder's products with the models of a run. The index folder"
        " is self-contained. A killed build resumes when the same command runs again.",
        [
            "index build RUN DATA --out INDEX",
            "index build RUN DATA --out INDEX --precision int8 --regions false",
        ],
    )
    parser.add_argument("run", metavar="RUN", help="run folder")
    parser.add_argument("data", metavar="DATA", help="prepared folder")
    parser.add_argument("--out", metavar="INDEX", required=True, help="index folder to create")
    parser.add_class_arguments(IndexConfig, None)
    parser.add_json()
    args = parser.read(argv)
    config = config_from(IndexConfig, args)

    from shopsight.inference.run_folder import RunFolder
    from shopsight.search.index import build_index

    run, data = RunFolder.read(args.run), PreparedData.open(args.data)
    _change(args, args.out, lambda progress: build_index(run, data, args.out, config, progress))


def _add(argv: list[str]) -> None:
    from shopsight.search.index import add_products

    _change_by_data(
        argv, "add", add_products,
        "Add the products of a prepared folder to an index. The index must not hold any of them;"
        " see `index update`.",
    )  # fmt: skip


def _update(argv: list[str]) -> None:
    from shopsight.search.index import update_products

    _change_by_data(
        argv, "update", update_products,
        "Add the products of a prepared folder to an index, replacing those that exist.",
    )  # fmt: skip


def _remove(argv: list[str]) -> None:
    parser = _parser(
        "remove",
        "Remove products from an index. Searches may run meanwhile. If an id is unknown,"
        " nothing is removed.",
        "index remove INDEX 100000017 100000023",
        "index remove INDEX --from ids.txt",
    )
    parser.add_argument("ids", metavar="ID", nargs="*", help="product ids")
    parser.add_argument("--from", metavar="FILE", dest="file", help="file with one id per line")
    args = parser.read(argv)
    ids = [str(product_id) for product_id in args.ids]
    if args.file:
        ids += [line.strip() for _, line in numbered_lines(read_text(args.file))]
    if not ids:
        raise UsageError("give product ids, or --from FILE")

    from shopsight.search.index import remove_products

    _change(args, args.index, lambda progress: remove_products(args.index, ids, progress))


def _compact(argv: list[str]) -> None:
    args = _parser(
        "compact",
        "Rewrite an index as one segment without removed products. Changes do this on their own"
        " when segments or removed products become many.",
        "index compact INDEX",
    ).read(argv)

    from shopsight.search.index import compact_index

    _change(args, args.index, lambda progress: compact_index(args.index, progress))


def _check(argv: list[str]) -> None:
    args = _parser(
        "check",
        "Read every file of an index and compare it with its checksum.",
        "index check INDEX",
        "index check INDEX --json",
    ).read(argv)

    from shopsight.search.index import check_index

    _change(
        args, args.index, lambda progress: check_index(args.index, progress),
        "all checksums match",
    )  # fmt: skip


def _stats(argv: list[str]) -> None:
    args = _parser(
        "stats",
        "Show products, bytes, models, settings and segments of an index.",
        "index stats INDEX",
        "index stats INDEX --json",
    ).read(argv)

    from shopsight.search.index import index_stats

    stats = index_stats(args.index)
    if args.json:
        print_json(stats)
        return
    rows = [(name, f"{stats[name]:,}") for name in ("products", "generation", "bytes")]
    rows += [(f"weight of {name}", f"{weight:g}") for name, weight in stats["models"].items()]
    rows += [(name, str(value)) for name, value in stats["settings"].items()]
    print_grid(Grid(("", str(args.index)), tuple(rows)))
    columns = ("segment", "rows", "removed", "kind", "nlist", "nprobe", "recall")
    keys = ("name", *columns[1:])
    segments = tuple(
        tuple(str(segment.get(key, "")) for key in keys) for segment in stats["segments"]
    )
    print_grid(Grid(columns, segments))


def _load(argv: list[str]) -> None:
    parser = _parser(
        "load",
        "Load the products of an index into a Milvus server or a Milvus Lite file, or bring one"
        " that holds an earlier generation up to date.",
        "index load INDEX --engine http://127.0.0.1:19530",
        "index load INDEX --engine products.db",
    )
    parser.add_argument("--engine", metavar="URL", required=True, help="Milvus server or file")
    args = parser.read(argv)

    from shopsight.search.manifest import read_generation
    from shopsight.search.retrievers.factory import load_retriever

    def load(progress: Progress) -> Generation:
        load_retriever(args.engine, args.index, progress)
        return read_generation(args.index)

    _change(args, args.index, load)


_SUBCOMMANDS: dict[str, Callable[[list[str]], None]] = {
    "build": _build,
    "add": _add,
    "update": _update,
    "remove": _remove,
    "compact": _compact,
    "check": _check,
    "stats": _stats,
    "load": _load,
}


def _parser(name: str, summary: str, *examples: str) -> Parser:
    parser = Parser(f"index {name}", summary, list(examples))
    parser.add_argument("index", metavar="INDEX", help="index folder")
    parser.add_json()
    return parser


def _change_by_data(
    argv: list[str], name: str, change: Callable[..., Generation], summary: str
) -> None:
    parser = _parser(
        name, f"{summary} Searches may run meanwhile.",
        f"index {name} INDEX DATA", f"index {name} INDEX DATA --json",
    )  # fmt: skip
    parser.add_argument("data", metavar="DATA", help="prepared folder")
    args = parser.read(argv)
    data = PreparedData.open(args.data)
    _change(args, args.index, lambda progress: change(args.index, data, progress))


def _change(args: Any, path: str, action: Callable[[Progress], Generation], note: str = "") -> None:
    """Run an action on an index with a progress bar, and print the index's state."""
    from shopsight.search.index import index_stats

    started = time.perf_counter()
    with progress_bar(quiet=args.quiet or args.json) as bar:
        generation = action(progress_callback(bar))
    seconds = time.perf_counter() - started
    if args.json:
        print_json(index_stats(path) | {"seconds": seconds})
    elif not args.quiet:
        print(f"{Path(path)}: {generation}; {note or f'{seconds:,.1f} s'}")
