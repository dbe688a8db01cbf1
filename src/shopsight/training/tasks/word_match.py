"""Training task of word match (docs/method.md, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from shopsight import losses
from shopsight.batches.augment import drop_token
from shopsight.batches.batch import PairBatch
from shopsight.batches.false_negatives import positive_mask
from shopsight.config import WordMatchConfig
from shopsight.models.word_match import WordMatch, WordProducts, WordQueries
from shopsight.training.distributed import gather_rows
from shopsight.training.global_batch import GlobalBatch
from shopsight.training.tasks.base import MatchingTask


class WordMatchTask(MatchingTask):
    """Weighted words against heads, with drawn negatives and those of the batch."""

    model: WordMatch
    config: WordMatchConfig

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """Parts "product", "query" and "hardest" of the hinges, or "softmax"."""
        tokens = batch.queries
        if self.training:
            tokens = drop_token(tokens, self.config.word_drop)
        queries = self.model.encode_queries(tokens)
        products = self.model.encode_products(batch.regions)
        parts = {}
        if self.config.loss == "hinge":
            parts = self._drawn_negatives(batch, queries, products)
            if not self.config.hardest:
                return parts
        global_batch = GlobalBatch.of(batch, self.context)
        columns, product_idx = global_batch.products(products), global_batch.product_idx
        rule = self.config.false_negatives
        positive = positive_mask(global_batch.batch, rule, self.special_ids)  # (B, U)
        if self.config.loss == "softmax":
            scores = gather_rows(self.model.score_matrix(queries, columns), self.context)
            return {"softmax": losses.info_nce(scores, product_idx, positive, self.config.scale)}
        # The max hinge compares along both sides of a square: column i is the product of query i.
        columns, positive = columns.take(product_idx), positive[:, product_idx]
        square = gather_rows(self.model.score_matrix(queries, columns), self.context)
        parts["hardest"] = losses.max_hinge(square, positive, self.config.margin)
        return parts

    def _drawn_negatives(
        self, batch: PairBatch, queries: WordQueries, products: WordProducts
    ) -> dict[str, Tensor]:
        assert batch.negative_queries is not None
        assert batch.negative_product_idx is not None
        rows = torch.arange(len(batch), device=batch.product_idx.device)
        negative_queries = self.model.encode_queries(batch.negative_queries)
        score, margin = self.model.score_pairs, self.config.margin
        clicked = score(queries, products, rows, batch.product_idx)
        wrong_product = score(queries, products, rows, batch.negative_product_idx)
        wrong_query = score(negative_queries, products, rows, batch.product_idx)
        wrong_query, wrong_product = self.without_positives(batch, wrong_query, wrong_product)
        return {
            "product": losses.margin_ranking(clicked, wrong_product, margin),
            "query": losses.margin_ranking(clicked, wrong_query, margin),
        }
