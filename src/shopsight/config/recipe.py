"""A whole training: the settings of every stage in one object."""

from __future__ import annotations

from dataclasses import dataclass, field

from shopsight.config.checks import check_ranges
from shopsight.config.data import NegativesConfig
from shopsight.config.dual import DualConfig
from shopsight.config.encoder import EncoderConfig, WordVectorsConfig
from shopsight.config.evaluation import FusionConfig
from shopsight.config.matching import LabelMatchConfig, SentenceMatchConfig, WordMatchConfig

STAGES = ("label-match", "word-match", "sentence-match", "dual")
"""The stages that train a model, in the order in which they run."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training yields; recipe files are short deltas of it.

    Args:
        seed: seed of everything random.
        words: the word vectors that pretraining and both matching stages share.
        encoder: the image encoder that they share.
        label_match: multi-label and caption pretraining.
        word_match: the word match.
        sentence_match: the sentence match.
        dual: the dual encoder.
        negatives: groups of like queries, for hard negatives.
        fusion: how the models' runs are combined.
        threads: processor threads of a process; 0 takes every core. Small models are faster with
            one, by far where other work runs beside them.
    """

    seed: int = 0
    words: WordVectorsConfig = field(default_factory=WordVectorsConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    label_match: LabelMatchConfig = field(default_factory=LabelMatchConfig)
    word_match: WordMatchConfig = field(default_factory=WordMatchConfig)
    sentence_match: SentenceMatchConfig = field(default_factory=SentenceMatchConfig)
    dual: DualConfig = field(default_factory=DualConfig)
    negatives: NegativesConfig = field(default_factory=NegativesConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    threads: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_ranges(self, threads=0)
