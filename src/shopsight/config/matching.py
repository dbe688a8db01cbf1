"""Settings of label match, word match and sentence match; defaults are the reference's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shopsight.config.checks import PROBABILITY, check_ranges
from shopsight.config.encoder import FeaturesConfig
from shopsight.config.model import ModelConfig
from shopsight.config.train import FalseNegatives, NegativesFrom, TrainConfig
from shopsight.errors import UsageError


def _label_match() -> TrainConfig:
    return TrainConfig(epochs=6, batch=200, lr=1e-4, weight_decay=1e-6, decay_per_epoch=0.96)


def _word_match() -> TrainConfig:
    return TrainConfig(epochs=5, batch=130, lr=1e-4, decay_per_epoch=0.95)


def _sentence_match() -> TrainConfig:
    return TrainConfig(epochs=2, batch=150, lr=1e-4, decay_per_epoch=0.95)


def _photo_label() -> TrainConfig:
    return TrainConfig(epochs=0, optimizer="adamw")


@dataclass(frozen=True)
class PhotoLabelConfig(ModelConfig):
    """Photo label: the word head of the region extractor, as it was trained on pixels.

    Args:
        train: further training on the stored features of clicked pairs; none by default.
    """

    train: TrainConfig = field(default_factory=_photo_label)

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Nothing beside its own settings and the data."""
        return ("seed",)


def _word_head() -> TrainConfig:
    return TrainConfig(
        epochs=14, batch=128, lr=1e-3, weight_decay=1e-2, optimizer="adamw", schedule="cosine"
    )


@dataclass(frozen=True)
class WordHeadConfig(ModelConfig):
    """Word head: two layers on pooled features that predict words, the learned baseline.

    Args:
        train: training of the stage.
        features: preprocessing of region features.
        hidden: width of the hidden layer.
        dropout: dropout of the pooled features.
        hidden_dropout: dropout of the hidden layer.
        min_count: words in fewer training queries do not become labels.
    """

    train: TrainConfig = field(default_factory=_word_head)
    features: FeaturesConfig = field(default_factory=lambda: FeaturesConfig(standardise=True))
    hidden: int = 512
    dropout: float = 0.3
    hidden_dropout: float = 0.5
    min_count: int = 2

    def __post_init__(self) -> None:
        check_ranges(self, hidden=1, min_count=1)
        check_ranges(self, dropout=PROBABILITY, hidden_dropout=PROBABILITY)

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Nothing of the other models but the tokens."""
        return ("seed", "words.merge_plurals")

    def check_width(self, width: int) -> None:
        """Raise UsageError if the features cannot be reduced to so many components."""
        self.features.output_width(width)


@dataclass(frozen=True)
class LabelMatchConfig(ModelConfig):
    """Label match: each word of a clicked query is a label of the photo, the query its caption.

    Args:
        train: training of the stage.
        loss: "sigmoid" of each label is the reference's; "softmax" lets all words compete.
        hardest_negatives: negative labels in the sigmoid loss, those of largest loss first.
        labels: words of the clicked query, or of all queries that the product was clicked for.
        caption_weight: weight of the caption loss; 0 leaves captions out.
        caption_input: the caption's GRU reads word vectors after LayerNorm, or raw ones.
        word_drop: probability that a word of the caption's input becomes the unknown token.
    """

    train: TrainConfig = field(default_factory=_label_match)
    loss: Literal["sigmoid", "softmax"] = "sigmoid"
    hardest_negatives: int = 1000
    labels: Literal["query", "product"] = "query"
    caption_weight: float = 1.0
    caption_input: Literal["normalised", "raw"] = "normalised"
    word_drop: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, hardest_negatives=1, caption_weight=0, word_drop=PROBABILITY)


@dataclass(frozen=True)
class MatchingConfig(ModelConfig):
    """Settings that word match and sentence match share.

    Args:
        train: training of the stage; `lr` is that of the layers that label match lacks.
        pretrained: start from the encoder and the word vectors of label match.
        encoder_lr: learning rate of the region weights and embeddings.
        encoder_weight_decay: their weight decay.
        train_trunk: fine-tune the rest of the encoder too, with `encoder_lr`.
        train_words: fine-tune the word vectors too, with the `lr` of the stage.
        cache_trunk: run the frozen trunk once over the catalogue and read its output instead.
        trunk_dropout: dropout in the trunk, whose output then cannot be cached.
        gru_hidden: hidden width of each direction of the text GRU.
        gru_layers: layers of the text GRU.
        dropout: dropout between the layers of the GRU.
        negatives: where hard negatives are drawn.
        false_negatives: pairs that are not negatives, drawn ones included.
        word_drop: probability that a query loses one of its words, per word.
    """

    pretrained: bool = True
    encoder_lr: float = 5e-6
    encoder_weight_decay: float = 0.0
    train_trunk: bool = False
    train_words: bool = False
    cache_trunk: bool = True
    trunk_dropout: bool = False
    gru_hidden: int = 0
    gru_layers: int = 2
    dropout: float = 0.1
    negatives: NegativesFrom = "cluster"
    false_negatives: FalseNegatives = "duplicates"
    word_drop: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, gru_hidden=0, gru_layers=1, encoder_lr=0)
        check_ranges(self, dropout=PROBABILITY, word_drop=PROBABILITY)
        for name in ("train_trunk", "trunk_dropout"):
            if self.cache_trunk and getattr(self, name):
                raise UsageError(
                    f"{name} needs cache_trunk to be false: a cached trunk is a constant"
                )


@dataclass(frozen=True)
class WordMatchConfig(MatchingConfig):
    """Word match: weighted words, each with the best of the photo's heads.

    Args:
        train: training of the stage; `lr` is that of the GRU and the word weights.
        match_hidden: hidden width of the word weights.
        uniform_weights: weigh all words of a query alike instead of learning their weights.
        loss: "hinge" is the reference's, with `margin`; "softmax" is over the batch, with `scale`.
        margin: margin of the hinges.
        hardest: add the max hinge over the batch (VSE++, Faghri et al., 2018).
        scale: factor on scores before the softmax.
    """

    train: TrainConfig = field(default_factory=_word_match)
    encoder_weight_decay: float = 1e-6
    gru_hidden: int = 256
    match_hidden: int = 512
    uniform_weights: bool = False
    loss: Literal["hinge", "softmax"] = "hinge"
    margin: float = 0.9
    hardest: bool = True
    scale: float = 16.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, gru_hidden=1, match_hidden=1, margin=0)


@dataclass(frozen=True)
class SentenceMatchConfig(MatchingConfig):
    """Sentence match: a GRU reads the query, starting from what the photo shows.

    Args:
        train: training of the stage; `lr` is that of the GRU and the score.
        gru_hidden: hidden width of each direction; 0 is the width of the word vectors, as in the
            reference, any other adds a Linear from the photo's head.
        depth: candidates of a query that are scored, the best of word match first; 0 takes all.
    """

    train: TrainConfig = field(default_factory=_sentence_match)
    negatives: NegativesFrom = "mixed"
    depth: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, depth=0)
