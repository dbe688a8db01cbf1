"""Settings of word vectors, region features and the image encoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shopsight.config.checks import PROBABILITY, check_ranges, indivisible
from shopsight.errors import UsageError

LEARNED = "learned"
"""The `WordVectorsConfig.source` of vectors that are trained with label match."""


@dataclass(frozen=True)
class WordVectorsConfig:
    """The table of word vectors that label, word and sentence match share.

    Args:
        source: "learned" with label match, or the Hugging Face model (name or local folder) whose
            input embeddings and embedding LayerNorm are used and frozen.
        width: dimension of learned word vectors; that of the model otherwise.
        spread: standard deviation of learned vectors before training.
        start: initialise learned vectors at random, or from co-occurrence (singular vectors of
            the positive pointwise mutual information; Levy & Goldberg, 2014).
        merge_plurals: read English plurals as their singular, in all models of the run.
    """

    source: str = LEARNED
    width: int = 1024
    spread: float = 0.05
    start: Literal["random", "cooccurrence"] = "random"
    merge_plurals: bool = False

    def __post_init__(self) -> None:
        check_ranges(self, width=1, spread=0)


@dataclass(frozen=True)
class FeaturesConfig:
    """Preprocessing of region features.

    Args:
        transform: none, square root, log(1 + x), or division by the norm.
        standardise: subtract the mean and divide by the standard deviation of every feature over
            the training regions, after the transform.
        components: number of principal components of the training regions that replace the
            features after that, and then the width of the models; 0 keeps the features.
        dropout: dropout probability of each feature.
    """

    transform: Literal["none", "sqrt", "log", "l2"] = "none"
    standardise: bool = False
    components: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, components=0, dropout=PROBABILITY)

    def output_width(self, width: int) -> int:
        """Width of transformed features; UsageError if there are more components than features."""
        if self.components > width:
            raise UsageError(
                f"features.components = {self.components} are more than the data's feature width"
                f" {width}; set another number"
            )
        return self.components or width


@dataclass(frozen=True)
class EncoderConfig:
    """The image encoder (docs/method.md, section 3); the feature width comes from the data.

    Args:
        features: preprocessing of region features.
        box_hidden: hidden width of the box layers.
        attention_heads: heads of the self-attention over regions.
        feedforward: hidden width after the attention.
        weight_hidden: hidden width of the region weights.
        embed_hidden: hidden width of the region embeddings.
        label_heads: embeddings of each photo that labels and words choose from.
        dropout: dropout everywhere in the encoder.
    """

    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    box_hidden: int = 100
    attention_heads: int = 16
    feedforward: int = 4096
    weight_hidden: int = 512
    embed_hidden: int = 2048
    label_heads: int = 4
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_ranges(self, box_hidden=1, attention_heads=1, feedforward=1, weight_hidden=1)
        check_ranges(self, embed_hidden=1, label_heads=1, dropout=PROBABILITY)

    def check_width(self, width: int) -> None:
        """Raise UsageError if the attention heads cannot divide features of this width."""
        width = self.features.output_width(width)
        if width % self.attention_heads:
            raise indivisible(width, self.attention_heads, "encoder.attention_heads")
