"""Whether a run and its judgements speak of the same queries and products.

Ids are compared as strings. A spreadsheet that drops leading zeros, or a data frame that turns ids
into floats, makes them different strings, and every score 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from shopsight.errors import UsageError, pluralise
from shopsight.formats.fields import unlike_ids
from shopsight.types import Qrels, Run

_HARDLY_ANY = 0.05


def require_common_queries(run: Run, queries: Iterable[str], owner: str = "the answers") -> None:
    """Raise UsageError, with a query of either side, if a run shares none of the queries."""
    others = list(queries)
    if len(run) and others and not set(others) & set(run.pools.query_ids):
        ours, theirs, alike = unlike_ids(run.pools.query_ids, others)
        reason = f"{run.name}: it has no query in common with {owner}"
        raise UsageError(f"{reason} (it has {ours!r}, they have {theirs!r}{alike})")


def coverage_warnings(run: Run, qrels: Qrels) -> list[str]:
    """Sentences about ids that a run and its judgements spell differently.

    Also about relevant products that are hardly ever among the candidates of their query.
    """
    warnings = []
    ranked = dict.fromkeys(run.pools.query_ids)
    unranked = [query for query in qrels.relevance if query not in ranked]
    ignored = [query for query in ranked if query not in qrels.relevance]
    ours, theirs, alike = unlike_ids(ignored, unranked)
    if alike:
        warnings.append(f"the run has query {ours!r}, the answers {theirs!r}{alike}")
    missed: list[tuple[str, str]] = []
    relevant = 0
    for query, grades in qrels.relevance.items():
        if query in ranked:
            candidates = set(run.pools.of(query))
            products = [product for product, grade in grades.items() if grade > 0]
            relevant += len(products)
            missed += [(query, product) for product in products if product not in candidates]
    known = set(run.pools.product_ids.tolist())
    absent = dict.fromkeys(product for _, product in missed if product not in known)
    ours, theirs, alike = unlike_ids(sorted(known), list(absent))
    found = relevant - len(missed)
    if missed and (found <= _HARDLY_ANY * relevant or alike):
        count = f"only {found:,}" if found else "none"
        noun = pluralise(relevant, "relevant product")
        reason = f"{count} of {noun} {'are' if found > 1 else 'is'} a candidate of its query"
        if not alike:
            query, theirs = missed[0]
            ours = next(iter(run.pools.of(query)), "no candidate")
            reason += f": of query {query!r}"
        warnings.append(f"{reason}: the run has {ours!r}, the answers {theirs!r}{alike}")
    return warnings
