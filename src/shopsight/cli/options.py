"""Options that several commands share."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from shopsight.cli.parser import Parser
from shopsight.config import EvaluateConfig
from shopsight.errors import UsageError
from shopsight.formats.atomic import resolve_output
from shopsight.formats.content import STDIN
from shopsight.formats.runs import run_format

RUN_FILE = "ranking: JSON, TREC, CSV, TSV or submission.csv, gzipped or not"
OUT_FILE = "output file; its extension selects the format: .json, .trec, .csv or .tsv (.gz)"
ANSWERS = "relevance judgements: competition JSON or TREC qrels"
Config = TypeVar("Config")


def add_answers(parser: Parser, *, required: bool = True, help: str = ANSWERS) -> None:
    """Add ``--answers``."""
    parser.add_argument("--answers", metavar="A", required=required, help=help)


def add_evaluation(parser: Parser) -> None:
    """Add ``--answers``, ``--metrics`` and the settings of the interval."""
    add_answers(parser)
    parser.add_argument(
        "--metrics",
        metavar="M",
        nargs="+",
        default=list(EvaluateConfig.metrics),
        help="ndcg, recall, precision, mrr, map or hit, with a cut-off such as ndcg@5",
    )
    parser.add_class_arguments(EvaluateConfig, None, skip={"metrics"})


def add_out(parser: Parser, help: str = OUT_FILE) -> None:
    """Add the required ``--out``."""
    parser.add_argument("--out", metavar="F", required=True, help=help)


def add_device(parser: Parser) -> None:
    """Add ``--device``."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")


def check_inputs(*paths: str | None) -> None:
    """Raise UsageError if two inputs are standard input."""
    if paths.count(STDIN) > 1:
        raise UsageError("standard input (-) can be read once; use a file for the other input")


def check_output(path: str) -> None:
    """Raise, before the work, if a run could not be written to ``path`` after it."""
    resolve_output(path)
    run_format(path)


def config_from(kind: type[Config], args: Any) -> Config:
    """A settings object from the options of the same names."""
    return kind(**settings_from(args, kind))


def settings_from(args: Any, *kinds: type) -> dict[str, Any]:
    """The fields of settings classes as keyword arguments, from the options of the same names."""
    values = {field.name: args[field.name] for kind in kinds for field in fields(kind)}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
