import numpy as np
import torch

from shopsight.batches.batch import PairBatch, Regions, as_regions, pad_tokens
from shopsight.data.region_store import RegionBatch


def test_ids_are_padded_on_the_right():
    tokens = pad_tokens([[5], [6, 7, 8], [9, 9]], pad=1)
    assert tokens.ids.tolist() == [[5, 1, 1], [6, 7, 8], [9, 9, 1]]
    assert tokens.ids.dtype == torch.int64
    assert tokens.mask.sum(1).tolist() == [1, 3, 2] == tokens.lengths.tolist()
    assert tokens.take(torch.tensor([2, 0])).ids.tolist() == [[9, 9, 1], [5, 1, 1]]


def test_the_pad_id_can_be_a_real_token():
    assert pad_tokens([[0, 0], [0]], pad=0).lengths.tolist() == [2, 1]


def test_no_rows_make_an_empty_block():
    tokens = pad_tokens([], pad=0)
    assert tokens.ids.shape == tokens.mask.shape == (0, 0)


def test_a_batch_moves_with_all_its_tensors():
    regions = Regions(torch.zeros(6, 4), torch.zeros(6, 5), torch.tensor([2, 1, 3]), True)
    keys = torch.arange(2)
    batch = PairBatch(regions, pad_tokens([[1], [2, 3]], 0), keys, keys, torch.arange(3)).to("meta")
    moved = (batch.regions.features, batch.queries.mask, batch.product_keys)
    assert [tensor.device.type for tensor in moved] == ["meta"] * 3
    assert (len(batch), len(batch.regions), batch.regions.through_trunk) == (2, 3, True)
    assert batch.negative_queries is None


def test_stored_regions_become_tensors():
    stored = RegionBatch(
        np.ones((3, 4), np.float16),
        np.zeros((3, 5), np.float32),
        np.zeros(3, np.int16),
        np.array([1, 2], np.int64),
    )
    regions = as_regions(stored)
    assert (regions.features.dtype, regions.packing.longest) == (torch.float16, 2)
    assert not regions.through_trunk
