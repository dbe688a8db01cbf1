"""A file is replaced whole or not at all."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from shopsight.errors import OutputError
from shopsight.formats.atomic import (
    atomic_folder,
    atomic_write,
    resolve_output,
    write_json,
    write_npy,
)


@contextmanager
def ten_bytes_at_most() -> Iterator[None]:
    """No file may grow further, as on a full disk; also not the one that the test runner fills."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_replaces_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_write(target) as file:
        file.write("new é\n")
        assert target.read_text() == "old"
    assert target.read_text(encoding="utf-8") == "new é\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_bytes(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a", "wb") as file:
        file.writelines([b"\x00", b"\xff"])
    assert (tmp_path / "a").read_bytes() == b"\x00\xff"


def test_an_error_inside_leaves_the_old_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(TypeError), atomic_write(target) as file:
        file.writelines(["half", 3])
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_keeps_permissions_of_the_replaced_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    target.chmod(0o640)
    with atomic_write(target) as file:
        file.write("new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_new_files_get_the_usual_permissions(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "ours") as file:
        file.write("x")
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write, the folder .*none does not exist"):  # noqa: SIM117
        with atomic_write(tmp_path / "none" / "a.txt"):
            pass


def test_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"), atomic_write(tmp_path):
        pass


def test_no_permission(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission denied"), atomic_write(tmp_path / "a"):
        pass
    tmp_path.chmod(0o700)


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"a.txt: cannot write, no space left on device"):  # noqa: SIM117
        with atomic_write(tmp_path / "a.txt") as file:
            file.write("x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [100, 1_000_000])  # held back until the end; written at once
@pytest.mark.parametrize("verb", ["write", "writelines"])
def test_a_failing_write_names_the_file(tmp_path: Path, size: int, verb: str) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    reason = r"a.txt: cannot write, file too large"
    with (
        pytest.raises(OutputError, match=reason),
        ten_bytes_at_most(),
        atomic_write(target) as file,
    ):
        getattr(file, verb)("x" * size)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a.txt").write_text("old")
    for name in ("a.txt", "new.txt"):
        (tmp_path / name).symlink_to(tmp_path / "far" / name)
        with atomic_write(tmp_path / name) as file:
            file.write("new")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "far" / name).read_text() == "new"
    assert len(list((tmp_path / "far").iterdir())) == len(list(tmp_path.iterdir())) - 1 == 2


def test_devices_and_pipes_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to(os.devnull)
    for output in (tmp_path / "pipe", tmp_path / "null", os.devnull):
        with pytest.raises(OutputError, match=r"cannot write .*, it is not a regular file"):
            resolve_output(output)
        with pytest.raises(OutputError, match="not a regular file"), atomic_write(output):
            pass
    assert (tmp_path / "pipe").is_fifo()
    assert Path(os.devnull).is_char_device()


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OutputError, match="a: cannot write, too many levels of symbolic links"):
        resolve_output(tmp_path / "a")


def test_standard_output_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="-: cannot write to standard output"), atomic_write("-"):
        pass
    with atomic_write("./-") as file:
        file.write("x")
    assert (tmp_path / "-").read_text() == "x"


def test_unknown_mode(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mode must be"), atomic_write(tmp_path / "a", "a"):
        pass


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "models"
    (tmp_path / ".models.tmp").mkdir()
    (tmp_path / ".models.tmp" / "of a killed process").touch()
    with atomic_folder(target) as folder:
        (folder / "a").write_text("x")
        assert not target.exists()
    assert [file.name for file in target.iterdir()] == ["a"]
    with pytest.raises(OutputError, match="other: cannot write"), atomic_folder(tmp_path / "other"):
        raise OSError(28, "No space left on device")
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_json_and_arrays(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"é": [1]}, indent=None)
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{"é": [1]}\n'
    write_npy(tmp_path / "a.npy", np.arange(3))
    assert np.load(tmp_path / "a.npy").tolist() == [0, 1, 2]


def test_errors_of_other_files_keep_their_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="other"), atomic_write(tmp_path / "a"):
        (tmp_path / "other").read_text()
    with pytest.raises(BrokenPipeError), atomic_write(tmp_path / "a"):
        raise BrokenPipeError(32, "Broken pipe")
    assert list(tmp_path.iterdir()) == []
