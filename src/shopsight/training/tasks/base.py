"""What is learned in each stage: a model, its losses on a batch, and what may change how fast.

With several processes each loss part is a mean over this process's rows, or, where rows compete
in the batch, the loss of the whole batch (see `shopsight.training.distributed`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from shopsight import losses
from shopsight.batches.augment import drop_token, mask_token
from shopsight.batches.batch import PairBatch
from shopsight.batches.false_negatives import positive_mask
from shopsight.config import (
    DualConfig,
    LabelMatchConfig,
    SentenceMatchConfig,
    TrainConfig,
    WordMatchConfig,
)
from shopsight.config.train import FalseNegatives
from shopsight.models.dual import Dual
from shopsight.models.label_match import LabelMatch
from shopsight.models.sentence_match import SentenceMatch
from shopsight.models.word_match import WordMatch
from shopsight.training.distributed import DistributedContext, gather_rows
from shopsight.training.global_batch import GlobalBatch


class Task(nn.Module):
    """A stage's model with its losses.

    Attributes:
        name: the stage.
        model: whose weights are trained and kept.
    """

    name: str
    model: nn.Module

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """The parts of the loss by name; training lowers their sum."""
        raise NotImplementedError

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """What the optimizer changes: groups with "params", "lr" and "weight_decay"."""
        return _groups(self.model, config)


class LabelMatchTask(Task):
    """Words of the query as labels of the photo, and the query as its caption (method 3)."""

    name = "label-match"
    model: LabelMatch

    def __init__(self, model: LabelMatch, config: LabelMatchConfig) -> None:
        super().__init__()
        self.model, self.config = model, config

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """Parts "labels" and, unless its weight is 0, "caption"."""
        code = self.model.encoder(batch.regions)
        at, config = batch.product_idx, self.config
        logits = self.model.label_logits(code)[at]  # (B, V)
        targets = self.model.label_targets(batch.queries)
        if config.labels == "product":
            assert batch.product_words is not None
            targets = self.model.label_targets(batch.product_words)[at]
        parts = {
            "labels": losses.bce_with_hard_negatives(logits, targets, config.hardest_negatives)
        }
        if config.caption_weight:
            read = batch.queries
            if self.training:
                read = mask_token(read, config.word_drop, self.model.special.unk)
            found = losses.caption_cross_entropy(
                *self.model.caption_logits(code.caption[at], read), len(batch)
            )
            parts["caption"] = config.caption_weight * found
        return parts


class WordMatchTask(Task):
    """Weighted words against heads, with hard negatives and those of the batch (method 4)."""

    name = "word-match"
    model: WordMatch
    ignored: Tensor

    def __init__(
        self, model: WordMatch, config: WordMatchConfig, world: DistributedContext, ignored: Tensor
    ) -> None:
        super().__init__()
        self.model, self.config, self.world = model, config, world
        self.register_buffer("ignored", ignored)

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """Parts "product", "query" and "hardest" of the hinges, or "softmax"."""
        tokens = batch.queries
        if self.training:
            tokens = drop_token(tokens, self.config.word_drop)
        queries = self.model.encode_queries(tokens)
        products = self.model.encode_products(batch.regions)
        whole = GlobalBatch.of(batch, self.world)
        rule = self.config.false_negatives
        if self.config.loss == "softmax":
            columns = whole.products(products)
            scores = gather_rows(self.model.score_matrix(queries, columns), self.world)
            positive = _positives(whole, rule, self.ignored)
            scale = self.config.scale
            found = losses.info_nce(scores, whole.product_idx, positive, scale)
            return {"softmax": found}
        assert batch.negative_queries is not None
        assert batch.negative_product_idx is not None
        margin, rows = self.config.margin, torch.arange(len(batch), device=tokens.ids.device)
        others = self.model.encode_queries(batch.negative_queries)
        clicked = self.model.score_pairs(queries, products, rows, batch.product_idx)
        wrong_product = self.model.score_pairs(queries, products, rows, batch.negative_product_idx)
        wrong_query = self.model.score_pairs(others, products, rows, batch.product_idx)
        parts = {
            "product": losses.margin_ranking(clicked, wrong_product, margin),
            "query": losses.margin_ranking(clicked, wrong_query, margin),
        }
        if self.config.hardest:
            columns = whole.products(products).take(whole.product_idx)
            square = gather_rows(self.model.score_matrix(queries, columns), self.world)
            positive = _positives(whole, rule, self.ignored)[:, whole.product_idx]
            parts["hardest"] = losses.max_hinge(square, positive, margin)
        return parts

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """The encoder at its own rate, the rest at the stage's."""
        return _matching_groups(self.model, config, self.config)


class SentenceMatchTask(Task):
    """A GRU that reads the query with the photo in mind, pair by pair (method 5)."""

    name = "sentence-match"
    model: SentenceMatch

    def __init__(self, model: SentenceMatch, config: SentenceMatchConfig) -> None:
        super().__init__()
        self.model, self.config = model, config

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """The part "pairs": clicked, with a wrong query, with a wrong product."""
        assert batch.negative_queries is not None
        assert batch.negative_product_idx is not None
        tokens = batch.queries
        if self.training:
            tokens = drop_token(tokens, self.config.word_drop)
        products = self.model.encode_products(batch.regions)
        queries = self.model.encode_queries(tokens)
        others = self.model.encode_queries(batch.negative_queries)
        rows = torch.arange(len(batch), device=tokens.ids.device)
        both = self.model.score_pairs(
            queries,
            products,
            torch.cat([rows, rows]),
            torch.cat([batch.product_idx, batch.negative_product_idx]),
        )
        clicked, wrong_product = both.chunk(2)
        wrong_query = self.model.score_pairs(others, products, rows, batch.product_idx)
        return {"pairs": losses.binary_cross_entropy(clicked, wrong_query, wrong_product)}

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """The encoder at its own rate, the rest at the stage's."""
        return _matching_groups(self.model, config, self.config)


class DualTask(Task):
    """Vectors of both sides, softmax over the batch in both directions (method 9)."""

    name = "dual"
    model: Dual
    ignored: Tensor

    def __init__(
        self, model: Dual, config: DualConfig, world: DistributedContext, ignored: Tensor
    ) -> None:
        super().__init__()
        self.model, self.config, self.world = model, config, world
        self.register_buffer("ignored", ignored)

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """The part "softmax", a mean over the towers."""
        tokens = batch.queries
        if self.training:
            tokens = mask_token(tokens, self.config.word_drop, self.model.unknown)
        whole = GlobalBatch.of(batch, self.world)
        products = whole.products(self.model.encode_products(batch.regions))
        own = self.model.tower_matrices(self.model.encode_queries(tokens), products)
        positive = _positives(whole, self.config.false_negatives, self.ignored)
        scale, margin = self.model.scale, self.config.margin
        found = [
            losses.info_nce(scores, whole.product_idx, positive, scale, margin)
            for scores in (gather_rows(one, self.world) for one in own)  # (B, U) each
        ]
        return {"softmax": torch.stack(found).mean()}


def _positives(whole: GlobalBatch, rule: FalseNegatives, ignored: Tensor) -> Tensor:
    return positive_mask(whole.batch, rule, ignored)


def _group(parameters: Iterable[nn.Parameter], rate: float, decay: float) -> dict[str, Any]:
    return {"params": list(parameters), "lr": rate, "weight_decay": decay}


def _groups(
    model: nn.Module, config: TrainConfig, but: frozenset[nn.Parameter] = frozenset()
) -> list[dict[str, Any]]:
    """What is trained of a model but some; single numbers do not decay."""
    trained = [one for one in model.parameters() if one.requires_grad and one not in but]
    return [
        _group((one for one in trained if one.dim()), config.lr, config.weight_decay),
        _group((one for one in trained if not one.dim()), config.lr, 0.0),
    ]


def _matching_groups(
    model: WordMatch | SentenceMatch,
    config: TrainConfig,
    stage: WordMatchConfig | SentenceMatchConfig,
) -> list[dict[str, Any]]:
    slow = [one for one in model.encoder.parameters() if one.requires_grad]
    encoder = _group(slow, stage.encoder_lr, stage.encoder_weight_decay)
    return [encoder, *_groups(model, config, frozenset(slow))]
