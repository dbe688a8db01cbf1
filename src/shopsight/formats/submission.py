"""The competition's submission: the best five products of every query, best first."""

from __future__ import annotations

from pathlib import Path

from shopsight.errors import InputError, pluralise
from shopsight.formats.atomic import atomic_write
from shopsight.formats.runs import best_first
from shopsight.types import Pools, Run

PLACES = 5
HEADER = ",".join(["query-id", *(f"product{place + 1}" for place in range(PLACES))])


def submission(run: Run, pools: Pools | None = None) -> dict[str, list[str]]:
    """The five products of each query, checked.

    Args:
        run: the scores.
        pools: if given, exactly these queries must be there, with products of their own pool.

    Returns:
        ``{query id: five distinct product ids, best first}``.

    Raises:
        InputError: a query with fewer than five products, missing, not asked for, or with a
            product from outside its pool; the sentence names the query.
    """
    chosen = {query: [product for product, _ in pairs[:PLACES]] for query, pairs in best_first(run)}
    short = [query for query, products in chosen.items() if len(set(products)) < PLACES]
    if short:
        has = pluralise(len(set(chosen[short[0]])), "distinct product")
        raise _refusal(run, f"has {has}, a submission needs {PLACES}", short)
    if pools is not None:
        _check_against(chosen, pools, run)
    return chosen


def write_submission(run: Run, path: str | Path, pools: Pools | None = None) -> int:
    """Write ``submission.csv`` and return how many queries it has.

    Args:
        run: the scores.
        path: where; an existing file is replaced once the new one is whole.
        pools: see `submission`.

    Raises:
        InputError: see `submission`; also an id that a line of CSV cannot carry.
        OutputError: the file cannot be written.
    """
    chosen = submission(run, pools)
    unfit = [query for query, products in chosen.items() if not _fits([query, *products])]
    if unfit:
        raise _refusal(run, "has an id with a comma, a quote or a line end", unfit)
    with atomic_write(path) as file:
        file.write(HEADER + "\n")
        file.writelines(",".join([query, *products]) + "\n" for query, products in chosen.items())
    return len(chosen)


def _check_against(chosen: dict[str, list[str]], pools: Pools, run: Run) -> None:
    missing = [query for query in pools.query_ids if query not in chosen]
    if missing:
        raise _refusal(run, "of the pools is missing", missing)
    asked = set(pools.query_ids)
    extra = [query for query in chosen if query not in asked]
    if extra:
        raise _refusal(run, "is not among the pools", extra)
    for query, products in chosen.items():
        outside = sorted(set(products) - set(pools.of(query)))
        if outside:
            raise _refusal(run, f"got product {outside[0]!r}, which is not in its pool", [query])


def _fits(ids: list[str]) -> bool:
    return not any(set(one) & {",", '"', "\n", "\r", "\t"} or one.strip() != one for one in ids)


def _refusal(run: Run, what: str, queries: list[str]) -> InputError:
    others = pluralise(len(queries) - 1, "more query", "more queries")
    more = f" (and {others})" if len(queries) > 1 else ""
    return InputError(f"query {queries[0]!r} {what}{more}", path=run.name)
