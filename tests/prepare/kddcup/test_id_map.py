"""The map of known ids."""

from __future__ import annotations

import numpy as np

from shopsight.prepare.kddcup.id_map import KnownIds


def test_known_ids_equal_a_dictionary(monkeypatch):
    monkeypatch.setattr("shopsight.prepare.kddcup.id_map._RECENT", 16)
    rng = np.random.default_rng(0)
    known, reference = KnownIds(), {}
    for key in rng.integers(0, 2000, 3000).tolist():
        assert known.get(key) == reference.get(key)
        if key not in reference:
            digest = int(rng.integers(0, 1 << 63)) * 2 + 1
            reference[key] = known.add(key, digest), digest
    assert len(known) == len(reference) > 1000
    assert [reference[key][0] for key in reference] == list(range(len(reference)))
    digests = np.array([digest for _, digest in reference.values()], np.uint64)
    restored = KnownIds.restored(np.array(list(reference), np.int64), digests)
    assert all(restored.get(key) == entry for key, entry in reference.items())
    assert restored.add(10**12, 5) == len(reference)
