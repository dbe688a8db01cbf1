"""Arrays on disk grow, are truncated, and load as ordinary files."""

from __future__ import annotations

import numpy as np
import pytest

from shopsight.errors import OutputError
from shopsight.formats.append_npy import AppendableArray


def test_a_synced_file_is_an_ordinary_npy(tmp_path):
    array = AppendableArray(tmp_path / "a.npy", np.float16, (3,))
    blocks = [np.arange(6).reshape(2, 3), np.empty((0, 3)), np.ones((1, 3))]
    for block in blocks:
        array.append(block)
    array.sync()
    np.testing.assert_array_equal(array.read(), np.vstack(blocks))
    array.close()
    loaded = np.load(tmp_path / "a.npy", mmap_mode="r", allow_pickle=False)
    assert loaded.dtype == np.float16
    np.testing.assert_array_equal(loaded, np.vstack(blocks))


def test_an_empty_one_loads_too(tmp_path):
    array = AppendableArray(tmp_path / "a.npy", np.int64)
    array.sync()
    array.close()
    assert np.load(tmp_path / "a.npy").shape == (0,)


def test_continuing_cuts_off_what_was_not_noted(tmp_path):
    path = tmp_path / "a.npy"
    array = AppendableArray(path, np.int32)
    array.append(np.arange(10))
    array.close()
    again = AppendableArray(path, np.int32, rows=4)
    again.append(np.array([100]))
    again.sync()
    again.close()
    assert np.load(path).tolist() == [0, 1, 2, 3, 100]


def test_a_full_disk_is_one_sentence():
    array = AppendableArray.__new__(AppendableArray)
    array.path, array.dtype, array.rows = "/dev/full", np.dtype(np.int8), 0
    with open("/dev/full", "wb") as full:
        array._file = full.fileno()
        with pytest.raises(OutputError, match=r"no space left on device; run the same command"):
            array.append(np.zeros(10, np.int8))
