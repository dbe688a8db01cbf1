"""The one image encoder of pretraining and of both matching stages (method section 3).

Every layer but the attention runs on packed regions, and regions are summed into one row per photo
before the last Linear, not after it: the weights of a photo's regions add up to 1, so
sum_i w_i (A h_i + b) = A (sum_i w_i h_i) + b.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn

from shopsight.batches.batch import Regions
from shopsight.batches.ragged import Packing
from shopsight.config import EncoderConfig
from shopsight.errors import UsageError
from shopsight.models.attention import attend, benefits_from_length_sort
from shopsight.models.region_features import RegionFeatures
from shopsight.scoring import at_least_float32


@dataclass(frozen=True, eq=False)
class ImageEncoding:
    """What the encoder says about B photos with R regions in all.

    Attributes:
        heads: (B, 1 + H, E) head 0 for captions, word weights and sentences, the others for words.
        weights: (R,) how much each region counts in its photo; they add up to 1 there.
    """

    heads: Tensor
    weights: Tensor

    @property
    def caption(self) -> Tensor:
        """(B, E) head 0."""
        return self.heads[:, 0]

    @property
    def labels(self) -> Tensor:
        """(B, H, E) the heads that words choose from."""
        return self.heads[:, 1:]


class Trunk(nn.Module):
    """From regions to regions that have seen each other; frozen in the matching stages.

    Args:
        width: F, numbers per region feature.
        config: widths, heads and dropout.

    Attributes:
        width: G, numbers per region inside and at the end: F, or the components that are kept.

    Raises:
        UsageError: the attention heads cannot share the feature width.
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
        seen = self.features(features)
        seen = self.dropout(self.norm(seen + self.box_mlp(boxes.to(seen.dtype))))
        dropout = self.attention_dropout if self.training else 0.0
        others = self.out(attend(self.qkv(seen), packing, self.attention_heads, dropout))
        return self.feedforward(self.activation(seen + others))  # type: ignore[no-any-return]


class Heads(nn.Module):
    """From regions to the heads of each photo; what the matching stages fine-tune.

    Args:
        width: G, numbers per region.
        word_width: E, numbers per head.
        config: widths and dropout.
    """

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

    def forward(self, regions: Tensor, packing: Packing) -> ImageEncoding:
        """Encodings of B photos from the trunk's output (R, G)."""
        weights = packing.softmax(at_least_float32(self.weight_mlp(regions)[:, 0]))
        photos = packing.sum(
            weights[:, None] * at_least_float32(self.embed_mlp(regions))
        )  # (B, hidden)
        heads = at_least_float32(self.output_proj(photos))
        return ImageEncoding(heads.view(len(heads), self.count, -1), weights)


class ImageEncoder(nn.Module):
    """Photos to codes: `Trunk`, then `Heads`.

    Args:
        feature_width: F, which the data decides.
        word_width: E, which the word vectors decide.
        config: everything else.

    Raises:
        UsageError: the recipe does not fit the feature width.
    """

    def __init__(self, feature_width: int, word_width: int, config: EncoderConfig) -> None:
        super().__init__()
        self.trunk = Trunk(feature_width, config)
        self.heads = Heads(self.trunk.width, word_width, config)
        self._still = False

    def freeze_trunk(self, dropout: bool = False) -> None:
        """Train the trunk no further; without dropout it is a constant that can be cached."""
        self.trunk.requires_grad_(False)
        self._still = not dropout
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on or off, but keep it off in a trunk that was frozen without it."""
        super().train(mode)
        self.trunk.train(mode and not self._still)
        return self

    def through_trunk(self, regions: Regions) -> Tensor:
        """(R, G) the trunk's output for the regions, in their order; what a cache keeps."""
        if regions.through_trunk:
            return regions.features.to(self.heads.output_proj.weight.dtype)
        return self.trunk(  # type: ignore[no-any-return]
            regions.features, regions.boxes, regions.packing
        )

    def forward(self, regions: Regions) -> ImageEncoding:
        """Encodings of the B photos in input order, from raw or trunk-encoded regions."""
        if regions.through_trunk or not benefits_from_length_sort(regions.packing):
            return self._encode(regions)
        order = regions.lengths.argsort(stable=True)
        code = self._encode(regions.take(order))
        back = regions.rows_of(order).argsort()
        return ImageEncoding(code.heads[order.argsort()], code.weights[back])

    def _encode(self, regions: Regions) -> ImageEncoding:
        code: ImageEncoding = self.heads(self.through_trunk(regions), regions.packing)
        return code
