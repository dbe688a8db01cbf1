"""Settings of word vectors, region features and the image encoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shopsight.config.checks import PROBABILITY, check_ranges, indivisible
from shopsight.errors import UsageError


@dataclass(frozen=True)
class WordVectorsConfig:
    """The table of word vectors that pretraining and both matching stages share.

    Args:
        source: "learned" with pretraining, or the Hugging Face model (name or local folder) whose
            input embeddings and embedding LayerNorm are taken and frozen.
        width: numbers per learned word vector; a model's own width otherwise.
        spread: standard deviation of learned vectors before training.
        start: learned vectors begin as random ones, or as what words stand together tells
            (singular vectors of their positive pointwise mutual information).
        merge_plurals: English plurals are read as their singular, by all models of the run.
    """

    source: str = "learned"
    width: int = 1024
    spread: float = 0.05
    start: Literal["random", "cooccurrence"] = "random"
    merge_plurals: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_ranges(self, width=1, spread=0)


@dataclass(frozen=True)
class FeaturesConfig:
    """What happens to region features before a model sees them.

    Args:
        transform: nothing, the square root, log(1 + x), or division by the length.
        standardise: subtract the mean and divide by the standard deviation of every feature over
            the training regions, after the transform.
        components: principal components of the training regions that are kept, after all that;
            the models are then as wide as these. 0 keeps the features as they are.
        dropout: chance of each number to be left out in training.
    """

    transform: Literal["none", "sqrt", "log", "l2"] = "none"
    standardise: bool = False
    components: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a chance that is none, and fewer components than none."""
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
    """The image encoder (method section 3); the feature width comes from the data.

    Args:
        features: what happens to region features first.
        box_hidden: hidden width of the box layers.
        attention_heads: heads of the attention between regions.
        feedforward: hidden width after the attention.
        weight_hidden: hidden width of the region weights.
        embed_hidden: hidden width of the region embeddings.
        label_heads: heads that labels and words choose from.
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
        """Refuse numbers that make no sense."""
        check_ranges(
            self,
            box_hidden=1,
            attention_heads=1,
            feedforward=1,
            weight_hidden=1,
            embed_hidden=1,
            label_heads=1,
            dropout=PROBABILITY,
        )

    def check_width(self, width: int) -> None:
        """Raise UsageError if the attention heads cannot divide features of this width."""
        width = self.features.output_width(width)
        if width % self.attention_heads:
            raise indivisible(width, self.attention_heads, "encoder.attention_heads")
