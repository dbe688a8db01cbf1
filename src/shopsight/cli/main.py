"""The ``shopsight`` command: find the command's module, parse, run, say errors in a sentence."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from shopsight import __version__
from shopsight.cli.stdout import ReaderGoneError, checked_output
from shopsight.errors import ShopsightError, unknown_name

# Command -> (module, its line in the overview). A module is imported only for its own command,
# so that ``shopsight evaluate`` never pays for what ``shopsight prepare`` needs.
COMMANDS: dict[str, tuple[str, str]] = {
    "prepare": ("shopsight.cli.prepare", "turn raw files into a prepared folder"),
    "train": ("shopsight.cli.train", "train every model of a recipe, rank, fuse, report"),
    "rank": ("shopsight.cli.rank", "rank a split with what was trained"),
    "describe": ("shopsight.cli.rank", "what a trained model sees on product photos"),
    "index": ("shopsight.cli.index", "make an index of a trained run, change it, check it"),
    "search": ("shopsight.cli.search", "find products of an index"),
    "serve": ("shopsight.cli.serve", "a page and an HTTP API that search an index"),
    "tag": ("shopsight.cli.catalog_tools", "tags and a caption for every product"),
    "dedupe": ("shopsight.cli.catalog_tools", "near-identical products of an index"),
    "judge": (
        "shopsight.cli.catalog_tools",
        "turn a query log into answers for training and evaluation",
    ),
    "evaluate": ("shopsight.cli.evaluate", "score a run against answers"),
    "compare": ("shopsight.cli.evaluate", "several runs in one table, with significance letters"),
    "fuse": ("shopsight.cli.fuse", "combine runs into a better one"),
    "rerank": ("shopsight.cli.evaluate", "transductive post-processing of a run"),
    "audit": ("shopsight.cli.audit", "does a candidate pool give its answers away?"),
    "submit": ("shopsight.cli.evaluate", "write a run as submission.csv"),
    "bench": ("shopsight.bench.cli", "measure speed on this machine"),
    "demo": ("shopsight.cli.demo", "the main job on a small built-in world"),
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
    """Run one command; returns the exit code: 0 done, 2 a person's error, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    quiet = "--quiet" in arguments
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.ERROR if quiet else logging.WARNING,
        format="%(levelname)s: %(message)s",
        force=True,
    )
    try:
        with checked_output():
            _dispatch(arguments)
    except ReaderGoneError:
        return 0
    except (ShopsightError, OSError) as error:
        return _refuse(error, debug)
    except KeyboardInterrupt:
        _say(_interrupted(arguments))
        return 130
    return 0


def _dispatch(arguments: list[str]) -> None:
    name, *rest = arguments or ["help"]
    if name in ("-h", "--help", "help"):
        print(overview())
    elif name == "--version":
        print(f"shopsight {__version__}")
    elif name not in COMMANDS:
        raise unknown_name("command", name, list(COMMANDS))
    else:
        import_module(COMMANDS[name][0]).run(name, rest)


def _interrupted(arguments: list[str]) -> str:
    if arguments[:2] not in (["prepare", "kddcup"], ["prepare", "photos"]):
        return "interrupted"
    without = " without --force" if "--force" in arguments else ""
    return f"interrupted; the same command{without} continues"


def _refuse(error: Exception, debug: bool) -> int:
    if debug:
        logging.getLogger("shopsight").exception("where it happened")
    message = str(error)
    if isinstance(error, OSError):
        message = f"{error.filename or 'system'}: {(error.strerror or str(error)).lower()}"
    _say(message)
    return 2


def _say(message: str) -> None:
    if sys.stderr is not None:  # print would take standard output instead
        with suppress(OSError):
            print(f"shopsight: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
