"""Training task of the student (docs/method.md, section 10)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from shopsight import losses
from shopsight.batches.batch import CandidateBatch
from shopsight.config import StudentConfig
from shopsight.models.dual import Student
from shopsight.models.registry import RETRIEVAL
from shopsight.training.tasks.base import Task
from shopsight.weights import load_part


class StudentTask(Task):
    """Cosines that rank the candidates of a query as the teacher does."""

    model: Student
    config: StudentConfig

    def losses(self, batch: CandidateBatch) -> dict[str, Tensor]:
        """The part "imitation"."""
        products = self.model.encode_products(batch.regions)
        scores = self.model.score_matrix(self.model.encode_queries(batch.queries), products)
        ours = self.model.scale * scores.gather(1, batch.candidate_idx)  # (B, C)
        teacher = batch.teacher / self.config.temperature
        return {"imitation": losses.listwise_kl(ours, teacher, batch.mask)}

    def start(self, weights_of: Callable[[str], Path]) -> None:
        """Start from the first towers of the dual encoder."""
        if self.config.start == RETRIEVAL:
            for number, tower in enumerate(self.model.towers):
                load_part(weights_of(RETRIEVAL), f"towers.{number}.", tower)
