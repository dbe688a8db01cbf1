import numpy as np

from shopsight.prepare.kddcup.id_map import IdMap


def test_equals_a_dictionary_before_and_after_restoring(monkeypatch):
    monkeypatch.setattr("shopsight.prepare.kddcup.id_map._RECENT", 16)
    rng = np.random.default_rng(0)
    index, expected = IdMap(), {}
    for key in rng.integers(0, 2000, 3000).tolist():
        assert index.get(key) == expected.get(key)
        if key not in expected:
            digest = int(rng.integers(0, 1 << 63)) * 2 + 1
            expected[key] = index.add(key, digest), digest
    assert len(index) == len(expected) > 1000
    assert [i for i, _ in expected.values()] == list(range(len(expected)))
    digests = np.array([digest for _, digest in expected.values()], np.uint64)
    restored = IdMap.restore(np.array(list(expected), np.int64), digests)
    assert all(restored.get(key) == entry for key, entry in expected.items())
    assert restored.add(10**12, 5) == len(expected)
