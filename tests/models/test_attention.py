import pytest
import torch

from shopsight.batches.ragged import Packing
from shopsight.models.attention import PackedLayer, attend, attend_padded, attend_runs
from tinymodels import same


def by_hand(qkv, lengths, heads):
    """Attention photo by photo and head by head."""
    width, out = qkv.shape[1] // 3, []
    for rows in qkv.split(lengths):
        query, key, value = rows.split(width, dim=1)
        parts = []
        for q, k, v in zip(*(x.chunk(heads, 1) for x in (query, key, value)), strict=True):
            parts.append((q @ k.T / (width / heads) ** 0.5).softmax(1) @ v)
        out.append(torch.cat(parts, 1))
    return torch.cat(out)


@pytest.mark.parametrize("implementation", [attend, attend_padded, attend_runs])
@pytest.mark.parametrize("lengths", [[1], [2, 1, 4, 2, 3], [2, 2, 5, 5, 5, 1]])
def test_attention_stays_inside_each_photo(implementation, lengths):
    packing = Packing.of(torch.tensor(lengths))
    qkv = torch.randn(sum(lengths), 24, dtype=torch.float64).requires_grad_()
    ours, expected = implementation(qkv, packing, 2), by_hand(qkv, lengths, 2)
    same(ours, expected)
    weights = torch.randn_like(ours)
    same(*(torch.autograd.grad((output * weights).sum(), qkv)[0] for output in (ours, expected)))


def test_a_layer_treats_each_segment_on_its_own():
    layer, lengths = PackedLayer(8, 2, 2, 0.0).double(), [2, 1, 3]
    rows = torch.randn(6, 8, dtype=torch.float64)
    together = layer(rows, Packing.of(torch.tensor(lengths)))
    alone = [layer(part, Packing.of(torch.tensor([len(part)]))) for part in rows.split(lengths)]
    same(together, torch.cat(alone))
