"""Self-attention inside each owner's rows, on packed rows.

Vaswani et al., "Attention Is All You Need", 2017. Everything but the attention itself is per row
and never sees padding. On a CPU the owners with equally many rows attend in one block, which
needs neither padding nor mask; so rows whose owners stand in order of length are fastest. On a
GPU one padded block is faster than many small ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight.batches.ragged import Packing


def attend(qkv: Tensor, packing: Packing, heads: int, dropout: float = 0.0) -> Tensor:
    """Attention of R packed rows, each among the rows of its owner.

    Args:
        qkv: (R, 3D) queries, keys and values of each row.
        packing: whose the rows are.
        heads: how many heads share D.
        dropout: chance of each attention weight to be left out.

    Returns:
        (R, D).
    """
    how = attend_padded if qkv.is_cuda else attend_runs
    return how(qkv, packing, heads, dropout)


def attend_padded(qkv: Tensor, packing: Packing, heads: int, dropout: float = 0.0) -> Tensor:
    """The same in one padded block of all owners."""
    query, key, value = _by_head(packing.pad(qkv), heads)
    mask = packing.mask[:, None, None, :]  # (B, 1, 1, T): real keys
    found = functional.scaled_dot_product_attention(query, key, value, mask, dropout)
    return packing.unpad(found.transpose(1, 2).flatten(2))


def attend_runs(qkv: Tensor, packing: Packing, heads: int, dropout: float = 0.0) -> Tensor:
    """The same in one block for each run of owners with equally many rows."""
    blocks = torch.split(qkv, [count * length for count, length in packing.runs])
    found = []
    for block, (count, length) in zip(blocks, packing.runs, strict=True):
        query, key, value = _by_head(block.view(count, length, -1), heads)
        one = functional.scaled_dot_product_attention(query, key, value, None, dropout)
        found.append(one.transpose(1, 2).reshape(count * length, -1))
    return torch.cat(found)


def _by_head(qkv: Tensor, heads: int) -> tuple[Tensor, ...]:
    """Three (B, heads, T, D / heads) from (B, T, 3D)."""
    split = qkv.view(*qkv.shape[:2], 3, heads, -1)
    return split.permute(2, 0, 3, 1, 4).unbind(0)


def benefits_from_length_sort(packing: Packing) -> bool:
    """Whether `attend` would gain from owners in order of length."""
    return not packing.segment_ids.is_cuda and len(packing.runs) > packing.longest


class PackedLayer(nn.Module):
    """A transformer layer, normalised before each half (Xiong et al., 2020), on packed rows.

    Args:
        width: D, numbers per row.
        heads: attention heads.
        feedforward: hidden width of the second half, as a multiple of ``width``.
        dropout: dropout after each half and inside the second.
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
        found = attend(self.qkv(self.attention_norm(rows)), packing, self.heads)
        rows = rows + self.dropout(self.out(found))
        return rows + self.feedforward(rows)  # type: ignore[no-any-return]
