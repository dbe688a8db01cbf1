"""Training task of sentence match (docs/method.md, section 5)."""

from __future__ import annotations

import torch
from torch import Tensor

from shopsight import losses
from shopsight.batches.augment import drop_token
from shopsight.batches.batch import PairBatch
from shopsight.config import SentenceMatchConfig
from shopsight.models.sentence_match import SentenceMatch
from shopsight.training.tasks.base import MatchingTask


class SentenceMatchTask(MatchingTask):
    """A binary classifier of pairs: clicked, with a wrong query, with a wrong product."""

    model: SentenceMatch
    config: SentenceMatchConfig

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """The part "pairs"."""
        assert batch.negative_queries is not None
        assert batch.negative_product_idx is not None
        tokens = batch.queries
        if self.training:
            tokens = drop_token(tokens, self.config.word_drop)
        products = self.model.encode_products(batch.regions)
        queries = self.model.encode_queries(tokens)
        negative_queries = self.model.encode_queries(batch.negative_queries)
        rows = torch.arange(len(batch), device=tokens.ids.device)
        # Both pairs of a query go through the GRU together, which reads its words only once.
        both = self.model.score_pairs(
            queries,
            products,
            torch.cat([rows, rows]),
            torch.cat([batch.product_idx, batch.negative_product_idx]),
        )
        clicked, wrong_product = both.chunk(2)
        wrong_query = self.model.score_pairs(negative_queries, products, rows, batch.product_idx)
        wrong = self.without_positives(batch, wrong_query, wrong_product)
        return {"pairs": losses.binary_cross_entropy(clicked, *wrong)}
