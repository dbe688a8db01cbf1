"""Image encoder of label match, word match and sentence match (docs/method.md, section 3).

All layers but the attention run on packed regions. Regions are summed to one row per photo before
the last Linear: as the weights of a photo's regions sum to 1,
sum_i w_i (A h_i + b) = A (sum_i w_i h_i) + b.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from shopsight import scoring
from shopsight.batches.batch import Regions
from shopsight.batches.ragged import Packing
from shopsight.config import EncoderConfig
from shopsight.errors import UsageError
from shopsight.models.attention import attend, encode_by_length
from shopsight.models.region_features import RegionFeatures
from shopsight.models.registry import ModelInputs
from shopsight.models.word_vectors import WordVectors
from shopsight.scoring import at_least_float32


@dataclass(frozen=True, eq=False)
class ImageEncoding:
    """Encoder output for B photos with R regions in all."""

    heads: Tensor  # (B, 1 + H, E)
    weights: Tensor  # (R,) of the regions; those of a photo sum to 1
    packing: Packing

    @property
    def caption(self) -> Tensor:
        """(B, E) head 0: for captions, token weights and sentences."""
        return self.heads[:, 0]

    @property
    def labels(self) -> Tensor:
        """(B, H, E) the other heads, of which each word takes the most similar."""
        return self.heads[:, 1:]

    def take(self, photos: Tensor) -> ImageEncoding:
        """The encodings of the photos (b,) in that order."""
        weights = self.weights[self.packing.rows_of(photos)]
        return ImageEncoding(self.heads[photos], weights, Packing.of(self.packing.lengths[photos]))


class Trunk(nn.Module):
    """Contextualised region features; frozen in word match and sentence match.

    The output dimension ``width`` (G) is F, or the number of principal components.

    Raises:
        UsageError: it is not a multiple of the attention heads.
    """

    def __init__(self, width: int, config: EncoderConfig) -> None:
        super().__init__()
        self.features = RegionFeatures(width, config.features)
        self.width = width = self.features.out
        if width % config.attention_heads:
            raise UsageError(
                f"the data's feature width {width} cannot be divided among encoder.attention_heads"
                f" = {config.attention_heads}"
            )
        self.attention_heads, self.attention_dropout = config.attention_heads, config.dropout
        self.box_mlp = nn.Sequential(
            nn.Linear(5, config.box_hidden), nn.PReLU(), nn.Linear(config.box_hidden, width)
        )
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(config.dropout)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.activation = nn.PReLU()
        self.feedforward = nn.Sequential(
            nn.Linear(width, config.feedforward),
            nn.PReLU(),
            nn.Linear(config.feedforward, width),
            nn.PReLU(),
        )

    def forward(self, features: Tensor, boxes: Tensor, packing: Packing) -> Tensor:
        """(R, G) from features (R, F) and boxes (R, 5)."""
        inputs = self.features(features)  # (R, G)
        inputs = self.dropout(self.norm(inputs + self.box_mlp(boxes.to(inputs.dtype))))
        dropout = self.attention_dropout if self.training else 0.0
        mixed = self.out(attend(self.qkv(inputs), packing, self.attention_heads, dropout))
        # As in the reference, there is no residual around the feed-forward part.
        return self.feedforward(self.activation(inputs + mixed))  # type: ignore[no-any-return]


class Heads(nn.Module):
    """Heads of each photo from its regions; fine-tuned in word match and sentence match."""

    def __init__(self, width: int, word_width: int, config: EncoderConfig) -> None:
        super().__init__()
        self.count = 1 + config.label_heads
        self.weight_mlp = nn.Sequential(
            nn.Linear(width, config.weight_hidden),
            nn.PReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.weight_hidden, 1),
        )
        self.embed_mlp = nn.Sequential(
            nn.Linear(width, config.embed_hidden), nn.PReLU(), nn.Dropout(config.dropout)
        )
        self.output_proj = nn.Linear(config.embed_hidden, self.count * word_width)

    def weighted_regions(self, regions: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
        """(R,) weights of regions, and (R, hidden) terms whose sum per photo gives its heads."""
        weights = packing.softmax(at_least_float32(self.weight_mlp(regions)[:, 0]))  # (R,)
        return weights, weights[:, None] * at_least_float32(self.embed_mlp(regions))

    def forward(self, regions: Tensor, packing: Packing) -> ImageEncoding:
        """Encodings of B photos from trunk output (R, G)."""
        weights, terms = self.weighted_regions(regions, packing)
        photos = packing.sum(terms)  # (B, hidden)
        heads = at_least_float32(self.output_proj(photos))  # (B, (1 + H) E)
        return ImageEncoding(heads.view(len(heads), self.count, -1), weights, packing)


class ImageEncoder(nn.Module):
    """Photos to encodings: `Trunk`, then `Heads`. F is ``feature_width``, E ``word_width``."""

    def __init__(self, feature_width: int, word_width: int, config: EncoderConfig) -> None:
        super().__init__()
        self.trunk = Trunk(feature_width, config)
        self.heads = Heads(self.trunk.width, word_width, config)
        self._trunk_is_constant = False

    def freeze_trunk(self, dropout: bool = False) -> None:
        """Stop training the trunk; without dropout it is a constant, which can be cached."""
        self.trunk.requires_grad_(False)
        self._trunk_is_constant = not dropout
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode, but keep a trunk that was frozen without dropout in eval mode."""
        super().train(mode)
        self.trunk.train(mode and not self._trunk_is_constant)
        return self

    def through_trunk(self, regions: Regions) -> Tensor:
        """(R, G) trunk output for regions in their order, the content of a trunk cache."""
        if regions.through_trunk:
            return regions.features.to(self.heads.output_proj.weight.dtype)
        return self.trunk(  # type: ignore[no-any-return]
            regions.features, regions.boxes, regions.packing
        )

    def forward(self, regions: Regions) -> ImageEncoding:
        """Encodings of B photos, from raw regions or trunk outputs."""
        if regions.through_trunk:  # nothing attends any more
            return self._encode(regions)
        return encode_by_length(self._encode, regions, ImageEncoding.take)

    def _encode(self, regions: Regions) -> ImageEncoding:
        return self.heads(self.through_trunk(regions), regions.packing)  # type: ignore[no-any-return]


class MatchingModel(nn.Module):
    """Base of label, word and sentence match: word vectors and an image encoder."""

    pairs_per_chunk: ClassVar[int]

    def __init__(self, feature_width: int, words: WordVectors, encoder: EncoderConfig) -> None:
        super().__init__()
        self.words = words
        self.encoder = ImageEncoder(feature_width, words.width, encoder)

    @classmethod
    def build(cls, config: Any, inputs: ModelInputs) -> Self:
        """The network of a recipe."""
        return cls(inputs.feature_width, inputs.words, inputs.recipe.encoder, config)  # type: ignore[call-arg]

    def encode_photos(self, regions: Regions) -> ImageEncoding:
        """Run the image encoder on B photos."""
        return self.encoder(regions)  # type: ignore[no-any-return]

    def score_chunk(self, queries: Any, products: Any, query: Tensor, product: Tensor) -> Tensor:
        """(n,) scores of pairs; queries are cut to the longest among them."""
        raise NotImplementedError

    def score_pairs(
        self, queries: Any, products: Any, query_idx: Tensor, product_idx: Tensor
    ) -> Tensor:
        """(N,) float32 scores of pairs."""

        def score(query: Tensor, product: Tensor, length: int) -> Tensor:
            return self.score_chunk(queries.cut(length), products, query, product)

        lengths, size = queries.mask.sum(1), self.pairs_per_chunk
        return scoring.score_in_chunks(score, query_idx, product_idx, lengths, size)
