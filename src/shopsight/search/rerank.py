"""Ranking candidates again with the run's ensemble: the same numbers as ``shopsight rank``.

Every model scores every candidate from stored codes; scores are normalised within the candidates
of the query, weighted and added as `shopsight.inference.ensemble.Ensemble` does it. A normalised
score depends on the candidates beside it, so the same product may score otherwise at another
depth; of the same candidates, the result is that of ``shopsight rank``, up to the number format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from shopsight.models.base import Encodings
from shopsight.models.registry import model_spec
from shopsight.ranking.fusion import fusion_terms, weighted_sum
from shopsight.ranking.run import align, top_k
from shopsight.search.encoders import SearchModels
from shopsight.search.snapshot import Snapshot
from shopsight.types import FloatArray, IntArray, Pools, Run

_PRODUCTS = 8192  # whose codes are read together


@dataclass(frozen=True, eq=False)
class Ranked:
    """Candidates of Q queries with their scores.

    Attributes:
        run: queries are named "0", "1"...
        rows: (N,) the index's row of each candidate.
        contributions: by model, (N,) what it adds to the score.
    """

    run: Run
    rows: IntArray
    contributions: Mapping[str, FloatArray]

    def best(self, query: int, k: int) -> IntArray:
        """(n,) places of a query's best candidates, best first."""
        start, stop = self.run.pools.offsets[query : query + 2].tolist()
        order: IntArray = self.run.order[start : min(stop, start + k)]
        return order


def candidate_pools(snapshot: Snapshot, found: Sequence[IntArray]) -> tuple[Pools, IntArray]:
    """The candidates of each query as pools, and their rows end to end.

    Args:
        snapshot: the index.
        found: for each query, (n,) rows.
    """
    rows = np.concatenate([*found, np.empty(0, np.int64)]).astype(np.int64)
    distinct, at = np.unique(rows, return_inverse=True)
    names = np.array([*snapshot.ids(distinct), None], object)[:-1]
    offsets = np.cumsum([0, *map(len, found)]).astype(np.int64)
    return Pools(tuple(map(str, range(len(found)))), offsets, names[at.reshape(-1)]), rows


def rerank_pools(
    models: SearchModels,
    snapshot: Snapshot,
    queries: Mapping[str, Encodings],
    pools: Pools,
    rows: IntArray,
) -> Ranked:
    """Score candidates with every model of the ensemble.

    Args:
        models: of the index.
        snapshot: the index.
        queries: codes of the Q queries by model.
        pools: the candidates of each.
        rows: (N,) their rows.
    """
    ensemble = models.ensemble
    runs: dict[str, Run] = {}
    for name in ensemble.weights:
        shortlist, depth = model_spec(name).shortlist_by, models.folder.recipe.model(name).depth
        if depth and shortlist in models.names:
            first = runs[shortlist] if shortlist in runs else _run(
                models, snapshot, queries, pools, rows, shortlist
            )  # fmt: skip
            best = Pools.from_dict(top_k(first, depth))
            inside = dict(zip(pools.product_ids.tolist(), rows.tolist(), strict=True))
            at = np.array([inside[one] for one in best.product_ids.tolist()], np.int64)
            runs[name] = _run(models, snapshot, queries, best, at, name)
        else:
            runs[name] = _run(models, snapshot, queries, pools, rows, name)
    every = Run(pools, np.zeros(len(rows)))  # also what the models at a depth left out
    aligned = align([every, *runs.values()]).runs[1:]
    terms = [_in_order(one, pools) for one in fusion_terms(aligned, ensemble.config)]
    weights = list(ensemble.weights.values())
    contributions = {
        name: weight * term.scores
        for (name, weight), term in zip(ensemble.weights.items(), terms, strict=True)
    }
    return Ranked(weighted_sum(terms, weights), rows, contributions)


def retrieved_only(pools: Pools, rows: IntArray, cosines: FloatArray, model: str) -> Ranked:
    """Candidates as they were recalled."""
    return Ranked(Run(pools, cosines), rows, {model: cosines})


def _run(
    models: SearchModels,
    snapshot: Snapshot,
    queries: Mapping[str, Encodings],
    pools: Pools,
    rows: IntArray,
    name: str,
) -> Run:
    scores = np.empty(len(rows))
    order = np.argsort(rows, kind="stable")  # so that codes are read once, and in their order
    query_of = pools.query_idx
    with torch.inference_mode():
        for start in range(0, len(rows), _PRODUCTS):
            part = order[start : start + _PRODUCTS]
            distinct, at = np.unique(rows[part], return_inverse=True)
            found = models.model(name).score_pairs(
                queries[name],
                snapshot.encodings(name, distinct),
                torch.from_numpy(query_of[part]),
                torch.from_numpy(at.reshape(-1)),
            )
            scores[part] = found.double().numpy()
    return Run(pools, scores, name)


def _in_order(run: Run, pools: Pools) -> Run:
    """The same scores in the order of ``pools``, which aligning may have changed."""
    if run.pools is pools:
        return run
    known = {
        (query, product): score
        for query, product, score in zip(
            run.pools.query_idx.tolist(), run.pools.product_ids.tolist(), run.scores.tolist(),
            strict=True,
        )
    }  # fmt: skip
    keys = zip(pools.query_idx.tolist(), pools.product_ids.tolist(), strict=True)
    return Run(pools, np.array([known[key] for key in keys]), run.name)
