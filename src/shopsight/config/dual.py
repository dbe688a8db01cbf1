"""Settings of the dual encoder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from shopsight.config.checks import POSITIVE, PROBABILITY, check_ranges, indivisible
from shopsight.config.encoder import FeaturesConfig
from shopsight.config.model import ModelConfig
from shopsight.config.train import FalseNegatives, TrainConfig
from shopsight.errors import UsageError


def _train() -> TrainConfig:
    return TrainConfig(
        epochs=10,
        batch=256,
        lr=1e-3,
        weight_decay=1e-2,
        optimizer="adamw",
        schedule="cosine",
        warmup_steps=100,
        clip=5.0,
    )


@dataclass(frozen=True)
class DualConfig(ModelConfig):
    """The dual encoder: one vector per side, compared by cosine (docs/method.md, section 9).

    Args:
        train: training of the first phase.
        features: preprocessing of region features.
        vectors: "own" word vectors learned with it, or the "shared" ones of the recipe, frozen,
            with a Linear after them.
        min_count: own words in fewer training queries become the unknown token.
        width: width of all layers.
        direct: no Linear before the image layers, which are then as wide as the features.
        out: dimension of the vector of each tower.
        towers: independent dual encoders whose cosines are averaged; cost is proportional.
        text: text encoder: transformer layers, a bidirectional GRU before them, or none ("bag").
        text_layers: transformer layers over words (none with "bag").
        positions: add learned position embeddings to words.
        text_pool: pooling of words.
        image_layers: transformer layers over regions.
        image_pool: pooling of regions.
        mean_region: append the mean of the regions as a further region.
        boxes: add the boxes to the features.
        heads: attention heads.
        feedforward: hidden width of the feed-forward layers, as a multiple of the width.
        dropout: dropout in all layers.
        word_dropout: dropout on word vectors.
        word_drop: probability that a query gets an unknown token in place of a word, per word.
        scale: factor on cosines before the softmax (inverse temperature).
        learn_scale: train the factor too, from `scale` on.
        margin: subtracted from the cosine of the clicked pair (additive margin softmax).
        false_negatives: pairs of a batch that are not negatives.
        hard_fraction: fraction of the first phase's batches that consist of like queries.
        hard_from_epoch: epochs before `hard_fraction` applies.
        phase2_epochs: epochs of the second phase, whose batches all consist of like queries.
        phase2_lr_factor: its learning rate, falling to 0, as a multiple of `train.lr`.
        phase2_batch: clicked pairs in its batches; 0 is the number of the first phase.
        phase2_by: the group that makes queries alike.
    """

    from_scratch: ClassVar[str] = "vectors=own"

    train: TrainConfig = field(default_factory=_train)
    features: FeaturesConfig = field(default_factory=lambda: FeaturesConfig(standardise=True))
    vectors: Literal["own", "shared"] = "own"
    min_count: int = 2
    width: int = 256
    direct: bool = False
    out: int = 256
    towers: int = 1
    text: Literal["transformer", "gru", "bag"] = "transformer"
    text_layers: int = 2
    positions: bool = True
    text_pool: Literal["attention", "mean", "max", "first"] = "attention"
    image_layers: int = 2
    image_pool: Literal["attention", "mean", "max", "first"] = "mean"
    mean_region: bool = True
    boxes: bool = True
    heads: int = 4
    feedforward: int = 2
    dropout: float = 0.1
    word_dropout: float = 0.1
    word_drop: float = 0.1
    scale: float = 16.0
    learn_scale: bool = False
    margin: float = 0.05
    false_negatives: FalseNegatives = "subset"
    hard_fraction: float = 0.0
    hard_from_epoch: int = 2
    phase2_epochs: int = 4
    phase2_lr_factor: float = 0.1
    phase2_batch: int = 0
    phase2_by: Literal["last-word", "cluster"] = "last-word"

    def __post_init__(self) -> None:
        check_ranges(self, width=1, out=1, towers=1, heads=1, feedforward=1)
        check_ranges(self, min_count=0, text_layers=0, image_layers=0, margin=0, scale=POSITIVE)
        check_ranges(self, hard_from_epoch=0, phase2_epochs=0, phase2_batch=0)
        check_ranges(self, dropout=PROBABILITY, word_dropout=PROBABILITY, word_drop=PROBABILITY)
        check_ranges(self, hard_fraction=PROBABILITY)
        if self.width % self.heads:
            raise UsageError(f"width {self.width} cannot be divided among {self.heads} heads")

    @property
    def phases(self) -> tuple[TrainConfig, ...]:
        """The first phase, and the second unless it has no epochs."""
        if not self.phase2_epochs:
            return (self.train,)
        second = replace(
            self.train,
            epochs=self.phase2_epochs,
            lr=self.train.lr * self.phase2_lr_factor,
            batch=self.phase2_batch or self.train.batch,
            schedule="cosine",
            final_lr_fraction=0.0,
            warmup_steps=0,
        )
        return (self.train, second)

    @property
    def pretrained(self) -> bool:
        """True if the word vectors are those of label match."""
        return self.vectors == "shared"

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Recipe keys, beside those of itself and of `starts_from`, that decide the weights."""
        if self.pretrained:
            return super().depends_on
        # Merged plurals change the tokens of every model, also of one with vectors of its own.
        return ("seed", "words.merge_plurals", "negatives")

    def check_width(self, width: int) -> None:
        """Raise UsageError if the features, or the heads that read them, cannot have this width."""
        width = self.features.output_width(width)
        if self.direct and width % self.heads:
            raise indivisible(width, self.heads, "dual.heads")
