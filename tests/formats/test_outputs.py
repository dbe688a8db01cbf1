"""What cannot be written is an error before the work."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from shopsight.errors import OutputError
from shopsight.formats.manifest import ManifestFormat
from shopsight.formats.outputs import (
    check_output_file,
    check_output_folder,
    check_space,
    check_suffix,
)

PREPARED = ManifestFormat("data.json", "prepared folder", 2, "prepare again")


@pytest.fixture
def managed(tmp_path: Path) -> Path:
    """A folder with a manifest."""
    folder = tmp_path / "data"
    folder.mkdir()
    PREPARED.write(folder, {"files": {}})
    return folder


def test_files_that_can_be_written(tmp_path: Path, managed: Path) -> None:
    check_output_file(tmp_path / "new.json", [tmp_path / "other.json", "-", None, {"a": 1}])
    (tmp_path / "old.json").write_text("old")
    check_output_file(tmp_path / "old.json")
    (tmp_path / "data.json").write_text('{"mine": 1}')
    check_output_file(tmp_path / "data.json")
    assert (tmp_path / "old.json").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "data.json", "old.json"]


def test_files_that_cannot_be_written(
    tmp_path: Path, managed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputError, match=r"the folder .*none does not exist"):
        check_output_file(tmp_path / "none" / "run.json")
    with pytest.raises(OutputError, match="it is a folder"):
        check_output_file(managed)
    with pytest.raises(OutputError, match=r"data\.json: describes the folder"):
        check_output_file(managed / "data.json")
    run = tmp_path / "run.json"
    run.write_text("{}")
    (tmp_path / "link.json").symlink_to(run)
    for target in (run, tmp_path / "link.json", str(tmp_path / "data" / ".." / "run.json")):
        with pytest.raises(OutputError, match="is an input of this command"):
            check_output_file(target, [run])
    monkeypatch.setattr("tempfile.TemporaryFile", _read_only)
    with pytest.raises(OutputError, match=r"new: cannot write, read-only file system"):
        check_output_file(tmp_path / "new")


def _read_only(**_: object) -> None:
    raise OSError(30, "Read-only file system")


def test_folders(tmp_path: Path, managed: Path) -> None:
    check_output_folder(tmp_path / "deep" / "run")
    check_output_folder(managed)
    assert not (tmp_path / "deep").exists()
    with pytest.raises(OutputError, match=r"data/deep/run: lies inside .*/data; choose another"):
        check_output_folder(managed / "deep" / "run")
    check_output_folder(managed / "index", manifests=["index.json"])
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot be a folder, because .*file is a file"):
        check_output_folder(tmp_path / "file" / "run")
    # Another program's data.json makes no folder of ours.
    (tmp_path / "data.json").write_text(json.dumps({"format": "something else"}))
    check_output_folder(tmp_path / "run")


def test_suffixes() -> None:
    check_suffix("values.csv", (".tsv", ".csv"))
    with pytest.raises(OutputError, match=r"values\.xlsx: the ending .* \(known: \.tsv, \.csv\)"):
        check_suffix("values.xlsx", (".tsv", ".csv"))


def test_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "part").write_bytes(b"x" * 600)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2000, 1000, 1000))
    check_space(tmp_path / "new" / "index", 1000, "the index")
    check_space(tmp_path, 1600, "the index")  # 600 bytes of it are there already
    with pytest.raises(OutputError, match=r"index: the index takes 2\.00 GB, but only 0\.00 GB"):
        check_space(tmp_path / "new" / "index", 2_000_000_000, "the index")
