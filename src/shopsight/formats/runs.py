"""Runs as files: the reference's JSON, TREC, CSV and TSV, read by content, written best first."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from shopsight.errors import InputError, OutputError, UsageError, unknown_name
from shopsight.formats.atomic import atomic_write
from shopsight.formats.score_rows import ScoreRows, read_score_rows
from shopsight.types import IntArray, Pools, Run


def read_run(path: str | Path, name: str | None = None) -> Run:
    """Read a run of any known shape, found by content and not by file name.

    Shapes: JSON ``{"q": [["p", score], ...]}`` or ``{"q": {"p": score}}``; a TREC run of six
    columns; query, product and score in three columns (tab, comma or blank) or under a header
    that names them; ``submission.csv``, whose scores are by place. Any of them gzipped; "-" is
    standard input.

    Args:
        path: the file.
        name: what tables call the run; the file's name without its endings if left out.

    Raises:
        InputError: unreadable, of no known shape, a bad id or score, a pair that stands twice.
    """
    rows = read_score_rows(path)
    pools, order = pack_rows(rows)
    twice = first_duplicate(pools)
    if twice is not None:
        earlier, later = order[twice[0]], order[twice[1]]
        query, product = rows.queries[later], rows.products[later]
        reason = f"product {product!r} stands twice for query {query!r}"
        if not rows.lines:
            raise InputError(reason, path=path)
        reason += f" (first in line {rows.lines[earlier]})"
        raise InputError(reason, path=path, line=rows.lines[later])
    return Run(pools, np.asarray(rows.scores, np.float64)[order], name or run_name(path))


def pack_rows(rows: ScoreRows) -> tuple[Pools, IntArray]:
    """Group rows by query.

    Returns:
        the pools, and (N,) which row each candidate came from; the order of the file is kept
        inside a query.
    """
    place = {query: i for i, query in enumerate(rows.query_ids)}
    index = np.fromiter((place[query] for query in rows.queries), np.int64, len(rows.queries))
    order = np.argsort(index, kind="stable")
    offsets = np.zeros(len(place) + 1, np.int64)
    np.cumsum(np.bincount(index, minlength=len(place)), out=offsets[1:])
    products = np.empty(len(order), object)
    products[:] = rows.products
    return Pools(tuple(place), offsets, products[order]), order


def first_duplicate(pools: Pools) -> tuple[int, int] | None:
    """Two positions that hold the same product for the same query, if there are any."""
    by_id = pools.by_id_descending
    rank, query = pools.id_rank[by_id], pools.query_idx[by_id]
    same = np.flatnonzero((rank[1:] == rank[:-1]) & (query[1:] == query[:-1]))
    if not len(same):
        return None
    return int(by_id[same[0]]), int(by_id[same[0] + 1])


def run_name(path: str | Path) -> str:
    """The name a run gets from its file.

    >>> run_name("scores/valid_imagebert.tsv.gz")
    'valid_imagebert'
    """
    return Path(path).name.removesuffix(".gz").rsplit(".", 1)[0] or str(path)


def write_run(run: Run, path: str | Path, shape: str | None = None) -> None:
    """Write a run, best first, floats so that they read back exactly.

    Args:
        run: what to write.
        path: where; replaced only once the file is whole, gzipped if the name ends in ".gz".
        shape: "json", "trec", "csv" or "tsv"; by the ending of ``path`` if left out.

    Raises:
        UsageError: a shape that is not known, or an ending that tells none.
        OutputError: cannot be written, or an id does not fit the shape (a comma in CSV).
    """
    shape = shape or shape_of(path)
    if shape not in _WRITERS:
        raise unknown_name("shape of run", shape, list(_WRITERS))
    write = _WRITERS[shape]
    with _writing(path) as put:
        write(run, put, str(path))


def shape_of(path: str | Path) -> str:
    """The shape that the ending of a file's name stands for: json, trec, csv or tsv.

    Raises:
        UsageError: an ending that tells none.

    >>> shape_of("fused.json.gz")
    'json'
    """
    ending = Path(Path(path).name.removesuffix(".gz")).suffix.lower()
    if ending not in _ENDINGS:
        known = ", ".join(_ENDINGS)
        raise UsageError(f"{path}: the ending does not tell the file's shape (known: {known})")
    return _ENDINGS[ending]


def best_first(run: Run) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    """Each query with its (product, score) pairs, best first."""
    products: list[str] = run.pools.product_ids[run.order].tolist()
    scores: list[float] = run.scores[run.order].tolist()
    bounds = run.pools.offsets.tolist()
    for query, start, end in zip(run.pools.query_ids, bounds[:-1], bounds[1:], strict=True):
        yield query, list(zip(products[start:end], scores[start:end], strict=True))


Put = Callable[[str], Any]


def _write_json(run: Run, put: Put, path: str) -> None:  # noqa: ARG001
    before = "{"
    for query, pairs in best_first(run):
        put(f"{before}{json.dumps(query)}: {json.dumps(pairs)}")
        before = ",\n"
    put("}\n" if before != "{" else "{}\n")


def _write_trec(run: Run, put: Put, path: str) -> None:
    tag = "_".join(run.name.split()) or "run"
    for query, pairs in best_first(run):
        _check_ids(query, pairs, str.split, "blanks", path)
        for place, (product, score) in enumerate(pairs, start=1):
            put(f"{query} Q0 {product} {place} {score!r} {tag}\n")


def _write_csv(run: Run, put: Put, path: str) -> None:
    _write_table(run, put, path, ",")


def _write_tsv(run: Run, put: Put, path: str) -> None:
    _write_table(run, put, path, "\t")


def _write_table(run: Run, put: Put, path: str, separator: str) -> None:
    def split(text: str) -> list[str]:
        plain = text.strip() == text and not set(text) & {"\n", "\r", "\t", '"'}
        return text.split(separator) if plain else []

    put(separator.join(("query_id", "product_id", "score")) + "\n")
    for query, pairs in best_first(run):
        _check_ids(query, pairs, split, "quotes, line ends or separators", path)
        for product, score in pairs:
            put(f"{query}{separator}{product}{separator}{score!r}\n")


_WRITERS = {"json": _write_json, "trec": _write_trec, "csv": _write_csv, "tsv": _write_tsv}
_ENDINGS = {".json": "json", ".trec": "trec", ".run": "trec", ".csv": "csv", ".tsv": "tsv"}


def _check_ids(
    query: str,
    pairs: list[tuple[str, float]],
    split: Callable[[str], list[str]],
    what: str,
    path: str,
) -> None:
    for one in (query, *(product for product, _ in pairs)):
        if split(one) != [one]:
            reason = f"id {one!r} holds {what}, which this shape cannot carry; write JSON instead"
            raise OutputError(f"{path}: {reason}")


@contextmanager
def _writing(path: str | Path) -> Iterator[Put]:
    if not str(path).endswith(".gz"):
        with atomic_write(path) as file:
            yield file.write
        return
    with (
        atomic_write(path, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
    ):
        yield lambda text: packed.write(text.encode())
