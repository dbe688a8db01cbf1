"""A file is replaced whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from shopsight.errors import OutputError
from shopsight.formats.atomic import replacing


def test_replaces_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with replacing(target) as file:
        file.write("new é\n")
        assert target.read_text() == "old"
    assert target.read_text(encoding="utf-8") == "new é\n"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_bytes(tmp_path: Path) -> None:
    with replacing(tmp_path / "a", "wb") as file:
        file.writelines([b"\x00", b"\xff"])
    assert (tmp_path / "a").read_bytes() == b"\x00\xff"


def test_an_error_inside_leaves_the_old_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(TypeError), replacing(target) as file:
        file.writelines(["half", 3])
    assert target.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_keeps_permissions_of_the_replaced_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    target.chmod(0o640)
    with replacing(target) as file:
        file.write("new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_new_files_get_the_usual_permissions(tmp_path: Path) -> None:
    with replacing(tmp_path / "ours") as file:
        file.write("x")
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write, the folder .*none does not exist"):  # noqa: SIM117
        with replacing(tmp_path / "none" / "a.txt"):
            pass


def test_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"), replacing(tmp_path):
        pass


def test_no_permission(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission denied"), replacing(tmp_path / "a"):
        pass
    tmp_path.chmod(0o700)


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"a.txt: cannot write, no space left on device"):  # noqa: SIM117
        with replacing(tmp_path / "a.txt") as file:
            file.write("x")
    assert list(tmp_path.iterdir()) == []


def test_unknown_mode(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mode must be"), replacing(tmp_path / "a", "a"):
        pass
