"""Multi-head self-attention within each segment of packed rows.

Vaswani et al., "Attention Is All You Need", 2017. All layers but the attention itself work row by
row and never see padding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight import scoring
from shopsight.batches.batch import Regions, Tokens
from shopsight.batches.ragged import Packing

Batch = TypeVar("Batch", Regions, Tokens)
Output = TypeVar("Output")


def attend(qkv: Tensor, packing: Packing, heads: int, dropout: float = 0.0) -> Tensor:
    """(R, D) attention within each segment, from (R, 3D) queries, keys and values of rows."""
    # A GPU runs one padded block faster than many small ones; a CPU does not.
    implementation = attend_padded if qkv.is_cuda else attend_runs
    return implementation(qkv, packing, heads, dropout)


def attend_padded(qkv: Tensor, packing: Packing, heads: int, dropout: float = 0.0) -> Tensor:
    """`attend` in one padded block of all segments."""
    query, key, value = _by_head(packing.pad(qkv), heads)
    mask = packing.mask[:, None, None, :]  # (B, 1, 1, T) real keys
    mixed = functional.scaled_dot_product_attention(query, key, value, mask, dropout)
    return packing.unpad(mixed.transpose(1, 2).flatten(2))


def attend_runs(qkv: Tensor, packing: Packing, heads: int, dropout: float = 0.0) -> Tensor:
    """`attend` in one unpadded block per run of equally long segments."""
    blocks = torch.split(qkv, [count * length for count, length in packing.runs])
    outputs = []
    for block, (count, length) in zip(blocks, packing.runs, strict=True):
        query, key, value = _by_head(block.view(count, length, -1), heads)
        mixed = functional.scaled_dot_product_attention(query, key, value, None, dropout)
        outputs.append(mixed.transpose(1, 2).reshape(count * length, -1))
    return torch.cat(outputs)


def attention_weights(qkv: Tensor, packing: Packing, heads: int) -> Tensor:
    """(B, T, T) attention of each row to each of its segment, the mean over the heads, padded."""
    query, key, _ = _by_head(packing.pad(qkv), heads)
    logits = scoring.at_least_float32(query @ key.mT) * query.shape[-1] ** -0.5
    weights: Tensor = logits.masked_fill(~packing.mask[:, None, None, :], -torch.inf).softmax(-1)
    return weights.mean(1)


def _by_head(qkv: Tensor, heads: int) -> tuple[Tensor, ...]:
    """Three (B, heads, T, D / heads) from (B, T, 3D)."""
    split = qkv.view(*qkv.shape[:2], 3, heads, -1)
    return split.permute(2, 0, 3, 1, 4).unbind(0)


def encode_by_length(
    encode: Callable[[Batch], Output], batch: Batch, take: Callable[[Output, Tensor], Output]
) -> Output:
    """Encode a batch sorted by length, if that is faster, and ``take`` outputs back in order."""
    if isinstance(batch, Regions):
        packing = batch.packing
        # Sorted by length, `attend_runs` has at most as many blocks as there are lengths.
        if packing.segment_ids.is_cuda or len(packing.runs) <= packing.longest:
            return encode(batch)
    order = batch.lengths.argsort(stable=True)
    return take(encode(batch.take(order)), order.argsort())


class PackedLayer(nn.Module):
    """Pre-norm transformer layer (Xiong et al., 2020) on packed rows.

    ``feedforward`` is the hidden dimension as a multiple of ``width`` (D).
    """

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, feedforward * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(feedforward * width, width),
            nn.Dropout(dropout),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: Tensor, packing: Packing) -> Tensor:
        """(R, D) from packed (R, D)."""
        mixed = attend(self.qkv(self.attention_norm(rows)), packing, self.heads)
        rows = rows + self.dropout(self.out(mixed))
        return rows + self.feedforward(rows)  # type: ignore[no-any-return]
