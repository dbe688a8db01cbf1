import pytest
import torch

from shopsight.batches.ragged import Packing

LENGTHS = torch.tensor([2, 1, 3])


def rows(*shape):
    return torch.randn(6, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_layout():
    packing = Packing.of(LENGTHS)
    assert packing.segment_ids.tolist() == [0, 0, 1, 2, 2, 2]
    assert packing.position_ids.tolist() == [0, 1, 0, 0, 1, 2]
    assert packing.longest == 3
    assert packing.mask.tolist() == [[True, True, False], [True, False, False], [True] * 3]
    assert packing.rows_of(torch.tensor([2, 0, 2])).tolist() == [3, 4, 5, 0, 1, 3, 4, 5]


def test_runs_encode_equal_neighbouring_lengths():
    assert Packing.of(torch.tensor([2, 2, 1, 2])).runs == [(2, 2), (1, 1), (1, 2)]


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_unpad_inverts_pad(shape):
    packing, packed = Packing.of(LENGTHS), rows(*shape)
    padded = packing.pad(packed, fill=-7.0)
    assert padded.shape == (3, 3, *shape)
    assert torch.equal(packing.unpad(padded), packed)
    assert torch.equal(padded[packing.mask], packed)
    assert (padded[~packing.mask] == -7).all()


def test_sum_mean_and_softmax_equal_those_of_each_segment():
    packing, packed = Packing.of(LENGTHS), rows(4)
    parts = packed.split(LENGTHS.tolist())
    torch.testing.assert_close(packing.sum(packed), torch.stack([p.sum(0) for p in parts]))
    torch.testing.assert_close(packing.mean(packed), torch.stack([p.mean(0) for p in parts]))
    torch.testing.assert_close(packing.softmax(packed), torch.cat([p.softmax(0) for p in parts]))


def test_softmax_of_very_small_logits_ignores_padding():
    logits = torch.tensor([-1e4, -1e4, -1e4, 0.0, 0.0, 0.0])
    expected = torch.tensor([0.5, 0.5, 1.0, 1 / 3, 1 / 3, 1 / 3])
    torch.testing.assert_close(Packing.of(LENGTHS).softmax(logits), expected)


def test_gradients_pass_through_padding():
    packed, packing = rows(4).requires_grad_(), Packing.of(LENGTHS)
    assert torch.autograd.gradcheck(lambda x: packing.unpad(packing.pad(x)), packed)
    assert torch.autograd.gradcheck(packing.softmax, packed)
