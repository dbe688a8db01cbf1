"""Runs and relevance judgements as objects that read and write files, dicts and data frames."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from shopsight import types
from shopsight.errors import UsageError
from shopsight.formats import qrels as qrels_files
from shopsight.formats import runs as run_files
from shopsight.formats.atomic import atomic_write
from shopsight.formats.candidates import CandidateFile, read_candidates
from shopsight.formats.fields import parse_grade, parse_id, parse_score

if TYPE_CHECKING:
    import pandas as pd

_QRELS_TREC = (".trec", ".txt", ".qrels")


class Run(types.Run):
    """A ranking: the scores of the candidates of each query, higher is better.

    Build it with `from_dict`, `from_dataframe` or `read_run`.
    """

    @classmethod
    def from_dict(cls, scores: Mapping[str, Mapping[str, float]], name: str = "run") -> Self:
        """Build from ``{query id: {product id: score}}``. Raises UsageError for invalid values.

        >>> Run.from_dict({"q1": {"a": 0.5, "b": 2.0}})
        Run('run', 1 query, 2 candidates)
        """
        return super().from_dict(_checked(scores, parse_score), name)

    @classmethod
    def from_dataframe(cls, frame: pd.DataFrame, name: str = "run") -> Self:
        """Build from a data frame with columns query_id, product_id and score.

        Raises:
            UsageError: a missing column, an invalid value, or a pair that occurs twice.
        """
        return cls.from_dict(_nested(frame, "score"), name)

    @classmethod
    def of(cls, run: types.Run) -> Self:
        """The same run with the methods of this class."""
        return run if isinstance(run, cls) else cls(run.pools, run.scores, run.name)

    def save(self, path: str | Path) -> None:
        """Write a file: .json, .trec, .csv or .tsv, and ".gz" to compress it.

        Raises:
            UsageError: another extension.
            OutputError: the file cannot be written, or its format cannot hold an id.
        """
        run_files.write_run(self, path)


class Qrels(types.Qrels):
    """Relevance judgements: a grade per query and product, above 0 if relevant.

    Build it with `from_dict`, `from_dataframe` or `read_qrels`.
    """

    @classmethod
    def from_dict(cls, relevance: Mapping[str, Mapping[str, int] | Iterable[str]]) -> Self:
        """Build from ``{query id: {product id: grade}}`` or ``{query id: [relevant products]}``.

        >>> Qrels.from_dict({"q1": ["a", "b"], "q2": {"c": 2}})
        Qrels(2 queries, 3 judgements)
        """
        graded = {
            query: grades if isinstance(grades, Mapping) else dict.fromkeys(grades, 1)
            for query, grades in relevance.items()
        }
        return cls(_checked(graded, parse_grade))

    @classmethod
    def from_dataframe(cls, frame: pd.DataFrame) -> Self:
        """Build from a data frame with columns query_id, product_id and grade.

        Raises:
            UsageError: a missing column, an invalid value, or a pair that occurs twice.
        """
        return cls.from_dict(_nested(frame, "grade"))

    def save(self, path: str | Path) -> None:
        """Write TREC qrels (.trec, .qrels, .txt) or JSON (any other extension).

        Raises:
            OutputError: the file cannot be written.
        """
        with atomic_write(path) as file:
            if Path(path).suffix in _QRELS_TREC:
                for row in self.records():
                    file.write(f"{row['query_id']} 0 {row['product_id']} {row['grade']}\n")
            else:
                json.dump(self.to_dict(), file, ensure_ascii=False, indent=0)


RunLike = types.Run | str | Path | Mapping[str, Mapping[str, float]]
QrelsLike = types.Qrels | str | Path | Mapping[str, Any]


def read_run(path: str | Path, name: str | None = None) -> Run:
    """Read a ranking in any supported format: JSON, TREC, CSV, TSV or submission.csv, also gzipped.

    The format is detected from the content; "-" is standard input.

    Args:
        path: the file.
        name: the run's name in tables; default: the file name without extension.

    Raises:
        InputError: an unreadable file, an unknown format, an invalid id or score, a duplicate.
    """
    return Run.of(run_files.read_run(path, name))


def read_qrels(path: str | Path) -> Qrels:
    """Read relevance judgements: the competition's JSON or TREC qrels, also gzipped.

    Raises:
        InputError: an unreadable file, an unknown format, an invalid id or grade, a duplicate.
    """
    return Qrels(qrels_files.read_qrels(path).relevance)


def as_run(run: RunLike) -> Run:
    """A run from a run, a path, a nested dict or a data frame."""
    if isinstance(run, types.Run):
        return Run.of(run)
    if isinstance(run, str | Path):
        return read_run(run)
    return Run.from_dict(run) if isinstance(run, Mapping) else Run.from_dataframe(run)


def as_runs(runs: Sequence[RunLike]) -> list[Run]:
    """Runs with distinct names: the file's name, else its path, else that with "again"."""
    items = [as_run(run) for run in runs]
    counts = Counter(run.name for run in items)
    names: dict[str, None] = {}
    for run, source in zip(items, runs, strict=True):
        is_path = isinstance(source, str | Path)
        name = str(source) if is_path and counts[run.name] > 1 else run.name
        while name in names:
            name += " again"
        names[name] = None
    return [Run(run.pools, run.scores, name) for run, name in zip(items, names, strict=True)]


def as_qrels(answers: QrelsLike) -> types.Qrels:
    """Relevance judgements from judgements, a path, a nested dict or a data frame."""
    if isinstance(answers, types.Qrels):
        return answers
    if isinstance(answers, str | Path):
        return read_qrels(answers)
    return (
        Qrels.from_dict(answers) if isinstance(answers, Mapping) else Qrels.from_dataframe(answers)
    )


def as_candidates(pools: types.Pools | types.Run | str | Path | Mapping[str, Any]) -> CandidateFile:
    """Candidate pools, with query texts where a file has them."""
    if isinstance(pools, str | Path):
        return read_candidates(pools)
    if isinstance(pools, Mapping):
        return CandidateFile(types.Pools.from_dict(pools), None)
    return CandidateFile(pools.pools if isinstance(pools, types.Run) else pools, None)


def _checked(
    table: Mapping[str, Mapping[str, Any]], parse: Callable[[Any], Any]
) -> dict[str, dict[str, Any]]:
    """The same dict with ids as strings and parsed values."""
    result: dict[str, dict[str, Any]] = {}
    for query, row in table.items():
        try:
            values = {
                # Values of numpy and pandas become Python's own.
                parse_id(product, "product id"): parse(getattr(value, "item", lambda v=value: v)())
                for product, value in row.items()
            }
            result[parse_id(query, "query id")] = values
        except ValueError as error:
            raise UsageError(f"query {query!r}: {error}") from error
    return result


def _nested(frame: Any, value: str) -> dict[str, dict[str, Any]]:
    columns = ("query_id", "product_id", value)
    if missing := [name for name in columns if name not in frame.columns]:
        raise UsageError(
            f"the data frame has no column {missing[0]} (expected: {', '.join(columns)})"
        )
    table: dict[str, dict[str, Any]] = {}
    for query, product, cell in zip(*(frame[name].tolist() for name in columns), strict=True):
        row = table.setdefault(query, {})
        if product in row:
            raise UsageError(f"duplicate product {product!r} for query {query!r}")
        row[product] = cell
    return table
