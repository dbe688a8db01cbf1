"""A whole training: the settings of every stage in one object."""

from __future__ import annotations

from dataclasses import dataclass, field

from shopsight.config.checks import check_ranges
from shopsight.config.data import NegativesConfig
from shopsight.config.dual import DualConfig
from shopsight.config.encoder import EncoderConfig, WordVectorsConfig
from shopsight.config.evaluation import FusionConfig
from shopsight.config.matching import LabelMatchConfig, SentenceMatchConfig, WordMatchConfig
from shopsight.config.model import ModelConfig

EXTRA_MODELS: dict[str, type[ModelConfig]] = {}
"""Settings classes of models from outside the package; `shopsight.models.registry` fills it."""


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
        models: settings of further registered models, by name.
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
    models: dict[str, ModelConfig] = field(
        default_factory=lambda: {name: config() for name, config in EXTRA_MODELS.items()}
    )
    negatives: NegativesConfig = field(default_factory=NegativesConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    threads: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_ranges(self, threads=0)

    def model(self, name: str) -> ModelConfig:
        """The settings of a model by its name, such as ``label-match``."""
        config: ModelConfig = self.models.get(name) or getattr(self, name.replace("-", "_"))
        return config
