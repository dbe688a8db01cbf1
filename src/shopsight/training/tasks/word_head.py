"""Training task of the word head."""

from __future__ import annotations

from torch import Tensor

from shopsight import losses
from shopsight.batches.batch import PairBatch
from shopsight.batches.click_dataset import ClickedPairs
from shopsight.config import NegativesConfig
from shopsight.models.word_head import WordClassifier
from shopsight.training.tasks.base import Options, Task


class WordHeadTask(Task):
    """Softmax over all words, towards those of all queries that the product was clicked for."""

    model: WordClassifier

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """The part "words"."""
        assert batch.product_words is not None
        logits = self.model.words(self.model.pooled(batch.regions))  # (U, L)
        targets = self.model.label_targets(batch.product_words)
        clicked = batch.product_idx
        return {"words": losses.label_softmax(logits[clicked], targets[clicked])}

    def batch_options(self, pairs: ClickedPairs, negatives: NegativesConfig, phase: int) -> Options:  # noqa: ARG002
        """The words of all queries of a product."""
        return {"with_words": True}
