"""Training task of label match (docs/method.md, section 3)."""

from __future__ import annotations

from torch import Tensor

from shopsight import losses
from shopsight.batches.augment import mask_token
from shopsight.batches.batch import PairBatch
from shopsight.batches.click_dataset import ClickedPairs
from shopsight.config import LabelMatchConfig, NegativesConfig
from shopsight.models.label_match import LabelMatch
from shopsight.training.tasks.base import Options, Task


class LabelMatchTask(Task):
    """Words of the query as labels of the photo, and the query as its caption."""

    model: LabelMatch
    config: LabelMatchConfig

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """Parts "labels" and, unless its weight is 0, "caption"."""
        encoded = self.model.encoder(batch.regions)
        product_idx, config = batch.product_idx, self.config
        logits = self.model.label_logits(encoded)[product_idx]  # (B, V)
        targets = self.model.label_targets(batch.queries)
        if config.labels == "product":
            assert batch.product_words is not None
            targets = self.model.label_targets(batch.product_words)[product_idx]
        if config.loss == "softmax":
            parts = {"labels": losses.label_softmax(logits, targets)}
        else:
            hardest = config.hardest_negatives
            parts = {"labels": losses.bce_with_hard_negatives(logits, targets, hardest)}
        if config.caption_weight:
            tokens = batch.queries
            if self.training:
                tokens = mask_token(tokens, config.word_drop, self.model.special.unk)
            predictions = self.model.caption_logits(encoded.caption[product_idx], tokens)
            loss = losses.caption_cross_entropy(*predictions, len(batch))
            parts["caption"] = config.caption_weight * loss
        return parts

    def batch_options(self, pairs: ClickedPairs, negatives: NegativesConfig, phase: int) -> Options:  # noqa: ARG002
        """The words of all queries of a product, where these are its labels."""
        return {"with_words": self.config.labels == "product"}
