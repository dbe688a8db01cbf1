"""Re-rank candidates with the run's ensemble, as ``shopsight rank`` does.

Every model scores the candidates from stored encodings; scores are normalised over the candidates
of a query, weighted and added (`shopsight.inference.ensemble.Ensemble`). A normalised score depends
on the other candidates, so a product's score changes with their number; for the same candidates it
equals that of ``shopsight rank`` up to the number format of the encodings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from shopsight.models.base import Encodings
from shopsight.models.registry import model_spec
from shopsight.ranking.fusion import fusion_terms, weighted_sum
from shopsight.ranking.run import lowest_scores
from shopsight.search.encoders import SearchModels
from shopsight.search.page import Found
from shopsight.search.snapshot import Snapshot
from shopsight.types import FloatArray, IntArray, Pools, Run

_BATCH = 8192  # pairs scored at once


@dataclass(frozen=True, eq=False)
class Ranked:
    """Candidates of Q queries, named "0", "1", ...: scores, rows (N,) and scores by model (N,)."""

    run: Run
    rows: IntArray
    contributions: Mapping[str, FloatArray]

    def found(self, query: int) -> Found:
        """The products of a query, best first."""
        order = self.run.order[slice(*self.run.pools.offsets[query : query + 2].tolist())]
        parts = {name: scores[order] for name, scores in self.contributions.items()}
        return Found(self.rows[order], self.run.scores[order], parts)


def candidate_pools(snapshot: Snapshot, query_rows: Sequence[IntArray]) -> tuple[Pools, IntArray]:
    """Each query's candidate rows (n,) as pools, and all rows (N,) concatenated."""
    rows = np.concatenate([*query_rows, np.empty(0, np.int64)]).astype(np.int64)
    distinct, inverse = np.unique(rows, return_inverse=True)
    # The None at the end keeps numpy from turning ids of equal length into a string array.
    ids = np.array([*snapshot.ids(distinct), None], object)[inverse.reshape(-1)]
    offsets = np.cumsum([0, *map(len, query_rows)]).astype(np.int64)
    return Pools(tuple(map(str, range(len(query_rows)))), offsets, ids), rows


def rerank_pools(
    models: SearchModels,
    snapshot: Snapshot,
    queries: Mapping[str, Encodings],
    pools: Pools,
    rows: IntArray,
) -> Ranked:
    """Score candidates, at rows (N,), with every model of the ensemble."""

    def score(name: str, candidates: IntArray) -> FloatArray:
        """(n,) scores of candidates (n,), which are positions in the pools."""
        scores = np.empty(len(candidates))
        # Ordered by row, so that encodings are read once and sequentially.
        order = np.argsort(rows[candidates], kind="stable")
        for start in range(0, len(order), _BATCH):
            batch = candidates[order[start : start + _BATCH]]
            distinct, product_idx = np.unique(rows[batch], return_inverse=True)
            products = snapshot.encodings(name, distinct)
            pairs = (pools.query_idx[batch], product_idx.reshape(-1))
            values = models.model(name).score_pairs(
                queries[name], products, *map(torch.from_numpy, pairs)
            )
            scores[order[start : start + _BATCH]] = values.double().numpy()
        return scores

    @cache
    def score_all(name: str) -> FloatArray:
        return score(name, np.arange(len(rows)))

    def run_of(name: str) -> Run:
        first, depth = model_spec(name).shortlist_by, models.folder.recipe.model(name).depth
        if not depth or first not in models.names:
            return Run(pools, score_all(name), name)
        ranks = np.arange(len(rows)) - pools.offsets[pools.query_idx]
        chosen: IntArray = Run(pools, score_all(first)).order[ranks < depth]
        return Run(pools, _fill_lowest(pools, chosen, score(name, chosen)), name)

    weights = models.ensemble.weights
    with torch.inference_mode():
        terms = fusion_terms([run_of(name) for name in weights], models.ensemble.config)
    scores = {name: weights[name] * term.scores for name, term in zip(weights, terms, strict=True)}
    return Ranked(weighted_sum(terms, list(weights.values())), rows, scores)


def _fill_lowest(pools: Pools, chosen: IntArray, scores: FloatArray) -> FloatArray:
    """(N,) scores; a candidate that was not scored gets its query's lowest, as in `align`."""
    known = np.empty(len(pools.query_idx))
    known[chosen] = scores
    filled: FloatArray = lowest_scores(pools, known, chosen)[pools.query_idx]
    filled[chosen] = scores
    return filled
