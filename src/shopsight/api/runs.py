"""Runs and relevance judgements as objects that read and write files, dicts and data frames."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from shopsight import types
from shopsight.errors import OutputError, UsageError
from shopsight.formats import qrels as qrels_files
from shopsight.formats import runs as run_files
from shopsight.formats.candidates import CandidateFile, read_candidates
from shopsight.formats.fields import parse_grade, parse_id, parse_score
from shopsight.formats.json_rows import column_layout
from shopsight.formats.layouts import SAMPLE, Kind

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

        The names of ranx, PyTerrier and BEIR are known too (q_id, docno, ...).

        Raises:
            UsageError: a missing column, an invalid value, or a pair that occurs twice.
        """
        return cls.from_dict(_nested(frame, "run"), name)

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
        return cls.from_dict(_nested(frame, "answers"))

    def save(self, path: str | Path) -> None:
        """Write TREC qrels (.trec, .qrels, .txt) or JSON (any other extension), also gzipped (.gz).

        Raises:
            OutputError: the file cannot be written, or TREC qrels cannot hold an id with blanks.
        """
        with run_files.open_output(path) as write:
            if Path(str(path).removesuffix(".gz")).suffix not in _QRELS_TREC:
                write(json.dumps(self.to_dict(), ensure_ascii=False, indent=0))
                return
            for row in self.records():
                line = f"{row['query_id']} 0 {row['product_id']} {row['grade']}"
                if len(line.split()) != 4:
                    raise OutputError(f"{path}: TREC qrels cannot hold the blanks in {line!r}")
                write(line + "\n")


RunLike = types.Run | str | Path | Mapping[str, Mapping[str, float]]
QrelsLike = types.Qrels | str | Path | Mapping[str, Any]


def read_run(path: str | Path, name: str | None = None) -> Run:
    """Read a ranking in any supported format: JSON, TREC, tables, Parquet or submission.csv.

    The format and its compression are detected from the content; "-" is standard input.

    Args:
        path: the file.
        name: the run's name in tables; default: the file name without extension.

    Raises:
        InputError: an unreadable file, an unknown format, an invalid id or score, a duplicate.
    """
    return Run.of(run_files.read_run(path, name))


def read_qrels(path: str | Path) -> Qrels:
    """Read relevance judgements: JSON, TREC qrels or tables; see `read_run`.

    Raises:
        InputError: an unreadable file, an unknown format, an invalid id or grade, a duplicate.
    """
    return Qrels(qrels_files.read_qrels(path).relevance)


def as_run(run: RunLike) -> Run:
    """A run from a run, a path, a nested dict, a data frame, or a ranx or ir_datasets object."""
    if isinstance(run, types.Run):
        return Run.of(run)
    if isinstance(run, str | Path):
        return read_run(run)
    if isinstance(run, Mapping):
        return Run.from_dict(run)
    if hasattr(run, "columns"):
        return Run.from_dataframe(run)
    return Run.from_dict(
        _foreign(run, "scoreddocs_iter", "score"), getattr(run, "name", "") or "run"
    )


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
    """Relevance judgements likewise; see `as_run`."""
    if isinstance(answers, types.Qrels):
        return answers
    if isinstance(answers, str | Path):
        return read_qrels(answers)
    if isinstance(answers, Mapping):
        return Qrels.from_dict(answers)
    if hasattr(answers, "columns"):
        return Qrels.from_dataframe(answers)
    return Qrels.from_dict(_foreign(answers, "qrels_iter", "relevance"))


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
            # Values of numpy and pandas become Python's own.
            values = {
                parse_id(_plain(product), "product id"): parse(_plain(value))
                for product, value in row.items()
            }
            query_id = parse_id(_plain(query), "query id")
            # 1, 1.0 and "1" are the same id.
            if query_id in result or len(values) < len(row):
                raise ValueError("an id occurs twice, as text and as a number")
            result[query_id] = values
        except ValueError as error:
            raise UsageError(f"query {query!r}: {error}") from error
    return result


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _foreign(source: Any, iterator: str, value: str) -> dict[str, dict[str, Any]]:
    """The content of an object of ranx, which has a dict, or of ir_datasets, which has rows."""
    if hasattr(source, iterator):
        table: dict[str, dict[str, Any]] = {}
        for row in getattr(source, iterator)():
            table.setdefault(row.query_id, {})[row.doc_id] = getattr(row, value)
        return table
    if not hasattr(source, "to_dict"):
        raise UsageError(f"a {type(source).__name__} is neither a file nor a table of {value}s")
    return dict(source.to_dict())


def _nested(frame: Any, kind: Kind) -> dict[str, dict[str, Any]]:
    columns = {str(name): frame[name].tolist() for name in dict.fromkeys(frame.columns)}
    first = islice(zip(*columns.values(), strict=True), SAMPLE)
    rows = [dict(zip(columns, row, strict=True)) for row in first]
    try:
        layout = column_layout(list(columns), rows, kind)
    except ValueError as error:
        raise UsageError(f"the data frame: {error}") from error
    cells = list(columns.values())
    wanted = (cells[column] for column in (layout.query, layout.product, layout.value or 0))
    table: dict[str, dict[str, Any]] = {}
    for query, product, cell in zip(*wanted, strict=True):
        row = table.setdefault(query, {})
        if product in row:
            raise UsageError(f"duplicate product {product!r} for query {query!r}")
        row[product] = -cell if layout.ranks else cell
    return table
