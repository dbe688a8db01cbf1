"""Candidates of training queries, scored once by an ensemble of trained models (the teacher)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from shopsight.batches.candidates import ScoredCandidates
from shopsight.batches.click_dataset import ClickedPairs, TokenLists
from shopsight.config import CandidatesConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import TRAIN, VALID
from shopsight.formats.atomic import make_folder, write_npy
from shopsight.inference.ensemble import ENSEMBLE, Ensemble, fit_ensembles
from shopsight.inference.evaluate import HEADLINE
from shopsight.inference.ranker import Ranker
from shopsight.metrics.evaluate import Evaluator
from shopsight.ranking.fusion import normalise
from shopsight.text.recombine import recombined
from shopsight.types import AnyArray, IntArray, Pools

_CHUNK = 4096  # queries between two files, which a killed process does not repeat
_BLOCK = 1 << 26  # scores of queries and products that are compared at once

Note = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Teacher:
    """The ensemble of some trained models of a run, and the queries that it answers.

    Args:
        ranker: the run.
        data: its prepared folder.
        pairs: the clicked pairs.
        config: teachers and candidates.
        seed: of made queries and drawn candidates.
    """

    ranker: Ranker
    data: PreparedData
    pairs: ClickedPairs
    config: CandidatesConfig
    seed: int

    def build(self, folder: Path, note: Note) -> None:
        """Score the candidates chunk by chunk, each into a file of the folder that appears whole.

        Raises:
            OutputError: a file cannot be written.
        """
        texts = self._texts()
        missing = [start for start in _chunks(texts) if not _file(folder, "scores", start).exists()]
        if not missing:
            return
        make_folder(folder)
        ensemble = self.ensemble()
        products = np.unique(self.pairs.products)
        ids = [self.data.products[product] for product in products]
        vectors = torch.from_numpy(self.ranker.encode_products(self.data, ids))
        for start in missing:
            note(f"teacher: {ensemble.summary}; queries {start:,} to {len(texts):,}")
            part = texts[start : start + _CHUNK]
            queries = torch.from_numpy(self.ranker.encode_queries(part))
            depth = min(self.config.nearest + self.config.near_depth, len(products))
            chosen = self._choose(start, products[_nearest(queries, vectors, depth)], products)
            write_npy(_file(folder, "products", start), chosen)
            write_npy(_file(folder, "scores", start), self._scores(ensemble, part, chosen))

    def load(self, folder: Path) -> ScoredCandidates:
        """The candidates that `build` scored."""
        texts, vocabulary = self._texts(), self.ranker.vocabulary
        products, scores = (
            np.concatenate([np.load(_file(folder, kind, start)) for start in _chunks(texts)])
            for kind in ("products", "scores")
        )
        rows = np.repeat(np.arange(len(self._clicks)), list(map(len, self._clicks)))
        clicks, count = np.concatenate(self._clicks), len(self.data.products)
        # Padding, -1, must not become the last product of the row before.
        keys = np.where(products < 0, -1, np.arange(len(texts))[:, None] * count + products)
        tokens = TokenLists.of(vocabulary.encode(texts), vocabulary.pad)
        clicked = np.isin(keys, rows * count + clicks)
        words = self.pairs.product_words
        return ScoredCandidates(tokens, products, clicked, scores.astype(np.float32), words)

    @cached_property
    def _clicks(self) -> list[IntArray]:
        """The distinct products of each distinct clicked query."""
        count = len(self.data.products)
        keys = np.unique(self.pairs.texts * count + self.pairs.products)
        texts, products = np.divmod(keys, count)
        return np.split(products, np.flatnonzero(np.diff(texts)) + 1)

    def _texts(self) -> list[str]:
        """The distinct clicked queries, and those made from their words."""
        table = self.data.queries(TRAIN)
        queries = self.pairs.groups.query[np.unique(self.pairs.texts)]
        clicked = [table.texts[query] for query in queries]
        count = round(self.config.made * len(clicked))
        return clicked + recombined(clicked, count, np.random.default_rng([self.seed, 1]))

    def ensemble(self) -> Ensemble:
        """The ensemble of the teachers, with weights fitted to the validation split."""
        names, evaluator = self.config.teachers, Evaluator(self.data.qrels(VALID))
        runs = {name: self.ranker.kept(self.data, VALID, name) for name in names}
        fusion, seed = self.ranker.folder.recipe.fusion, self.ranker.folder.recipe.seed
        if len(runs) > 1:
            return fit_ensembles(runs, evaluator, HEADLINE, fusion, seed)[-1].ensemble
        score = float(evaluator.per_query(runs[names[0]], HEADLINE).mean())
        return Ensemble(ENSEMBLE, {names[0]: 1.0}, fusion, score, score)

    def _choose(self, start: int, nearest: IntArray, products: IntArray) -> IntArray:
        """(n, C) candidates of a chunk of queries, of which -1 is padding."""
        config, rng = self.config, np.random.default_rng([self.seed, 2, start])
        chosen = np.full((len(nearest), config.count), -1, np.int64)
        none = [np.empty(0, np.int64)] * len(nearest)
        clicks = [*self._clicks[start : start + len(nearest)], *none]
        for row, ranked in enumerate(nearest):
            parts = [
                rng.permutation(clicks[row])[: config.clicked],
                ranked[: config.nearest],
                rng.permutation(ranked[config.nearest :])[: config.near],
                products[rng.integers(len(products), size=config.random)],
            ]
            # Of equal products the first is kept.
            together = np.concatenate(parts)
            kept = together[np.sort(np.unique(together, return_index=True)[1])]
            chosen[row, : len(kept)] = kept
        return chosen

    def _scores(self, ensemble: Ensemble, texts: list[str], chosen: IntArray) -> AnyArray:
        """(n, C) z-scores of the ensemble, 0 at padding."""
        names, real = tuple(map(str, range(len(texts)))), chosen >= 0
        ids = np.array(self.data.products, object)[chosen[real]]
        pools = Pools(names, np.append(0, np.cumsum(real.sum(1))), ids)
        by_name = dict(zip(names, texts, strict=True))
        runs = {
            name: self.ranker.score(self.data, pools, by_name, name) for name in ensemble.weights
        }
        scores = np.zeros(chosen.shape)
        scores[real] = normalise(ensemble.fuse(runs), "zscore").scores
        return scores


def _nearest(queries: torch.Tensor, products: torch.Tensor, count: int) -> NDArray[np.int64]:
    """(Q, count) the products of largest inner product, best first."""
    rows = max(1, _BLOCK // len(products))
    best = [(part @ products.T).topk(count, dim=1).indices for part in torch.split(queries, rows)]
    return torch.cat(best).numpy()


def _chunks(texts: list[str]) -> range:
    return range(0, len(texts), _CHUNK)


def _file(folder: Path, kind: str, start: int) -> Path:
    return folder / f"{kind}-{start:09d}.npy"
