"""Read and write runs: JSON, TREC, CSV and TSV, detected by content, written best first."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from shopsight.errors import InputError, OutputError, UsageError
from shopsight.formats.atomic import atomic_write
from shopsight.formats.content import read_text
from shopsight.formats.score_rows import ScoreRows, parse_score_rows
from shopsight.types import IntArray, Pools, Run


def read_run(path: str | Path, name: str | None = None) -> Run:
    """Read a run; its format is detected from the content and not from the file name.

    Formats: JSON ``{"q": [["p", score], ...]}`` or ``{"q": {"p": score}}``; a TREC run of six
    columns; query, product and score in three columns (tab, comma or blank) or under a header
    that names them; ``submission.csv``, scored by rank. Any of them gzipped; "-" is standard
    input. The run's default name is the file name without its endings.

    Raises:
        InputError: unreadable, an unknown format, an invalid id or score, a duplicate pair.
    """
    rows = parse_score_rows(read_text(path), path)
    pools, order = pack_rows(rows)
    if duplicate := _first_duplicate(pools):
        earlier, later = order[list(duplicate)]
        reason = f"duplicate product {rows.products[later]!r} for query {rows.queries[later]!r}"
        if not rows.lines:
            raise InputError(reason, path=path)
        reason += f" (first in line {rows.lines[earlier]})"
        raise InputError(reason, path=path, line=rows.lines[later])
    return Run(pools, np.asarray(rows.scores, np.float64)[order], name or run_name(path))


def pack_rows(rows: ScoreRows) -> tuple[Pools, IntArray]:
    """Group rows by query, in file order inside a query.

    Returns:
        the pools, and the (N,) source row of each candidate.
    """
    number = {query: i for i, query in enumerate(rows.query_ids)}
    query_idx = np.fromiter((number[query] for query in rows.queries), np.int64, len(rows.queries))
    order = np.argsort(query_idx, kind="stable")
    offsets = np.zeros(len(number) + 1, np.int64)
    np.cumsum(np.bincount(query_idx, minlength=len(number)), out=offsets[1:])
    return Pools(tuple(number), offsets, np.array(rows.products, object)[order]), order


def _first_duplicate(pools: Pools) -> tuple[int, int] | None:
    """Two positions that hold the same product for the same query, if there are any."""
    by_id = pools.by_id_descending
    rank, query = pools.id_rank[by_id], pools.query_idx[by_id]
    same = np.flatnonzero((rank[1:] == rank[:-1]) & (query[1:] == query[:-1]))
    return (int(by_id[same[0]]), int(by_id[same[0] + 1])) if len(same) else None


def run_name(path: str | Path) -> str:
    """The name of a run, from its file.

    >>> run_name("scores/valid_imagebert.tsv.gz")
    'valid_imagebert'
    """
    return Path(path).name.removesuffix(".gz").rsplit(".", 1)[0] or str(path)


def write_run(run: Run, path: str | Path) -> None:
    """Write a run atomically, best first, with floats that read back exactly.

    The ending tells the format, see `run_format`; ".gz" after it compresses the file.

    Raises:
        UsageError: an unknown ending.
        OutputError: the file cannot be written, or an id does not fit the format (a comma in CSV).
    """
    lines = _WRITERS[run_format(path)]
    with _open_output(path) as write:
        try:
            for line in lines(run):
                write(line)
        except _UnfitIdError as error:
            raise OutputError(f"{path}: {error}") from error


def run_format(path: str | Path) -> str:
    """The format implied by the ending of a file name: json, trec, csv or tsv.

    Raises:
        UsageError: another ending.

    >>> run_format("fused.json.gz")
    'json'
    """
    ending = Path(Path(path).name.removesuffix(".gz")).suffix.lower()
    if ending not in _ENDINGS:
        known = ", ".join(_ENDINGS)
        raise UsageError(f"{path}: the ending does not tell the format (known: {known})")
    return _ENDINGS[ending]


def best_first(run: Run) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    """Each query with its (product, score) pairs, best first."""
    products: list[str] = run.pools.product_ids[run.order].tolist()
    scores: list[float] = run.scores[run.order].tolist()
    bounds = run.pools.offsets.tolist()
    for query, start, end in zip(run.pools.query_ids, bounds[:-1], bounds[1:], strict=True):
        yield query, list(zip(products[start:end], scores[start:end], strict=True))


def _json_lines(run: Run) -> Iterator[str]:
    before = "{"
    for query, pairs in best_first(run):
        yield f"{before}{json.dumps(query)}: {json.dumps(pairs)}"
        before = ",\n"
    yield "}\n" if before != "{" else "{}\n"


def _trec_lines(run: Run) -> Iterator[str]:
    tag = "_".join(run.name.split()) or "run"
    for query, pairs in best_first(run):
        _check_ids(query, pairs, str.split, "blanks")
        for rank, (product, score) in enumerate(pairs, start=1):
            yield f"{query} Q0 {product} {rank} {score!r} {tag}\n"


def _table_lines(run: Run, separator: str) -> Iterator[str]:
    def split(text: str) -> list[str]:
        plain = text.strip() == text and not set(text) & {"\n", "\r", "\t", '"'}
        return text.split(separator) if plain else []

    yield separator.join(("query_id", "product_id", "score")) + "\n"
    for query, pairs in best_first(run):
        _check_ids(query, pairs, split, "quotes, line ends or separators")
        for product, score in pairs:
            yield f"{query}{separator}{product}{separator}{score!r}\n"


_WRITERS: dict[str, Callable[[Run], Iterator[str]]] = {
    "json": _json_lines,
    "trec": _trec_lines,
    "csv": partial(_table_lines, separator=","),
    "tsv": partial(_table_lines, separator="\t"),
}
_ENDINGS = {".json": "json", ".trec": "trec", ".run": "trec", ".csv": "csv", ".tsv": "tsv"}


class _UnfitIdError(ValueError):
    """An id that the format cannot hold."""


def _check_ids(
    query: str, pairs: list[tuple[str, float]], split: Callable[[str], list[str]], unfit: str
) -> None:
    for text in (query, *(product for product, _ in pairs)):
        if split(text) != [text]:
            reason = f"id {text!r} holds {unfit}, which this format cannot hold"
            raise _UnfitIdError(f"{reason}; write JSON instead")


@contextmanager
def _open_output(path: str | Path) -> Iterator[Callable[[str], object]]:
    if not str(path).endswith(".gz"):
        with atomic_write(path) as file:
            yield file.write
        return
    with (
        atomic_write(path, "wb") as raw,
        # Without name and time, equal runs give equal files.
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
    ):
        yield lambda text: packed.write(text.encode())
