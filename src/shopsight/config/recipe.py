"""A complete training configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from shopsight.config.checks import check_ranges
from shopsight.config.cross import CrossConfig
from shopsight.config.data import NegativesConfig
from shopsight.config.distil import StudentConfig
from shopsight.config.dual import DualConfig
from shopsight.config.encoder import EncoderConfig, WordVectorsConfig
from shopsight.config.evaluation import FusionConfig
from shopsight.config.matching import (
    LabelMatchConfig,
    PhotoLabelConfig,
    SentenceMatchConfig,
    WordHeadConfig,
    WordMatchConfig,
)
from shopsight.config.model import ModelConfig

EXTRA_MODELS: dict[str, type[ModelConfig]] = {}
"""Settings classes of models from outside the package; `shopsight.models.registry` fills it."""


@dataclass(frozen=True)
class Recipe:
    """All settings of a training; recipe files list the differences from these defaults.

    Args:
        seed: seed of everything random.
        stages: models to train, by name; all of them if empty.
        words: word vectors, shared by label, word and sentence match.
        encoder: image encoder, shared by them.
        photo_label: word head of a learned region extractor.
        word_head: small classifier of words, the learned baseline.
        label_match: multi-label and caption pretraining.
        word_match: weighted word match.
        sentence_match: recurrent sentence match.
        dual: dual encoder.
        cross: cross-encoder.
        student: dual encoder that imitates the ensemble.
        models: settings of further registered models, by name.
        optional: optional models to train beside the others, by name.
        negatives: query groups, for hard negatives.
        fusion: combination of the models' runs.
        threads: processor threads per process; 0 uses every core. One thread is fastest for small
            models, by far if the machine is busy.
    """

    seed: int = 0
    stages: tuple[str, ...] = ()
    words: WordVectorsConfig = field(default_factory=WordVectorsConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    photo_label: PhotoLabelConfig = field(default_factory=PhotoLabelConfig)
    word_head: WordHeadConfig = field(default_factory=WordHeadConfig)
    label_match: LabelMatchConfig = field(default_factory=LabelMatchConfig)
    word_match: WordMatchConfig = field(default_factory=WordMatchConfig)
    sentence_match: SentenceMatchConfig = field(default_factory=SentenceMatchConfig)
    dual: DualConfig = field(default_factory=DualConfig)
    cross: CrossConfig = field(default_factory=CrossConfig)
    student: StudentConfig = field(default_factory=StudentConfig)
    models: dict[str, ModelConfig] = field(
        default_factory=lambda: {name: config() for name, config in EXTRA_MODELS.items()}
    )
    optional: tuple[str, ...] = ()
    negatives: NegativesConfig = field(default_factory=NegativesConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    threads: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, threads=0)

    def model(self, name: str) -> ModelConfig:
        """The settings of a model by its name, such as ``label-match``."""
        config: ModelConfig = self.models.get(name) or getattr(self, name.replace("-", "_"))
        return config
