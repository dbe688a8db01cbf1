"""Options and words that the commands on runs have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

from shopsight.cli.parser import Parser
from shopsight.config import EvaluateConfig
from shopsight.errors import UsageError
from shopsight.formats.atomic import resolve_output
from shopsight.formats.content import STDIN
from shopsight.formats.runs import read_run, shape_of
from shopsight.types import Run

RUN_FILE = "scores as JSON, TREC, CSV, TSV or submission.csv, gzipped or not"
OUT_FILE = "where to write it; the ending tells the shape: .json, .trec, .csv or .tsv (.gz)"
Config = TypeVar("Config")


def add_evaluation(parser: Parser) -> None:
    """Add ``--answers``, ``--metrics`` and the settings of the interval."""
    parser.add_argument(
        "--answers", metavar="A", required=True, help="competition JSON or TREC qrels"
    )
    parser.add_argument(
        "--metrics",
        metavar="M",
        nargs="+",
        default=list(EvaluateConfig.metrics),
        help="ndcg, recall, precision, mrr, map or hit, with a cut-off such as ndcg@5",
    )
    parser.add_class_arguments(EvaluateConfig, None, skip={"metrics"})


def check_inputs(*paths: str | None) -> None:
    """Refuse to read standard input twice."""
    if paths.count(STDIN) > 1:
        raise UsageError("standard input (-) can be read once; name a file for the other input")


def check_output(path: str) -> None:
    """Refuse before the work a file that a run could not be written to after it."""
    resolve_output(path)
    shape_of(path)


def config_from(kind: type[Config], given: Any) -> Config:
    """A settings object from parsed options of the same names."""
    values = {field.name: given[field.name] for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def read_runs(paths: Sequence[str]) -> list[Run]:
    """Read runs, each with a name of its own: its file's, its path, or that and a number."""
    runs = [read_run(path) for path in paths]
    times = Counter(one.name for one in runs)
    names: dict[str, None] = {}
    for one, path in zip(runs, paths, strict=True):
        name = one.name if times[one.name] == 1 else path
        while name in names:
            name += " again"
        names[name] = None
    return [Run(one.pools, one.scores, name) for one, name in zip(runs, names, strict=True)]
