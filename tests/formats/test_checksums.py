"""Changes of files are noticed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from shopsight.errors import DataError
from shopsight.formats.checksums import (
    check_contents,
    check_sizes,
    checksums,
    file_fingerprint,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models" / "dual").mkdir(parents=True)
    (tmp_path / "models" / "dual" / "best").write_bytes(b"weights")
    (tmp_path / "a.npy").write_bytes(b"abc")
    return tmp_path


def test_files_below_folders_are_listed_by_their_path(folder: Path) -> None:
    weights = {"bytes": 7, "sha256": hashlib.sha256(b"weights").hexdigest()}
    entries = checksums(folder, ["models", "a.npy"])
    assert list(entries) == ["models/dual/best", "a.npy"]
    assert entries["models/dual/best"] == weights


def test_changes_are_named(folder: Path) -> None:
    entries = checksums(folder, ["models", "a.npy"])
    steps: list[tuple[int, int]] = []
    check_contents(folder, entries, "again", lambda _, done, total: steps.append((done, total)))
    assert steps == [(1, 2), (2, 2)]
    (folder / "a.npy").write_bytes(b"abd")
    check_sizes(folder, entries, "again")
    with pytest.raises(DataError, match=r"a\.npy: content changed since it was written; again"):
        check_contents(folder, entries, "again")
    (folder / "a.npy").write_bytes(b"ab")
    with pytest.raises(DataError, match=r"a\.npy: 2 bytes instead of 3; again"):
        check_sizes(folder, entries, "again")
    (folder / "a.npy").unlink()
    with pytest.raises(DataError, match=r"a\.npy: missing; again"):
        check_contents(folder, entries, "again")


def test_a_file_fingerprint_sees_both_ends_the_size_and_the_time(tmp_path: Path) -> None:
    path = tmp_path / "table"
    content = bytes(200_000)

    def written(data: bytes, seconds: int = 1) -> str:
        path.write_bytes(data)
        os.utime(path, (seconds, seconds))
        return file_fingerprint(path)

    same = written(content)
    assert written(content) == same
    others = [
        written(b"x" + content[1:]),
        written(content[1:] + b"x"),
        written(content + b"x"),
        written(content, 2),
    ]
    assert len({same, *others}) == 5
