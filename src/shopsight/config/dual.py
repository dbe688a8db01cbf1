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
    """The dual encoder (method section 9): one vector a side, cosine, softmax over the batch.

    Args:
        train: how its first phase is trained.
        features: what happens to region features first.
        vectors: "own" word vectors learned with it, or the "shared" ones of the recipe, frozen,
            with a Linear after them.
        min_count: own words that fewer training queries hold are the unknown token.
        width: width of all layers.
        direct: no Linear in front of the image layers, which are then as wide as the features.
        out: numbers per vector, of each tower.
        towers: dual encoders that learn for themselves, and whose cosines are averaged; training
            and encoding take that many times as long.
        text: what reads the words: transformer layers, a bidirectional GRU and then transformer
            layers, or nothing ("bag").
        text_layers: transformer layers over words (none with "bag").
        positions: add learned position vectors to words.
        text_pool: how words become one vector.
        image_layers: transformer layers over regions.
        image_pool: how regions become one vector.
        mean_region: append the mean of the regions as one more region.
        boxes: add the boxes to the features.
        heads: attention heads.
        feedforward: hidden width of the layers' second half, as a multiple of the width.
        dropout: dropout in all layers.
        word_dropout: dropout on word vectors.
        word_drop: chance of each word of a clicked query to be the one replaced by the unknown
            token.
        scale: factor on cosines before the softmax.
        learn_scale: train the factor too, from ``scale`` on.
        margin: what is subtracted from the cosine of the clicked pair.
        false_negatives: which pairs of a batch are no negatives.
        hard_fraction: share of the first phase's batches that are drawn as in the second phase.
        hard_from_epoch: epochs before ``hard_fraction`` begins.
        phase2_epochs: epochs of the second phase, whose batches hold like queries only.
        phase2_lr_factor: its rate, falling to 0, as a multiple of the first phase's.
        phase2_batch: clicked pairs in its batches; 0 is the first phase's number.
        phase2_by: what the queries of such a batch share.
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
        """Refuse numbers that make no sense."""
        check_ranges(
            self,
            min_count=0,
            width=1,
            out=1,
            towers=1,
            text_layers=0,
            image_layers=0,
            heads=1,
            feedforward=1,
            margin=0,
            hard_from_epoch=0,
            phase2_epochs=0,
            phase2_batch=0,
            dropout=PROBABILITY,
            word_dropout=PROBABILITY,
            word_drop=PROBABILITY,
            hard_fraction=PROBABILITY,
            scale=POSITIVE,
        )
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
        """Whether the word vectors are those of label match."""
        return self.vectors == "shared"

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Recipe keys, beside its own, that decide the weights of the stage."""
        if self.pretrained:
            return super().depends_on
        # Merged plurals change the tokens of every model, also of one with vectors of its own.
        return ("seed", "words.merge_plurals", "negatives")

    def check_width(self, width: int) -> None:
        """Raise UsageError if the features, or the heads that read them, cannot have this width."""
        width = self.features.output_width(width)
        if self.direct and width % self.heads:
            raise indivisible(width, self.heads, "dual.heads")
