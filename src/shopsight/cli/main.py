"""The ``shopsight`` command: dispatch to a command's module, report errors in one sentence."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from shopsight import __version__
from shopsight.cli.stdout import ReaderGoneError, checked_output
from shopsight.errors import ShopsightError, unknown_name

# Command -> (module, summary). A module is imported only for its own command, so that
# ``shopsight evaluate`` never pays for what ``shopsight prepare`` needs.
COMMANDS: dict[str, tuple[str, str]] = {
    "prepare": ("shopsight.cli.prepare", "convert raw files to prepared data"),
    "train": ("shopsight.cli.train", "train the models of a recipe, rank, fuse, report"),
    "rank": ("shopsight.cli.rank", "rank a split with a trained model or ensemble"),
    "describe": ("shopsight.cli.rank", "tags and captions of products"),
    "index": ("shopsight.cli.index", "build an index for search, change it, check it"),
    "search": ("shopsight.cli.search", "search an index by text, product or photo"),
    "serve": ("shopsight.cli.serve", "HTTP API and search page of an index"),
    "tag": ("shopsight.cli.catalog_tools", "tags and a caption for every product"),
    "dedupe": ("shopsight.cli.catalog_tools", "near-duplicate products of an index"),
    "judge": ("shopsight.cli.catalog_tools", "relevance labels from a click log"),
    "evaluate": ("shopsight.cli.evaluate", "score a run against relevance judgements"),
    "compare": ("shopsight.cli.evaluate", "compare runs, with significance letters"),
    "fuse": ("shopsight.cli.evaluate", "combine runs by a weighted sum"),
    "rerank": ("shopsight.cli.evaluate", "transductive post-processing of a run"),
    "audit": ("shopsight.cli.evaluate", "check candidate pools for label leakage"),
    "submit": ("shopsight.cli.evaluate", "write a run as submission.csv"),
    "info": ("shopsight.cli.evaluate", "identify and summarise a folder or file"),
    "bench": ("shopsight.bench.cli", "measure speed on this machine"),
    "demo": ("shopsight.cli.demo", "the full pipeline on a synthetic shop"),
}


def overview() -> str:
    """The text of ``shopsight --help``."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: shopsight COMMAND ...",
            "",
            "Match shoppers' queries to product photos, and search a catalogue with them.",
            "",
            *lines,
            "",
            "shopsight COMMAND --help explains a command and gives examples.",
            "First steps: shopsight demo",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code: 0 success, 2 user error, 130 SIGINT."""
    argv = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=_log_level(argv), format="%(levelname)s: %(message)s", force=True)
    try:
        with checked_output():
            _dispatch(argv)
    except ReaderGoneError:
        return 0
    except (ShopsightError, OSError) as error:
        return _report(error, argv)
    except KeyboardInterrupt:
        _print_error(_interrupted(argv))
        return 130
    return 0


def _log_level(argv: list[str]) -> int:
    if "--debug" in argv:
        return logging.DEBUG
    return logging.ERROR if "--quiet" in argv else logging.WARNING


def _dispatch(argv: list[str]) -> None:
    name, *rest = argv or ["help"]
    if name in ("-h", "--help", "help"):
        print(overview())
    elif name == "--version":
        print(f"shopsight {__version__}")
    elif name not in COMMANDS:
        raise unknown_name("command", name, list(COMMANDS))
    else:
        import_module(COMMANDS[name][0]).run(name, rest)


def _interrupted(argv: list[str]) -> str:
    if argv[:2] not in (["prepare", "kddcup"], ["prepare", "photos"]):
        return "interrupted"
    without = " without --force" if "--force" in argv else ""
    return f"interrupted; repeat the command{without} to resume"


def _report(error: Exception, argv: list[str]) -> int:
    if "--debug" in argv:
        logging.getLogger("shopsight").exception("traceback of the error")
    message = str(error)
    if isinstance(error, OSError):
        message = f"{error.filename or 'system'}: {(error.strerror or str(error)).lower()}"
    if "--json" in argv:
        # Standard output may be what failed; the sentence on stderr remains.
        with suppress(ShopsightError, ReaderGoneError), checked_output():
            print(json.dumps({"error": message}, ensure_ascii=False))
    _print_error(message)
    return 2


def _print_error(message: str) -> None:
    # Without stderr, print would write to standard output instead.
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"shopsight: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
