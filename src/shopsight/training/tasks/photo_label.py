"""Training task of photo label: by default without an epoch, since its word head is trained."""

from __future__ import annotations

import torch
from torch import Tensor

from shopsight.batches.batch import PairBatch
from shopsight.models.photo_label import PhotoLabel
from shopsight.training.tasks.base import Task


class PhotoLabelTask(Task):
    """Softmax over all labels of the clicked query's words."""

    model: PhotoLabel

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """The part "softmax"."""
        queries = self.model.encode_queries(batch.queries)
        products = self.model.encode_products(batch.regions)
        rows = torch.arange(len(batch), device=batch.product_idx.device)
        scores = self.model.score_pairs(queries, products, rows, batch.product_idx)
        return {"softmax": -scores.mean()}
