import numpy as np
import pytest
import torch
from torch import nn

from shopsight.batches.batch import Regions
from shopsight.data.region_store import RegionStore
from shopsight.errors import DataError, OutputError
from shopsight.inference import trunk_cache as trunk
from shopsight.inference.trunk_cache import TrunkCache, weights_key
from shopsight.prepare.kddcup.ingest import prepare_kddcup


@pytest.fixture(scope="module")
def store(small_world, tmp_path_factory) -> RegionStore:
    return prepare_kddcup(small_world, tmp_path_factory.mktemp("data") / "data").store


class Counting:
    """A trunk that depends on features, boxes and the company of a region."""

    def __init__(self, fail_at: int = 0) -> None:
        self.calls, self.fail_at = 0, fail_at

    def __call__(self, regions: Regions) -> torch.Tensor:
        assert not torch.is_grad_enabled()
        self.calls += 1
        if self.calls == self.fail_at:
            raise KeyboardInterrupt
        packing = regions.packing
        together = packing.mean(regions.features.float())[packing.segment_ids]
        return regions.features.float() + 2 * together + regions.boxes[:, 4:]


def expected(store, products):
    batch = store.read(products)
    regions = Regions(*map(torch.from_numpy, (batch.features, batch.boxes, batch.lengths)))
    with torch.no_grad():
        return Counting()(regions).half().numpy(), batch


def test_outputs_are_read_like_features(tmp_path, store):
    cached = TrunkCache.build(tmp_path / "cache", store, Counting(), "k")
    products = np.array([5, 0, 5, len(store) - 1])
    outputs, batch = expected(store, products)
    batch_read = cached.read(products)
    assert np.array_equal(batch_read.features, outputs)
    assert np.array_equal(batch_read.boxes, batch.boxes)
    assert np.array_equal(batch_read.lengths, batch.lengths)
    assert (cached.through_trunk, len(cached), cached.width) == (True, len(store), store.width)


def test_it_is_computed_once_for_a_key(tmp_path, store):
    first, again, other = Counting(), Counting(), Counting()
    TrunkCache.build(tmp_path, store, first, "k")
    TrunkCache.build(tmp_path, store, again, "k")
    TrunkCache.build(tmp_path, store, other, "other")
    assert first.calls == other.calls > 0
    assert again.calls == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trunk-k.npy", "trunk-other.npy"]


def test_it_resumes(tmp_path, store, monkeypatch):
    monkeypatch.setattr(trunk, "_BATCH", 50)
    monkeypatch.setattr(trunk, "_SYNC_BYTES", 4_000)
    whole = Counting()
    TrunkCache.build(tmp_path / "whole", store, whole, "k")
    with pytest.raises(KeyboardInterrupt):
        TrunkCache.build(tmp_path / "cut", store, Counting(fail_at=20), "k")
    rest = Counting()
    TrunkCache.build(tmp_path / "cut", store, rest, "k")
    assert whole.calls - 20 < rest.calls < whole.calls - 10
    contents = [(tmp_path / name / "trunk-k.npy").read_bytes() for name in ("whole", "cut")]
    assert contents[0] == contents[1]
    assert len(list((tmp_path / "cut").iterdir())) == 1


def test_lost_outputs_are_computed_again(tmp_path, store, monkeypatch):
    monkeypatch.setattr(trunk, "_BATCH", 50)
    monkeypatch.setattr(trunk, "_SYNC_BYTES", 4_000)
    with pytest.raises(KeyboardInterrupt):
        TrunkCache.build(tmp_path, store, Counting(fail_at=20), "k")
    (tmp_path / "trunk-k.partial").write_bytes(b"")
    cached = TrunkCache.build(tmp_path, store, Counting(), "k")
    outputs, _ = expected(store, np.arange(len(store)))
    assert np.array_equal(cached.read(np.arange(len(store))).features, outputs)


def test_outputs_beyond_float16_raise(tmp_path, store):
    with pytest.raises(OutputError, match="exceed the range of float16; set cache_trunk: false"):
        TrunkCache.build(tmp_path, store, lambda regions: regions.features.float() + 1e6, "k")


def test_a_cache_of_another_catalogue_raises(tmp_path, store):
    np.save(tmp_path / "trunk-k.npy", np.zeros((3, store.width), np.float16))
    with pytest.raises(DataError, match="of another catalogue; delete it"):
        TrunkCache.build(tmp_path, store, Counting(), "k")


def test_the_key_follows_the_weights():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.load_state_dict(first.state_dict())
    assert weights_key(first, "data") == weights_key(second, "data")
    assert weights_key(first, "data") != weights_key(first, "other data")
    second.bias.data[0] += 1e-6
    assert weights_key(first, "data") != weights_key(second, "data")
