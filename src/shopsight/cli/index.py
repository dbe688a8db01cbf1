"""``shopsight index``: make an index of a trained run, change it, check it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shopsight.cli.output import print_json
from shopsight.cli.parser import Parser
from shopsight.cli.progress import progress_bar, progress_callback
from shopsight.config import IndexConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError
from shopsight.formats.content import numbered_lines, read_text

if TYPE_CHECKING:
    from shopsight.search.manifest import Generation

_CHANGES = {
    "add": "--add",
    "newer": "--update",
    "remove": "--remove",
    "remove_from": "--remove-from",
    "compact": "--compact",
    "check": "--check",
}


def run(command: str, arguments: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight index`` with the words that follow it."""
    parser = Parser(
        "index",
        "Make an index of a prepared folder's products with the models of a run: a folder that"
        " needs nothing else to be searched. Killed at any moment, the same command goes on. An"
        " index can be changed while others search it: they see the old state or the new one.",
        [
            "index RUN DATA --out INDEX",
            "index RUN DATA --out INDEX --precision int8 --regions false",
            "index INDEX --add MORE",
            "index INDEX --update CHANGED",
            "index INDEX --remove 100000017 100000023",
            "index INDEX --check",
            "index INDEX --engine http://127.0.0.1:19530",
        ],
    )
    parser.add_argument(
        "folders",
        metavar="RUN DATA | INDEX",
        nargs="+",
        help="run folder and prepared folder to make an index of, or an index",
    )
    parser.add_argument("--out", metavar="INDEX", help="where the new index goes")
    changes = parser.add_argument_group("changes and checks of an index")
    changes.add_argument("--add", metavar="DATA", help="add a prepared folder's products")
    changes.add_argument(
        "--update", metavar="DATA", dest="newer", help="add them, or replace those there are"
    )
    changes.add_argument("--remove", metavar="ID", nargs="+", default=[], help="remove products")
    changes.add_argument("--remove-from", metavar="FILE", help="remove those in a file, one a line")
    changes.add_argument("--compact", action="store_true", help="write it anew as one part")
    changes.add_argument("--check", action="store_true", help="compare all files with checksums")
    parser.add_argument(
        "--engine", metavar="URL", help="also load the products into a Milvus server"
    )
    parser.add_class_arguments(IndexConfig, None)
    parser.add_json()
    given = parser.read(arguments)
    started = time.perf_counter()
    with _told(given) as progress:
        path, found = _done(given, progress)
        if given.engine:
            from shopsight.search.retrievers.factory import load_retriever

            load_retriever(given.engine, path, progress)
    _say(given, path, found, time.perf_counter() - started)


def _done(given: Any, progress: Callable[[str, int, int], None]) -> tuple[Path, Generation]:
    """Do what was asked for; returns the index and its state."""
    from shopsight.search import index

    asked = [name for name in _CHANGES if getattr(given, name)]
    if given.out:
        if asked or len(given.folders) != 2:
            raise UsageError("a new index takes RUN DATA --out INDEX, and no other change")
        from shopsight.inference.run_folder import RunFolder

        run_folder, data = RunFolder.read(given.folders[0]), PreparedData.open(given.folders[1])
        return Path(given.out), index.build_index(
            run_folder, data, given.out, _config(given), progress
        )
    if len(given.folders) != 1 or len(asked) + bool(given.engine) != 1:
        ways = ", ".join(_CHANGES.values())
        raise UsageError(f"give RUN DATA --out INDEX, or INDEX with one of {ways}, --engine")
    path = Path(given.folders[0])
    if given.add or given.newer:
        data = PreparedData.open(given.add or given.newer)
        return path, index.add_products(path, data, update=bool(given.newer), progress=progress)
    if given.remove or given.remove_from:
        ids = [str(one) for one in given.remove] or _ids_in(given.remove_from)
        return path, index.remove_products(path, ids, progress)
    if given.compact:
        return path, index.compact_index(path, progress)
    if given.check:
        return path, index.check_index(path, progress)
    from shopsight.search.manifest import read_generation

    return path, read_generation(path)


def _config(given: Any) -> IndexConfig:
    return IndexConfig(**{one.name: getattr(given, one.name) for one in fields(IndexConfig)})


def _ids_in(path: str) -> list[str]:
    return [line.strip() for _, line in numbered_lines(read_text(path))]


def _say(given: Any, path: Path, found: Generation, seconds: float) -> None:
    from shopsight.search.index import said

    if given.json:
        print_json(
            {
                "index": str(path),
                "products": found.products,
                "segments": [
                    {"name": one.name, "rows": one.rows, "removed": one.removed, **one.faiss}
                    for one in found.segments
                ],
                "state": found.number,
                "bytes": sum(one["bytes"] for one in found.files.values()),
                "seconds": seconds,
            }
        )
    elif not given.quiet:
        how = "every checksum fits" if given.check else f"{seconds:,.1f} s"
        print(f"{path}: {said(found)}; {how}")


@contextmanager
def _told(given: Any) -> Iterator[Callable[[str, int, int], None]]:
    with progress_bar(quiet=given.quiet or given.json) as bar:
        yield progress_callback(bar)
