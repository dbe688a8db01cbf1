"""Training task of the dual encoder (docs/method.md, section 9)."""

from __future__ import annotations

import torch
from torch import Tensor

from shopsight import losses
from shopsight.batches.augment import mask_token
from shopsight.batches.batch import PairBatch
from shopsight.batches.click_dataset import ClickedPairs
from shopsight.batches.false_negatives import positive_mask
from shopsight.config import DualConfig, NegativesConfig
from shopsight.models.dual import Dual
from shopsight.training.distributed import gather_rows
from shopsight.training.global_batch import GlobalBatch
from shopsight.training.tasks.base import Options, Task


class DualTask(Task):
    """Vectors of both sides, InfoNCE over the batch (van den Oord et al., 2018)."""

    model: Dual
    config: DualConfig

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """The part "softmax", a mean over the towers."""
        tokens = batch.queries
        if self.training:
            tokens = mask_token(tokens, self.config.word_drop, self.model.unknown)
        global_batch = GlobalBatch.of(batch, self.context)
        products = global_batch.products(self.model.encode_products(batch.regions))
        local = self.model.tower_matrices(self.model.encode_queries(tokens), products)
        positive = positive_mask(global_batch.batch, self.config.false_negatives, self.special_ids)
        scale, margin = self.model.scale, self.config.margin
        # Each tower has a loss of its own: towers that shared one would make the same errors.
        towers = [
            losses.info_nce(scores, global_batch.product_idx, positive, scale, margin)
            for scores in (gather_rows(rows, self.context) for rows in local)  # (B, U) each
        ]
        return {"softmax": torch.stack(towers).mean()}

    def batch_options(self, pairs: ClickedPairs, negatives: NegativesConfig, phase: int) -> Options:  # noqa: ARG002
        """Groups of like queries, which make all batches of the second phase."""
        config, groups = self.config, pairs.groups
        return {
            "group_labels": groups.last_word if config.phase2_by == "last-word" else groups.cluster,
            "hard_fraction": config.hard_fraction if phase == 1 else 1.0,
            "hard_from_epoch": config.hard_from_epoch if phase == 1 else 0,
            "with_words": config.false_negatives == "subset",
        }
