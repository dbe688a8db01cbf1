import json
import subprocess
import sys

import numpy as np
import pytest

from negatives.queries import zipf_queries
from shopsight.config import NegativesConfig
from shopsight.errors import DataError, OutputError, UsageError
from shopsight.negatives.groups import (
    ARRAYS,
    build_query_groups,
    load_query_groups,
    save_query_groups,
)
from shopsight.text.normalise import normalise

SMALL = NegativesConfig(clusters=4, dimensions=3, neighbours=5)


def test_queries_are_grouped_by_last_word():
    texts = ["red dress", "table of oak", "dress!", "Red dress", "women's dress"]
    groups = build_query_groups(texts, SMALL, 0)
    assert groups.last_word[groups.text].tolist() == [0, 1, 0, 0, 0]
    assert groups.manifest["largest_last_words"] == {"dress": 3, "oak": 1}
    assert (groups.manifest["last_words"], groups.manifest["last_words_of_one_text"]) == (2, 1)


def test_spellings_of_a_text_are_one_text():
    groups = build_query_groups(["red dress", "Red\tDRESS ", "blue dress"], SMALL, 0)
    assert groups.text.tolist() == [0, 0, 1]
    assert groups.query.tolist() == [0, 2]
    assert groups.neighbours[:, 0].tolist() == [1, 0]
    assert (groups.manifest["queries"], groups.manifest["texts"]) == (3, 2)


def test_building_is_repeatable_by_seed():
    texts = zipf_queries(600)
    config = NegativesConfig(clusters=10, dimensions=8, neighbours=5, postings=4)
    first, again, other = (build_query_groups(texts, config, seed) for seed in (3, 3, 4))
    assert all((getattr(first, name) == getattr(again, name)).all() for name in ARRAYS)
    assert first.manifest == again.manifest
    assert (first.neighbours != other.neighbours).any()
    assert (first.cluster != other.cluster).any()


def test_no_queries_are_an_error():
    with pytest.raises(DataError, match="there are none"):
        build_query_groups([], SMALL, 0)


def test_progress_reaches_the_end_of_every_stage():
    seen = {}
    texts = zipf_queries(50)
    build_query_groups(
        texts, SMALL, 0, progress=lambda stage, *counts: seen.update({stage: counts})
    )
    assert seen == dict.fromkeys(["words", "clusters", "overlap"], (50, 50))


@pytest.fixture
def folder(tmp_path):
    save_query_groups(build_query_groups(["red dress", "Red dress", "lamp"], SMALL, 7), tmp_path)
    return tmp_path


def test_saved_groups_load_unchanged(folder):
    built = build_query_groups(["red dress", "Red dress", "lamp"], SMALL, 7)
    loaded = load_query_groups(folder, ["RED dress", "red dress", "lamp"])
    for name in ARRAYS:
        assert isinstance(getattr(loaded, name).base, np.memmap)
        assert (getattr(loaded, name) == getattr(built, name)).all()
    assert loaded.manifest == {**loaded.manifest, **built.manifest}
    assert loaded.manifest["settings"]["clusters"] == 4
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*(f"{name}.npy" for name in ARRAYS), "negatives.json"]
    )


def test_saving_again_replaces(folder):
    save_query_groups(build_query_groups(["sofa"], SMALL, 0), folder)
    assert load_query_groups(folder).manifest["queries"] == 1


def test_an_interrupted_save_is_not_loaded(folder, monkeypatch):
    monkeypatch.setattr(np, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_query_groups(build_query_groups(["sofa"], SMALL, 0), folder)
    with pytest.raises(DataError, match=r"no negatives.json"):
        load_query_groups(folder)


def interrupted(*_, **__):
    raise KeyboardInterrupt


def test_groups_of_other_queries_are_rejected(folder):
    with pytest.raises(DataError, match="built from other queries"):
        load_query_groups(folder, ["red dress", "red dress", "sofa"])


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": 1}', '{"format": "shopsight query group folder", "version": 1}']
)
def test_a_damaged_description_is_named(folder, text):
    (folder / "negatives.json").write_text(text)
    with pytest.raises(DataError, match=r"negatives.json: (not|made by)|not a query group folder"):
        load_query_groups(folder)


def test_damaged_arrays_are_named(folder):
    np.save(folder / "cluster.npy", np.zeros(9, np.int32))
    with pytest.raises(DataError, match=r"cluster.npy: does not fit negatives.json"):
        load_query_groups(folder)
    (folder / "cluster.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"cluster.npy: not a readable .npy file"):
        load_query_groups(folder)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    groups = build_query_groups(["sofa"], SMALL, 0)
    with pytest.raises(OutputError, match="file/negatives: cannot write, not a directory"):
        save_query_groups(groups, tmp_path / "file" / "negatives")


def test_reading_groups_imports_neither_scipy_nor_sklearn():
    code = (
        "import sys, shopsight.negatives.groups as g;"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'scipy', 'sklearn', 'torch'}))"
    )
    assert subprocess.check_output([sys.executable, "-c", code]) == b"[]\n"


@pytest.mark.slow
def test_the_real_queries(shared_data):
    rows = (shared_data / "kddcup2020" / "train_metadata.jsonl").read_text().splitlines()
    texts = (shared_data / "kddcup2020" / "queries.txt").read_text(encoding="utf-8").splitlines()
    texts += [json.loads(row)["query"] for row in rows]
    groups = build_query_groups(texts, NegativesConfig(neighbours=10), 0)
    assert groups.manifest["queries"] == len(groups.text) == 23_271
    assert groups.manifest["texts"] == len({normalise(text) for text in texts})
    assert groups.manifest["clusters"] > 200
    assert groups.manifest["largest_last_words"]["suit"] > 800
    assert groups.manifest["without_neighbours"] < 300


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"clusters": -1}, "clusters must be at least 0, not -1"),
        ({"dimensions": 0}, "dimensions must be at least 1, not 0"),
        ({"neighbours": -1}, "neighbours must be at least 1, not -1"),
        ({"postings": 0}, "postings must be at least 1, not 0"),
        ({"tries": -1}, "tries must be at least 0, not -1"),
        ({"last_word_fraction": 1.5}, "last_word_fraction must be from 0 to 1, not 1.5"),
        ({"last_word_fraction": float("nan")}, "last_word_fraction must be from 0 to 1, not nan"),
    ],
)
def test_invalid_settings(settings, sentence):
    with pytest.raises(UsageError, match=sentence):
        NegativesConfig(**settings)


def test_there_are_no_more_neighbours_than_other_texts():
    for texts, shape in (["dress", "Dress", "red lamp", "lamp"], (3, 2)), (["sofa"], (1, 1)):
        groups = build_query_groups(texts, NegativesConfig(neighbours=10**9), 0)
        assert groups.neighbours.shape == shape
