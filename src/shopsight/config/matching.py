"""Settings of pretraining and of the two matching stages; defaults are the reference's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shopsight.config.checks import PROBABILITY, check_ranges
from shopsight.config.train import FalseNegatives, NegativesFrom, TrainConfig
from shopsight.errors import UsageError


def _pretrain() -> TrainConfig:
    return TrainConfig(epochs=6, batch=200, lr=1e-4, weight_decay=1e-6, decay_per_epoch=0.96)


def _word_match() -> TrainConfig:
    return TrainConfig(epochs=5, batch=130, lr=1e-4, decay_per_epoch=0.95)


def _sentence_match() -> TrainConfig:
    return TrainConfig(epochs=2, batch=150, lr=1e-4, decay_per_epoch=0.95)


@dataclass(frozen=True)
class LabelMatchConfig:
    """Pretraining: every word of a clicked query is a label, and the query a caption.

    Args:
        train: how it is trained.
        hardest_negatives: words that are no label and whose loss counts, hardest first.
        labels: the words of the clicked query, or of all clicked queries of the product.
        caption_weight: weight of the caption loss; 0 leaves captions out.
        word_drop: chance of each word of a clicked query to be the one that is replaced by the
            unknown token in the caption's input.
    """

    train: TrainConfig = field(default_factory=_pretrain)
    hardest_negatives: int = 1000
    labels: Literal["query", "product"] = "query"
    caption_weight: float = 1.0
    word_drop: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_ranges(self, hardest_negatives=1, caption_weight=0, word_drop=PROBABILITY)


@dataclass(frozen=True)
class WordMatchConfig:
    """Word match: weighted words, each with the best of the photo's heads.

    Args:
        train: how it is trained; its rate is that of the GRU and the word weights.
        pretrained: start from the pretrained encoder and word vectors; else from random ones.
        encoder_lr: rate of the region weights and embeddings.
        encoder_weight_decay: their weight decay.
        train_trunk: fine-tune the rest of the encoder too, at the same rate.
        train_words: train the word vectors too, at the rate of the GRU.
        cache_trunk: run the frozen trunk once over the catalogue and read its output instead.
        trunk_dropout: dropout in the trunk, which then cannot be cached.
        gru_hidden: hidden width of each direction of the text GRU.
        gru_layers: its layers.
        match_hidden: hidden width of the word weights.
        dropout: dropout between the GRU's layers.
        uniform_weights: weigh all words of a query alike instead of learning their weights.
        loss: hinge is the reference's, with ``margin``; softmax is over the batch, with ``scale``.
        margin: margin of the hinges.
        hardest: add the hinge with the hardest negatives of the batch.
        scale: factor on scores before the softmax.
        negatives: where hard negatives are drawn.
        false_negatives: which pairs of a batch are no negatives.
        word_drop: chance of each word of a clicked query to be the one left out.
    """

    train: TrainConfig = field(default_factory=_word_match)
    pretrained: bool = True
    encoder_lr: float = 5e-6
    encoder_weight_decay: float = 1e-6
    train_trunk: bool = False
    train_words: bool = False
    cache_trunk: bool = True
    trunk_dropout: bool = False
    gru_hidden: int = 256
    gru_layers: int = 2
    match_hidden: int = 512
    dropout: float = 0.1
    uniform_weights: bool = False
    loss: Literal["hinge", "softmax"] = "hinge"
    margin: float = 0.9
    hardest: bool = True
    scale: float = 16.0
    negatives: NegativesFrom = "word-match"
    false_negatives: FalseNegatives = "duplicates"
    word_drop: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense and switches that exclude each other."""
        check_ranges(
            self,
            gru_hidden=1,
            gru_layers=1,
            match_hidden=1,
            margin=0,
            encoder_lr=0,
            dropout=PROBABILITY,
            word_drop=PROBABILITY,
        )
        _check_trunk(self)


@dataclass(frozen=True)
class SentenceMatchConfig:
    """Sentence match: a GRU reads the query, starting from what the photo shows.

    Args:
        train: how it is trained; its rate is that of the GRU and the score.
        pretrained: start from the pretrained encoder and word vectors; else from random ones.
        encoder_lr: rate of the region weights and embeddings.
        encoder_weight_decay: their weight decay.
        train_trunk: fine-tune the rest of the encoder too, at the same rate.
        train_words: train the word vectors too, at the rate of the GRU.
        cache_trunk: run the frozen trunk once over the catalogue and read its output instead.
        trunk_dropout: dropout in the trunk, which then cannot be cached.
        gru_hidden: hidden width of each direction; 0 is the width of the word vectors, as in the
            reference, any other adds a Linear from the photo's head.
        gru_layers: layers of the GRU.
        dropout: dropout between the GRU's layers.
        negatives: where hard negatives are drawn.
        word_drop: chance of each word of a clicked query to be the one left out.
        depth: candidates of a query that are scored, the best of word match first; 0 takes all.
    """

    train: TrainConfig = field(default_factory=_sentence_match)
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
    negatives: NegativesFrom = "sentence-match"
    word_drop: float = 0.0
    depth: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense and switches that exclude each other."""
        check_ranges(
            self,
            gru_hidden=0,
            gru_layers=1,
            depth=0,
            encoder_lr=0,
            dropout=PROBABILITY,
            word_drop=PROBABILITY,
        )
        _check_trunk(self)


def _check_trunk(config: WordMatchConfig | SentenceMatchConfig) -> None:
    for name in ("train_trunk", "trunk_dropout"):
        if config.cache_trunk and getattr(config, name):
            raise UsageError(f"{name} needs cache_trunk to be false: a cached trunk is a constant")
