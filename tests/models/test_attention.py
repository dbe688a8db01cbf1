import pytest
import torch

from shopsight.batches.ragged import Packing
from shopsight.models.attention import PackedLayer, attend, attend_padded, attend_runs
from tinymodels import same


def by_hand(qkv, lengths, heads):
    """Attention photo by photo and head by head."""
    width, out = qkv.shape[1] // 3, []
    for one in qkv.split(lengths):
        query, key, value = one.split(width, dim=1)
        parts = []
        for q, k, v in zip(*(x.chunk(heads, 1) for x in (query, key, value)), strict=True):
            parts.append((q @ k.T / (width / heads) ** 0.5).softmax(1) @ v)
        out.append(torch.cat(parts, 1))
    return torch.cat(out)


@pytest.mark.parametrize("how", [attend, attend_padded, attend_runs])
@pytest.mark.parametrize("lengths", [[1], [2, 1, 4, 2, 3], [2, 2, 5, 5, 5, 1]])
def test_attention_stays_inside_each_photo(how, lengths):
    packing = Packing.of(torch.tensor(lengths))
    qkv = torch.randn(sum(lengths), 24, dtype=torch.float64).requires_grad_()
    ours, expected = how(qkv, packing, 2), by_hand(qkv, lengths, 2)
    same(ours, expected)
    weights = torch.randn_like(ours)
    same(*(torch.autograd.grad((one * weights).sum(), qkv)[0] for one in (ours, expected)))


def test_runs_are_neighbours_with_equally_many_rows():
    assert Packing.of(torch.tensor([2, 2, 1, 2])).runs == [(2, 2), (1, 1), (1, 2)]


def test_a_layer_does_to_an_owner_what_it_does_to_it_alone():
    layer, lengths = PackedLayer(8, 2, 2, 0.0).double(), [2, 1, 3]
    rows = torch.randn(6, 8, dtype=torch.float64)
    together = layer(rows, Packing.of(torch.tensor(lengths)))
    alone = [layer(one, Packing.of(torch.tensor([len(one)]))) for one in rows.split(lengths)]
    same(together, torch.cat(alone))
