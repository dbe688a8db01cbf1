"""A training task: a model, its losses on a batch, and what the optimizer changes.

With several processes each loss part is that of this process's rows or, where rows compete in the
batch, of the global batch (see `shopsight.training.distributed`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shopsight.batches.batch import PairBatch
from shopsight.batches.click_dataset import ClickedPairs
from shopsight.batches.false_negatives import drawn_positives
from shopsight.config import NegativesConfig, TrainConfig
from shopsight.config.matching import MatchingConfig
from shopsight.models.image_encoder import ImageEncoder
from shopsight.models.registry import PRETRAINING
from shopsight.models.word_vectors import WordVectors
from shopsight.training.distributed import DistributedContext
from shopsight.weights import load_part

Options = dict[str, Any]


class Task(nn.Module):
    """A model with its losses and its contract with the loader.

    ``special_ids`` are token ids that are not words: they never make a pair a false negative.
    """

    special_ids: Tensor

    def __init__(
        self,
        model: Any,
        config: Any,
        context: DistributedContext | None = None,
        special_ids: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.model, self.config, self.context = model, config, context or DistributedContext()
        ids = torch.empty(0, dtype=torch.int64) if special_ids is None else special_ids
        self.register_buffer("special_ids", ids)

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """The parts of the loss by name; training minimises their sum."""
        raise NotImplementedError

    def batch_options(self, pairs: Any, negatives: NegativesConfig, phase: int) -> Options:  # noqa: ARG002
        """Keyword arguments of the `Loader` of a phase, from 1: negatives, groups, words."""
        return {}

    def start(self, weights_of: Callable[[str], Path]) -> None:
        """Load what the settings take from earlier stages, whose weights are files by name."""
        if self.config.pretrained:
            # Found by class: the towers of a dual encoder hold copies of the vectors.
            for part in self.model.modules():
                if isinstance(part, ImageEncoder | WordVectors):
                    prefix = "encoder." if isinstance(part, ImageEncoder) else "words."
                    load_part(weights_of(PRETRAINING), prefix, part)

    def freeze(self) -> None:
        """Exclude the parts from training that the settings leave as they are."""

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """Parameter groups of the optimizer: "params", "lr" and "weight_decay"."""
        return weights_and_scalars(self.model.parameters(), config)


class MatchingTask(Task):
    """A task that fine-tunes the image encoder slowly under newly added layers."""

    config: MatchingConfig

    def batch_options(self, pairs: ClickedPairs, negatives: NegativesConfig, phase: int) -> Options:  # noqa: ARG002
        """A hard negative query and product for every pair, and words that tell false ones."""
        return {
            "negatives": pairs.sampler(self.config.negatives, negatives),
            "with_words": self.config.false_negatives == "subset",
        }

    def without_positives(
        self, batch: PairBatch, wrong_query: Tensor, wrong_product: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Scores (B,) of drawn negatives, -inf for those that are none: they add no loss."""
        rule = self.config.false_negatives
        queries, products = drawn_positives(batch, rule, self.special_ids)
        filled = wrong_query.masked_fill(queries, -torch.inf)
        return filled, wrong_product.masked_fill(products, -torch.inf)

    def freeze(self) -> None:
        """Freeze the trunk and the word vectors unless the settings train them."""
        if not self.config.train_trunk:
            self.model.encoder.freeze_trunk(dropout=self.config.trunk_dropout)
        self.model.words.requires_grad_(self.config.train_words)

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """The encoder with its own learning rate, the added layers with that of the stage."""
        encoder = list(_trained(self.model.encoder.parameters()))
        inside = set(encoder)
        added = (weight for weight in self.model.parameters() if weight not in inside)
        return [
            _group(encoder, self.config.encoder_lr, self.config.encoder_weight_decay),
            *weights_and_scalars(added, config),
        ]


def weights_and_scalars(
    parameters: Iterable[nn.Parameter], config: TrainConfig
) -> list[dict[str, Any]]:
    """Groups of the trained parameters with weight decay, and without it for scalars.

    A scalar is a temperature or a slope, for which 0 is not a sensible prior.
    """
    trained = list(_trained(parameters))
    return [
        _group([weight for weight in trained if weight.dim()], config.lr, config.weight_decay),
        _group([weight for weight in trained if not weight.dim()], config.lr, 0.0),
    ]


def _trained(parameters: Iterable[nn.Parameter]) -> Iterable[nn.Parameter]:
    return (weight for weight in parameters if weight.requires_grad)


def _group(parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> dict[str, Any]:
    return {"params": list(parameters), "lr": lr, "weight_decay": weight_decay}
