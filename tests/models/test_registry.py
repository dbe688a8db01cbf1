"""Models of installed packages, by entry points."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shopsight.config.recipe import EXTRA_MODELS
from shopsight.models import registry

SPEC = "from toymodel import toy_spec\n\nSPEC = toy_spec(name='{name}')\nOTHER = 3\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages on the path; what they register is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    registry.load_installed.cache_clear()
    before = set(registry._SPECS)
    yield tmp_path
    for name in set(registry._SPECS) - before:
        del registry._SPECS[name], EXTRA_MODELS[name]
    registry.load_installed.cache_clear()


def install(site: Path, package: str, entry: str, source: str) -> None:
    (site / f"{package}.py").write_text(source)
    metadata = site / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\n{entry}\n")


def test_the_command_trains_an_installed_model(site: Path, small_data: Path) -> None:
    install(site, "bagmodel", "bag = bagmodel:SPEC", SPEC.format(name="bag"))
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(site), str(tests), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "shopsight", "train", str(small_data), "--recipe", "tiny"]
    command += ["--out", str(site / "run"), "--stages", "bag", "--threads", "1", "--dry-run"]
    done = subprocess.run(
        [*command, "--set", "models.bag.width=6", "--json"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (stage,) = json.loads(done.stdout)["stages"]
    assert (stage["stage"], stage["trained"] % 6) == ("bag", 0)


def test_installed_models_are_listed(site: Path) -> None:
    install(site, "listedmodel", "listed = listedmodel:SPEC", SPEC.format(name="listed"))
    assert registry.model_names()[-1] == "listed"
    assert registry.model_spec("listed").description == "a bag of words against the mean region"


@pytest.mark.parametrize(
    ("entry", "source", "reason"),
    [
        ("bad = brokenmodel:SPEC", "import nothing_there", "No module named 'nothing_there'"),
        ("bad = brokenmodel:OTHER", SPEC.format(name="bad"), "it is not a ModelSpec"),
        ("bad = brokenmodel:SPEC", SPEC.format(name="dual"), "'dual' is registered already"),
        ("bad = brokenmodel:NONE", "", "has no attribute 'NONE'"),
    ],
)
def test_models_that_cannot_be_loaded_are_left_out(
    site: Path, caplog: pytest.LogCaptureFixture, entry: str, source: str, reason: str
) -> None:
    sys.modules.pop("brokenmodel", None)
    install(site, "brokenmodel", entry, source)
    with caplog.at_level(logging.WARNING, "shopsight"):
        assert "bad" not in registry.model_names()
    assert f"the installed model 'bad' ({entry.partition(' = ')[2]}): " in caplog.text
    assert reason in caplog.text
