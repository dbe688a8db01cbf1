"""Ids are found at their row."""

from __future__ import annotations

import numpy as np
import pytest

from shopsight.data.id_index import IdIndex

IDS = ["shoe-10", "9", "10", "ü", "瑞格"]


@pytest.mark.parametrize("stored", [True, False])
def test_every_id_and_no_other_is_found(stored: bool) -> None:
    ids = np.array([product_id.encode() for product_id in IDS])
    index = IdIndex(ids, np.argsort(ids) if stored else None)
    assert index.positions(IDS[::-1]).tolist() == [4, 3, 2, 1, 0]
    others = ["", "1", "shoe-100", "9\0", "zz", "z" * 10_000, "\ud800", "瑞"]
    assert index.positions(others).tolist() == [-1] * len(others)


def test_nothing_in_and_nothing_out() -> None:
    assert IdIndex(np.array([], np.bytes_)).positions(["a"]).tolist() == [-1]
    assert IdIndex(np.array([b"a"])).positions([]).tolist() == []
