"""Training task of the cross-encoder (docs/method.md, section 12)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from shopsight import losses
from shopsight.batches.batch import CandidateBatch
from shopsight.batches.false_negatives import subset_mask
from shopsight.config import CrossConfig, TrainConfig
from shopsight.models.cross import Cross
from shopsight.models.registry import RETRIEVAL
from shopsight.training.tasks.base import Task, weights_and_scalars
from shopsight.weights import load_part


class CrossTask(Task):
    """Scores that rank the candidates of a query as the teacher does, and clicked ones first."""

    model: Cross
    config: CrossConfig

    def losses(self, batch: CandidateBatch) -> dict[str, Tensor]:
        """The parts "imitation" and "clicks", unless their weights are 0."""
        products = self.model.encode_products(batch.regions)
        queries = self.model.encode_queries(batch.queries)
        query_idx, column = batch.mask.nonzero(as_tuple=True)
        product_idx = batch.candidate_idx[query_idx, column]
        flat = self.model.score_pairs(queries, products, query_idx, product_idx)
        scores = flat.new_zeros(batch.mask.shape).index_put((query_idx, column), flat)  # (B, C)
        parts, config = {}, self.config
        if config.imitation:
            teacher = batch.teacher / config.temperature
            loss = losses.listwise_kl(scores, teacher, batch.mask)
            parts["imitation"] = config.imitation * loss
        if config.clicks:
            words = subset_mask(batch.queries, batch.product_words, self.special_ids)  # (B, U)
            negative = batch.mask & ~batch.clicked & ~words.gather(1, batch.candidate_idx)
            loss = losses.clicked_softmax(scores, batch.clicked & batch.mask, negative)
            parts["clicks"] = config.clicks * loss
        return parts

    def start(self, weights_of: Callable[[str], Path]) -> None:
        """Start from the towers of the dual encoder."""
        load_part(weights_of(RETRIEVAL), "towers.", self.model.towers)

    def freeze(self) -> None:
        """Freeze the towers unless they have a learning rate."""
        if not self.config.tower_lr:
            self.model.freeze_towers()

    def batch_options(self, *_: Any) -> dict[str, Any]:
        """The number of candidates of a query."""
        return {"sample": self.config.sample}

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """The towers with their own learning rate, the joint layers with that of the stage."""
        tower = [weight for weight in self.model.towers.parameters() if weight.requires_grad]
        inside = set(tower)
        joint = (weight for weight in self.model.parameters() if weight not in inside)
        own = {"params": tower, "lr": self.config.tower_lr, "weight_decay": config.weight_decay}
        return [own, *weights_and_scalars(joint, config)]
