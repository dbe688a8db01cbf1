"""Manifests are read only in their own format and version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shopsight import __version__
from shopsight.errors import DataError
from shopsight.formats.manifest import ManifestFormat

INDEX = ManifestFormat("index.json", "index", 2, "build it again", frozenset({"files"}))
HEAD = '{"format": "shopsight index", "version": '


def test_what_is_written_is_read(tmp_path: Path) -> None:
    INDEX.write(tmp_path, {"files": {}, "name": "é"})
    head = {"format": "shopsight index", "version": 2, "shopsight": __version__}
    assert INDEX.read(tmp_path) == {**head, "files": {}, "name": "é"}
    assert list(json.loads((tmp_path / "index.json").read_bytes()))[:3] == list(head)


def test_an_unstamped_manifest_holds_no_release(tmp_path: Path) -> None:
    ManifestFormat("a.json", "vocabulary", 1, "", stamped=False).write(tmp_path, {"size": 3})
    content = {"format": "shopsight vocabulary", "version": 1, "size": 3}
    assert json.loads((tmp_path / "a.json").read_bytes()) == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"not an index \(no index.json\)"),
        ("{", "index.json: not readable as JSON; build it again"),
        ("[]", r"not an index \(index.json has another format\)"),
        ('{"format": "shopsight run folder"}', r"not an index \(index.json has another format\)"),
        (HEAD + "1}", r"another version of shopsight \(format version 1, not 2\); build it again"),
        (HEAD + "2}", "damaged, 'files' is missing; build it again"),
    ],
)
def test_other_content_is_rejected(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "index.json").write_text(content)
    with pytest.raises(DataError, match=message):
        INDEX.read(tmp_path)


@pytest.mark.parametrize("version", ["1}", "2", "[[["])
def test_damaged_and_outdated_manifests_are_recognised(tmp_path: Path, version: str) -> None:
    assert not INDEX.describes(tmp_path)
    (tmp_path / "index.json").write_text(HEAD + version)
    assert INDEX.describes(tmp_path)
