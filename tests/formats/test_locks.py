"""A folder is written by one process at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shopsight.errors import OutputError
from shopsight.formats.locks import folder_lock

HOLD = """
import os, sys, time
from pathlib import Path
from shopsight.formats.locks import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_is_exclusive_and_free_after_the_block(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    for _ in range(2):
        with folder_lock(folder):  # noqa: SIM117
            with pytest.raises(OutputError, match="another shopsight process is writing here"):
                with folder_lock(folder):
                    pass


def test_a_killed_process_holds_it_no_longer(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        with pytest.raises(OutputError), folder_lock(tmp_path):
            pass
        process.kill()
        process.wait()
    with folder_lock(tmp_path):
        pass


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file: cannot write"), folder_lock(tmp_path / "file"):
        pass
