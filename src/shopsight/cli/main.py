"""The ``shopsight`` command: dispatch to a command's module, report errors in one sentence."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module

from shopsight import __version__
from shopsight.cli.argv import END_OF_OPTIONS, options_of, split_command
from shopsight.cli.stdout import ReaderGoneError, checked_output, json_text
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


# How to continue an interrupted command; others start over.
_REPEAT = "repeat the command{without} to resume"
_CONTINUE = {
    "prepare kddcup": _REPEAT,
    "prepare photos": _REPEAT,
    "index build": _REPEAT,
    "index add": _REPEAT,
    "index update": _REPEAT,
    "index load": _REPEAT,
    "train": "repeat the command with --resume to continue",
    "demo": "repeat the command to start over",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code: 0 success, 2 user error, 130 SIGINT."""
    argv = list(sys.argv[1:] if argv is None else argv)
    options = options_of(argv)
    level = _log_level(options)
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s", force=True)
    for handler in logging.getLogger().handlers:
        handler.setLevel(level)  # for libraries whose loggers have levels of their own
    try:
        with checked_output(), _library_warnings(shown="--quiet" not in options):
            _dispatch(argv)
    except ReaderGoneError:
        return 0
    except (ShopsightError, OSError) as error:
        return _report(error, options)
    except KeyboardInterrupt:
        _print_error(_interrupted(argv))
        return 130
    return 0


def _log_level(options: list[str]) -> int:
    if "--debug" in options:
        return logging.DEBUG
    return logging.ERROR if "--quiet" in options else logging.WARNING


@contextmanager
def _library_warnings(*, shown: bool) -> Iterator[None]:
    """Hide the warnings of libraries, in worker processes too, unless they are to be shown."""
    if shown:
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.warnoptions.append("ignore")  # of processes that this one starts
        try:
            yield
        finally:
            sys.warnoptions.remove("ignore")


def _dispatch(argv: list[str]) -> None:
    name, rest = split_command(argv or ["help"])
    if name in ("-h", "--help", "help"):
        print(overview())
    elif name == "--version":
        print(f"shopsight {__version__}")
    elif name not in COMMANDS:
        raise unknown_name("command", name, list(COMMANDS))
    else:
        import_module(COMMANDS[name][0]).run(name, rest)


def _interrupted(argv: list[str]) -> str:
    words = [word for word in argv if word != END_OF_OPTIONS]
    remedy = _CONTINUE.get(" ".join(words[:2])) or _CONTINUE.get(words[0] if words else "")
    without = " without --force" if "--force" in options_of(argv) else ""
    return f"interrupted; {remedy.format(without=without)}" if remedy else "interrupted"


def _report(error: Exception, options: list[str]) -> int:
    if "--debug" in options:
        logging.getLogger("shopsight").exception("traceback of the error")
    message = str(error)
    if isinstance(error, OSError):
        message = f"{error.filename or 'system'}: {(error.strerror or str(error)).lower()}"
    if "--json" in options:
        # Standard output may be what failed; the sentence on stderr remains.
        with suppress(ShopsightError, ReaderGoneError), checked_output():
            print(json_text({"error": message}))
    _print_error(message)
    return 2


def _print_error(message: str) -> None:
    # Without stderr, print would write to standard output instead.
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"shopsight: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
