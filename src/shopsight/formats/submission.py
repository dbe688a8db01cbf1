"""The competition's submission: the best five products of every query, best first."""

from __future__ import annotations

from pathlib import Path

from shopsight.errors import InputError, pluralise
from shopsight.formats.atomic import atomic_write
from shopsight.formats.runs import best_first
from shopsight.types import Pools, Run

DEPTH = 5
HEADER = ",".join(["query-id", *(f"product{rank}" for rank in range(1, DEPTH + 1))])


def submission(run: Run, pools: Pools | None = None) -> dict[str, list[str]]:
    """``{query id: five distinct product ids, best first}``, checked against ``pools`` if given.

    Raises:
        InputError: a query with fewer than five products, missing, unexpected, or with a product
            from outside its pool.
    """
    ranked = {query: [product for product, _ in pairs[:DEPTH]] for query, pairs in best_first(run)}
    short = [query for query, products in ranked.items() if len(set(products)) < DEPTH]
    if short:
        has = pluralise(len(set(ranked[short[0]])), "distinct product")
        raise _error(run, f"has {has}, a submission needs {DEPTH}", short)
    if pools is not None:
        _check_against(ranked, pools, run)
    return ranked


def write_submission(run: Run, path: str | Path, pools: Pools | None = None) -> int:
    """Write ``submission.csv`` atomically; returns the number of queries.

    Raises:
        InputError: see `submission`; also an id that a line of CSV cannot hold.
        OutputError: the file cannot be written.
    """
    ranked = submission(run, pools)
    unfit = [query for query, products in ranked.items() if not _fits([query, *products])]
    if unfit:
        raise _error(run, "has an id with a comma, a quote or a line end", unfit)
    with atomic_write(path) as file:
        file.write(HEADER + "\n")
        file.writelines(",".join([query, *products]) + "\n" for query, products in ranked.items())
    return len(ranked)


def _check_against(ranked: dict[str, list[str]], pools: Pools, run: Run) -> None:
    expected = set(pools.query_ids)
    if missing := [query for query in pools.query_ids if query not in ranked]:
        raise _error(run, "of the pools is missing", missing)
    if extra := [query for query in ranked if query not in expected]:
        raise _error(run, "is not among the pools", extra)
    for query, products in ranked.items():
        if outside := sorted(set(products) - set(pools.of(query))):
            raise _error(run, f"got product {outside[0]!r}, which is not in its pool", [query])


def _fits(ids: list[str]) -> bool:
    return not any(set(text) & set(',"\n\r\t') or text.strip() != text for text in ids)


def _error(run: Run, reason: str, queries: list[str]) -> InputError:
    others = pluralise(len(queries) - 1, "more query", "more queries")
    more = f" (and {others})" if len(queries) > 1 else ""
    return InputError(f"query {queries[0]!r} {reason}{more}", path=run.name)
