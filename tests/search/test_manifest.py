"""Damaged manifests, and files that contradict them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from shopsight.errors import DataError, ShopsightError
from shopsight.search.manifest import INDEX_FILE
from shopsight.search.searcher import Searcher


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"not an index \(no index.json\)"),
        ("{", "not readable as JSON; build the index again"),
        ('{"format": "shopsight run folder"}', "has another format"),
        ('{"format": "shopsight index", "version": 9}', "format version 9, not 3"),
        ('{"format": "shopsight index", "version": 3}', "damaged"),
        ({"segments": [{"name": "../x"}]}, "damaged"),
        ({"number": "x"}, "damaged"),
        ({"files": {"../../etc/passwd": {"bytes": 1, "sha256": ""}}}, "leads outside the folder"),
        ({"settings": {"precision": "float99"}}, "damaged"),
        ({"settings": {"nothing": 1}}, "damaged"),
        ({"models": {"word2vec": 1.0}}, "word2vec"),
    ],
)
def test_damaged_manifests(content: object, sentence: str, own_index: Path) -> None:
    path = own_index / INDEX_FILE
    if content is None:
        path.unlink()
    elif isinstance(content, str):
        path.write_text(content)
    else:
        path.write_text(json.dumps({**json.loads(path.read_text()), **content}))
    with pytest.raises(ShopsightError, match=sentence):
        Searcher.open(own_index)


@pytest.mark.parametrize("name", ["product_ids.npy", "student.vectors.npy", "offsets.npy"])
def test_inconsistent_files(name: str, own_index: Path) -> None:
    (segment,) = own_index.glob("segment-*")
    np.save(segment / name, np.load(segment / name)[:-1])
    manifest = json.loads((own_index / INDEX_FILE).read_text())
    manifest["files"][f"{segment.name}/{name}"]["bytes"] = (segment / name).stat().st_size
    (own_index / INDEX_FILE).write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="products"):
        Searcher.open(own_index)
    with pytest.raises(DataError, match=r"no index\.json"):
        Searcher.open(own_index / "nowhere")
