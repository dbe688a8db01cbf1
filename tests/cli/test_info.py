"""``shopsight info``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shopsight.cli.main import main


def test_info(small_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(small_data)]) == 0
    assert capsys.readouterr().out.startswith("prepared data")
    assert main(["info", str(small_data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "prepared data"
    assert main(["info", str(small_data / "none")]) == 2
    assert "no such file" in capsys.readouterr().err
