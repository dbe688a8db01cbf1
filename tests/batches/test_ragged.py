import numpy as np
import pytest
import torch

from shopsight.batches.batch import PairBatch, Regions, Tokens, as_regions, pad_tokens
from shopsight.batches.ragged import Packing, pad_ids, pad_packed, segment_ids, unpack
from shopsight.data.region_store import RegionBatch

LENGTHS = torch.tensor([2, 1, 3])


def rows(*shape):
    return torch.randn(6, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_where_packed_rows_belong():
    packing = Packing.of(LENGTHS)
    assert packing.segment_ids.tolist() == [0, 0, 1, 2, 2, 2] == segment_ids(LENGTHS).tolist()
    assert packing.position_ids.tolist() == [0, 1, 0, 0, 1, 2]
    assert packing.longest == 3
    assert packing.mask.tolist() == [[True, True, False], [True, False, False], [True] * 3]


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_unpad_undoes_pad(shape):
    packing, packed = Packing.of(LENGTHS), rows(*shape)
    padded = packing.pad(packed, fill=-7.0)
    assert padded.shape == (3, 3, *shape)
    assert torch.equal(packing.unpad(padded), packed)
    assert torch.equal(unpack(padded, packing.mask), packed)
    assert (padded[~packing.mask] == -7).all()


def test_a_block_has_zeros_where_nothing_is():
    block, mask = pad_packed(rows(4), LENGTHS)
    assert mask.sum(1).tolist() == LENGTHS.tolist()
    assert (block[~mask] == 0).all()


def test_sums_means_and_softmax_are_those_of_each_owner():
    packing, packed = Packing.of(LENGTHS), rows(4)
    parts = packed.split(LENGTHS.tolist())
    torch.testing.assert_close(packing.sum(packed), torch.stack([p.sum(0) for p in parts]))
    torch.testing.assert_close(packing.mean(packed), torch.stack([p.mean(0) for p in parts]))
    torch.testing.assert_close(packing.softmax(packed), torch.cat([p.softmax(0) for p in parts]))


def test_softmax_of_very_small_numbers_ignores_padding():
    logits = torch.tensor([-1e4, -1e4, -1e4, 0.0, 0.0, 0.0])
    expected = torch.tensor([0.5, 0.5, 1.0, 1 / 3, 1 / 3, 1 / 3])
    torch.testing.assert_close(Packing.of(LENGTHS).softmax(logits), expected)


def test_gradients_go_through_padding():
    packed = rows(4).requires_grad_()
    packing = Packing.of(LENGTHS)
    assert torch.autograd.gradcheck(lambda x: packing.unpad(packing.pad(x)), packed)
    assert torch.autograd.gradcheck(packing.softmax, packed)


def test_ids_are_filled_on_the_right():
    tokens = pad_tokens([[5], [6, 7, 8], [9, 9]], pad=1)
    assert tokens.ids.tolist() == [[5, 1, 1], [6, 7, 8], [9, 9, 1]]
    assert tokens.ids.dtype == torch.int64
    assert tokens.mask.sum(1).tolist() == [1, 3, 2] == tokens.lengths.tolist()


def test_the_pad_id_can_be_a_real_token():
    assert pad_tokens([[0, 0], [0]], pad=0).lengths.tolist() == [2, 1]


def test_no_rows_make_an_empty_block():
    ids, mask = pad_ids([], fill=0)
    assert ids.shape == mask.shape == (0, 0)


def test_a_batch_moves_as_a_whole():
    regions = Regions(rows(4), rows(5), LENGTHS, through_trunk=True)
    tokens = pad_tokens([[1], [2, 3]], pad=0)
    keys = torch.arange(2)
    batch = PairBatch(regions, tokens, keys, keys, torch.arange(3)).to("meta")
    moved = (batch.regions.features, batch.queries.mask, batch.product_keys)
    assert [one.device.type for one in moved] == ["meta"] * 3
    assert (len(batch), len(batch.regions), batch.regions.through_trunk) == (2, 3, True)
    assert batch.negative_queries is None


def test_store_regions_become_tensors():
    read = RegionBatch(
        np.ones((3, 4), np.float16),
        np.zeros((3, 5), np.float32),
        np.zeros(3, np.int16),
        np.array([1, 2], np.int64),
    )
    regions = as_regions(read)
    assert (regions.features.dtype, regions.packing.longest) == (torch.float16, 2)
    assert not regions.through_trunk
    assert isinstance(pad_tokens([[1]], 0), Tokens)
