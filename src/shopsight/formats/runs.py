"""Read and write runs: JSON, TREC, CSV and TSV, detected by content, written best first."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from shopsight.errors import OutputError, UsageError
from shopsight.formats.atomic import atomic_write
from shopsight.formats.content import read_bytes
from shopsight.formats.row_reader import parse_rows
from shopsight.types import Run


def read_run(path: str | Path, name: str | None = None) -> Run:
    """Read a run; its format is detected from the content and not from the file name.

    Formats: JSON ``{"q": [["p", score], ...]}`` or ``{"q": {"p": score}}``; a TREC run of six
    columns; query, product and score in three columns (tab, comma or blank) or under a header
    that names them; ``submission.csv``, scored by rank. Any of them gzipped; "-" is standard
    input. The run's default name is the file name without its endings.

    Raises:
        InputError: unreadable, an unknown format, an invalid id or score, a duplicate pair.
    """
    rows = parse_rows(read_bytes(path), path, "run")
    rows.check_duplicates(path)
    pools, order = rows.pack()
    return Run(pools, rows.values[order], name or run_name(path))


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
    with open_output(path) as write:
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
def open_output(path: str | Path) -> Iterator[Callable[[str], object]]:
    """Yield the ``write`` of a text file, written atomically, gzipped if its name ends in .gz."""
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
